"""Compiled kernels: the library of this processor, if there is one."""

import ctypes
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eeg_sgdr.errors import UserError

if TYPE_CHECKING:  # the process in charge asks for kernels without torch
    import torch

#: Networks whose updates a kernel computes.
NETWORKS = ("ShallowFBCSPNet", "EEGNet")

FOLDER = Path(__file__).parent / "fast"

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


def find(network: str, dtype: "torch.dtype", capability: str | None = None) -> Kernel | None:
    """The kernel of a network for numbers of a type, and for this processor or what it can do.

    None where none was built. Raises `UserError` if it was built from another source than the one beside it.
    """
    import torch

    capability = capability or torch.backends.cpu.get_cpu_capability()
    if capability not in LANES:
        return None
    return _load(
        FOLDER / f"{network}_{capability.lower()}_{str(dtype).removeprefix('torch.')}.so", capability
    )


def missing() -> bool:
    """Whether this installation has no kernels. Raises `UserError` as `find` does."""
    found = [_load(path, path.stem.split("_")[1].upper()) for path in sorted(FOLDER.glob("*.so"))]
    return not found


@cache
def _load(path: Path, capability: str) -> Kernel | None:
    if not path.is_file():
        return None
    source_file = path.with_name(path.stem.split("_")[0] + ".c")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(
            f"{path}: the compiled kernel cannot be loaded ({error}); install eeg_sgdr again, or delete it."
        ) from error
    source, _, compiler = (ctypes.c_char_p.in_dll(library, "built_from").value or b"").decode().partition(" ")
    with_header = (source_file, path.with_name("vectors.h"))
    if source != hashlib.sha256(b"".join(file.read_bytes() for file in with_header)).hexdigest()[:12]:
        raise UserError(
            f"{path}: compiled from another {source_file.name} than the one beside it; build it anew: "
            "pip install -e . in the clone."
        )
    return Kernel(library, f"compiled for {capability} ({source}, {compiler})", LANES[capability])
