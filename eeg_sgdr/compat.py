"""Import braindecode without MOABB, and where torchaudio's compiled library does not load.

braindecode imports torchaudio. The registries' Linux wheels of torchaudio are linked against CUDA,
so beside a torch for the CPU ``import torchaudio`` ends in an ``OSError``. torchaudio itself works
without its compiled library when the file is absent, and nothing here needs that library, so it is
imported again as if it were absent.
"""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


def import_braindecode() -> None:
    """Import braindecode quietly; to be called before anything is imported from it."""
    if "braindecode.models" in sys.modules:
        return
    import_torchaudio()
    # It copies docstrings of MOABB, whose import takes a second, and can do without.
    without_moabb = {} if "moabb" in sys.modules else {"moabb": None}
    sys.modules.update(without_moabb)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            # It names MNE's montages by their former names while it is imported.
            warnings.simplefilter("ignore", FutureWarning)
            import braindecode.models  # noqa: F401
    finally:
        for name in without_moabb:
            del sys.modules[name]


def import_torchaudio() -> None:
    """Make ``import torchaudio`` succeed, before braindecode imports it."""
    try:
        import torchaudio  # noqa: F401
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        _import_without_library()


def _import_without_library() -> None:
    """Import torchaudio while its folder ``lib`` looks empty."""
    original = Path.glob

    def glob(self: Path, *args, **kwargs) -> Iterator[Path]:
        if self.parts[-2:] == ("torchaudio", "lib"):
            return iter(())
        return original(self, *args, **kwargs)

    Path.glob = glob  # type: ignore[method-assign, assignment]
    try:
        import torchaudio  # noqa: F401
    finally:
        Path.glob = original  # type: ignore[method-assign]
