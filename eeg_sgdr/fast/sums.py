"""Means over windows of time, without adding the same numbers for every window."""

import torch
from torch import Tensor


class WindowMeans:
    """Sums over all windows of a length that begin a stride apart, and their adjoint.

    Sums, not means: who uses them scales before, where it costs nothing.

    With a stride of 1, sums over 2, 4, 8, ... neighbours are made by adding the previous ones to
    themselves, shifted; those that make up the window's length in binary are added (75 = 64 + 8 + 2 +
    1: nine additions a value instead of 74). Nothing is ever subtracted, as running sums would do, so a
    quiet stretch after a loud one loses no digits. With longer strides it is a product with the matrix
    of zeros and ones.

    Parameters
    ----------
    n : int
        Length of what is summed.
    window, stride : int

    Attributes
    ----------
    n_windows : int
    """

    def __init__(self, n: int, window: int, stride: int) -> None:
        self.n = n
        self.window = window
        self.stride = stride
        self.n_windows = (n - window) // stride + 1

    def sums(self, values: Tensor) -> Tensor:
        """Sum over each window.

        Parameters
        ----------
        values : Tensor, shape (..., at least n)
            Contiguous; beyond ``n`` anything that is finite.

        Returns
        -------
        sums : Tensor, shape (..., n_windows)
        """
        if self.stride == 1:
            return _moving_sums(values, self.window)[..., : self.n_windows]
        return values[..., : self.n] @ self._matrix(values)

    def adjoint(self, gradient: Tensor) -> Tensor:
        """Gradient by the values from the gradient by the sums.

        Parameters
        ----------
        gradient : Tensor, shape (..., n_windows)

        Returns
        -------
        gradient : Tensor, shape (..., n)
        """
        if self.stride == 1:
            margin = self.window - 1
            padded = torch.nn.functional.pad(gradient, (margin, margin))
            return _moving_sums(padded, self.window)[..., : self.n]
        return gradient @ self._matrix(gradient).T

    def _matrix(self, like: Tensor) -> Tensor:
        start = self.stride * torch.arange(self.n_windows, device=like.device)
        after_start = torch.arange(self.n, device=like.device)[:, None] - start
        return ((after_start >= 0) & (after_start < self.window)).to(like.dtype)


def _moving_sums(values: Tensor, window: int) -> Tensor:
    """Sums over ``window`` neighbours, the last ``window - 1`` of each row being without meaning.

    Rows are summed as one long row, which is why these run on into the next row.
    """
    flat = values.flatten()
    length = len(flat) - window + 1
    result = torch.empty_like(flat)
    sums = result[:length]
    span, offset = 1, 0
    while span <= window:
        if window & span:
            part = flat[offset : offset + length]
            if offset:
                sums += part
            else:
                sums.copy_(part)
            offset += span
        flat = flat[:-span] + flat[span:]
        span *= 2
    result[length:] = 0
    return result.view(values.shape)
