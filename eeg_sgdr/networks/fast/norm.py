"""Batch norm of a layer whose parameters and running statistics belong to a module."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

#: Mean and variance by which a layer normalises where it does not take those of the batch.
Statistics = tuple[Tensor, Tensor]


def update_running_statistics(layer: Any, mean: Tensor, variance: Tensor, n: int) -> None:
    """Move a layer's running statistics towards a batch's, as the layer itself would.

    Parameters
    ----------
    layer : torch.nn.BatchNorm2d
    mean, variance : Tensor, shape (n_filters,)
        Of the batch; the variance not corrected, as batch norm divides by it.
    n : int
        Number of values of each filter. The running variance moves towards the unbiased one.
    """
    with torch.no_grad():
        layer.num_batches_tracked += 1
        share = layer.momentum if layer.momentum is not None else 1 / int(layer.num_batches_tracked)
        layer.running_mean.lerp_(mean.to(layer.running_mean), share)
        layer.running_var.lerp_((variance * (n / max(n - 1, 1))).to(layer.running_var), share)


def normalise(
    layer: Any, values: Tensor, n: int, statistics: Statistics | None, scale: Tensor, shift: Tensor
) -> Tensor:
    """Batch norm of ``scale * values + shift``, which is not itself computed.

    Parameters
    ----------
    layer : torch.nn.BatchNorm2d
    values : Tensor, shape (n_filters, n_crops, at least n)
        Beyond ``n`` without effect on the statistics.
    n : int
    statistics : (Tensor, Tensor) | None
        Mean and variance to normalise by, of shape (n_filters,). None takes those of the batch, and
        updates the running ones.
    scale, shift : Tensor, shape (n_filters,)
        Under the batch's statistics the shift is without effect (its gradient is zero), the scale
        nearly so.

    Returns
    -------
    normalised : Tensor, shape of ``values``
    """
    if statistics is None:
        centre = values[..., :n].mean((1, 2))
    else:
        (mean, variance), centre = statistics, torch.zeros_like(scale)
    centred = values - centre[:, None, None]
    if statistics is None:
        variance = centred[..., :n].square().mean((1, 2))
        mean, variance = scale * centre + shift, scale.square() * variance
        update_running_statistics(layer, mean, variance, values.shape[1] * n)
    gain = layer.weight / (variance + layer.eps).sqrt()
    offset = layer.bias + (scale * centre + shift - mean) * gain
    return centred * (scale * gain)[:, None, None] + offset[:, None, None]


def unbiased_moments(values: Iterable[Tensor], counts: Tensor) -> Statistics:
    """Mean and unbiased variance of each filter over several arrays, accumulated in float64.

    Parameters
    ----------
    values : iterable of Tensor, shape (n_filters, n, n_times) each
    counts : Tensor of float64, shape (n_times,)
        How often each time counts.

    Returns
    -------
    mean, variance : Tensor of float64, shape (n_filters,)
    """
    n = 0
    total = squares = torch.zeros(())
    for some in values:
        exact = some.double()
        n += exact.shape[1]
        total = total + (exact @ counts).sum(1)
        squares = squares + (exact.square() @ counts).sum(1)
    n_values = n * counts.sum()
    mean = total / n_values
    return mean, (squares - n_values * mean.square()) / (n_values - 1)
