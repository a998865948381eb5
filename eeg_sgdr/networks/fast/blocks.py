"""Blocks of arrays that stay in the cache of a core."""

from collections.abc import Iterator

import torch
from torch import Tensor

#: Bytes of an array of which two or three fit into a core's cache; smaller ones cost more calls.
BLOCK = 1 << 20


def blocks(n: int, n_bytes: int) -> Iterator[slice]:
    """Slices of ``n`` rows of ``n_bytes`` each, about `BLOCK` bytes together."""
    step = max(1, BLOCK // n_bytes)
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


class Scratch:
    """Arrays reused by the steps of a loop, so that they stay in the cache; of a tensor's type and device."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._arrays: dict[str, Tensor] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The array of a name, with its last content."""
        size = torch.Size(shape).numel()
        if name not in self._arrays or len(self._arrays[name]) < size:
            self._arrays[name] = self._like.new_empty(size)
        return self._arrays[name][:size].view(shape)
