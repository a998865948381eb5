"""SGD with warm restarts and snapshot ensembles against a step schedule, on motor EEG."""

import sys

if sys.argv[0] == "-m" or sys.argv[0].endswith("eeg-sgdr"):
    # Of a command, these are the first statements: python -m eeg_sgdr.run imports its package first.
    from eeg_sgdr.parallel import interrupts

    interrupts.exit_on_signals()
    from eeg_sgdr.parallel import streams

    streams.guard()

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eeg_sgdr.errors import UserError

if TYPE_CHECKING:
    from eeg_sgdr.estimators.ensemble import SnapshotEnsembleClassifier
    from eeg_sgdr.estimators.trained import load_classifier
    from eeg_sgdr.interop.moabb import to_moabb
    from eeg_sgdr.storage.results import Results, load_results
    from eeg_sgdr.training.seeds import unit_seed

__version__ = "0.1.0"
__all__ = [
    "Results",
    "SnapshotEnsembleClassifier",
    "UserError",
    "load_classifier",
    "load_results",
    "to_moabb",
    "unit_seed",
]

#: Imported when they are first used, so that the command's --help comes at once.
_MODULES = {
    "Results": "storage.results",
    "SnapshotEnsembleClassifier": "estimators.ensemble",
    "load_classifier": "estimators.trained",
    "load_results": "storage.results",
    "to_moabb": "interop.moabb",
    "unit_seed": "training.seeds",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"eeg_sgdr.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'eeg_sgdr' has no attribute {name!r}")
