"""Activation patterns (Haufe et al., 2014) of a network's first units.

Weights cannot be read as a place on the head: a filter may put weight on a sensor only to subtract noise.
The pattern [1]_ says how strongly each sensor varies with what the filter extracts.

References
----------
.. [1] Haufe, S., et al. (2014). On the interpretation of weight vectors of linear models in
       multivariate neuroimaging. NeuroImage 87, 96-110.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Pattern:
    """Activation pattern of one unit, numbered from 0."""

    unit: int
    values: np.ndarray  # (n_channels,); the strongest is positive, since a unit's polarity means nothing
    peak_hz: float  # frequency that its temporal filter passes best
    share: float  # part of the unit's output power from the one spatial filter (1 for EEGNet)
    #: weights that the rest of the network reads the unit with, as a part of those of all units
    importance: float


def spatial_patterns(
    network: str, state: State, covariance: np.ndarray, sfreq: float, n_units: int = 6
) -> list[Pattern]:
    r"""Patterns of the units that matter most to a network.

    A unit's spatio-temporal filter is a matrix :math:`F` (channels by taps): for ShallowFBCSPNet and
    Deep4Net the sum over the temporal filters :math:`h_j` of :math:`w_j h_j^T`, for EEGNet
    :math:`w h^T` with its one temporal filter. Where :math:`F` is not of rank one, the spatial filter
    is the one that belongs to the strongest temporal direction: :math:`w = F v` with :math:`v` the
    leading eigenvector of :math:`F^T C F`, that is, the unit vector of taps for which :math:`w^T x`
    varies most. The pattern is then [1]_

    .. math:: a = C w / \sqrt{w^T C w}

    with :math:`C` the covariance of the network's input: the covariance of every sensor with the
    filter's output scaled to unit variance. :math:`C` is of all frequencies that the input has, not
    only of those that the unit passes.

    Units are ranked by the norm of the weights with which the next layer reads them, times the scale
    that batch normalisation gives them. For ShallowFBCSPNet the next layer is the classifier, which
    reads log power: a scale has no effect, and of its weights the mean over the classes has none.

    Empty if the network's layers are not known.
    """
    if network not in READERS:
        return []
    try:
        filters, importance = READERS[network](state)
    except KeyError:  # arguments can give a network other layers
        return []
    importance = importance / importance.sum()
    strongest = np.argsort(-importance, kind="stable")[:n_units]
    return [_pattern(int(unit), filters[unit], covariance, sfreq, importance[unit]) for unit in strongest]


def _pattern(
    unit: int, filter_: np.ndarray, covariance: np.ndarray, sfreq: float, importance: float
) -> Pattern:
    power, directions = np.linalg.eigh(filter_.T @ covariance @ filter_)
    taps = directions[:, -1]
    weights = filter_ @ taps
    values = covariance @ weights / np.sqrt(weights @ covariance @ weights)
    values = values * np.sign(values[np.argmax(np.abs(values))])
    response = np.abs(np.fft.rfft(taps, 1024))
    peak = float(np.argmax(response) * sfreq / 1024)
    return Pattern(unit, values, peak, float(power[-1] / power.sum()), float(importance))


def _shallow(state: State) -> tuple[np.ndarray, np.ndarray]:
    weights = state["final_layer.conv_classifier.weight"][..., 0].astype(float)  # classes, units, times
    return _combined(state), _norm(weights - weights.mean(axis=0))


def _deep(state: State) -> tuple[np.ndarray, np.ndarray]:
    return _combined(state), _norm(state["conv_2.weight"]) * np.abs(state["bnorm.weight"])


def _combined(state: State) -> np.ndarray:
    """Filters of braindecode's CombinedConv; shape (n_units, n_channels, n_taps)."""
    temporal = state["conv_time_spat.conv_time.weight"][:, 0, :, 0].astype(float)
    spatial = state["conv_time_spat.conv_spat.weight"][:, :, 0, :].astype(float)
    return np.einsum("ujc,jt->uct", spatial, temporal)


def _eegnet(state: State) -> tuple[np.ndarray, np.ndarray]:
    temporal = state["conv_temporal.weight"][:, 0, 0, :].astype(float)
    # A constraint on the norm scales a filter as a whole, which no pattern shows.
    spatial = state["conv_spatial.parametrizations.weight.original"][:, 0, :, 0].astype(float)
    filters = np.repeat(temporal, len(spatial) // len(temporal), axis=0)
    depth = np.linalg.norm(state["conv_separable_depth.weight"][:, 0, 0, :], axis=1)
    point = _norm(state["conv_separable_point.weight"])
    return spatial[:, :, None] * filters[:, None, :], depth * point * np.abs(state["bnorm_1.weight"])


def _norm(weights: np.ndarray) -> np.ndarray:
    """Norm of the weights that read each unit (second axis)."""
    return np.sqrt((weights.astype(float) ** 2).sum(axis=tuple(i for i in range(weights.ndim) if i != 1)))


#: Filters of a network's first layers (n_units, n_channels, n_taps), and the importance of each unit.
READERS: dict[str, Callable[[State], tuple[np.ndarray, np.ndarray]]] = {
    "ShallowFBCSPNet": _shallow,
    "Deep4Net": _deep,
    "EEGNet": _eegnet,
}
