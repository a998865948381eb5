"""--dry-run: what it says, and that it writes nothing."""

import pytest
import yaml

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.dry_run import duration
from eeg_sgdr.run import main

# Now: what MNE logs at its import is printed where pytest listens to loggers, as it does within tests.
import_braindecode()

SMALL = {
    "name": "small",
    "recordings": {"source": "simulated", "n_subjects": 4, "n_runs": 2, "n_trials": 12},
    "split": {"by": "run", "test": ["02"]},
    "preprocessing": {"sensors": ["C3", "C4"], "resample_hz": 100, "reject_uv": None,
                      "standardize": {"init_samples": 400}},
    "training": {"batch_size": 5, "initial_rates": [0.05]},
    "schedules": {"step": {"kind": "step", "budgets": [1, 3]},
                  "restarts": {"kind": "warm_restarts", "epochs": 3}},
}  # fmt: skip


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command with the small configuration in a folder of its own; returns status and lines."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, **changes):
        config = tmp_path / "small.yaml"
        config.write_text(yaml.safe_dump({**SMALL, **changes}, sort_keys=False))
        capsys.readouterr()
        status = main(["--config", str(config), "--jobs", "2", *arguments])
        return status, capsys.readouterr().out.splitlines()

    return call


def files(root):
    """Every folder, and every file with the time when it was changed."""
    return {
        path: path.is_file() and path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.name != "small.yaml"
    }


def test_a_study_that_is_not_there_yet(command, tmp_path):
    status, lines = command("--dry-run")
    assert status == 0
    # Twelve trials of one crop in batches of five: two updates an epoch.
    assert lines[1:5] == [
        "schedule  fits wanted  there  missing  epochs missing  updates missing",
        "step                8      0        8              16               32",
        "restarts            4      0        4              12               24",
        "in all             12      0       12              28               56",
    ]
    assert lines[5] == "Baselines missing: 4."
    assert lines[6].startswith(
        "Subject 01: 12 training trials of 1 crop, 5 crops an update, so 2 updates an "
    )
    assert lines[6].endswith("Of 3 subjects the trials are not known here: as many are assumed.")
    assert lines[7].startswith("Measured here on noise of that shape (ShallowFBCSPNet, form fast, cpu")
    assert lines[8].startswith("Estimated time: ")
    assert lines[9].startswith("Left out: ")
    assert files(tmp_path) == {}


def test_a_study_that_grows_is_left_as_it_is(command, tmp_path):
    assert command("--subject", "1")[0] == 0
    before = files(tmp_path)
    status, lines = command("--subject", "1", "2", "--dry-run", "--set", "training.seeds=[1]")
    assert status == 0
    # Both seeds of both subjects, three fits each; one seed of one subject is there.
    assert lines[4] == "in all             12      3        9              21               42"
    assert "Of subject 2" not in lines[6]
    status, lines = command("--subject", "1", "--dry-run")
    assert (status, lines[-1]) == (0, "No fit is missing of subject 01.")
    assert files(tmp_path) == before


def test_folds_count_the_trials_of_their_subjects(command, tmp_path):
    status, lines = command("--fold", "1", "--dry-run", split={"by": "subject", "folds": 2})
    assert status == 0
    # Two subjects of 24 trials each: 9 updates an epoch.
    assert lines[4] == "in all              3      0        3               7               63"
    assert lines[6].startswith(
        "Fold 1: 48 training trials of 1 crop, 5 crops an update, so 9 updates an epoch"
    )
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
    assert not list(tmp_path.iterdir())


@pytest.mark.recordings
def test_recordings_that_are_there_are_counted(recordings_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--config", "physionet_left_right", "--subject", "1", "--dry-run"]) == 0
    assert "Subject 1: 30 training trials of 1 crop, 7 crops an update" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_refusal_is_that_of_the_run(command, tmp_path, capsys):
    assert command("--subject", "1", "--dry-run")[0] == 0
    assert main(["--config", "small.yaml", "--dry-run", "--subject", "9"]) == 2
    assert "subject '9' is not there" in capsys.readouterr().err
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (110, "110 s"), (150, "2.5 min"), (3600, "60 min"), (7200, "2.0 h"),
     (86400, "24 h"), (200 * 3600, "8.3 days")],
)  # fmt: skip
def test_durations_are_told_in_units_that_people_can_judge(seconds, words):
    assert duration(seconds) == words
