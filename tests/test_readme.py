"""What README shows is run as it stands there."""

import re
import subprocess
import sys

import mne
import numpy as np
import torch
from conftest import make_raw
from documents import block
from safetensors.torch import save_file

from eeg_sgdr import compat
from eeg_sgdr.networks.build import build_network

#: Here a wheel of torchaudio may not load; the guard is a file that needs nothing of the package.
PLAIN = """
import runpy, sys
runpy.run_path({compat!r})["import_braindecode"]()
{recipe}
import numpy, torch
with torch.no_grad():
    numpy.save("logits.npy", model.eval().double()(torch.from_numpy(numpy.load("x.npy"))))
assert not [name for name in sys.modules if name.startswith("eeg_sgdr")]
"""


def test_a_snapshot_of_the_demo_loads_into_plain_braindecode(tmp_path):
    recipe = block("load_file")
    sizes = {"n_channels": 44, "n_samples": 1125, "n_classes": 4, "sfreq": 250.0, "crop_samples": 1000}
    net = build_network("ShallowFBCSPNet", {}, **sizes, seed=1)
    path = tmp_path / re.search(r'"(results/.*)"', recipe)[1]
    path.parent.mkdir(parents=True)
    save_file(net.module.state_dict(), path)
    x = np.random.default_rng(0).normal(size=(2, 44, 1000))
    np.save(tmp_path / "x.npy", x)
    script = PLAIN.format(compat=compat.__file__, recipe=recipe)
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, check=True)
    with torch.no_grad():
        expected = net.module.eval().double()(torch.from_numpy(x)).numpy()
    assert expected.shape == (2, 4, 467)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-9)


def test_ten_lines_from_the_installation_to_a_cross_validated_ensemble(tmp_path, monkeypatch, capsys):
    lines = block("cross_val_score")
    assert 1 + len([line for line in lines.splitlines() if line]) <= 10
    raw = make_raw(n_trials=50)
    events, ids = mne.events_from_annotations(raw, verbose="error")
    epochs = mne.Epochs(raw, events, ids, 0.0, 2.0, baseline=None, preload=True, verbose="error")
    epochs.save(tmp_path / "my-epo.fif", verbose="error")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(lines, names)
    assert len(names["accuracies"]) == 5
    assert names["accuracies"].mean() > 0.9
    assert "error: " in capsys.readouterr().out
