"""Trainings that ended worse than guessing are counted, and the study's report says so first."""

import pandas as pd
from results_folder import compare, rows, study_settings, write_study

from eeg_sgdr.reports.study import page
from eeg_sgdr.storage import files

SUBJECTS = ("01", "02")


def study(root, loss):
    """A made-up study in which step at 0.05 ends with such a loss for the first subject."""
    results = write_study(root, study_settings(SUBJECTS, baseline=None), lambda *_: range(5))
    path = results.subject("01").folder.fit("step-b7-r0.05-s0").history
    history = pd.read_csv(path)
    history.loc[6, "loss"] = loss
    files.write_csv(path, history)
    return compare(results)


def test_trainings_above_guessing_are_counted_by_arm_and_rate(tmp_path):
    found = rows(study(tmp_path, loss=0.7).comparison, family="training")
    restarts = {("restarts", "0.025"): 0.0, ("restarts", "0.05"): 0.0}
    expected = {("step", "0.025"): 0.0, ("step", "0.05"): 0.5, **restarts}
    assert found.set_index(["arm_a", "rates_a"])["estimate"].to_dict() == expected
    assert (set(found["epochs_a"]), set(found["n_units"])) == ({7}, {2})


def test_ln_2_is_guessing_between_two_classes(tmp_path):
    assert not rows(study(tmp_path, loss=0.69).comparison, family="training")["estimate"].any()


def test_the_report_warns_before_it_answers(tmp_path):
    warned = page(study(tmp_path / "too_high", loss=0.7))
    assert warned.index("Of the trainings of step at rate 0.05") < warned.index('class="answers"')
    assert "this rate is too high" not in page(study(tmp_path / "fine", loss=0.69))
