"""Temperature scaling of probabilities (Guo et al., 2017, ICML)."""

import numpy as np
from scipy import optimize, special

from eeg_sgdr.evaluation import metrics

#: Least and highest temperature. Where all of few trials are right, the likelihood alone would take 0.
LOWEST, HIGHEST = 0.1, 10.0


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of the logits divided by a temperature; shape (n_trials, n_classes)."""
    tiny = np.finfo(float).eps
    return special.softmax(np.log(np.clip(probabilities.astype(float), tiny, 1)) / temperature, axis=1)


def fitted(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Temperature from 0.1 to 10 by which the negative log-likelihood of classes ``y`` is least."""

    def loss(logarithm: float) -> float:
        return metrics.nll(y, scaled(probabilities, np.exp(logarithm)))

    bounds = np.log(LOWEST), np.log(HIGHEST)
    return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded").x))
