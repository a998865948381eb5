"""Compiled kernels: the library of this processor, if there is one."""

import ctypes
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from eeg_sgdr.errors import UserError

FOLDER = Path(__file__).parent

#: Numbers of a vector, by torch's name of what the processor can do.
LANES = {"AVX512": 16, "AVX2": 8}


@dataclass(frozen=True)
class Kernel:
    """A library: the form's name in fit.json, and the numbers of one of its vectors."""

    library: ctypes.CDLL
    name: str
    lanes: int

    def function(self, name: str, result: type) -> Callable[..., Any]:
        """A function that returns a C type."""
        found = self.library[name]
        found.restype = result
        return found


def find(network: str, dtype: torch.dtype, capability: str | None = None) -> Kernel | None:
    """The kernel of a network for numbers of a type, and for this processor or what it can do.

    None where none was built. Raises `UserError` if it was built from another source than the one beside it.
    """
    capability = capability or torch.backends.cpu.get_cpu_capability()
    return _load(network, str(dtype).removeprefix("torch."), capability)


@cache
def _load(network: str, dtype: str, capability: str) -> Kernel | None:
    path = FOLDER / f"{network}_{capability.lower()}_{dtype}.so"
    if capability not in LANES or not path.is_file():
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(
            f"{path}: the compiled kernel cannot be loaded ({error}); install eeg_sgdr again, or delete it."
        ) from error
    source, _, compiler = ctypes.c_char_p.in_dll(library, "built_from").value.decode().partition(" ")
    if source != hashlib.sha256(path.with_name(f"{network}.c").read_bytes()).hexdigest()[:12]:
        raise UserError(
            f"{path}: compiled from another {network}.c than the one beside it; build it anew: "
            "pip install -e . in the clone."
        )
    return Kernel(library, f"compiled for {capability} ({source}, {compiler})", LANES[capability])
