"""Sums over windows of time, without adding the same numbers for every window."""

from functools import cache

import torch
from torch import Tensor

from eeg_sgdr.networks.fast.blocks import Scratch


class WindowSums:
    """Sums over all windows of a length that begin a stride apart, and their adjoint.

    With a stride of 1, S(w)[t], the sum of the w values from t on, follows from

        S(1)[t] = x[t],                              S(w + 1)[t] = S(w)[t] + x[t + w],
        S(2 w)[t] = S(w)[t] + S(w)[t + w],           S(3 w)[t] = S(2 w)[t] + S(w)[t + 2 w]

    in eight additions a value for w = 75 (1, 3, 6, 12, 24, 25, 75). Nothing is ever subtracted, as with
    running sums, so a quiet stretch after a loud one loses no digits. With longer strides it is a
    product with a matrix of zeros and ones.

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

    def sums(self, values: Tensor, scratch: Scratch) -> Tensor:
        """Sum over each window.

        Parameters
        ----------
        values : Tensor, shape (..., at least n)
            Contiguous; of no effect beyond ``n``.
        scratch : Scratch
            The result lies there, or in ``values``.

        Returns
        -------
        sums : Tensor, shape (..., n_windows)
        """
        if self.stride == 1:
            return _moving_sums(values, self.window, scratch)[..., : self.n_windows]
        return values[..., : self.n] @ self.matrix(values)

    def adjoint(self, gradient: Tensor, slopes: Tensor, length: int, scratch: Scratch) -> Tensor:
        """Gradient by the values from the gradient by a function of the sums.

        It is again a sum over windows, of the gradient by the sums with zeros before and behind it. The
        zeros behind one row are those before the next.

        Parameters
        ----------
        gradient : Tensor, shape (..., n_windows)
        slopes : Tensor, shape (..., n_windows)
            Derivatives of the function; multiplied here, where the products are wanted.
        length : int
            Length of the rows, at least ``n``.
        scratch : Scratch
            The result may lie there.

        Returns
        -------
        gradient : Tensor, shape (..., length)
            Zero beyond ``n``.
        """
        if self.stride > 1:
            of_values = (gradient * slopes) @ self.matrix(gradient).T
            return torch.nn.functional.pad(of_values, (0, length - self.n))
        margin, shape = self.window - 1, (*gradient.shape[:-1], length)
        size = torch.Size(shape).numel()
        padded = scratch.array("padded", (margin + size,))
        padded[:margin] = 0
        rows = padded[margin:].view(shape)
        torch.mul(gradient, slopes, out=rows[..., : self.n_windows])
        rows[..., self.n_windows :] = 0
        return _moving_sums(padded, self.window, scratch)[:size].view(shape)

    def matrix(self, like: Tensor) -> Tensor:
        """The sums as a matrix of zeros and ones, shape (n, n_windows), of the type of a tensor."""
        start = self.stride * torch.arange(self.n_windows, device=like.device)
        after_start = torch.arange(self.n, device=like.device)[:, None] - start
        return ((after_start >= 0) & (after_start < self.window)).to(like.dtype)


def _moving_sums(values: Tensor, window: int, scratch: Scratch) -> Tensor:
    """Sums over ``window`` neighbours, the last ``window - 1`` of each row being without meaning.

    All rows are summed as one long row, which is why these run on into the next row.
    """
    flat = values.flatten()
    sums, here, there = flat, scratch.array("sums", flat.shape), scratch.array("more sums", flat.shape)
    n, width = len(flat), 1
    for factor in _factors(window):
        if factor == 1:
            n -= 1
            sums = sums[:n].add_(flat[width:])
            width += 1
            continue
        n -= (factor - 1) * width
        longer = torch.add(sums[:n], sums[width : width + n], out=here[:n])
        if factor == 3:
            longer += sums[2 * width :]
        sums, here, there = longer, there, here
        width *= factor
    return flat.view(values.shape) if window == 1 else there.view(values.shape)


@cache
def _factors(width: int) -> tuple[int, ...]:
    """How to lengthen windows of 1 to ``width``: times 2 or 3, or 1 longer (1), in the fewest additions."""
    if width == 1:
        return ()
    ways = [(*_factors(width // factor), factor) for factor in (2, 3) if width % factor == 0]
    ways += [(*_factors(width - 1), 1)] if width % 2 else []
    return min(ways, key=lambda way: len(way) + way.count(3))
