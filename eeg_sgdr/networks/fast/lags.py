"""Sums of windows at every lag of a temporal filter, from which its output's statistics follow."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from eeg_sgdr.networks.forward import CHUNK


@dataclass(frozen=True)
class LaggedWindows:
    """Windows, and what batch norm needs to know of them.

    With x the windows padded with zeros for the temporal convolution, which has T outputs,

        sums[i, l] = sum over c, t < T of x[i, c, t + l],
        products[i, l, k] = sum over c, t < T of x[i, c, t + l] x[i, c, t + k].

    Attributes
    ----------
    windows : Tensor, shape (n_trials, n_channels, n_samples)
    sums : Tensor of float64, shape (n_trials, n_taps)
    products : Tensor of float64, shape (n_trials, n_taps, n_taps)
    """

    windows: Tensor
    sums: Tensor
    products: Tensor


def lagged(windows: Tensor, n_taps: int, margin: int) -> LaggedWindows:
    """Sums and products of windows, computed in float64 for some windows at a time.

    Parameters
    ----------
    windows : Tensor, shape (n_trials, n_channels, n_samples)
        They are kept, not copied.
    n_taps : int
        Length of the temporal filters.
    margin : int
        Zeros that the temporal convolution has on each side.

    Returns
    -------
    prepared : LaggedWindows
    """
    moments = [_moments(some, n_taps, margin) for some in windows.split(CHUNK)]
    sums, products = (torch.cat(parts) for parts in zip(*moments, strict=True))
    return LaggedWindows(windows, sums, products)


def _moments(windows: Tensor, n_taps: int, margin: int) -> tuple[Tensor, Tensor]:
    """Sums and products of some windows (see `LaggedWindows`).

    From one pair of lags to the next, (l, k) to (l + 1, k + 1), the product only loses its first
    term and gains one: with G[t, u] = sum over c of x[c, t] x[c, u],

        products[l + 1, k + 1] = products[l, k] - G[l, k] + G[T + l, T + k].

    So only those with l = 0 are summed over time: with time t < T cut into stretches of n_taps they are
    sums over diagonals of the product of these with the stretches twice as long that begin with them.
    """
    x = functional.pad(windows.double(), (margin, margin))
    T = x.shape[2] - n_taps + 1
    sums = x.sum(1).unfold(1, T, 1).sum(2)
    beyond = -T % n_taps
    stretches = functional.pad(x[..., :T], (0, beyond)).unfold(2, n_taps, n_taps)
    longer = functional.pad(x, (0, beyond)).unfold(2, 2 * n_taps - 1, n_taps)
    gram = stretches.flatten(1, 2).mT @ longer.flatten(1, 2)
    strides = (gram.stride(0), 1, 2 * n_taps)
    products = torch.zeros(len(x), n_taps, n_taps, dtype=x.dtype, device=x.device)
    products[:, 0] = products[:, :, 0] = gram.as_strided((len(x), n_taps, n_taps), strides).sum(2)
    first, last = x[..., : n_taps - 1], x[..., T:]
    change = last.mT @ last - first.mT @ first
    for lag in range(n_taps - 1):
        products[:, lag + 1, 1:] = products[:, lag, :-1] + change[:, lag]
    return sums, products
