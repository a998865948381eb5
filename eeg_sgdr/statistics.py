"""Tests and intervals: arrays in, numbers out, nothing known of EEG."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class McNemar:
    """Exact McNemar test of two predictors on the same trials.

    Attributes
    ----------
    only_a, only_b : int
        Trials that a alone, and b alone, got right; the others do not enter.
    p : float
        Two-sided; 1 when there is no such trial.
    """

    only_a: int
    only_b: int
    p: float


def binomial_interval(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion [1]_: it covers the truth at least as often as it says.

    Parameters
    ----------
    count : int
        Trials of the kind that is counted.
    n : int
        All trials, taken as independent.
    confidence : float
        Coverage.

    Returns
    -------
    low, high : float

    References
    ----------
    .. [1] Clopper, C. J., & Pearson, E. S. (1934). The use of confidence or fiducial limits
           illustrated in the case of the binomial. Biometrika 26, 404-413.
    """
    interval = stats.binomtest(count, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def mcnemar(a_correct: np.ndarray, b_correct: np.ndarray) -> McNemar:
    """Test whether two predictors are right equally often, trial by trial.

    Of the trials that just one of them got right, half would be a's if they were equally good: a
    two-sided binomial test, exact however few there are.

    Parameters
    ----------
    a_correct, b_correct : ndarray of bool, shape (n_trials,)
        Whether each got each trial right.

    Returns
    -------
    test : McNemar
    """
    only_a = int(np.sum(a_correct & ~b_correct))
    only_b = int(np.sum(b_correct & ~a_correct))
    p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p))
