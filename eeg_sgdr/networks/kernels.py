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

#: The library whose matrix products are of bfloat16 numbers, with float32 sums.
BFLOAT16 = "AVX512BF16"

#: Numbers of a vector, by torch's name of what the processor can do.
LANES = {BFLOAT16: 16, "AVX512": 16, "AVX2": 8}


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


def find_bfloat16(network: str, dtype: "torch.dtype") -> Kernel | None:
    """The kernel of a network whose matrix products are of bfloat16 numbers, where the processor has such."""
    import torch

    # Torch calls processors AVX512 that have bfloat16 products and that have none, and only its newest
    # versions tell them apart (torch.cpu.get_capabilities); Linux does.
    features = Path("/proc/cpuinfo")
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not features.is_file():
        return None
    return find(network, dtype, BFLOAT16) if "avx512_bf16" in features.read_text().split() else None


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
    processor = "AVX512 with bfloat16 products" if capability == BFLOAT16 else capability
    return Kernel(library, f"compiled for {processor} ({source}, {compiler})", LANES[capability])
