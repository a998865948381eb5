"""Metrics of predicted probabilities: one function of ``(y, probabilities)`` each, listed in `METRICS`."""

from collections.abc import Callable

import numpy as np

# The numbers are scikit-learn's to the last bit (tests/evaluation/test_metrics.py), at a hundredth of the
# time: a subject of 800 fits has 2700 predictors, and scikit-learn checks its input for milliseconds.


def error(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Fraction of misclassified trials."""
    return np.count_nonzero(probabilities.argmax(axis=1) != y) / len(y)


def chance(y: np.ndarray) -> float:
    """Error of always predicting the most frequent class."""
    return float(1 - np.bincount(y).max() / len(y))


def balanced_accuracy(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean recall over the classes."""
    table = _confusion(y, probabilities)
    n_trials = table.sum(axis=1)
    return float(np.mean(table.diagonal()[n_trials > 0] / n_trials[n_trials > 0]))


def auc(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve for two classes; NaN for more, or where the trials are all of one."""
    if probabilities.shape[1] != 2 or not 0 < y.sum() < len(y):
        return np.nan
    order = np.argsort(probabilities[:, 1], kind="stable")[::-1]
    scores = probabilities[order, 1]
    # True and false positives at every threshold, and the corners of their curve.
    last = np.append(np.flatnonzero(np.diff(scores)), len(y) - 1)
    true = np.cumsum(y[order])[last].astype(float)
    false = 1 + last - true
    if len(last) > 2:
        corner = np.ones(len(last), bool)
        corner[1:-1] = (np.diff(false, 2) != 0) | (np.diff(true, 2) != 0)
        true, false = true[corner], false[corner]
    false_rate, true_rate = np.append(0, false) / false[-1], np.append(0, true) / true[-1]
    return float(np.sum(np.diff(false_rate) * (true_rate[1:] + true_rate[:-1]) / 2))


def nll(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-likelihood in nats."""
    # Averages of float32 probabilities do not add up to one.
    p = probabilities.astype(float)
    of_class = (p / p.sum(axis=1, keepdims=True))[np.arange(len(y)), y]
    tiny = np.finfo(float).eps
    return float(np.mean(-np.log(np.clip(of_class, tiny, 1 - tiny))))


def brier(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Brier score: mean over trials of the squared distance from the one-hot label (0 to 2)."""
    return float(np.mean(np.sum((probabilities - np.eye(probabilities.shape[1])[y]) ** 2, axis=1)))


def ece(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error in 15 bins of equal width (Guo et al., 2017, ICML).

    The mean over bins, weighted by their trials, of the distance between the fraction of correct trials and
    the mean confidence.
    """
    return sum(
        count / len(y) * abs(correct - confidence)
        for count, correct, confidence in reliability(y, probabilities)
    )


def reliability(y: np.ndarray, probabilities: np.ndarray, n_bins: int = 15) -> list[tuple[int, float, float]]:
    """Number of trials, fraction correct, and mean confidence of each non-empty bin of confidence.

    A confidence on an edge belongs to the bin below.
    """
    confidence = probabilities.max(axis=1).astype(float)
    correct = probabilities.argmax(axis=1) == y
    number = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    return [
        (int((number == i).sum()), float(correct[number == i].mean()), float(confidence[number == i].mean()))
        for i in np.unique(number)
    ]


def kappa(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Cohen's kappa."""
    table = _confusion(y, probabilities)
    expected = np.outer(table.sum(axis=0), table.sum(axis=1)) / len(y)
    wrong = ~np.eye(len(table), dtype=bool)
    if not expected[wrong].any():  # one class, in labels and predictions
        return np.nan
    return float(1 - np.sum(wrong * table) / np.sum(wrong * expected))


def _confusion(y: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Numbers of trials by true (rows) and predicted class, of the classes that occur in either."""
    n = probabilities.shape[1]
    table = np.bincount(n * y + probabilities.argmax(axis=1), minlength=n * n).reshape(n, n)
    occurs = (table.sum(axis=0) + table.sum(axis=1)) > 0
    return table[np.ix_(occurs, occurs)].astype(float)


#: Columns of evaluation.csv, in order.
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    function.__name__: function for function in (error, balanced_accuracy, auc, nll, brier, ece, kappa)
}
