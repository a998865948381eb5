"""Verdicts, new subjects and likelihoods of small studies, against scipy, scikit-learn and counts by hand."""

import math

import numpy as np
import pytest
from results_folder import (
    N_TEST,
    across,
    one,
    rows,
    study_settings,
    write_folds,
    write_study,
    wrong_at_end,
    wrong_in_folds,
)
from scipy import stats
from sklearn.metrics import log_loss

from eeg_sgdr.evaluation.comparison import comparison
from eeg_sgdr.evaluation.equivalents import networks_needed
from eeg_sgdr.evaluation.inference import verdict
from eeg_sgdr.evaluation.statistics import detectable_difference, holm, prediction_interval
from eeg_sgdr.evaluation.temperature import fitted, scaled

SUBJECTS = tuple(f"{i:02d}" for i in range(1, 9))
#: Wrong trials of 20 at the last end; the last subjects set restarts and step apart.
STEP = dict(zip(SUBJECTS, (8, 6, 6, 5, 7, 6, 8, 4), strict=True))
RESTARTS = dict(zip(SUBJECTS, (4, 3, 4, 2, 3, 3, 5, 2), strict=True))
FIRST = {"comparison": "restarts against step at equal epochs", "family": "tested"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    results = write_study(
        tmp_path_factory.mktemp("study"), study_settings(SUBJECTS), wrong_at_end(STEP, RESTARTS)
    )
    return results, comparison(results)


@pytest.mark.parametrize(
    ("difference", "p", "p_equivalent", "words"),
    [
        (0.02, 0.01, 0.2, "better"),
        (-0.02, 0.01, 0.2, "worse"),
        (0.002, 0.01, 0.01, "equivalent"),
        (0.02, 0.05, 0.05, "undecided"),
        (0.0, 1.0, math.nan, "undecided"),
        (math.nan, math.nan, math.nan, ""),
    ],
)
def test_verdict_of_four(difference, p, p_equivalent, words):
    assert verdict(difference, p, p_equivalent) == words


def test_equivalence_is_two_one_sided_tests_within_the_margin(study):
    results, table = study
    x = np.array([STEP[label] - RESTARTS[label] for label in SUBJECTS]) / N_TEST
    row = one(table, **FIRST, quantity="equivalence")
    assert row["estimate"] == 0.01
    above = stats.ttest_1samp(x, 0.01, alternative="less").pvalue
    below = stats.ttest_1samp(x, -0.01, alternative="greater").pvalue
    assert math.isclose(row["p"], max(above, below))
    family = rows(table, family="tested", quantity="equivalence")
    np.testing.assert_allclose(family["p_holm"], holm(family["p"].to_numpy()))
    assert one(table, **FIRST, quantity="mean difference")["verdict"] == "better"
    # A margin of 30 points holds any difference of these.
    wide = results.settings.evaluation.model_copy(update={"margin": 30.0})
    vars(results)["settings"] = results.settings.model_copy(update={"evaluation": wide})
    again = comparison(results)
    row = one(again, **FIRST, quantity="equivalence")
    assert row["p_holm"] < 0.05
    assert one(again, **FIRST, quantity="mean difference")["verdict"] == "equivalent"


def test_the_detectable_difference_is_at_the_level_of_one_comparison(study):
    _, table = study
    tested = rows(table, family="tested", quantity="mean difference")
    n = int(tested["p"].notna().sum())
    x = np.array([STEP[label] - RESTARTS[label] for label in SUBJECTS]) / N_TEST
    found = one(table, **FIRST, quantity="detectable difference")["estimate"]
    assert math.isclose(found, detectable_difference(x, 0.05 / n))
    assert n > 1
    assert found > detectable_difference(x)
    assert math.isnan(detectable_difference(x, 1 / 200)), "of eight, the least p is 1 / 128"


def test_a_new_subject_varies_as_these_did(study):
    _, table = study
    x = np.array([STEP[label] - RESTARTS[label] for label in SUBJECTS]) / N_TEST
    row = one(table, **FIRST, quantity="difference of a new subject")
    half = stats.t.isf(0.025, 7) * np.std(x, ddof=1) * math.sqrt(1 + 1 / 8)
    np.testing.assert_allclose((row["low"], row["high"]), (x.mean() - half, x.mean() + half))
    row = one(table, **FIRST, quantity="better for a new subject")
    assert math.isclose(row["estimate"], stats.norm.cdf(x.mean() / np.std(x, ddof=1)))
    assert row["low"] < row["estimate"] < row["high"]


def test_folds_have_a_test_that_allows_for_overlap(tmp_path):
    subjects = ("01", "02", "03", "04")
    settings = across(study_settings(subjects, seeds=(0, 1)), folds=[["01", "02"], ["03", "04"]])
    table = comparison(write_folds(tmp_path, settings, wrong_in_folds))
    row = one(table, **FIRST, quantity="corrected mean difference")
    # Differences of 0.1 and 0.05; two people test by networks of two: variance times 1/2 + 1.
    error = np.std([0.1, 0.05], ddof=1) * math.sqrt(1.5)
    half = stats.t.isf(0.025, 1) * error
    np.testing.assert_allclose((row["low"], row["high"]), (0.075 - half, 0.075 + half))
    assert math.isclose(row["p"], 2 * stats.t.sf(0.075 / error, 1))
    assert row["verdict"] == "undecided"
    equivalence = one(table, **FIRST, quantity="equivalence")
    assert math.isclose(equivalence["p"], stats.t.sf((0.01 - 0.075) / error, 1))
    # A new subject: four people, but two folds of networks.
    row = one(table, **FIRST, quantity="difference of a new subject")
    people = np.array([2, 0, -1, 2]) / 10
    np.testing.assert_allclose((row["low"], row["high"]), prediction_interval(people, 2))
    assert (row["n_units"], row["unit_kind"]) == (4, "subject")


def test_likelihoods_are_those_of_scikit_learn(tmp_path):
    results = write_study(tmp_path, study_settings(SUBJECTS[:3], seeds=(0, 1)), None)
    table = comparison(results)
    y = np.arange(N_TEST) % 2
    of_sides = []
    for arm in ("restarts", "step"):
        errors = []
        for label in SUBJECTS[:3]:
            for rate in (0.025, 0.05):
                for seed in (0, 1):
                    p = results.probabilities(label, arm, 7, rate, seed)[1][-1].astype(float)
                    errors.append(log_loss(y, p / p.sum(axis=1, keepdims=True)))
        of_sides.append(np.mean(errors))
    first = {"comparison": FIRST["comparison"], "family": "likelihood"}
    for side, expected in zip("ab", of_sides, strict=True):
        assert math.isclose(one(table, **first, quantity="mean nll", side=side)["estimate"], expected)
    row = one(table, **first, quantity="mean nll difference")
    assert math.isclose(row["estimate"], of_sides[1] - of_sides[0])
    assert math.isnan(row["p"]), "described"


def test_networks_needed_by_hand():
    curve = [0.5, 0.3, 0.2]
    means = np.array([[*curve, value] for value in (0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.1)])
    np.testing.assert_allclose(networks_needed(means), [1, 1, 1.5, 2, 2.5, 3, np.inf])
    assert networks_needed(np.array([[0.5, 0.6, 0.3, 0.45]])) == pytest.approx(2.5)


def test_equivalent_networks_are_read_off_the_averages_of_seeds(tmp_path):
    settings = study_settings(SUBJECTS[:2], (0, 1, 2), rates=(0.025,), budgets=(15,), epochs=15)
    results = write_study(tmp_path, settings, None)
    row = one(comparison(results), quantity="independent networks by likelihood", snapshots_a="cycles")
    y = np.arange(N_TEST) % 2
    curves = []
    for label in SUBJECTS[:2]:
        stored = {seed: results.probabilities(label, "restarts", 15, 0.025, seed)[1] for seed in range(3)}

        def loss(p):
            p = p.astype(float)
            return log_loss(y, p / p.sum(axis=1, keepdims=True))

        last = {seed: of_seed[-1] for seed, of_seed in stored.items()}
        curves.append(
            [
                np.mean([loss(p) for p in last.values()]),
                loss(np.mean([last[0], last[1]], axis=0, dtype=float)),
                loss(np.mean([*last.values()], axis=0, dtype=float)),
                np.mean([loss(np.mean(of_seed[-2:], axis=0, dtype=float)) for of_seed in stored.values()]),
            ]
        )
    expected = networks_needed(np.mean(curves, axis=0)[None])[0]
    assert row["estimate"] == pytest.approx(expected)
    assert row["n_units"] == 2
    assert row["low"] <= row["estimate"] <= row["high"]


def test_one_seed_has_no_equivalent(study):
    assert not study[1]["quantity"].str.startswith("independent").any()


def test_temperature_by_hand():
    # Softmax of (log 0.9, log 0.1) / 2: square roots 0.9487 and 0.3162.
    np.testing.assert_allclose(scaled(np.array([[0.9, 0.1]]), 2.0), [[0.75, 0.25]])
    # Three of four right at 0.9: the least loss has 3/4 as its probability.
    y, p = np.array([0, 0, 0, 1]), np.tile([0.9, 0.1], (4, 1))
    assert fitted(y, p) == pytest.approx(2.0, rel=1e-3)


def test_a_temperature_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3))
    y = (np.cumsum(scaled(np.exp(logits), 1.0), axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert fitted(y, scaled(np.exp(3 * logits), 1.0)) == pytest.approx(3, rel=0.05)
