"""A results folder read as tables."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr import store
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey
from eeg_sgdr.settings import Settings

LABELS = {"subject": str, "session": str, "run": str, "fold": str, "rates": str, "seeds": str}
#: Columns of comparison.csv that hold whole numbers (or nothing), and texts.
COUNTS = (
    *("epoch_a", "epoch_b", "n_networks_a", "n_networks_b", "epochs_spent_a", "epochs_spent_b"),
    *("n_units", "n_seeds", "better", "equal", "worse"),
)
TEXTS = ("family", "quantity", "a", "b", "rate", "metric", "missing")


@dataclass(frozen=True)
class Subject:
    """What is on disk of one subject or, across subjects, of one fold.

    Attributes
    ----------
    folder : store.SubjectFolder
        Its folder.
    """

    folder: store.SubjectFolder

    @cached_property
    def data(self) -> dict[str, Any]:
        """data.json."""
        return store.read_json(self.folder.data)

    @property
    def label(self) -> str:
        """The subject's label as its source gives it, or the fold's number."""
        return self.fold or self.data["subject"]

    @property
    def fold(self) -> str:
        """The fold's number; empty when it is a subject."""
        return self.data.get("fold", "")

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{'fold' if self.fold else 'subject'} {self.label}"

    @property
    def test_subjects(self) -> list[str]:
        """Labels of the subjects that are tested: itself, or those of the fold."""
        return self.data["test_subjects"] if self.fold else [self.label]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """trials.csv."""
        return store.read_csv(self.folder.trials, dtype=LABELS).fillna({"rejected": ""})

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """summary.npz."""
        return store.read_npz(self.folder.summary)

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """evaluation.csv."""
        return store.read_csv(self.folder.evaluation, dtype=LABELS).fillna(
            {"fold": "", "rates": "", "seeds": ""}
        )

    @property
    def overall(self) -> pd.DataFrame:
        """The rows of evaluation.csv over all test trials; a fold has others for each of its subjects."""
        return self.evaluation[self.evaluation["subject"] == "all"] if self.fold else self.evaluation

    @cached_property
    def fits(self) -> dict[FitKey, dict[str, Any]]:
        """fit.json of every fit that ended, done or failed."""
        contents = [store.read_json(folder.fit) for folder in self.folder.fits()]
        return {FitKey(**content["fit"]): content for content in contents}

    @cached_property
    def baseline(self) -> dict[str, Any] | None:
        """fit.json of the baseline; None where there is none."""
        return store.read_json(self.folder.baseline.fit) if self.folder.baseline.fit.is_file() else None

    @property
    def done(self) -> list[FitKey]:
        """The fits that are done."""
        return sorted(key for key, content in self.fits.items() if content["state"] == "done")

    def has(self, key: FitKey, every_epoch: bool) -> bool:
        """Whether a fit has ended, with probabilities of every epoch if these are wanted."""
        if key not in self.fits:
            return False
        enough = not every_epoch or self.fits[key]["state"] == "failed"
        return enough or len(self.predictions(key)["epochs"]) == key.budget

    @property
    def failed(self) -> dict[str, str]:
        """Names of the fits that failed, and of the baseline if it did; and why."""
        contents = {key.name: content for key, content in sorted(self.fits.items())}
        if self.baseline:
            contents["baseline"] = self.baseline
        return {name: content["why"] for name, content in contents.items() if content["state"] == "failed"}

    def predictions(self, key: FitKey) -> dict[str, np.ndarray]:
        """predictions.npz of a fit."""
        return store.read_npz(self.folder.fit(key.name).predictions)

    def probabilities(self, key: FitKey, statistics: str) -> dict[int, np.ndarray]:
        """Test probabilities of a fit by epoch.

        Parameters
        ----------
        key : FitKey
            The fit.
        statistics : "recomputed" or "running"
            Batch-norm statistics of the scored states.

        Returns
        -------
        probabilities : dict of int to ndarray, shape (n_trials, n_classes)
        """
        arrays = self.predictions(key)
        name = "probabilities" if statistics == "recomputed" else "probabilities_running"
        return dict(zip(arrays["epochs"].tolist(), arrays[name], strict=True))

    def history(self, key: FitKey) -> pd.DataFrame:
        """history.csv of a fit."""
        return store.read_csv(self.folder.fit(key.name).history)


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
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read; is {self.root} a results folder?") from error
        return config.validate(config.parse_yaml(text), str(path))

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
        dtype: dict[str, Any] = dict.fromkeys(COUNTS, "Int64") | dict.fromkeys(TEXTS, str)
        table = store.read_csv(store.Study(self.root).comparison, dtype=dtype)
        return table.fillna(dict.fromkeys(TEXTS, ""))

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
        subject: str | int,
        schedule: str,
        budget: int,
        rate: float,
        seed: int = 0,
        statistics: str = "recomputed",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Test probabilities that a fit has stored.

        Parameters
        ----------
        subject : str or int
            Label.
        schedule : str
            Name of the arm.
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
            If there is no such fit.
        """
        of_subject = self.subject(subject)
        key = FitKey(schedule, budget, rate, seed)
        if key not in of_subject.done:
            raise UserError(
                f"{of_subject.folder.root}: has no fit {key.name}; there are "
                f"{', '.join(done.name for done in of_subject.done) or 'none'}."
            )
        stored = of_subject.probabilities(key, statistics)
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
