"""Classical baselines: covariances, re-centred or not, Riemannian tangent space, logistic regression.

Barachant et al. (2012), Multiclass brain-computer interface classification by Riemannian geometry, IEEE TBME
59(4), 920-928; by pyriemann and scikit-learn with their defaults.
"""

from collections import Counter
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


def recentre(covariances: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """Whiten covariances (n_trials, ...) by the Riemannian mean of all of their domain.

    Zanini et al. (2018), Transfer learning: a Riemannian geometry framework with applications to
    brain-computer interfaces, IEEE TBME 65(5), 1107-1116.
    """
    from pyriemann.preprocessing import Whitening

    whitened = np.empty_like(covariances)
    with threadpool_limits(1):
        for domain in np.unique(domains):
            of_domain = domains == domain
            whitened[of_domain] = Whitening("riemann").fit_transform(covariances[of_domain])
    return whitened


def recentre_causally(covariances: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """Whiten each covariance by the running mean of its domain, up to and with itself.

    The n-th of a domain moves the mean by 1 / n along the geodesic to itself, as pyriemann's
    ``Whitening.partial_fit`` does, whose filters rotate each domain besides.
    """
    from pyriemann.preprocessing import Whitening
    from pyriemann.utils.geodesic import geodesic_riemann

    whitened, means, counts = np.empty_like(covariances), dict[int, np.ndarray](), Counter[int]()
    with threadpool_limits(1):
        for i, (covariance, domain) in enumerate(zip(covariances, domains, strict=True)):
            counts[domain] += 1
            mean = geodesic_riemann(means.get(domain, covariance), covariance, 1 / counts[domain])
            means[domain] = mean
            whitened[i] = Whitening("riemann").fit(mean[np.newaxis]).transform(covariance[np.newaxis])[0]
    return whitened


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
