"""What tests share: where real recordings are, and recordings that are made up."""

import os
import shutil
from pathlib import Path

import matplotlib
import mne
import numpy as np
import pytest
import yaml
from hypothesis import settings as hypothesis_settings

import eeg_sgdr
from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import Recording
from eeg_sgdr.networks.kernels import find_bfloat16

DATA = os.environ.get("EEG_SGDR_TEST_DATA")
KERNEL_FOLDER = Path(eeg_sgdr.__file__).parent / "networks" / "fast"
KERNELS = {path: path.stat().st_mtime_ns for path in KERNEL_FOLDER.glob("*.so")}
N_DESELECTED = pytest.StashKey[int]()

# The same cases in every run, so that a change is judged by the change. To look for new ones:
# pytest --hypothesis-profile=search
hypothesis_settings.register_profile("same", derandomize=True, deadline=None)
hypothesis_settings.register_profile("search", max_examples=5000, deadline=None)
hypothesis_settings.load_profile("same")


def pytest_collection_modifyitems(config, items):
    """Leave out (not skip) tests that read real recordings, or need kernels, where there are none."""
    import torch

    bfloat16 = find_bfloat16("shallow", torch.float32)
    missing = ["recordings"] * (not DATA) + ["kernels"] * (not KERNELS) + ["bfloat16"] * (not bfloat16)
    left_out = [item for item in items if any(map(item.get_closest_marker, missing))]
    config.stash[N_DESELECTED] = len(left_out)
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_report_collectionfinish(config):
    """Say how many tests are left out, and how to get what they read."""
    if not KERNELS:
        return "no compiled kernels: their tests are deselected. To build them: python hatch_build.py."
    if DATA:
        return f"real recordings: {DATA}"
    return (
        f"EEG_SGDR_TEST_DATA is not set: {config.stash.get(N_DESELECTED, 0)} tests of real recordings are "
        'deselected. To get the files: python -c "from mne.datasets import eegbci; '
        "eegbci.load_data(1, range(3, 15), path='FOLDER', update_path=False)\"; "
        "then set EEG_SGDR_TEST_DATA=FOLDER."
    )


def pytest_terminal_summary(terminalreporter):
    """Say why tests of equal bits fail where a process has loaded a kernel, and others load its successor."""
    if {path: path.stat().st_mtime_ns for path in KERNEL_FOLDER.glob("*.so")} != KERNELS:
        terminalreporter.write_line("The compiled kernels were built anew meanwhile: run the tests again.")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Tests leave the user's cache folder alone, but for matplotlib's, which takes seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLCONFIGDIR", matplotlib.get_cachedir())
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def recordings_folder(monkeypatch):
    """The folder of real recordings; MNE finds them there."""
    folder = Path(DATA).resolve()
    monkeypatch.setenv("MNE_DATA", str(folder))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    return folder


@pytest.fixture
def offline(monkeypatch):
    """No way out of the machine, and no folder of MNE's from outside."""
    for name in ("https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("EEGBCI", "SCHIRRMEISTER2017", "BNCI"):
        monkeypatch.delenv(f"MNE_DATASETS_{name}_PATH", raising=False)


def positions(raw, n):
    """Positions of the first n channels, in metres; shape (n, 3)."""
    return np.array([channel["loc"][:3] for channel in raw.info["chs"][:n]])


def make_settings(**changes):
    """Settings for the made-up recordings; each change replaces a section or adds to it."""
    standardize, restarts = {"init_samples": 200}, {"kind": "warm_restarts", "epochs": 3}
    data = {
        "name": "small",
        "recordings": {"source": "bids", "root": "x", "task": "y", "classes": {"left": "l", "right": "r"}},
        "split": {"by": "run", "test": ["2"]},
        "preprocessing": {"highpass_hz": 4, "standardize": standardize, "window_s": [-0.5, 2.0]},
        "network": {"name": "ShallowFBCSPNet", "crop_samples": None},
        "training": {"initial_rates": [0.025, 0.05], "batch_size": 4},
        "schedules": {"step": {"kind": "step", "budgets": [1, 3]}, "restarts": restarts},
    }
    for name, change in changes.items():
        data[name] = {**data.get(name, {}), **change} if isinstance(change, dict) else change
    return config.validate(data, "test")


def make_raw(n_trials=8, sfreq=100.0, names=("C3", "Cz", "C4"), seed=0):
    """A Raw of noise in volts, with a 10 Hz rhythm over C3 (left) or C4 (right); a cue every 4 s."""
    rng = np.random.default_rng(seed)
    n_samples = round((n_trials * 4 + 4) * sfreq)
    data = rng.normal(scale=10e-6, size=(len(names), n_samples))
    onsets = np.arange(n_trials) * 4 + 2.0
    cues = np.array(["l", "r"])[rng.permutation(n_trials) % 2]
    for onset, cue in zip(onsets, cues, strict=True):
        at = round(onset * sfreq) + np.arange(round(2 * sfreq))
        data[0 if cue == "l" else 2, at] += 30e-6 * np.sin(2 * np.pi * 10 * at / sfreq)
    raw = mne.io.RawArray(data, mne.create_info(list(names), sfreq, "eeg"), verbose="error")
    return raw.set_annotations(mne.Annotations(onsets, 2.0, cues))


@pytest.fixture(scope="session")
def small_study(tmp_path_factory):
    """The folders of the recordings and of the results of a small study, trained once: not to be changed."""
    import small_study

    data_dir, out = (tmp_path_factory.mktemp(name) for name in ("data", "results"))
    small_study.run(data_dir, out)
    return data_dir, out


@pytest.fixture(scope="session")
def finished(small_study, tmp_path_factory):
    """A user's folder: study.yaml, recordings in data, and done, where no fit of subject 1 is missing."""
    import small_study as study

    folder = tmp_path_factory.mktemp("finished")
    (folder / "study.yaml").write_text(yaml.safe_dump(study.STUDY), encoding="utf-8")
    for source, name in zip(small_study, ("data", "done"), strict=True):
        shutil.copytree(source, folder / name)
    return folder


@pytest.fixture(scope="session")
def one_call(tmp_path_factory):
    """The folder of a study of two subjects that one process has made, its files, and what it said."""
    import killing

    folder = tmp_path_factory.mktemp("train")
    errors = killing.wait(killing.start(killing.command(folder, "one", *killing.SHORT, "--jobs", "1")))
    return folder, killing.files(folder / "one"), errors


@pytest.fixture
def recordings():
    """Three runs of one subject; run 2 tests."""
    return [Recording("1", "0", str(run), make_raw(seed=run)) for run in range(3)]
