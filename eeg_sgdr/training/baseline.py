"""The classical rival: covariances, Riemannian tangent space, logistic regression.

Covariances of band-passed trials are points of a Riemannian manifold; in its tangent space at their
mean they are vectors that a linear classifier can read [1]_. All of it is pyriemann's and
scikit-learn's, as they come.

References
----------
.. [1] Barachant, A., et al. (2012). Multiclass brain-computer interface classification by Riemannian
       geometry. IEEE TBME 59(4), 920-928.
"""

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def singular(covariances: np.ndarray) -> np.ndarray:
    """Which covariances have no logarithm: those that are not positive definite, within rounding.

    Shrinkage makes even flat or interpolated sensors regular; what is left are trials without signal.

    Parameters
    ----------
    covariances : ndarray, shape (n_trials, n_channels, n_channels)
        Symmetric matrices.

    Returns
    -------
    indices : ndarray of int
    """
    values = np.linalg.eigvalsh(covariances)
    bound = values[:, -1] * values.shape[1] * np.finfo(float).eps
    return np.flatnonzero(~(values[:, 0] > bound))


def fitted(train: np.ndarray, y: np.ndarray) -> "Pipeline":
    """Fit on training trials.

    Parameters
    ----------
    train : ndarray, shape (n_train, n_channels, n_channels)
        Covariances, none of them singular.
    y : ndarray of int, shape (n_train,)
        Classes, from 0.

    Returns
    -------
    model : Pipeline
    """
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # One thread: with more, sums are rounded in another order on another machine.
    with threadpool_limits(1):
        return make_pipeline(TangentSpace(), LogisticRegression(max_iter=1000)).fit(train, y)


def probabilities(model: "Pipeline", test: np.ndarray) -> np.ndarray:
    """Predict test trials.

    Parameters
    ----------
    model : Pipeline
        What was fitted.
    test : ndarray, shape (n_test, n_channels, n_channels)
        Covariances of the test trials.

    Returns
    -------
    probabilities : ndarray of float32, shape (n_test, n_classes)
    """
    with threadpool_limits(1):
        return model.predict_proba(test).astype(np.float32)
