"""Inner split of the training part of a subject or fold, into training and validation trials."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials
from eeg_sgdr.data.splits import folds
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Settings, SubjectSplit
from eeg_sgdr.settings.training import Validation

#: Folds into which training subjects are divided, of which the first validates; and the part of a run.
N_PARTS = 5


@dataclass(frozen=True)
class InnerTrials:
    """The training part of a subject's or a fold's trials, some of which validate as if they tested.

    Test trials are not among them. A fit has the seed that it has on the whole training part.
    """

    outer: Trials
    validation: Validation
    #: Seed of the draw of training subjects.
    seed: int

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle no tables: workers read what they need."""
        return InnerTrials, (self.outer, self.validation, self.seed)

    @property
    def label(self) -> str:
        """See `Trials.label`."""
        return self.outer.label

    @property
    def title(self) -> str:
        """See `Trials.title`."""
        return f"{self.outer.title}, choice of rates"

    @cached_property
    def table(self) -> pd.DataFrame:
        """See `Trials.table`; numbered as in the outer table, validation trials in the split "validation"."""
        table = self.outer.table
        table = table[table["split"] == "train"].reset_index(drop=True)
        validates = validation_trials(table, self.validation, self.seed)
        table = table.assign(split=np.where(validates, "validation", "train"))
        for part, verb in (("train", "train on"), ("validation", "validate")):
            kept = table[(table["split"] == part) & (table["rejected"] == "")]
            lacking = {*self.info["classes"]} - {*kept["class"]}
            if lacking:
                raise UserError(
                    f"{self.title}: class {min(lacking)!r} has no trial to {verb}; change "
                    f"training.rate_choice.validation (it is {self.validation})."
                )
        return table

    @cached_property
    def info(self) -> dict[str, Any]:
        """See `Trials.info`."""
        choice = {"data": self.outer.info["fingerprint"], "validation": self.validation, "seed": self.seed}
        return {**self.outer.info, "fingerprint": config.fingerprint(choice)}

    @property
    def summary(self) -> dict[str, np.ndarray]:
        """See `Trials.summary`; of all trials of the training part."""
        return self.outer.summary

    def array(self, name: str) -> np.ndarray:
        """See `Trials.array`; a copy in memory."""
        kind, _, part = name.rpartition("_")
        table = self.table
        trials = table.loc[table["split"] == ("train" if part == "train" else "validation"), "trial"]
        return self.outer.array(f"{kind}_train")[np.isin(self.outer.array("trials_train"), trials)]


def split_seed(settings: Settings) -> int:
    """Seed of the draw of training subjects: that of the folds."""
    return settings.split.seed if isinstance(settings.split, SubjectSplit) else 0


def validation_trials(table: pd.DataFrame, validation: Validation, seed: int) -> pd.Series:
    """Which trials of the training part validate; a column of bool.

    Raises UserError if nothing is left to train on.
    """
    if validation == "subject":
        subjects = list(dict.fromkeys(table["subject"]))
        if len(subjects) < 2:
            raise UserError(
                f"training.rate_choice.validation: subject {subjects[0]} alone is left to train on; give "
                "tail."
            )
        split = SubjectSplit(by="subject", folds=min(N_PARTS, len(subjects)), seed=seed)
        return table["subject"].isin(folds(split, subjects)[0].test)
    runs = table["session"] + "/" + table["run"]
    if validation == "tail":
        kept = table["rejected"] == ""
        of_run = kept.groupby([table["subject"], runs])
        n_first = of_run.transform("sum").map(lambda n: n - math.ceil(n / N_PARTS))
        return kept & (of_run.cumsum() > n_first)
    labels = runs if validation == "run" else table["session"]
    by_subject = labels.groupby(table["subject"])
    for subject, n in by_subject.nunique().items():
        if n < 2:
            raise UserError(
                f"training.rate_choice.validation: subject {subject} has one {validation} to train on alone; "
                "give tail, or leave more of them to train on."
            )
    return labels == by_subject.transform("last")
