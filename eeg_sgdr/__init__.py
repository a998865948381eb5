"""SGD with warm restarts and snapshot ensembles against a step schedule, on motor EEG."""

from typing import TYPE_CHECKING, Any

from eeg_sgdr.errors import UserError

if TYPE_CHECKING:
    from eeg_sgdr.results import Results, load_results

__version__ = "0.1.0"
__all__ = ["Results", "UserError", "load_results"]


def __getattr__(name: str) -> Any:
    """Import what reads results when it is first used, so that the command's --help comes at once."""
    if name in ("Results", "load_results"):
        from eeg_sgdr import results

        return getattr(results, name)
    raise AttributeError(f"module 'eeg_sgdr' has no attribute {name!r}")
