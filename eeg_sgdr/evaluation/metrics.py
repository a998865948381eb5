"""Metrics of predicted probabilities: one function of ``(y, probabilities)`` each, listed in `METRICS`."""

from collections.abc import Callable

import numpy as np
from sklearn import metrics


def error(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Fraction of misclassified trials."""
    return float(metrics.zero_one_loss(y, probabilities.argmax(axis=1), normalize=False) / len(y))


def chance(y: np.ndarray) -> float:
    """Error of always predicting the most frequent class."""
    return float(1 - np.bincount(y).max() / len(y))


def balanced_accuracy(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean recall over the classes."""
    return float(metrics.balanced_accuracy_score(y, probabilities.argmax(axis=1)))


def auc(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve for two classes; NaN for more."""
    return float(metrics.roc_auc_score(y, probabilities[:, 1])) if probabilities.shape[1] == 2 else np.nan


def nll(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-likelihood in nats."""
    # Averages of float32 probabilities do not add up to one, of which scikit-learn warns.
    p = probabilities.astype(float)
    return float(metrics.log_loss(y, p / p.sum(axis=1, keepdims=True), labels=np.arange(p.shape[1])))


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
    return float(metrics.cohen_kappa_score(y, probabilities.argmax(axis=1)))


#: Columns of evaluation.csv, in order.
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    function.__name__: function for function in (error, balanced_accuracy, auc, nll, brier, ece, kappa)
}
