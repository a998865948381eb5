"""Sums over windows of time, by doubling."""

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
    """

    def __init__(self, n: int, window: int, stride: int) -> None:
        self.n = n
        self.window = window
        self.stride = stride
        self.n_windows = (n - window) // stride + 1

    def sums(self, values: Tensor, scratch: Scratch) -> Tensor:
        """Sums over each window, (..., n_windows); contiguous values (..., at least n) may be overwritten."""
        if self.stride == 1:
            return _moving_sums(values, self.window, scratch)[..., : self.n_windows]
        return values[..., : self.n] @ self.matrix(values)

    def adjoint(self, gradient: Tensor, slopes: Tensor, length: int, scratch: Scratch) -> Tensor:
        """Gradient by the values (..., length), zero beyond ``n``, from that by a function of the sums.

        ``slopes`` are the function's derivatives, multiplied here. The result is
        again a sum over windows, of the gradient by the sums with zeros before and behind it; the zeros
        behind one row are those before the next. The result may lie in ``scratch``.
        """
        if self.stride > 1:
            summed = (gradient * slopes) @ self.matrix(gradient).T
            return torch.nn.functional.pad(summed, (0, length - self.n))
        margin, shape = self.window - 1, (*gradient.shape[:-1], length)
        size = torch.Size(shape).numel()
        padded = scratch.array("padded", (margin + size,))
        padded[:margin] = 0
        rows = padded[margin:].view(shape)
        torch.mul(gradient, slopes, out=rows[..., : self.n_windows])
        rows[..., self.n_windows :] = 0
        return _moving_sums(padded, self.window, scratch)[:size].view(shape)

    def matrix(self, like: Tensor) -> Tensor:
        """The sums as a matrix of zeros and ones, shape (n, n_windows), of a tensor's type and device."""
        start = self.stride * torch.arange(self.n_windows, device=like.device)
        after_start = torch.arange(self.n, device=like.device)[:, None] - start
        return ((after_start >= 0) & (after_start < self.window)).to(like.dtype)


def _moving_sums(values: Tensor, window: int, scratch: Scratch) -> Tensor:
    """Sums over ``window`` neighbours, the last ``window - 1`` of each row without meaning.

    All rows are summed as one long row, so these run on into the next row.
    """
    flat = values.flatten()
    sums, spare, last = flat, scratch.array("sums", flat.shape), scratch.array("more sums", flat.shape)
    n, width = len(flat), 1
    for factor in _factors(window):
        if factor == 1:
            n -= 1
            sums = sums[:n].add_(flat[width:])
            width += 1
            continue
        n -= (factor - 1) * width
        longer = torch.add(sums[:n], sums[width : width + n], out=spare[:n])
        if factor == 3:
            longer += sums[2 * width :]
        sums, spare, last = longer, last, spare
        width *= factor
    return flat.view(values.shape) if window == 1 else last.view(values.shape)


@cache
def _factors(width: int) -> tuple[int, ...]:
    """Steps from windows of 1 to ``width`` in the fewest additions: times 2 or 3, or 1 longer (1)."""
    if width == 1:
        return ()
    ways = [(*_factors(width // factor), factor) for factor in (2, 3) if width % factor == 0]
    ways += [(*_factors(width - 1), 1)] if width % 2 else []
    return min(ways, key=lambda way: len(way) + way.count(3))
