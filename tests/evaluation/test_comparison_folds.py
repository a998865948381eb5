"""comparison.csv across subjects: folds are the units of inference, subjects those of the curves."""

import math

import numpy as np
import pytest
from results_folder import across, one, study_settings, write_folds, wrong_in_folds

from eeg_sgdr.evaluation.comparison import comparison
from eeg_sgdr.evaluation.statistics import mean_interval
from eeg_sgdr.evaluation.units import read_errors, read_subject_errors

SUBJECTS = ("01", "02", "03", "04")
SETTINGS = across(study_settings(SUBJECTS, seeds=(0, 1)), folds=[["01", "02"], ["03", "04"]])
FIRST = {"comparison": "restarts against step at equal epochs"}
CONDITIONAL = "conditional mean difference"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return comparison(write_folds(tmp_path_factory.mktemp("study"), SETTINGS, wrong_in_folds))


def test_folds_are_tested(table):
    row = one(table, **FIRST, quantity="mean difference")
    # 6 and 3 wrong of 20 against 8 and 4.
    assert math.isclose(row["estimate"], 0.075)
    np.testing.assert_allclose((row["low"], row["high"]), mean_interval(np.array([0.1, 0.05])))
    assert (row["better"], row["equal"], row["worse"]) == (2, 0, 0)
    assert (row["n_units"], row["n_seeds"], row["p"], row["missing"]) == (2, 2, 0.5, "")
    error = one(table, **FIRST, quantity="error", side="b", unit_kind="fold", unit="1")
    assert math.isclose(error["estimate"], 0.4)


def test_people_are_counted_beside_it_given_the_networks(table):
    row = one(table, **FIRST, quantity=CONDITIONAL)
    # 2, 4, 3 and 0 wrong of 10 against 4, 4, 2 and 2.
    x = np.array([2, 0, -1, 2]) / 10
    assert math.isclose(row["estimate"], 0.075)
    np.testing.assert_allclose((row["low"], row["high"]), mean_interval(x))
    assert (row["better"], row["equal"], row["worse"], row["n_units"]) == (2, 1, 1, 4)
    # Of the sums of +-2, +-1 and +-2, half are of 3 or more in size; the zero doubles both numbers.
    assert row["p"] == 8 / 16
    assert math.isnan(row["p_holm"]), "it is not among the tests that are corrected"
    error = one(table, **FIRST, quantity="error", side="a", unit_kind="subject", unit="03")
    assert math.isclose(error["estimate"], 0.3)


def test_curves_are_medians_over_people(table):
    single = {"snapshots_a": "single", "rates_a": "0.05", "epochs_a": 3}
    row = one(table, quantity="median improvement", arm_a="restarts", **single)
    assert (row["n_units"], row["better"], row["equal"], row["worse"]) == (4, 2, 1, 1)
    np.testing.assert_allclose((row["low"], row["estimate"], row["high"]), (-0.025, 0.1, 0.2), atol=1e-12)
    error = one(table, family="curve", quantity="median error", arm_a="step", rates_a="0.025", epochs_a=7)
    assert math.isclose(error["estimate"], 0.3)


def test_what_has_an_interval_is_a_mean_over_folds(table):
    means = table[table["family"].isin(["descriptive", "ensemble", "anytime"])]
    assert set(means["n_units"]) == {2}
    for rates, n_fits, n_snapshots in (("each", 1, 3), ("0.025+0.05", 4, 1)):
        found = {"rates_a": rates, "n_fits_a": n_fits, "n_snapshots_a": n_snapshots}
        row = one(table, family="ensemble", snapshots_a="cycles", **found)
        assert math.isclose(row["estimate"], (6 + 3) / 2 / 20)
    area = one(table, quantity="area", side="b", snapshots_a="single")
    assert math.isclose(area["estimate"], 0.3 * math.log2(7))
    first = one(table, quantity="first epoch", side="a", points=1, snapshots_a="single")
    assert first["estimate"] == 1


def test_one_trial_of_a_fold_is_one_of_all_its_trials(tmp_path):
    """Within one trial of the reference: 1 of 20, not 1 of the 10 that a subject has."""
    n_wrong = {1: 6, 3: 5, 7: 4}
    results = write_folds(tmp_path, SETTINGS, lambda label, key, epoch: range(n_wrong[epoch]))
    row = one(comparison(results), quantity="first epoch", side="b", points=1, snapshots_a="single")
    assert row["estimate"] == 3


@pytest.mark.parametrize("missing", ["2", ("2", "step-b7-r0.025-s1")])
def test_a_missing_fold_is_named_once(tmp_path, missing):
    table = comparison(write_folds(tmp_path, SETTINGS, wrong_in_folds, [missing]))
    expected = "fold 2" if missing == "2" else "fold 2: seed 1"
    for quantity, n_units in (("mean difference", 1), (CONDITIONAL, 2)):
        row = one(table, **FIRST, quantity=quantity)
        assert row["missing"] == expected
        assert row["n_units"] == (n_units if missing == "2" else 2 * n_units)
    error = one(table, family="curve", quantity="median error", arm_a="step", rates_a="0.025", epochs_a=7)
    assert error["missing"] == expected


def test_who_tests_in_no_fold_is_not_expected(tmp_path):
    settings = across(study_settings(SUBJECTS), folds=[["04"], ["02"]])
    results = write_folds(tmp_path, settings, lambda *_: range(3))
    assert read_errors(results.evaluation, settings).expected == ("1", "2")
    people = read_subject_errors(results.evaluation, settings)
    assert people.expected == ("02", "04")
    assert people.fold_of == {"02": "2", "04": "1"}
