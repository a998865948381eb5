"""The command as a user runs it: refusals, exit status, and real recordings from end to end."""

import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import binomtest

from eeg_sgdr.run import main
from eeg_sgdr.storage.results import load_results


def arguments(name, folder, *changes):
    changes = [f"compute.data_dir={folder / 'data'}", *changes]
    words = ["--config", name, "--subject", "1", "--out", str(folder / "results"), "--jobs", "1"]
    return words + [word for change in changes for word in ("--set", change)]


@pytest.mark.parametrize("module", ["__main__", "run", "report"])
def test_help_comes_without_heavy_imports(module, tmp_path):
    code = (
        f"import sys\nfrom eeg_sgdr.{module} import main\ntry: main(['--help'])\n"
        "except SystemExit: print([m for m in ('torch', 'numpy', 'pydantic', 'tqdm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n")


def test_debug_shows_the_traceback(tmp_path):
    call = [sys.executable, "-m", "eeg_sgdr.run", "--config", "nothing", "--debug"]
    assert "Traceback" in subprocess.run(call, capture_output=True, text=True, cwd=tmp_path).stderr


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_schedules_are_drawn_without_training(suffix, tmp_path):
    path = tmp_path / f"rates.{suffix}"
    assert main(["--config", "demo", "--schedule-figure", str(path)]) == 0
    assert path.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.recordings
def test_real_recordings_from_end_to_end_and_a_second_run_trains_nothing(recordings_folder, tmp_path):
    """PhysioNet subject 1, fists or feet, with a short budget: 60 trials train, 30 test."""
    changes = ("schedules.step.budgets=[15]", "schedules.restarts.epochs=15")
    call = arguments("physionet_fists_feet", tmp_path, *changes)
    assert main(call) == 0
    results = load_results(tmp_path / "results")
    assert (results.trials["rejected"] == "").all()
    assert results.trials["split"].value_counts().to_dict() == {"train": 60, "test": 30}
    folder = results.subject(1).folder
    for path in (folder.trials, folder.data, folder.summary, folder.evaluation, folder.report):
        assert path.stat().st_size > 0
    table = results.evaluation
    ensemble = table.query("schedule == 'restarts' and members == 'cycles' and epoch == 15 and n_fits == 2")
    assert len(ensemble) == 1
    errors = round(float(ensemble["error"].iloc[0]) * 30)
    assert errors <= 8
    assert binomtest(8, 30, 0.5, "less").pvalue < 0.01
    # The table's number is that of the stored probabilities, with labels from the table of trials.
    stored = [results.probabilities(1, "restarts", 15, rate) for rate in (0.025, 0.05)]
    mean = np.mean([p[np.isin(epochs, (7, 15))].mean(axis=0) for epochs, p in stored], axis=0)
    test = results.trials.query("split == 'test'")["class"]
    assert errors == (np.array(["both_fists", "both_feet"])[mean.argmax(axis=1)] != test).sum()
    fits = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("fits/*/*")}
    time.sleep(0.01)
    assert main(call) == 0
    assert {path: path.stat().st_mtime_ns for path in fits} == fits
