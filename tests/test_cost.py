"""Costs before anything is trained: against numbers written out by hand."""

import pytest
from conftest import make_settings
from results_folder import study_settings, write_study

from eeg_sgdr import dry_run
from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.dry_run import Shape, Timing
from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.units import Unit
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.training import loop

SHAPE = Shape(n_train=40, n_test=20, n_channels=3, n_samples=250, n_classes=2, sfreq=100.0)


def unit(root, settings, label="01", source=None):
    return Unit(label, None, source, settings, folders.Study(root).subject(label))


def times(root):
    """When each file was changed; mne-bids holds locks in folders while it reads."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def epochs(fits):
    return sum(key.budget for key in fits)


def test_the_paper_s_budgets_are_counted(tmp_path):
    """(30 + 60 + 120 + 240 + 480 + 511) epochs of steps and 511 of restarts, at two rates, of each seed."""
    changes = ["schedules.step.budgets=[30,60,120,240,480,511]", "schedules.restarts.epochs=511"]
    for name in ("demo", "physionet_fists_feet", "physionet_left_right"):
        settings = config.load(name, [*changes, "training.seeds=[0,1]"])
        fits = dry_run.missing_fits([unit(tmp_path, settings)])
        assert len(fits["01"]) == 2 * 2 * 7
        assert epochs(fits["01"]) == 2 * 2 * (1441 + 511)


def test_what_is_there_is_not_missing(tmp_path):
    settings = study_settings(["01", "02"])
    lacks = ("step-b7-r0.05-s0", "restarts-b7-r0.025-s0")
    write_study(tmp_path, settings, lambda *_: [], missing=["02", *(("01", name) for name in lacks)])
    missing = dry_run.missing_fits([unit(tmp_path, settings), unit(tmp_path, settings, "02")])
    assert {key.name for key in missing["01"]} == set(lacks)
    assert (epochs(missing["01"]), epochs(missing["02"])) == (14, 2 * (1 + 3 + 7) + 2 * 7)
    # Every fit is made again where epochs are to be stored that it lacks: all but budgets of one epoch.
    training = settings.training.model_copy(update={"store": "epochs"})
    missing = dry_run.missing_fits([unit(tmp_path, settings.model_copy(update={"training": training}))])
    assert {key.budget for key in missing["01"]} == {3, 7}


def test_a_damaged_fit_is_refused_as_by_a_run(tmp_path):
    settings = study_settings(["01"])
    write_study(tmp_path, settings, lambda *_: [])
    (tmp_path / "subjects/001/fits/step-b7-r0.05-s0/fit.json").write_text("{")
    with pytest.raises(UserError, match=r"fit\.json: is not as it was written .* run again"):
        dry_run.missing_fits([unit(tmp_path, settings)])


@pytest.mark.parametrize(("stored", "scored"), [("ends", (1, 2)), ("epochs", (3, 3))])
def test_seconds_are_updates_and_scorings(stored, scored):
    settings = make_settings(training={"store": stored})
    missing = {"01": [FitKey("step", 3, 0.05, 0), FitKey("restarts", 3, 0.05, 0)], "02": []}
    measured = Timing(update=0.1, fastest=0, slowest=1, n_updates=1, scoring=0.01, form="fast")
    # 40 trials of 2 crops in batches of 4: 20 updates an epoch.
    seconds, scoring = dry_run.estimate_seconds(
        missing, dict.fromkeys(missing, SHAPE), measured, settings, n_crops=2
    )
    assert seconds["01"] == pytest.approx([3 * 20 * 0.1 + n * 40 * 0.01 for n in scored])
    assert seconds["02"] == []
    assert scoring == pytest.approx(sum(scored) * 0.4)


@pytest.mark.parametrize(
    ("seconds", "n", "expected"),
    [
        ([], 2, 0),
        ([[5]], 4, 5),
        ([[1, 2, 3]], 1, 6),
        ([[2, 2, 2, 3, 3]], 2, 7),
        ([[1, 1, 1, 9]], 3, 9),
        ([[1, 4], [3, 2]], 2, 6),
    ],
)
def test_fits_are_laid_on_processes_subject_by_subject_the_longest_first(seconds, n, expected):
    assert dry_run.elapsed(seconds, n) == expected


def test_an_update_is_measured_on_as_few_trials_as_it_needs(monkeypatch):
    seen = []
    fit = loop.fit
    monkeypatch.setattr(loop, "fit", lambda data, *rest: seen.append(data) or fit(data, *rest))
    settings = make_settings()
    measured = dry_run.measure(SHAPE, settings)
    assert (len(seen[0].x_train), len(seen[0].x_test)) == (12, 6)
    assert seen[0].x_train.shape[1:] == (3, 250)
    assert measured.n_updates == 15
    assert 0 < measured.fastest <= measured.update <= measured.slowest
    assert measured.scoring > 0


def test_fewer_crops_than_a_batch_are_refused():
    with pytest.raises(UserError, match="more than the 40 training crops"):
        dry_run.updates_per_epoch(SHAPE, make_settings(training={"batch_size": 41}), n_crops=1)


def test_a_simulated_subject_is_the_same_in_memory_and_on_disk(tmp_path):
    settings = config.load("demo", ["recordings.n_runs=2", "recordings.n_trials=4", "split.test=[02]"])
    source = open_source(settings.recordings, tmp_path)
    before = dry_run.prepared_shape(unit(tmp_path, settings, source=source))
    assert not list(tmp_path.iterdir())
    assert before == Shape(n_train=4, n_test=4, n_channels=44, n_samples=1125, n_classes=4, sfreq=250.0)
    source.files("01")
    written = times(tmp_path)
    assert dry_run.prepared_shape(unit(tmp_path, settings, source=source)) == before
    assert times(tmp_path) == written
