"""SGD with warm restarts and snapshot ensembles against a step schedule, on motor EEG."""

from eeg_sgdr.errors import UserError
from eeg_sgdr.results import Results, load_results

__version__ = "0.1.0"
__all__ = ["Results", "UserError", "load_results"]
