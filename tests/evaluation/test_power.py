"""Units and seeds of a study to come, against scipy, simulation, and studies counted by hand."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from results_folder import across, one, rows, study_settings, write_folds, write_study
from scipy import stats

from eeg_sgdr import report
from eeg_sgdr.evaluation.power import power, sample_sizes, spread, units_needed
from eeg_sgdr.reports.figures.power import power_curves

SUBJECTS = ("01", "02", "03", "04")
FIRST = "restarts against step at equal epochs"
SINGLE, STEPS = {"schedule": "restarts", "rates": "each"}, {"schedule": "step", "rates": "each"}
#: The sides of the second do not differ, and the third has one training, of two seeds.
COMPARISONS = [
    {"name": FIRST, "a": SINGLE, "b": STEPS},
    {"name": "ensembles", "a": {**SINGLE, "members": "cycles"}, "b": SINGLE},
    {"name": "pairs", "a": SINGLE, "b": {**STEPS, "seeds": 2}},
]
#: Wrong trials of 20 by subject; b less a is 4, 1, 0 and -1 with seed 0, and 2, 1, 2 and -1 with seed 1.
STEP = {"01": (8, 8), "02": (6, 6), "03": (6, 8), "04": (3, 3)}
RESTARTS = {"01": (4, 6), "02": (5, 5), "03": (6, 6), "04": (4, 4)}


def wrong(label, key, epoch):
    return range((STEP if key.schedule == "step" else RESTARTS)[label][key.seed])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    settings = study_settings(SUBJECTS, seeds=(0, 1), evaluation={"comparisons": COMPARISONS})
    return write_study(tmp_path_factory.mktemp("study"), settings, wrong)


@pytest.mark.parametrize("unit", ["subject", "fold"])
@pytest.mark.parametrize(("n", "alpha"), [(6, 0.05), (14, 0.0125), (100, 0.005)])
def test_power_is_that_of_the_noncentral_t(n, alpha, unit):
    error = 0.03 * math.sqrt(1 / n + (1 / (n - 1) if unit == "fold" else 0))
    critical = stats.t.isf(alpha / 2, n - 1)
    t = stats.nct(n - 1, 0.01 / error)
    assert math.isclose(power(0.01, 0.03, n, unit, alpha), t.sf(critical) + t.cdf(-critical), rel_tol=1e-6)


def test_units_needed_are_those_of_published_tables():
    # Cohen (1988) and G*Power, for a paired t test at 5 %; sign flips of five units cannot reach 5 %.
    assert [units_needed(dz, 1, "subject", 0.05) for dz in (0.5, 0.8, 100)] == [34, 15, 6]
    assert math.isnan(units_needed(1, 1000, "subject", 0.05))
    assert power(0.5, 1, 5, "subject", 0.05) == 0


def test_a_study_of_the_units_needed_finds_the_difference_that_often():
    rng = np.random.default_rng(0)
    units, trainings = 0.02 * rng.normal(size=(200, 1)), 0.03 * rng.normal(size=(200, 5))
    known = spread(pd.DataFrame(units + trainings))
    assert known.between_units == pytest.approx(0.02, rel=0.2)
    assert known.between_trainings == pytest.approx(0.03, rel=0.1)
    n = units_needed(0.01, math.sqrt(0.02**2 + 0.03**2 / 3), "subject", 0.01)
    tables = 0.01 + 0.02 * rng.normal(size=(10_000, n, 1)) + 0.03 * rng.normal(size=(10_000, n, 3))
    found = stats.ttest_1samp(tables.mean(axis=2), 0, axis=1).pvalue <= 0.01
    assert abs(found.mean() - power(0.01, math.sqrt(0.0007), n, "subject", 0.01)) < 4 * 0.004
    assert found.mean() > 0.79


def test_spread_by_hand():
    # Means 1 and 5, of variance 8, to which trainings of variance 2 in pairs add 1.
    known = spread(pd.DataFrame([[0.0, 2.0], [4.0, 6.0]]))
    assert (known.between_units, known.between_trainings) == (math.sqrt(7), math.sqrt(2))
    assert known.sd(1) == pytest.approx(3)
    assert known.trainings == [1, 2, 3, 5, 10]
    # Of one training each, and of trainings that vary more than units do.
    alone = spread(pd.DataFrame([[1.0], [5.0]]))
    assert (alone.sd(1), alone.trainings) == (math.sqrt(8), [1])
    assert spread(pd.DataFrame([[0.0, 2.0], [1.0, 1.0]])).between_units == 0
    # The second unit lacks a training: (1 / 2 + 1) / 2 of 2 in the means' variance.
    assert spread(pd.DataFrame([[0.0, 2.0], [4.0, np.nan]])).between_units == math.sqrt(4.5 - 1.5)


def test_sample_sizes_by_hand(results):
    table = sample_sizes(results, 0.05)
    row = one(table, comparison=FIRST, n_seeds=2)
    # Trainings differ by 2 in subjects 1 and 3, so they vary by 2 in each; means are 3, 1, 1, -1.
    within, means = 1.0, 8 / 3
    between = means - within / 2
    assert row["sd_trainings"] == pytest.approx(math.sqrt(within) / 20)
    assert row["sd_units"] == pytest.approx(math.sqrt(between) / 20)
    assert row["sd"] == pytest.approx(math.sqrt(means) / 20)
    assert row["alpha"] == 0.05 / 3
    needed = units_needed(0.05, math.sqrt(means) / 20, "subject", 0.05 / 3)
    assert (row["n_units"], row["n_subjects"], row["unit_kind"]) == (needed, needed, "subject")
    assert (row["known_units"], row["known_seeds"], row["power"], row["difference"]) == (4, 2, 0.8, 0.05)
    # A standard deviation of four values lies between 0.57 and 3.73 times what is observed.
    limits = [units_needed(0.05, factor * row["sd"], "subject", 0.05 / 3) for factor in (0.5665, 3.7286)]
    assert [row["low"], row["high"]] == limits
    more = rows(table, comparison=FIRST)
    assert more["n_seeds"].tolist() == [1, 2, 3, 5, 10]
    assert more["n_units"].is_monotonic_decreasing


def test_a_side_of_two_seeds_has_one_training_of_two(results):
    row = one(sample_sizes(results, 0.05), comparison="pairs")
    assert (row["n_seeds"], row["known_seeds"]) == (2, 2)
    assert math.isnan(row["sd_trainings"])


def test_across_subjects_folds_are_planned_with_the_corrected_error(tmp_path):
    settings = across(study_settings(SUBJECTS, baseline=None), folds=2)
    n_wrong = {"1": 8, "2": 3}
    results = write_folds(
        tmp_path, settings, lambda label, key, _: range(n_wrong[label] if key.schedule == "step" else 0)
    )
    row = one(sample_sizes(results, 0.2), comparison=FIRST)
    sd = math.sqrt(2) * 2.5 / 20
    assert row["sd"] == pytest.approx(sd)
    assert row["n_units"] == units_needed(0.2, sd, "fold", row["alpha"])
    assert (row["unit_size"], row["n_subjects"]) == (2, 2 * row["n_units"])
    assert units_needed(0.2, sd, "fold", row["alpha"]) > units_needed(0.2, sd, "subject", row["alpha"])


def test_curves_pass_the_power_at_the_units_needed(results):
    table = sample_sizes(results, 0.05)
    figure = power_curves(table)
    row = one(table, comparison=FIRST, n_seeds=1)
    panel = figure.axes[0]
    assert panel.get_title().replace("\n", " ") == FIRST
    x, y = panel.get_lines()[0].get_data()
    assert x[y >= 0.8].min() >= row["n_units"] > x[y < 0.8].max()
    assert x.min() == 1 + math.ceil(math.log2(1 / row["alpha"]))


def test_the_command_prints_the_table_and_writes_two_files(results, capsys):
    before = {path: path.read_bytes() for path in results.root.rglob("*") if path.is_file()}
    assert report.main([str(results.root), "--power", "5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Needed to find a true difference of 5 points with probability 0.8")
    stored = pd.read_csv(results.root / "power.csv")
    pd.testing.assert_frame_equal(stored, sample_sizes(results, 0.05), check_dtype=False)
    assert re.search(rf"{FIRST} +1 +8.9 +37 +\(14 to 464\)", said)
    assert "Left out, as its differences do not vary between two subjects or more: ensembles." in said
    assert "Where each subject has one training" in said
    assert (results.root / "power.svg").read_bytes().startswith(b"<?xml")
    after = {path: path.read_bytes() for path in results.root.rglob("*") if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} == {"power.csv", "power.svg"}
    assert before.items() <= after.items()


@pytest.mark.parametrize("points", ["0", "-1", "100.5", "nan", "inf"])
def test_differences_that_cannot_be_are_refused(results, points, capsys):
    assert report.main([str(results.root), f"--power={points}"]) == 2
    assert capsys.readouterr().err == f"A difference of {points} points: must be above 0 and at most 100.\n"


def test_a_study_of_one_subject_is_refused(tmp_path, capsys):
    write_study(tmp_path, study_settings(SUBJECTS, seeds=(0, 1)), wrong, missing=SUBJECTS[1:])
    assert report.main([str(tmp_path), "--power", "1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path}: no comparison has differences in two subjects or more")
    assert said.count("\n") == 1
    assert not (tmp_path / "power.csv").exists()
