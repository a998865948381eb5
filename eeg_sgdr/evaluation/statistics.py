"""Hypothesis tests, intervals and effect sizes of arrays."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats


@dataclass(frozen=True)
class McNemar:
    """Exact McNemar test of two predictors on the same trials."""

    #: Trials that a alone, and b alone, got right; the others do not enter.
    only_a: int
    only_b: int
    #: Two-sided; 1 when there is no such trial.
    p: float


def binomial_interval(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson, 1934, Biometrika 26)."""
    interval = stats.binomtest(count, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def better_than_guessing(n_errors: int, n: int, chance: float, alpha: float = 0.05) -> bool:
    """Whether errors are fewer than by guessing, whose error is ``chance``: one-sided exact binomial test."""
    return bool(stats.binom.cdf(n_errors, n, chance) < alpha)


def mcnemar(a_correct: np.ndarray, b_correct: np.ndarray) -> McNemar:
    """Test whether two predictors are right equally often; arguments are bool, shape (n_trials,).

    Of the trials that just one of them got right, half would be a's if they were equally good: a two-sided
    binomial test, exact however few there are.
    """
    only_a = int(np.sum(a_correct & ~b_correct))
    only_b = int(np.sum(b_correct & ~a_correct))
    p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p))


#: Differences within this are equal: far above rounding of averaged fractions, far below one trial.
TOLERANCE = 1e-9


def mean_interval(x: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of a mean, exact for independent normal values; shape (n_units,).

    NaN when the values do not vary: an interval of no width would claim certainty.
    """
    if _constant(x):
        return np.nan, np.nan
    low, high = stats.t.interval(confidence, len(x) - 1, np.mean(x), stats.sem(x))
    return float(low), float(high)


def bootstrap_interval(x: np.ndarray, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of a mean (Efron, 1987, JASA 82); shape (n_units,).

    With few units it covers less than it aims at (docs/statistics.md). The order of the units does not
    matter; NaN when the values do not vary.
    """
    if _constant(x):
        return np.nan, np.nan
    interval = stats.bootstrap(
        (np.sort(x),),
        np.mean,
        confidence_level=confidence,
        method="BCa",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def sign_flip(x: np.ndarray, n_exact: int = 20, n_samples: int = 99_999, seed: int = 0) -> float:
    """Test of a mean difference of zero: how often random signs give one at least as large; shape (n_units,).

    Exact when each difference is as likely as its negative, which holds under the null hypothesis of paired
    units whose two conditions could be exchanged (Fisher, 1935, The design of experiments, section 21). Up to
    ``n_exact`` units all 2 ** n signs are tried; beyond, ``n_samples`` are drawn, the observed ones counted
    among them. Returns a two-sided p, NaN without units; the order of the units does not matter.
    """
    if not len(x):
        return np.nan
    sizes = np.sort(np.abs(x))
    observed = abs(np.sum(x)) - TOLERANCE * len(x)
    if len(x) <= n_exact:
        # The first sign stays: flipping all of them gives the same two-sided sum.
        sums = sizes[:1]
        for size in sizes[1:]:
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= observed))
    rng = np.random.default_rng(seed)
    sums = np.zeros(n_samples)
    for size in sizes:
        sums += size * rng.choice([-1, 1], n_samples)
    return float((1 + np.sum(np.abs(sums) >= observed)) / (1 + n_samples))


def wilcoxon(x: np.ndarray) -> float:
    """Two-sided signed-rank test (Wilcoxon, 1945, Biometrics Bulletin 1); differences of zero do not enter.

    The sign-flip test of the signed ranks, so that it is exact with ties too, as differences of few trials
    have them. (scipy's is exact with ties only in newer versions and up to 13 units, and takes seconds.)
    Returns p: 1 when all differences are zero, NaN without units.
    """
    if not len(x):
        return np.nan
    # In whole tolerances, so that differences of as many trials tie.
    steps = np.round(np.asarray(x) / TOLERANCE)
    steps = steps[steps != 0]
    return sign_flip(np.sign(steps) * stats.rankdata(np.abs(steps))) if len(steps) else 1.0


def effect_size(x: np.ndarray) -> float:
    """Cohen's dz: the mean difference in standard deviations of the differences; NaN if they do not vary."""
    return np.nan if _constant(x) else float(np.mean(x) / np.std(x, ddof=1))


def least_p(n_units: int) -> float:
    """Smallest p-value of the sign-flip test of so many units: of 2 ** n_units signs, two are as extreme."""
    return min(1.0, 2.0 ** (1 - n_units))


def detectable_difference(x: np.ndarray, alpha: float = 0.05, power: float = 0.8) -> float:
    """True mean difference that a two-sided t test of so many units that vary so much would have found.

    The noncentrality at which |t| exceeds its critical value with the probability ``power``, times the
    standard error; NaN if the differences do not vary, or are too few for a sign-flip test at ``alpha``.
    """
    if _constant(x) or least_p(len(x)) > alpha:
        return np.nan
    df = len(x) - 1
    critical = stats.t.isf(alpha / 2, df)
    # At five times the critical value, |t| exceeds it with a probability above 0.99, whatever df.
    noncentrality = optimize.brentq(
        lambda value: t_power(value, df, alpha) - power, 0.1 * critical, 5 * critical
    )
    return float(noncentrality * stats.sem(x))


def t_power(noncentrality: float, df: int, alpha: float) -> float:
    """Probability that a two-sided t test at level ``alpha`` rejects, given mean / standard error."""
    # t ** 2 is noncentral F, and its upper tail both tails of t.
    return float(stats.ncf.sf(stats.t.isf(alpha / 2, df) ** 2, 1, df, noncentrality**2))


def corrected_interval(x: np.ndarray, ratio: float, confidence: float = 0.95) -> tuple[float, float]:
    """Corrected resampled t interval of a mean over folds (Nadeau and Bengio, 2003, Machine Learning 52).

    Training sets overlap, so the variance of the mean is taken as s ** 2 * (1 / n_folds + ``ratio``);
    ``ratio`` is the number of test subjects to that of training subjects. NaN when x does not vary.
    """
    if _constant(x):
        return np.nan, np.nan
    low, high = stats.t.interval(confidence, len(x) - 1, np.mean(x), _corrected_error(x, ratio))
    return float(low), float(high)


def corrected_test(x: np.ndarray, ratio: float) -> float:
    """Two-sided p of the corrected resampled t test of a mean of zero; NaN when x does not vary."""
    if _constant(x):
        return np.nan
    return float(2 * stats.t.sf(abs(np.mean(x)) / _corrected_error(x, ratio), len(x) - 1))


def equivalence(x: np.ndarray, margin: float, ratio: float = 0) -> float:
    """Two one-sided t tests of a mean within +-margin (Schuirmann, 1987, J. Pharmacokinet. Biopharm. 15).

    The larger p of both; by the corrected resampled t where ``ratio`` is above 0, NaN when x does not vary.
    """
    if _constant(x):
        return np.nan
    return float(stats.t.sf((margin - abs(np.mean(x))) / _corrected_error(x, ratio), len(x) - 1))


def prediction_interval(
    x: np.ndarray, n_independent: int | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for the value of one new unit, exact for independent normal values; NaN if x does not vary.

    Where values share networks, ``n_independent`` is the number of their folds.
    """
    n = n_independent or len(x)
    if _constant(x) or n < 2:
        return np.nan, np.nan
    # Scatter of the new unit about the mean, and of the mean.
    scale = np.std(x, ddof=1) * np.sqrt(1 + 1 / n)
    low, high = stats.t.interval(confidence, n - 1, np.mean(x), scale)
    return float(low), float(high)


def positive_probability(
    x: np.ndarray, n_independent: int | None = None, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Probability that a new unit's value is above zero, and its interval; NaN when x does not vary.

    Normal values have Phi(mean / sd), and sqrt(n) * mean / sd is noncentral t, which is inverted for the
    interval: exact (Johnson and Welch, 1940, Biometrika 31). ``n_independent`` as in `prediction_interval`.
    """
    n = n_independent or len(x)
    if _constant(x) or n < 2:
        return np.nan, np.nan, np.nan
    root, tail = np.sqrt(n), (1 - confidence) / 2
    t = root * effect_size(x)
    low, high = (special.nctdtrinc(n - 1, q, t) / root for q in (1 - tail, tail))
    estimate, low, high = special.ndtr([t / root, low, high])
    return float(estimate), float(low), float(high)


def _corrected_error(x: np.ndarray, ratio: float) -> float:
    """Standard error of a mean over folds; without ``ratio`` that of independent units."""
    return float(np.std(x, ddof=1) * np.sqrt(1 / len(x) + ratio))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values to keep the probability of any false finding (Holm, 1979, Scand. J. Statistics 6).

    NaN is no test: it is not counted, and stays.
    """
    adjusted = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p, kind="stable") if not np.isnan(p[i])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p)[order]))
    return adjusted


def tally(x: np.ndarray) -> tuple[int, int, int]:
    """How many differences are above, at, and below zero."""
    above, below = int(np.sum(x > TOLERANCE)), int(np.sum(x < -TOLERANCE))
    return above, len(x) - above - below, below


def quartiles(x: np.ndarray) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile, of values that may be infinite (censored).

    Finite values are interpolated as numpy does; a quartile that would lie between a finite and an
    infinite value is infinite, and NaN without values.
    """
    if not len(x):
        return np.nan, np.nan, np.nan
    ordered = np.sort(x)
    places = np.array([0.25, 0.5, 0.75]) * (len(x) - 1)
    below, above = ordered[np.floor(places).astype(int)], ordered[np.ceil(places).astype(int)]
    with np.errstate(invalid="ignore"):
        between = below + (above - below) * (places % 1)
    low, middle, high = np.where(np.isfinite(above) & np.isfinite(below), between, above)
    return float(low), float(middle), float(high)


def _constant(x: np.ndarray) -> bool:
    return len(x) < 2 or np.ptp(x) <= TOLERANCE
