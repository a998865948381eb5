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
        variance, centre = torch.var_mean(values[..., :n], (1, 2), correction=0)
        mean, variance = scale * centre + shift, scale.square() * variance
        update_running_statistics(layer, mean, variance, values.shape[1] * n)
    else:
        (mean, variance), centre = statistics, torch.zeros_like(scale)
    gain = layer.weight / (variance + layer.eps).sqrt()
    offset = layer.bias + (scale * centre + shift - mean) * gain
    return (values - centre[:, None, None]) * (scale * gain)[:, None, None] + offset[:, None, None]


def unbiased_moments(values: Iterable[Tensor]) -> Statistics:
    """Mean and unbiased variance of each filter over several arrays, accumulated in float64.

    Parameters
    ----------
    values : iterable of Tensor, shape (n_filters, n_crops, n) each

    Returns
    -------
    mean, variance : Tensor of float64, shape (n_filters,)
    """
    n = 0
    total = squares = torch.zeros(())
    for some in values:
        some = some.flatten(1).double()
        n += some.shape[1]
        total, squares = total + some.sum(1), squares + some.square().sum(1)
    mean = total / n
    return mean, (squares - n * mean.square()) / (n - 1)
