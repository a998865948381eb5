"""Trainings that ended worse than guessing are counted, and the study's report says so first."""

import numpy as np
import pandas as pd
from results_folder import study_settings, write_study

from eeg_sgdr.evaluation.comparison import update
from eeg_sgdr.reports.study import page
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results

SUBJECTS = ("01", "02")


def study(root, loss):
    """A made-up study in which step at 0.05 ends with such a loss for the first subject."""
    write_study(root, study_settings(SUBJECTS, baseline=None), lambda *_: np.arange(5))
    path = folders.Study(root).subject("01").fit("step-b7-r0.05-s0").history
    history = pd.read_csv(path)
    history.loc[6, "loss"] = loss
    files.write_csv(path, history)
    update(root, set(SUBJECTS))
    return Results(root)


def test_trainings_above_guessing_are_counted_by_arm_and_rate(tmp_path):
    table = study(tmp_path / "study", loss=0.7).comparison
    rows = table[table["family"] == "training"].set_index(["arm_a", "rates_a"])
    assert rows["estimate"].to_dict() == {
        ("step", "0.025"): 0.0,
        ("step", "0.05"): 0.5,
        ("restarts", "0.025"): 0.0,
        ("restarts", "0.05"): 0.0,
    }
    assert set(rows["epochs_a"]) == {7}
    assert set(rows["n_units"]) == {2}


def test_ln_2_is_guessing_between_two_classes(tmp_path):
    table = study(tmp_path / "study", loss=0.69).comparison
    assert not table.loc[table["family"] == "training", "estimate"].any()


def test_the_report_warns_before_it_answers(tmp_path):
    warned = page(study(tmp_path / "too_high", loss=0.7))
    assert warned.index("Of the trainings of step at rate 0.05") < warned.index('class="answers"')
    assert "this rate is too high" not in page(study(tmp_path / "fine", loss=0.69))
