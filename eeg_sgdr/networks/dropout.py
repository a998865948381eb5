"""Dropout masks from random bits."""

import numpy as np
import torch
from torch import Tensor


def dropout_mask(
    shape: tuple[int, ...], drop_prob: float, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Zeros with probability ``drop_prob``, and 1 / (1 - drop_prob) otherwise, on the generator's device.

    torch's own dropout draws a number for every value, one after the other, which takes longer than
    everything else; a value needs no more bits than its probability has. The probability is exact where it
    is a multiple of 1/256 (0.5 takes one bit a value, others eight), otherwise rounded to a multiple of
    2**-32.
    """
    size = torch.Size(shape).numel()
    if drop_prob == 0.5 and dtype in _ONE_BIT:
        return _fair_mask(size, generator, dtype).view(shape)
    if drop_prob == 1:
        return torch.zeros(shape, dtype=dtype, device=generator.device)
    return _kept(size, drop_prob, generator).to(dtype).mul_(1 / (1 - drop_prob)).view(shape)


def kept_bits(size: int, drop_prob: float, generator: torch.Generator) -> Tensor:
    """A bit for each of ``size`` values, set where it is kept; bytes, the lowest bit first."""
    n_bytes = -(-size // 8)
    if drop_prob in (0, 1):
        return torch.full((n_bytes,), 0 if drop_prob else 255, dtype=torch.uint8)
    if drop_prob == 0.5:
        return _random_words(-(-n_bytes // 8), generator).view(torch.uint8)[:n_bytes]
    return torch.from_numpy(np.packbits(_kept(size, drop_prob, generator).numpy(), bitorder="little"))


def _kept(size: int, drop_prob: float, generator: torch.Generator) -> Tensor:
    """Which values are kept, by 8 or 32 random bits each."""
    n_bits = 8 if (256 * drop_prob).is_integer() else 32
    integers = _random_words(-(-size * n_bits // 64), generator).view(_SIGNED[n_bits])[:size]
    return integers >= round(drop_prob * 2**n_bits) - 2 ** (n_bits - 1)


#: Integers as wide as a floating point type, and the number of the one bit that is set in its 2.0.
_ONE_BIT = {torch.float32: (torch.int32, 30), torch.float64: (torch.int64, 62)}

_SIGNED = {8: torch.int8, 32: torch.int32}


def _random_words(n: int, generator: torch.Generator) -> Tensor:
    words = torch.empty(n, dtype=torch.int64, device=generator.device)
    return words.random_(-(2**63), None, generator=generator)


def _fair_mask(size: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """A mask of zeros and twos from one bit a value.

    The only bit that is set in the floating point number 2.0 is the highest of its exponent. So a
    random bit shifted there, and all others cleared, *is* 0.0 or 2.0. The same bit of all words gives
    one stretch of the mask, so that words need not be taken apart one by one (their sign is left out).
    """
    integer, position = _ONE_BIT[dtype]
    bytes_needed = -(-size // (position + 1)) * dtype.itemsize
    words = _random_words(-(-bytes_needed // 8), generator).view(integer)
    shifts = torch.arange(position + 1, dtype=integer, device=words.device)
    bits = (words << shifts[:, None]).bitwise_and_(1 << position)
    return bits.view(dtype).flatten()[:size]
