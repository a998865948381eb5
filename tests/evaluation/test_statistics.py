"""Intervals and tests against scipy and cases computed by hand."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from eeg_sgdr.evaluation.statistics import (
    binomial_interval,
    bootstrap_interval,
    corrected_interval,
    corrected_test,
    detectable_difference,
    effect_size,
    equivalence,
    holm,
    mcnemar,
    mean_interval,
    positive_probability,
    prediction_interval,
    quartiles,
    sign_flip,
    tally,
    wilcoxon,
)


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


#: Differences in trials of 160, averaged over five seeds: ties and zeros happen.
DIFFERENCES = arrays(int, st.integers(1, 12), elements=st.integers(-20, 20)).map(lambda counts: counts / 800)
SUBJECTS = np.random.default_rng(1).normal(0.01, 0.02, 14)


def test_t_interval_by_hand_and_by_scipy():
    # Mean 2, standard deviation 1, and 4.303 standard errors at two degrees of freedom.
    half = 4.302652729911275 / math.sqrt(3)
    np.testing.assert_allclose(mean_interval(np.array([1.0, 2.0, 3.0])), (2 - half, 2 + half), rtol=1e-9)
    expected = stats.ttest_1samp(SUBJECTS, 0).confidence_interval()
    np.testing.assert_allclose(mean_interval(SUBJECTS), (expected.low, expected.high))


def test_sign_flip_by_hand():
    # Of 2 ** 3 sums, +-1 +-2 +-4, only 7 and -7 are as large as 7; 5 and -5 join for 5.
    assert sign_flip(np.array([1.0, 2.0, 4.0])) == 2 / 8
    assert sign_flip(np.array([-1.0, 2.0, 4.0])) == 4 / 8
    # Ties: +-1 +-1 +-1 is 1 or more in size whatever the signs, and 3 in two of eight.
    assert sign_flip(np.array([1.0, 1.0, -1.0])) == 1
    assert sign_flip(np.array([1.0, 1.0, 1.0])) == 2 / 8


def test_ties_are_counted_in_spite_of_rounding():
    # 0.1 + 0.2 is not 0.3 in floats; in trials it is, and the sums 0.6 and 0 are tied with their likes.
    assert sign_flip(np.array([0.1, 0.2, -0.3])) == 1
    assert sign_flip(np.array([0.1 + 0.2, -0.3, 0.3])) == sign_flip(np.array([3.0, -3.0, 3.0]))


@given(DIFFERENCES)
def test_sign_flip_counts_all_signs(x):
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(x))).reshape(len(x), -1)
    expected = np.mean(np.abs(x @ signs) >= abs(x.sum()) - 1e-9)
    assert math.isclose(sign_flip(x), expected)


def test_sign_flip_agrees_with_scipy():
    exact = {"permutation_type": "samples", "n_resamples": np.inf, "vectorized": True}
    samples = (SUBJECTS[:10], np.zeros(10))
    expected = stats.permutation_test(samples, lambda a, b, axis: np.mean(a - b, axis=axis), **exact)
    assert math.isclose(sign_flip(SUBJECTS[:10]), expected.pvalue)


def test_fourteen_units_are_exact_and_fast():
    began = time.perf_counter()
    p = sign_flip(SUBJECTS)
    assert time.perf_counter() - began < 0.1
    assert p * 2**14 == round(p * 2**14)


def test_beyond_twenty_units_signs_are_drawn_with_a_fixed_seed():
    x = np.random.default_rng(2).normal(0.3, 1, 20)
    exact, drawn = sign_flip(x), sign_flip(x, n_exact=19)
    assert exact != drawn
    assert abs(exact - drawn) < 4 * math.sqrt(exact * (1 - exact) / 100_000)
    many = np.random.default_rng(3).normal(0.1, 1, 60)
    assert sign_flip(many) == sign_flip(many)
    assert sign_flip(np.full(60, 1.0)) == 1 / 100_000


@given(DIFFERENCES, st.randoms())
def test_neither_the_order_of_units_nor_who_comes_first_matters(x, random):
    other = list(x)
    random.shuffle(other)
    other = -np.array(other)
    for test in (sign_flip, wilcoxon):
        assert math.isclose(test(x), test(other))
    np.testing.assert_allclose(mean_interval(x), np.negative(mean_interval(other))[::-1])
    assert tally(x) == tally(other)[::-1]


def test_bootstrap_is_near_the_t_interval_and_does_not_depend_on_the_order_of_units():
    x = np.random.default_rng(4).normal(size=400)
    np.testing.assert_allclose(bootstrap_interval(x), mean_interval(x), atol=0.01)
    assert bootstrap_interval(SUBJECTS) == bootstrap_interval(SUBJECTS[::-1])


def test_wilcoxon_is_scipys_where_nothing_ties_and_counts_ties():
    for n in (3, 8, 14):
        assert math.isclose(wilcoxon(SUBJECTS[:n]), stats.wilcoxon(SUBJECTS[:n], method="exact").pvalue)
    # Without the zero: ranks 1.5, 1.5, 3, of which -1.5 + 1.5 + 3 = 3. Sums are +-6 (2 of 8), +-3 (4), 0 (2).
    assert wilcoxon(np.array([-0.1, 0.1, 0.3, 0.0])) == 6 / 8


def test_holm_by_hand_counts_only_what_is_tested():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, which must not fall.
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03, 0.02])), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.03, np.nan, 0.6])), [0.06, np.nan, 0.6])
    assert holm(np.array([])).shape == (0,)
    assert holm(np.array([0.5, 0.9])).tolist() == [1, 1]


def test_detectable_difference_is_that_of_published_tables():
    # Cohen (1988) and G*Power: a paired t test needs 34 pairs at dz = 0.5, 15 at 0.8, for a power of 0.8.
    for n, dz in ((34, 0.5), (15, 0.8)):
        at_n, one_less = (detectable_difference(of_unit_variance(k)) for k in (n, n - 1))
        assert at_n <= dz < one_less


def test_detectable_difference_is_found_that_often():
    x = np.random.default_rng(5).normal(detectable_difference(of_unit_variance(14)), 1, size=(20_000, 14))
    power = np.mean(stats.ttest_1samp(x, 0, axis=1).pvalue < 0.05)
    assert abs(power - 0.8) < 4 * math.sqrt(0.16 / 20_000)


def of_unit_variance(n):
    x = np.arange(n, dtype=float)
    return (x - x.mean()) / x.std(ddof=1)


def test_effect_size_and_tally_by_hand():
    assert math.isclose(effect_size(np.array([1.0, 2.0, 3.0])), 2)
    assert tally(np.array([1.0, 2.0, 3.0, 1e-12, -1.0])) == (3, 1, 1)


@pytest.mark.parametrize(
    ("x", "p"),
    [([], np.nan), ([0.1], 1), ([0.0, 0.0, 0.0], 1), ([0.1, 0.1, 0.1], 2 / 8), ([0.3, 0.1 + 0.2], 2 / 4)],
)
def test_what_does_not_vary_has_no_interval_but_may_have_a_test(x, p):
    x = np.array(x)
    for test in (sign_flip, wilcoxon):
        np.testing.assert_equal(test(x), p)
    values = [*mean_interval(x), *bootstrap_interval(x), effect_size(x), detectable_difference(x)]
    assert np.isnan(values).all()


def test_quartiles_are_numpys_where_nothing_is_censored_and_order_what_is():
    for n in (1, 2, 5, 14):
        np.testing.assert_allclose(quartiles(SUBJECTS[:n]), np.quantile(SUBJECTS[:n], [0.25, 0.5, 0.75]))
    inf = np.inf
    assert quartiles(np.array([7.0, inf, 3.0])) == (5, 7, inf)
    assert quartiles(np.array([7.0, inf])) == (inf, inf, inf)
    assert quartiles(np.array([inf, inf, 1.0, 2.0, 3.0])) == (2, 3, inf)
    assert np.isnan(quartiles(np.array([]))).all()


def test_corrected_t_by_hand():
    # Mean 2, variance 1, and a test set half as large as its training set: sqrt(1/3 + 1/2) for an error.
    x, error = np.array([1.0, 2.0, 3.0]), math.sqrt(5 / 6)
    half = 4.302652729911275 * error
    np.testing.assert_allclose(corrected_interval(x, 1 / 2), (2 - half, 2 + half), rtol=1e-9)
    # At two degrees of freedom, the two tails beyond t hold 1 - t / sqrt(2 + t ** 2).
    t = 2 / error
    assert math.isclose(corrected_test(x, 1 / 2), 1 - t / math.sqrt(2 + t**2))
    assert math.isclose(corrected_test(SUBJECTS, 0), stats.ttest_1samp(SUBJECTS, 0).pvalue)


@pytest.mark.parametrize("x", [SUBJECTS, -SUBJECTS, SUBJECTS + 0.05])
def test_equivalence_is_the_larger_of_two_one_sided_tests(x):
    below = stats.ttest_1samp(x, 0.02, alternative="less").pvalue
    above = stats.ttest_1samp(x, -0.02, alternative="greater").pvalue
    assert math.isclose(equivalence(x, 0.02), max(below, above))


def test_equivalence_over_folds_holds_where_the_corrected_interval_lies_within():
    margin = max(np.abs(corrected_interval(SUBJECTS, 1 / 9, confidence=0.9)))
    assert math.isclose(equivalence(SUBJECTS, margin, 1 / 9), 0.05)


def test_prediction_interval_by_hand():
    half = 4.302652729911275 * math.sqrt(4 / 3)
    expected = (2 - half, 2 + half)
    np.testing.assert_allclose(prediction_interval(np.array([1.0, 2.0, 3.0])), expected, rtol=1e-9)


@pytest.mark.parametrize("x", [SUBJECTS, -SUBJECTS, SUBJECTS - SUBJECTS.mean(), SUBJECTS + 0.03])
def test_limits_of_a_probability_have_the_observed_t_at_their_quantiles(x):
    estimate, low, high = positive_probability(x)
    t, root = stats.ttest_1samp(x, 0).statistic, math.sqrt(len(x))
    assert math.isclose(estimate, stats.norm.cdf(t / root))
    for limit, tail in ((low, 0.975), (high, 0.025)):
        noncentrality = root * stats.norm.ppf(limit)
        assert math.isclose(stats.nct.cdf(t, len(x) - 1, noncentrality), tail, rel_tol=1e-5)


def test_without_variation_there_is_no_corrected_test_and_nothing_to_predict():
    x = np.full(3, 0.1)
    values = [*corrected_interval(x, 0.1), corrected_test(x, 0.1), equivalence(x, 0.2)]
    assert np.isnan([*values, *prediction_interval(x), *positive_probability(x)]).all()
