"""A results folder of the version before the rooms is read, reported and continued."""

import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eeg_sgdr import report, run
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import records
from eeg_sgdr.storage.results import load_results

OLD = Path(__file__).parents[1] / "old_folder"
KEYS = [FitKey("restarts", 3, 0.05, 0), FitKey("step", 1, 0.05, 0), FitKey("step", 3, 0.05, 0)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    runpy.run_path(str(OLD / "recordings.py"))["write_recordings"](tmp_path / "recordings")
    shutil.copytree(OLD / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def files_of(keys, folder):
    roots = [folder / "subjects" / label / "fits" / key.name for label in ("001", "002") for key in keys]
    return {path: path.read_bytes() for root in roots for path in root.iterdir()}


def test_it_is_read():
    results = load_results(OLD / "results")
    assert results.settings.training.seeds == (0,)
    assert [subject.done for subject in results.subjects] == [KEYS, KEYS]
    assert len(results.trials) == 2 * 32
    assert len(results.history) == 2 * (1 + 3 + 3)
    assert set(results.evaluation["schedule"]) == {"step", "restarts", "baseline"}
    for subject in results.subjects:
        for key in KEYS:
            for epoch, probabilities in subject.probabilities(key, "recomputed").items():
                np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
                assert subject.weights(key, epoch)
        assert subject.baseline_probabilities("baseline").shape == (16, 2)


def test_it_is_reported(folder):
    fits = files_of(KEYS, folder)
    before = load_results(folder).evaluation
    assert report.main([str(folder)]) == 0
    pages = {path.parent.name for path in folder.rglob("report.html")}
    assert pages == {"results", "001", "002"}
    pd.testing.assert_frame_equal(load_results(folder).evaluation, before)
    assert len(load_results(folder).comparison)
    assert files_of(KEYS, folder) == fits


def test_it_is_continued(folder):
    """A seed is added, one of whose fits was interrupted."""
    fits = files_of(KEYS, folder)
    again = ["--config", str(folder / "config.yaml"), "--out", str(folder), "--jobs", "1"]
    assert run.main([*again, "--set", "training.seeds=[1]"]) == 0
    assert files_of(KEYS, folder) == fits
    results = load_results(folder)
    assert results.settings.training.seeds == (0, 1)
    assert results.settings.training.seeding == "shared"
    added = [FitKey(key.schedule, key.budget, key.rate, 1) for key in KEYS]
    for subject in results.subjects:
        assert subject.done == sorted([*KEYS, *added])
        assert not list(subject.folder.root.rglob("checkpoint"))
        # Old and new fits lie side by side.
        assert {key for key, content in subject.fits.items() if "format" in content} == {*added}
        assert subject.data["format"] == records.FORMAT


def test_its_seeds_stay_shared(folder, capsys):
    before = files_of(KEYS, folder)
    again = ["--config", str(folder / "config.yaml"), "--out", str(folder)]
    assert run.main([*again, "--set", "training.seeding=unit"]) == 2
    assert "training.seeding: shared here, unit asked for" in capsys.readouterr().err
    assert files_of(KEYS, folder) == before
