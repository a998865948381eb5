"""What batch norm keeps between updates."""

import torch
from torch import Tensor, nn


def update_running_statistics(layer: nn.Module, mean: Tensor, variance: Tensor) -> None:
    """Move a layer's running statistics towards a batch's, as the layer itself would.

    Parameters
    ----------
    layer : torch.nn.BatchNorm2d
    mean, variance : Tensor, shape (n_filters,)
        Of the batch; the variance unbiased.
    """
    if layer.running_mean is None:
        return
    with torch.no_grad():
        layer.num_batches_tracked += 1
        share = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
        layer.running_mean.lerp_(mean.to(layer.running_mean), share)
        layer.running_var.lerp_(variance.to(layer.running_var), share)
