"""Classical baseline: covariances, Riemannian tangent space, logistic regression.

Barachant et al. (2012), Multiclass brain-computer interface classification by Riemannian geometry, IEEE TBME
59(4), 920-928; by pyriemann and scikit-learn with their defaults.
"""

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def singular(covariances: np.ndarray) -> np.ndarray:
    """Indices of covariances (n_trials, n_channels, n_channels) that are, within rounding, singular.

    As covariances are shrunk, even with flat or interpolated sensors, these are trials without signal.
    """
    values = np.linalg.eigvalsh(covariances)
    bound = values[:, -1] * values.shape[1] * np.finfo(float).eps
    return np.flatnonzero(~(values[:, 0] > bound))


def fit(covariances: np.ndarray, y: np.ndarray) -> "Pipeline":
    """Fit on training trials, none of whose covariances is singular."""
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # One thread, so that sums are rounded in the same order on every machine.
    with threadpool_limits(1):
        return make_pipeline(TangentSpace(), LogisticRegression(max_iter=1000)).fit(covariances, y)


def predict_proba(model: "Pipeline", covariances: np.ndarray) -> np.ndarray:
    """Class probabilities of trials; float32, shape (n_trials, n_classes)."""
    with threadpool_limits(1):
        return model.predict_proba(covariances).astype(np.float32)
