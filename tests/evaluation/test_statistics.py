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
    a, b = correctness(10, 1, 6, 3)
    test = mcnemar(a, b)
    assert (test.only_a, test.only_b) == (1, 6)
    assert math.isclose(test.p, 0.125)
    assert mcnemar(b, a).p == test.p, "who comes first does not matter"
    assert mcnemar(*correctness(0, 1, 6, 0)).p == test.p, "nor do trials that both get right or wrong"


@pytest.mark.parametrize("counts", [(12, 0, 0, 8), (3, 4, 4, 3)])
def test_no_difference_is_no_evidence(counts):
    assert mcnemar(*correctness(*counts)).p == 1
