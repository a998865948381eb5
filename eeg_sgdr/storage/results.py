"""Results of a study, read when needed."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import at_chosen_rates
from eeg_sgdr.storage import columns, folders, integrity, records, study_plan
from eeg_sgdr.storage.study_plan import StudyPlan
from eeg_sgdr.storage.subject import CrossValidated, Subject

__all__ = ["Results", "load_results"]


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
        study = folders.Study(self.root)
        if not study.config.exists():
            raise UserError(
                f"{study.config}: is not there, so {self.root} is no results folder; name one that --out had."
            )
        return records.read_settings(study)

    @cached_property
    def plan(self) -> StudyPlan | None:
        """plan.yaml, what the study set out to compare; None where there was no plan."""
        return study_plan.read(folders.Study(self.root))

    @cached_property
    def subjects(self) -> list[Subject]:
        """All subjects, or folds across subjects, that have trials, in order of their folders."""
        return [self._open(folder) for folder in folders.Study(self.root).subjects()]

    def _open(self, folder: folders.SubjectFolder) -> Subject:
        return CrossValidated(folder) if self.settings.cross_validated else Subject(folder)

    def subject(self, label: str | int) -> Subject:
        """One subject, by its label; `UserError` if there is nothing of it."""
        folder = folders.Study(self.root).subject(str(label))
        if not folder.trials.exists():
            raise UserError(f"{self.root}: has no subject {label}; run it first (--subject {label}).")
        return self._open(folder)

    def fold(self, label: str | int, subject: str | int | None = None) -> Subject:
        """One fold, across subjects or within one, by its number; `UserError` if there is nothing of it."""
        study = folders.Study(self.root)
        folder = (study if subject is None else study.subject(str(subject))).fold(str(label))
        if not folder.trials.exists():
            of, option = ("", "") if subject is None else (f" of subject {subject}", f"--subject {subject} ")
            raise UserError(f"{self.root}: has no fold {label}{of}; run it first ({option}--fold {label}).")
        return Subject(folder)

    def unit(self, where: str, subject: str | int | None, fold: str | int | None) -> Subject:
        """A subject, a fold across subjects, or a fold within a subject; UserError if it is none."""
        if self.settings.cross_validated:
            if subject is None:
                raise UserError(f"{where}: name a subject, and a fold for the networks of one.")
        elif (subject is None) == (fold is None):
            raise UserError(f"{where}: name either a subject or, across subjects, a fold.")
        return self.subject(str(subject)) if fold is None else self.fold(fold, subject)

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """The rows of all subjects' evaluation.csv."""
        return self._gather(
            [subject.evaluation for subject in self.subjects if subject.folder.evaluation.exists()]
        )

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """comparison.csv: what the study says across subjects."""
        study = folders.Study(self.root)
        path = study.comparison
        if path.is_file() and path.read_bytes().startswith(b"family,"):
            raise UserError(
                f"{path}: was made by an earlier version, with other columns; run python -m eeg_sgdr.report "
                f"{self.root}, which makes it again."
            )
        if study.comparison_record.is_file():
            record = records.read_record(study.comparison_record, records.COMPARISON_RECORD)
            integrity.check_made_table(path, study.comparison_record, record, self.root)
        # It is written after the records of all evaluations.
        elif all(
            subject.evaluation_record for subject in self.subjects if subject.folder.evaluation.is_file()
        ):
            integrity.check_made_table(path, study.comparison_record, {}, self.root)
        table = integrity.read_table(path, columns.COMPARISON, path)
        return table.fillna(dict.fromkeys(columns.TEXTS, ""))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The rows of all subjects' trials.csv, or of all folds', with the fold."""
        return self._gather([subject.trials.assign(**_fold(subject)) for subject in self.subjects])

    @cached_property
    def history(self) -> pd.DataFrame:
        """The rows of all fits' history.csv, with subject (or fold), schedule, budget, rate and seed."""
        return self._gather(
            [
                part.history(key).assign(
                    **(_fold(subject) or {"subject": subject.label}),
                    **({"fold": part.fold_of_subject} if part.fold_of_subject else {}),
                    schedule=key.schedule,
                    budget=key.budget,
                    rate=key.rate,
                    seed=key.seed,
                )
                for subject in self.subjects
                for part in subject.parts
                for key in part.done
            ]
        )

    def probabilities(
        self,
        subject: str | int | None = None,
        schedule: str | None = None,
        budget: int | None = None,
        rate: float | Literal["tuned"] | None = None,
        seed: int = 0,
        statistics: str = "recomputed",
        *,
        fold: str | int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Test probabilities that a fit has stored.

        Parameters
        ----------
        subject, fold : str or int
            Label of the subject or, across subjects, number of the fold; within subjects, of all folds or,
            where both are given, of one.
        schedule : str
            Name of the arm. It, budget and rate may be left out where one fit alone is like the rest.
        budget : int
            Epochs.
        rate : float or "tuned"
            Initial rate, or the one that was chosen.
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
        unit = self.unit("probabilities", subject, fold)
        tuned = [key for key in unit.done if key.rate == "tuned"]
        initial = [key for key in unit.done if key.rate != "tuned"]
        done = tuned + at_chosen_rates(initial, unit.chosen) if rate == "tuned" else initial
        asked = {"schedule": schedule, "budget": budget, "rate": rate, "seed": seed}
        wanted = {name: value for name, value in asked.items() if value not in (None, "tuned")}
        matching = [key for key in done if wanted.items() <= asdict(key).items()]
        if len(matching) != 1:
            raise UserError(
                f"{unit.folder.root}: has {len(matching) or 'no'} fits of "
                f"{', '.join(f'{name} {value}' for name, value in wanted.items())}; name one of "
                f"{', '.join(key.name for key in matching or unit.done) or 'none'}."
            )
        stored = unit.probabilities(matching[0], statistics)
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
