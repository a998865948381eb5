"""The comparison across subjects as numbers: comparison.csv.

Families of rows, each in a module of its own: `tested` (the configuration's comparisons), `curves`
(what Figure 4 draws, and what stands beside it), `ensembles`, `anytime`. `pairs` reads
both sides' errors back from the table.
"""

from eeg_sgdr.comparison.pairs import Pairs, pairs
from eeg_sgdr.comparison.table import comparison
from eeg_sgdr.comparison.update import update

__all__ = ["Pairs", "comparison", "pairs", "update"]
