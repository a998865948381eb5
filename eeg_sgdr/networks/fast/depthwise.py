"""Depthwise convolution as products with Toeplitz matrices."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def tile_size(n_samples: int, n_taps: int) -> int:
    """Length of tiles: at least n_taps - 1, and with few taps enough to keep matrix products busy."""
    n_tiles = max(1, n_samples // max(n_taps - 1, 32))
    return max(-(-n_samples // n_tiles), n_taps - 1)


class DepthwiseConvolution(torch.autograd.Function):
    """y[g, r, t] = sum over l of w[g, l] x[g, r, t + l], rows r of a group g sharing a filter.

    Rows are cut into tiles of m samples, not fewer than a filter has taps less one. Then the outputs
    of a tile depend on it and the next one only, linearly, through two m x m halves of a matrix in
    which every column holds the filter, one further down each time:

        y_i = x_i T0 + x_(i+1) T1,    T[i, j] = w[i - j] for 0 <= i - j < n_taps,    T = (T0, T1).

    Those are 4 m operations a value instead of 2 n_taps, but of a matrix product, and nothing has to be
    copied, for all tiles of a group are one matrix, and the next tiles its next rows. (The last tile
    of a row meets the first one of the next row; what comes of that is beyond the outputs that count.)

    In memory T[l + j, j] stands at m l + (m + 1) j, so that its entries for tap l and column j are a
    strided view with axes (l, j). T is filled through it, and the gradient by the filter is the
    gradient by T summed over j.
    """

    @staticmethod
    def forward(ctx: Any, signals: Tensor, weight: Tensor, size: int) -> Tensor:
        """Convolve contiguous signals (n_groups, n_rows, n_samples) with weights (n_groups, n_taps).

        n_samples is a multiple of the tiles' ``size``, at least n_taps - 1. The last n_taps - 1 outputs of
        every row are meaningless and have no gradient: that of what is made of them must be zero.
        """
        ctx.save_for_backward(signals, weight)
        ctx.size = size
        first, second = _toeplitz(weight, size)
        tiles = signals.view(len(signals), -1, size)
        outputs = torch.bmm(tiles, first)
        outputs[:, :-1].baddbmm_(tiles[:, 1:], second)
        return outputs.view(signals.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by the signals and the weight."""
        signals, weight = ctx.saved_tensors
        first, second = _toeplitz(weight, ctx.size)
        gradient = gradient.contiguous().view(len(signals), -1, ctx.size)
        tiles = signals.view(gradient.shape)
        d_signals = None
        if ctx.needs_input_grad[0]:
            d_signals = torch.bmm(gradient, first.mT)
            d_signals[:, 1:].baddbmm_(gradient[:, :-1], second.mT)
            d_signals = d_signals.view(signals.shape)
        d_first = torch.bmm(tiles.mT, gradient)
        d_second = torch.bmm(tiles[:, 1:].mT, gradient[:, :-1])
        d_matrix = torch.cat([d_first, d_second], 1)
        return d_signals, _diagonals(d_matrix, weight.shape[1]).sum(2), None


def _toeplitz(weight: Tensor, size: int) -> tuple[Tensor, Tensor]:
    matrix = weight.new_zeros(len(weight), 2 * size, size)
    _diagonals(matrix, weight.shape[1]).copy_(weight[:, :, None])
    return matrix[:, :size], matrix[:, size:]


def _diagonals(matrix: Tensor, n: int) -> Tensor:
    """The first n diagonals from the main one down, as a view of shape (n_groups, n, size)."""
    size = matrix.shape[2]
    return matrix.as_strided((len(matrix), n, size), (matrix.stride(0), size, size + 1))
