"""Folds within a subject: every run (or session) is held out once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import SubjectTrials
from eeg_sgdr.data.splits import Fold
from eeg_sgdr.errors import UserError


def leave_one_out(labels: Sequence[str], subject: str, by: str) -> tuple[Fold, ...]:
    """A fold of each run (or session) of a subject, in order; UserError if there is one alone."""
    held_out = list(dict.fromkeys(labels))
    if len(held_out) < 2:
        raise UserError(
            f"split.folds: subject {subject} has one {by} alone ({', '.join(held_out)}), so none is left "
            "to train on; leave it out, or change split.by."
        )
    return tuple(
        Fold(str(number), tuple(other for other in held_out if other != label), (label,))
        for number, label in enumerate(held_out, start=1)
    )


def with_held_out(table: pd.DataFrame, fold: Fold, by: str) -> pd.DataFrame:
    """A table of trials, those of a fold's runs (or sessions) to be tested."""
    return table.assign(split=np.where(table[by].isin(fold.test), "test", "train"))


@dataclass(frozen=True)
class HeldOutTrials:
    """The trials of one fold of a subject: those of what is held out test, all others train."""

    trials: SubjectTrials
    fold: Fold
    by: str

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle no tables: workers read what they need."""
        return HeldOutTrials, (self.trials, self.fold, self.by)

    @property
    def label(self) -> str:
        """Labels of subject and fold; no subject's label holds a slash."""
        return f"{self.trials.label}/{self.fold.label}"

    @property
    def title(self) -> str:
        """See `Trials.title`."""
        return f"{self.trials.title}, fold {self.fold.label}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """See `Trials.table`."""
        return with_held_out(self.trials.table, self.fold, self.by)

    @cached_property
    def info(self) -> dict[str, Any]:
        """See `Trials.info`."""
        held_out = {"data": self.trials.info["fingerprint"], "test": list(self.fold.test)}
        fingerprint = config.fingerprint(held_out)
        return {**self.trials.info, "fold_of_subject": self.fold.label, "fingerprint": fingerprint}

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """See `Trials.summary`; of all trials, but for the covariance."""
        from eeg_sgdr.data.trials import covariance

        return {**self.trials.summary, "covariance": covariance(self.array("x_train"))}

    def array(self, name: str) -> np.ndarray:
        """See `Trials.array`; a copy in memory."""
        kind, _, part = name.rpartition("_")
        trials = self.table.loc[self.table["split"] == part, "trial"]
        kept = np.isin(self.trials.array("trials_train"), trials)
        return self.trials.array(f"{kind}_train")[kept]
