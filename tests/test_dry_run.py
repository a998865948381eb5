"""--dry-run: costs against numbers written out by hand, what it prints, and that it writes nothing."""

import re
from dataclasses import replace

import pytest
import yaml
from conftest import make_settings
from results_folder import study_settings, write_study
from small_study import configuration

from eeg_sgdr import dry_run
from eeg_sgdr import settings as config
from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.splits import Fold
from eeg_sgdr.dry_run import Shape
from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.units import Unit
from eeg_sgdr.run import main
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.training import loop

# Now: what MNE logs at its import is printed where pytest listens to loggers, as it does within tests.
import_braindecode()

SHAPE = Shape(n_train=40, n_test=20, n_channels=3, n_samples=250, n_classes=2, sfreq=100.0)
SMALL = configuration(
    recordings={"n_subjects": 4},
    network={"crop_samples": None, "arguments": {}},
    training={"initial_rates": [0.05]},
    schedules={"step": {"kind": "step", "budgets": [1, 3]}},
)


def unit(root, settings, label="01", source=None):
    return Unit(label, None, source, settings, folders.Study(root).subject(label), None)


def times(root):
    """When each file was changed; mne-bids holds locks in folders while it reads."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def epochs(fits):
    return sum(key.budget for key in fits)


@pytest.mark.parametrize("name", ["demo", "physionet_fists_feet", "physionet_left_right"])
def test_the_paper_s_budgets_are_counted(name, tmp_path):
    """(30 + 60 + 120 + 240 + 480 + 511) epochs of steps and 511 of restarts, at two rates, of each seed."""
    changes = ["schedules.step.budgets=[30,60,120,240,480,511]", "schedules.restarts.epochs=511"]
    settings = config.load(name, [*changes, "training.seeds=[0,1]"])
    (fits,) = dry_run.missing_fits([unit(tmp_path, settings)]).values()
    assert (len(fits), epochs(fits)) == (2 * 2 * 7, 2 * 2 * (1441 + 511))


def test_what_is_there_is_not_missing(tmp_path):
    settings = study_settings(["01", "02"])
    lacks = ("step-b7-r0.05-s0", "restarts-b7-r0.025-s0")
    write_study(tmp_path, settings, lambda *_: [], missing=["02", *(("01", name) for name in lacks)])
    units = [unit(tmp_path, settings), unit(tmp_path, settings, "02")]
    of_first, of_second = dry_run.missing_fits(units).values()
    assert {key.name for key in of_first} == set(lacks)
    assert (epochs(of_first), epochs(of_second)) == (14, 2 * (1 + 3 + 7) + 2 * 7)
    # Every fit is made again where epochs are to be stored that it lacks: all but budgets of one epoch.
    every_epoch = study_settings(["01"], training={"store": "epochs"})
    (missing,) = dry_run.missing_fits([unit(tmp_path, every_epoch)]).values()
    assert {key.budget for key in missing} == {3, 7}


def test_fits_by_which_rates_are_chosen_are_counted_with_their_trials(tmp_path):
    choice = {"rate_choice": {"validation": "run"}, "initial_rates": [0.05, 0.1]}
    data = SMALL | {"training": SMALL["training"] | choice, "recordings": SMALL["recordings"] | {"n_runs": 3}}
    settings = config.validate(data, "test")
    source = open_source(settings.recordings, tmp_path / "data")
    outer = unit(tmp_path, settings, source=source)
    inner_fits, tuned = dry_run.missing_fits([outer]).values()
    # Two budgets of step and one of restarts, at two rates; and each at the chosen rate, whichever it is.
    assert (len(inner_fits), {key.rate for key in tuned}) == (6, {"tuned"})
    assert [key.budget for key in tuned] == [1, 3, 3]
    shapes = dry_run.prepared_shapes(outer)
    assert (shapes[outer].n_train, shapes[outer].n_test) == (24, 12)
    assert (shapes[outer.inner].n_train, shapes[outer.inner].n_test) == (12, 12)


def test_a_damaged_fit_is_refused_as_by_a_run(tmp_path):
    settings = study_settings(["01"])
    write_study(tmp_path, settings, lambda *_: [])
    (tmp_path / "subjects/001/fits/step-b7-r0.05-s0/fit.json").write_text("{")
    with pytest.raises(UserError, match=r"fit\.json: is not as it was written .* run again"):
        dry_run.missing_fits([unit(tmp_path, settings)])


@pytest.mark.parametrize(("stored", "scored"), [("ends", (1, 2)), ("epochs", (3, 3))])
def test_seconds_are_updates_and_scorings(stored, scored, tmp_path):
    settings = make_settings(training={"store": stored})
    first, second = (unit(tmp_path, settings, label) for label in ("01", "02"))
    missing = {first: [FitKey("step", 3, 0.05, 0), FitKey("restarts", 3, 0.05, 0)], second: []}
    # 40 trials of 2 crops in batches of 4: 20 updates an epoch.
    shapes = dict.fromkeys(missing, SHAPE)
    seconds, scoring = dry_run.estimate_seconds(missing, shapes, 0.1, 0.01, settings, n_crops=2)
    assert seconds[first] == pytest.approx([3 * 20 * 0.1 + n * 40 * 0.01 for n in scored])
    assert seconds[second] == []
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
    measured = dry_run.measure(SHAPE, make_settings(), seconds=0)
    assert (seen[0].x_train.shape, len(seen[0].x_test)) == ((12, 3, 250), 6)
    assert measured.n_updates == 15
    assert (len(measured.update), len(measured.scoring)) == (5, 5)
    assert min(measured.update) > 0 < min(measured.scoring)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [((0.1, 0.1), "3.6 min"), ((0.05, 0.1), "108 s to 3.6 min"), ((0.1, 0.2), "3.6 to 7.2 min")],
)
def test_the_estimate_is_a_range_of_what_was_measured(measured, expected, tmp_path):
    """Two fits of 54 epochs of 20 updates, on one process, without scoring."""
    settings = make_settings()
    missing = {unit(tmp_path, settings): [FitKey("step", 54, 0.05, seed) for seed in (0, 1)]}
    bounds = [
        dry_run.estimate_seconds(missing, dict.fromkeys(missing, SHAPE), update, 0, settings, n_crops=2)
        for update in measured
    ]
    text = dry_run._estimate(bounds, 1, settings)
    assert text.startswith(f"Estimated time: {expected} with 1 fit at a time (by the quartiles of ")


def test_fewer_crops_than_a_batch_are_refused():
    with pytest.raises(UserError, match="more than the 40 training crops"):
        dry_run.updates_per_epoch(SHAPE, make_settings(training={"batch_size": 41}), n_crops=1)


def test_a_simulated_subject_is_the_same_in_memory_and_on_disk(tmp_path):
    settings = config.load("demo", ["recordings.n_runs=2", "recordings.n_trials=4", "split.test=[02]"])
    source = open_source(settings.recordings, tmp_path)
    (before,) = dry_run.prepared_shapes(unit(tmp_path, settings, source=source)).values()
    assert not list(tmp_path.iterdir())
    assert before == Shape(n_train=4, n_test=4, n_channels=44, n_samples=1125, n_classes=4, sfreq=250.0)
    source.files("01")
    written = times(tmp_path)
    (after,) = dry_run.prepared_shapes(unit(tmp_path, settings, source=source)).values()
    assert after == before
    assert times(tmp_path) == written


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Measurements take as long as one round."""
    monkeypatch.setattr(dry_run, "MEASURE_S", 0)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, **changes):
        (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL, **changes}, sort_keys=False))
        capsys.readouterr()
        assert main(["--config", "small.yaml", "--jobs", "2", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return call


def files(root):
    found = {path: path.is_file() and path.stat().st_mtime_ns for path in root.rglob("*")}
    del found[root / "small.yaml"]
    return found


def test_a_study_that_is_not_there_yet(command, tmp_path):
    lines = command("--dry-run")
    # Twelve trials of one crop in batches of five: two updates an epoch.
    assert lines[1:6] == [
        "schedule  fits wanted  there  missing  epochs missing  updates missing",
        "step                8      0        8              16               32",
        "restarts            4      0        4              12               24",
        "in all             12      0       12              28               56",
        "Baselines missing: 4.",
    ]
    assert lines[6].startswith(
        "Subject 01: 12 training trials of 1 crop, 5 crops an update, so 2 updates an "
    )
    assert lines[6].endswith("Of 3 subjects the trials are not known here: as many are assumed.")
    form = r"(fast|compiled for .*)"  # without kernels, and with them
    assert re.match(rf"Measured here on noise of that shape \(ShallowFBCSPNet, form {form}, cpu", lines[7])
    # Five epochs of two updates by each.
    assert ", 2 processes at a time): an update takes " in lines[7]
    assert ", 20 updates), " in lines[7]
    assert re.match(r"Estimated time: [\d.]+.* s with 2 fits at a time \(by the quartiles", lines[8])
    assert lines[9].startswith("Left out: ")
    assert files(tmp_path) == {}


def test_a_study_that_grows_is_left_as_it_is(command, tmp_path):
    command("--subject", "1")
    before = files(tmp_path)
    lines = command("--subject", "1", "2", "--dry-run", "--set", "training.seeds=[1]")
    # Both seeds of both subjects, three fits each; one seed of one subject is there.
    assert lines[4] == "in all             12      3        9              21               42"
    assert "Of subject 2" not in lines[6]
    assert command("--subject", "1", "--dry-run")[-1] == "No fit is missing of subject 01."
    assert files(tmp_path) == before


def test_folds_count_the_trials_of_their_subjects(command, tmp_path):
    lines = command("--fold", "1", "--dry-run", split={"by": "subject", "folds": 2})
    # Two subjects of 24 trials each: 9 updates an epoch.
    assert lines[4] == "in all              3      0        3               7               63"
    shape = "Fold 1: 48 training trials of 1 crop, 5 crops an update, so 9 updates an epoch"
    assert lines[6].startswith(shape)
    assert "48 test trials. Every subject is taken to have as many trials as subject 0" in lines[6]
    assert files(tmp_path) == {}


def test_recordings_that_would_be_downloaded_are_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNE_DATA", str(tmp_path))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    assert main(["--config", "physionet_left_right", "--subject", "7", "--dry-run"]) == 2
    told = capsys.readouterr()
    assert told.out.splitlines()[4] == "in all              8      0        8             168"
    assert told.err.startswith("Updates and time are not known: they depend on the trials of subject 7")
    assumed = [
        "--config",
        "physionet_left_right",
        "--subject",
        "7",
        "--dry-run",
        "--assume-trials",
        "30",
        "15",
    ]
    assert main(assumed) == 2
    assert "shape of windows is not known; name preprocessing.sensors" in capsys.readouterr().err
    few = ["preprocessing.sensors=[C3,Cz,C4]", "preprocessing.resample_hz=100"]
    assert main([*assumed, *(word for change in few for word in ("--set", change))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Recordings are not here: numbers of trials are those of --assume-trials."
    # 30 crops in batches of 7: four updates an epoch.
    assert lines[5] == "in all              8      0        8             168              672"
    assert lines[7].startswith("Subject 7: 30 training trials of 1 crop, 7 crops an update, so 4 updates an")
    assert lines[9].startswith("Estimated time: ")
    assert not list(tmp_path.iterdir())


def test_assumed_trials_are_of_a_subject(tmp_path):
    settings = config.validate({**SMALL, "split": {"by": "subject", "folds": 2}}, "test")
    fold = replace(unit(tmp_path, settings, "1"), fold=Fold("1", ("01", "02", "03"), ("04", "05")))
    (shape,) = dry_run.assumed_shapes(fold, 20, 10).values()
    assert shape == Shape(n_train=60, n_test=20, n_channels=3, n_samples=450, n_classes=4, sfreq=100.0)


@pytest.mark.recordings
def test_recordings_that_are_there_are_counted(recordings_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--config", "physionet_left_right", "--subject", "1", "--dry-run"]) == 0
    assert "Subject 1: 30 training trials of 1 crop, 7 crops an update" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_refusal_is_that_of_the_run(command, tmp_path, capsys):
    command("--subject", "1", "--dry-run")
    assert main(["--config", "small.yaml", "--dry-run", "--subject", "9"]) == 2
    assert "subject '9' is not there" in capsys.readouterr().err
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (110, "110 s"), (150, "2.5 min"), (3600, "60 min"), (7200, "2.0 h"),
     (86400, "24 h"), (200 * 3600, "8.3 days")],
)  # fmt: skip
def test_durations_are_told_in_units_that_people_can_judge(seconds, words):
    assert dry_run.duration(seconds) == words
