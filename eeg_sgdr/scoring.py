"""What a trained state is worth: its probabilities, and the metrics of probabilities.

A new metric is one function of ``(y, probabilities)`` and one entry in `METRICS`.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn import metrics
from torch import Tensor

from eeg_sgdr.forms import Form


@dataclass(frozen=True)
class Score:
    """A state of a fit, scored on the test trials.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_trials, n_classes)
        With batch-norm statistics recomputed over the training crops.
    probabilities_running : ndarray of float32, shape (n_trials, n_classes)
        With the running statistics of training.
    state : dict of Tensor
        The module's state dict with the recomputed statistics, on the CPU.
    """

    probabilities: np.ndarray
    probabilities_running: np.ndarray
    state: dict[str, Tensor]


def score(form: Form, train: Any, test: Any) -> Score:
    """Score the present state of a network; the network is left as it is.

    Running batch-norm statistics lag behind the weights, most of all early in a fit. Therefore they
    are recomputed, on a copy, from the training crops.

    Parameters
    ----------
    form : Form
        The network, in whatever mode.
    train, test : object
        Prepared windows of the training and of the test trials.

    Returns
    -------
    score : Score
    """
    running = _probabilities(form, test)
    module = copy.deepcopy(form.module)
    module.load_state_dict(form.batch_norm_statistics(train), strict=False)
    recomputed = type(form)(replace(form.network, module=module))
    state = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
    return Score(_probabilities(recomputed, test), running, state)


def _probabilities(form: Form, prepared: Any) -> np.ndarray:
    return torch.softmax(form.trial_logits(prepared).double(), dim=1).float().cpu().numpy()


def error(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Fraction of trials whose most probable class is not theirs."""
    return float(metrics.zero_one_loss(y, probabilities.argmax(axis=1), normalize=False) / len(y))


def balanced_accuracy(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes of the fraction of their trials that is recognised."""
    return float(metrics.balanced_accuracy_score(y, probabilities.argmax(axis=1)))


def auc(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve for two classes; NaN for more."""
    return float(metrics.roc_auc_score(y, probabilities[:, 1])) if probabilities.shape[1] == 2 else np.nan


def nll(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-likelihood in nats."""
    # Averaged in float64, float32 probabilities do not add up to one; scikit-learn minds.
    p = probabilities.astype(float)
    return float(metrics.log_loss(y, p / p.sum(axis=1, keepdims=True), labels=np.arange(p.shape[1])))


def brier(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Brier score: mean over trials of the squared distance from the one-hot label (0 to 2)."""
    return float(np.mean(np.sum((probabilities - np.eye(probabilities.shape[1])[y]) ** 2, axis=1)))


def ece(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error of the most probable class, in 15 bins of equal width.

    The mean over bins, weighted by their trials, of the distance between the fraction of correct
    trials and the mean confidence [1]_.

    References
    ----------
    .. [1] Guo, C., et al. (2017). On calibration of modern neural networks. ICML.
    """
    return sum(
        count / len(y) * abs(correct - confidence)
        for count, correct, confidence in reliability(y, probabilities)
    )


def reliability(y: np.ndarray, probabilities: np.ndarray, n_bins: int = 15) -> list[tuple[int, float, float]]:
    """Trials, fraction correct, and mean confidence, of each bin of confidence that is not empty.

    Parameters
    ----------
    y : ndarray of int, shape (n_trials,)
        Classes.
    probabilities : ndarray, shape (n_trials, n_classes)
        Predicted probabilities.
    n_bins : int
        Bins of equal width between 0 and 1; a confidence on an edge belongs to the bin below.

    Returns
    -------
    bins : list of (int, float, float)
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
