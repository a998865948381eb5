"""Classical baselines: covariances, re-centred or not, Riemannian tangent space, logistic regression.

Barachant et al. (2012), Multiclass brain-computer interface classification by Riemannian geometry, IEEE TBME
59(4), 920-928; by pyriemann and scikit-learn with their defaults.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg
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


def recentre(covariances: np.ndarray, domains: np.ndarray, causal: bool = False) -> np.ndarray:
    """Whiten covariances (n_trials, ...) by the Riemannian mean of their domain or, causal, its running mean.

    Zanini et al. (2018), Transfer learning: a Riemannian geometry framework with applications to
    brain-computer interfaces, IEEE TBME 65(5), 1107-1116.
    """
    from pyriemann.preprocessing import Whitening

    whitened = np.empty_like(covariances)
    with threadpool_limits(1):
        for domain in np.unique(domains):
            of_domain = covariances[domains == domain]
            if causal:
                pairs = zip(_running_means(of_domain), of_domain[:, np.newaxis], strict=True)
                each = [Whitening("riemann").fit(mean[np.newaxis]).transform(one)[0] for mean, one in pairs]
            else:
                each = Whitening("riemann").fit_transform(of_domain)
            whitened[domains == domain] = each
    return whitened


def _running_means(covariances: np.ndarray) -> Iterator[np.ndarray]:
    """Inductive Riemannian mean after each covariance: the n-th moves it by 1 / n of the way to itself.

    On the geodesic from M to C, M V diag(w ** t) V' M, with C V = M V diag(w) and V' M V = 1.
    """
    mean = covariances[0]
    for n, covariance in enumerate(covariances, start=1):
        values, vectors = linalg.eigh(covariance, mean)
        roots = mean @ vectors * values ** (0.5 / n)
        mean = roots @ roots.T
        yield mean


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
