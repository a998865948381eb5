"""Batch norm whose parameters and running statistics belong to a module."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

#: Mean and variance that a layer normalises by.
Statistics = tuple[Tensor, Tensor]


def update_running_statistics(layer: Any, mean: Tensor, variance: Tensor, n: int) -> None:
    """Update a layer's running statistics as the layer itself would.

    ``mean`` and biased ``variance`` (n_filters,) are the batch's; the running variance is of the unbiased
    one, from ``n`` values of each filter.
    """
    with torch.no_grad():
        layer.num_batches_tracked += 1
        share = layer.momentum if layer.momentum is not None else 1 / int(layer.num_batches_tracked)
        layer.running_mean.lerp_(mean.to(layer.running_mean), share)
        layer.running_var.lerp_((variance * (n / max(n - 1, 1))).to(layer.running_var), share)


def by_buffer(statistics: dict[str, Statistics]) -> dict[str, Tensor]:
    """Statistics of layers by the names of their buffers in the state dict."""
    kinds = ("running_mean", "running_var")
    return {
        f"{name}.{kind}": value
        for name, values in statistics.items()
        for kind, value in zip(kinds, values, strict=True)
    }


def unbiased_moments(values: Iterable[Tensor], counts: Tensor) -> Statistics:
    """Mean and unbiased variance of each filter over arrays (n_filters, n, n_times), in float64.

    ``counts`` (n_times,) of float64 weigh the times.
    """
    n = 0
    total = squares = torch.zeros(())
    for array in values:
        exact = array.double()
        n += exact.shape[1]
        total = total + (exact @ counts).sum(1)
        squares = squares + (exact.square() @ counts).sum(1)
    n_values = n * counts.sum()
    mean = total / n_values
    return mean, (squares - n_values * mean.square()) / (n_values - 1)
