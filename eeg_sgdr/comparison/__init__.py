"""The comparison across subjects as numbers: comparison.csv.

Families of rows, each in a module of its own: `tested` (the configuration's comparisons), `curves`
(what Figure 4 draws, and what stands beside it), `ensembles`, `anytime`.
"""

from eeg_sgdr.comparison.table import comparison
from eeg_sgdr.comparison.update import update

__all__ = ["comparison", "update"]
