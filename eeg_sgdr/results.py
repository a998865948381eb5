"""A results folder read as tables."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from eeg_sgdr import formats, store
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Settings
from eeg_sgdr.subjects import Subject

__all__ = ["Results", "Subject", "load_results"]


@dataclass(frozen=True)
class Results:
    """A results folder, read when asked.

    Attributes
    ----------
    root : Path
        The folder.
    """

    root: Path

    @cached_property
    def settings(self) -> Settings:
        """The configuration, lists as they have grown."""
        path = store.Study(self.root).config
        if not path.is_file():
            raise UserError(
                f"{path}: is not there, so {self.root} is no results folder; name one that --out had."
            )
        return config.read(path)

    @cached_property
    def subjects(self) -> list[Subject]:
        """All subjects, or folds across subjects, that have trials, in order of their folders."""
        return [Subject(folder) for folder in store.Study(self.root).subjects()]

    def subject(self, label: str | int) -> Subject:
        """One subject.

        Raises
        ------
        UserError
            If there is nothing of it.
        """
        folder = store.Study(self.root).subject(str(label))
        if not folder.trials.is_file():
            raise UserError(f"{self.root}: has no subject {label}; run it first (--subject {label}).")
        return Subject(folder)

    def fold(self, label: str | int) -> Subject:
        """One fold, across subjects.

        Raises
        ------
        UserError
            If there is nothing of it.
        """
        folder = store.Study(self.root).fold(str(label))
        if not folder.trials.is_file():
            raise UserError(f"{self.root}: has no fold {label}; run it first (--fold {label}).")
        return Subject(folder)

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """The rows of all subjects' evaluation.csv."""
        return self._gather(
            [subject.evaluation for subject in self.subjects if subject.folder.evaluation.is_file()]
        )

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """comparison.csv: what the study says across subjects."""
        path = store.Study(self.root).comparison
        table = formats.read_table(path, formats.COMPARISON, path)
        return table.fillna(dict.fromkeys(formats.TEXTS, ""))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The rows of all subjects' trials.csv, or of all folds', with the fold."""
        return self._gather([subject.trials.assign(**_fold(subject)) for subject in self.subjects])

    @cached_property
    def history(self) -> pd.DataFrame:
        """The rows of all fits' history.csv, with subject (or fold), schedule, budget, rate and seed."""
        return self._gather(
            [
                subject.history(key).assign(
                    **(_fold(subject) or {"subject": subject.label}),
                    schedule=key.schedule,
                    budget=key.budget,
                    rate=key.rate,
                    seed=key.seed,
                )
                for subject in self.subjects
                for key in subject.done
            ]
        )

    def probabilities(
        self,
        subject: str | int | None = None,
        schedule: str | None = None,
        budget: int | None = None,
        rate: float | None = None,
        seed: int = 0,
        statistics: str = "recomputed",
        *,
        fold: str | int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Test probabilities that a fit has stored.

        Parameters
        ----------
        subject, fold : str or int
            Label of the subject or, across subjects, number of the fold.
        schedule : str
            Name of the arm. It, budget and rate may be left out where one fit alone is like the rest.
        budget : int
            Epochs.
        rate : float
            Initial rate.
        seed : int
            Seed.
        statistics : "recomputed" or "running"
            Batch-norm statistics of the scored states.

        Returns
        -------
        epochs : ndarray of int, shape (S,)
            When they were stored.
        probabilities : ndarray of float32, shape (S, n_trials, n_classes)

        Raises
        ------
        UserError
            If there is no such fit, or more than one.
        """
        if (subject is None) == (fold is None):
            raise UserError("probabilities: name either a subject or, across subjects, a fold.")
        unit = self.subject(subject) if subject is not None else self.fold(str(fold))
        asked = {"schedule": schedule, "budget": budget, "rate": rate, "seed": seed}
        wanted = {name: value for name, value in asked.items() if value is not None}
        found = [key for key in unit.done if wanted.items() <= asdict(key).items()]
        if len(found) != 1:
            raise UserError(
                f"{unit.folder.root}: has {len(found) or 'no'} fits of "
                f"{', '.join(f'{name} {value}' for name, value in wanted.items())}; name one of "
                f"{', '.join(key.name for key in found or unit.done) or 'none'}."
            )
        stored = unit.probabilities(found[0], statistics)
        return np.array(list(stored)), np.stack(list(stored.values()))

    def _gather(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        if not tables:
            raise UserError(
                f"{self.root}: holds no such results yet; run eeg_sgdr.run with --out {self.root}."
            )
        return pd.concat(tables, ignore_index=True)


def _fold(subject: Subject) -> dict[str, str]:
    return {"fold": subject.fold} if subject.fold else {}


def load_results(path: str | Path) -> Results:
    """Open a results folder.

    Parameters
    ----------
    path : str or Path
        The folder, as given to ``--out``.

    Returns
    -------
    results : Results
        Its tables ``evaluation``, ``history`` and ``trials`` are DataFrames.

    Raises
    ------
    UserError
        If it is no results folder.

    Examples
    --------
    >>> results = load_results("results/demo")  # doctest: +SKIP
    >>> results.evaluation.groupby(["schedule", "members"])["error"].mean()  # doctest: +SKIP
    """
    results = Results(Path(path))
    results.settings  # noqa: B018 (says at once when it is no results folder)
    return results
