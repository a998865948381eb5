"""Work done piece by piece, on arrays that stay in the cache."""

from collections.abc import Iterator

import torch
from torch import Tensor

#: Bytes of an array of which two or three fit into a core's cache. Smaller blocks are calls of functions.
BLOCK = 1 << 20


def blocks(n: int, n_bytes: int) -> Iterator[slice]:
    """Stretches of ``n`` things of ``n_bytes`` each, of about `BLOCK` bytes together."""
    step = max(1, BLOCK // n_bytes)
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


class Scratch:
    """Arrays that the steps of a loop use again and again, so that they stay in the cache.

    Parameters
    ----------
    like : Tensor
        Of the type and on the device that the arrays shall have.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._arrays: dict[str, Tensor] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """An array with whatever was last put into the array of that name."""
        size = torch.Size(shape).numel()
        if name not in self._arrays or len(self._arrays[name]) < size:
            self._arrays[name] = self._like.new_empty(size)
        return self._arrays[name][:size].view(shape)
