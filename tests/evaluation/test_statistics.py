"""Intervals and tests against scipy and cases computed by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from eeg_sgdr.evaluation.statistics import binomial_interval, mcnemar


def test_interval_without_errors_by_hand():
    # Nothing in n trials: the upper limit solves (1 - p) ** n = 0.025.
    low, high = binomial_interval(0, 30)
    assert low == 0
    assert math.isclose(high, 1 - 0.025 ** (1 / 30), rel_tol=1e-9)


@pytest.mark.parametrize(("count", "n"), [(5, 30), (1, 1), (29, 30), (80, 160)])
def test_interval_is_that_of_the_beta_distribution(count, n):
    low, high = binomial_interval(count, n)
    assert math.isclose(low, stats.beta.ppf(0.025, count, n - count + 1), rel_tol=1e-9)
    assert math.isclose(high, stats.beta.ppf(0.975, count + 1, n - count) if count < n else 1, rel_tol=1e-9)


def correctness(both, only_a, only_b, neither):
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a, bool), np.array(b, bool)


def test_mcnemar_by_hand():
    # One against six: 2 * (1 + 7) / 2 ** 7.
    test = mcnemar(*correctness(10, 1, 6, 3))
    assert (test.only_a, test.only_b) == (1, 6)
    assert math.isclose(test.p, 0.125)


def test_trials_that_both_get_right_or_wrong_do_not_matter():
    assert mcnemar(*correctness(0, 2, 9, 0)).p == mcnemar(*correctness(50, 2, 9, 17)).p


def test_mcnemar_does_not_depend_on_who_comes_first():
    a, b = correctness(5, 1, 7, 2)
    assert mcnemar(a, b).p == mcnemar(b, a).p


@pytest.mark.parametrize("counts", [(12, 0, 0, 8), (3, 4, 4, 3)])
def test_no_difference_is_no_evidence(counts):
    assert mcnemar(*correctness(*counts)).p == 1
