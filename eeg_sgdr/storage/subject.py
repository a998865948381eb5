"""Results of one subject or fold, and of a subject whose folds are pooled, read when needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import BASELINES
from eeg_sgdr.settings.plan import FitKey, at_chosen_rates
from eeg_sgdr.storage import columns, folders, integrity, records


@dataclass(frozen=True)
class Subject:
    """The results of one subject, or of one fold: across subjects, or within a subject.

    Attributes
    ----------
    folder : SubjectFolder
        Its folder.
    """

    folder: folders.SubjectFolder
    #: Cache of fit.json by name of the fit.
    _fits: dict[str, dict[str, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def data(self) -> dict[str, Any]:
        """data.json."""
        return records.read_record(self.folder.data, records.DATA)

    @property
    def label(self) -> str:
        """The subject's label as its source gives it, or the fold's number."""
        return self.fold or self.data["subject"]

    @property
    def fold(self) -> str:
        """The fold's number; empty when it is a subject."""
        return self.data.get("fold", "")

    @property
    def fold_of_subject(self) -> str:
        """The number of a fold within a subject; empty when it is none."""
        return self.data.get("fold_of_subject", "")

    @property
    def title(self) -> str:
        """Name in messages, "subject 1", "fold 2" or "subject 1, fold 2"."""
        within = f", fold {self.fold_of_subject}" if self.fold_of_subject else ""
        return f"{'fold' if self.fold else 'subject'} {self.label}{within}"

    @property
    def folds(self) -> Sequence["Subject"]:
        """Folds within a subject that have trials; none where it has networks of its own."""
        return ()

    @property
    def parts(self) -> Sequence["Subject"]:
        """What has networks of its own: itself, or its folds."""
        return self.folds or [self]

    @property
    def test_subjects(self) -> list[str]:
        """Labels of the subjects that are tested: itself, or those of the fold."""
        return self.data["test_subjects"] if self.fold else [self.label]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """trials.csv."""
        path = self.folder.trials
        sha256 = integrity.digest_of(path, self.data, path)
        table = integrity.read_table(path, columns.TRIALS, path, sha256)
        return table.fillna({"rejected": ""})

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """summary.npz."""
        path = self.folder.summary
        return integrity.read_arrays(path, columns.SUMMARY, path, integrity.digest_of(path, self.data, path))

    @property
    def evaluation_record(self) -> dict[str, Any]:
        """evaluation.json; empty where there is none."""
        path = self.folder.evaluation_record
        return records.read_record(path, records.EVALUATION_RECORD) if path.is_file() else {}

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """evaluation.csv."""
        record = self.evaluation_record
        if record or "format" in self.data:
            self._check_made(self.folder.evaluation, record)
        table = integrity.read_table(self.folder.evaluation, columns.EVALUATION, self.folder.evaluation)
        return table.fillna({"fold": "", "rates": "", "seeds": ""})

    @cached_property
    def rates(self) -> pd.DataFrame:
        """rates.csv, validation errors by arm, budget and rate; without rows where no rates are chosen."""
        path = self.folder.rates
        if not path.is_file():
            return _no_rates()
        self._check_made(path, self.evaluation_record)
        return integrity.read_table(path, columns.RATES, path)

    def _check_made(self, path: Path, record: Mapping[str, Any]) -> None:
        """Refuse a table that evaluation.json does not vouch for."""
        integrity.check_made_table(path, self.folder.evaluation_record, record, self.folder.study)

    @cached_property
    def chosen(self) -> dict[tuple[str, int], float]:
        """Chosen rate of each arm and budget, as rates.csv lists it."""
        return chosen_rates(self.rates)

    def trained(self, key: FitKey) -> FitKey:
        """A fit itself or, for a tuned one, that at the chosen rate; tuned where there is none."""
        rate = self.chosen.get((key.schedule, key.budget), key.rate)
        return replace(key, rate=rate) if key.rate == "tuned" else key

    @property
    def overall(self) -> pd.DataFrame:
        """The rows of evaluation.csv over all test trials; a fold has others for each of its subjects."""
        return self.evaluation[self.evaluation["subject"] == "all"] if self.fold else self.evaluation

    @cached_property
    def fits(self) -> dict[FitKey, dict[str, Any]]:
        """fit.json of every fit that ended, done or failed."""
        contents = map(self._fit, self.folder.fits())
        return {FitKey(**content["fit"]): content for content in contents}

    def _fit(self, folder: folders.FitFolder) -> dict[str, Any]:
        """fit.json of a fit, read once."""
        name = folder.root.name
        if name not in self._fits:
            content = records.read_record(folder.fit, records.FIT)
            stored = FitKey(**content["fit"]).name
            if stored != name:
                raise integrity.altered(folder.fit, f"it is about {stored}", delete=folder.root)
            self._fits[name] = content
        return self._fits[name]

    @cached_property
    def baselines(self) -> dict[str, dict[str, Any]]:
        """fit.json of every baseline that ended, done or failed, by name."""
        paths = {name: self.folder.baseline(name).fit for name in BASELINES}
        return {
            name: records.read_record(path, records.BASELINE) for name, path in paths.items() if path.exists()
        }

    @cached_property
    def done(self) -> list[FitKey]:
        """The fits that are done."""
        return sorted(key for key, content in self.fits.items() if content["state"] == "done")

    def has(self, key: FitKey, every_epoch: bool) -> bool:
        """Whether a fit has ended, with probabilities of every epoch if these are wanted."""
        folder = self.folder.fit(key.name)
        # fit.json is written last: its presence is enough.
        if not every_epoch or not folder.fit.exists():
            return folder.fit.exists()
        content = self._fit(folder)
        return content["state"] == "failed" or len(_predictions(folder, content)["epochs"]) == key.budget

    @property
    def failed(self) -> dict[str, str]:
        """Names of the fits that failed, and of baselines that did; and why."""
        contents = {key.name: content for key, content in sorted(self.fits.items())} | self.baselines
        return {name: content["why"] for name, content in contents.items() if content["state"] == "failed"}

    @cached_property
    def tested(self) -> pd.DataFrame:
        """The rows of trials.csv that were tested, or validated: those that were not rejected."""
        return self.trials[(self.trials["split"] != "train") & (self.trials["rejected"] == "")]

    def predictions(self, key: FitKey) -> dict[str, np.ndarray]:
        """predictions.npz of a fit."""
        return _predictions(self.folder.fit(key.name), self.fits[key])

    def weights(self, key: FitKey, epoch: int) -> dict[str, np.ndarray]:
        """Weights of a fit at one of its ends."""
        folder = self.folder.fit(key.name)
        path = folder.snapshot(epoch)
        sha256 = integrity.digest_of(path, self.fits[key], folder.root)
        return integrity.read_weights(path, folder.root, sha256)

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

        Raises
        ------
        UserError
            If they are of other trials or classes than trials.csv and data.json list.
        """
        arrays = self._checked(self.predictions(key), self.folder.fit(key.name).predictions)
        name = "probabilities" if statistics == "recomputed" else "probabilities_running"
        return dict(zip(arrays["epochs"].tolist(), arrays[name], strict=True))

    def baseline_probabilities(self, name: str) -> np.ndarray:
        """Test probabilities of a baseline, which is done; shape (n_trials, n_classes)."""
        folder = self.folder.baseline(name)
        arrays = self._checked(_predictions(folder, self.baselines[name]), folder.predictions)
        return arrays["probabilities"][0]

    def history(self, key: FitKey) -> pd.DataFrame:
        """history.csv of a fit."""
        folder = self.folder.fit(key.name)
        sha256 = integrity.digest_of(folder.history, self.fits[key], folder.root)
        return integrity.read_table(folder.history, columns.HISTORY, folder.root, sha256)

    def has_averages(self, key: FitKey) -> bool:
        """Whether the weights of a fit's snapshots have been averaged."""
        # averaged.json is written last: its presence is enough.
        return self.folder.fit(key.name).averages.exists()

    def averaged_predictions(self, key: FitKey) -> dict[str, np.ndarray]:
        """averaged.npz of a fit that `has_averages`."""
        folder = self.folder.fit(key.name)
        path, record = folder.averaged_predictions, self._averages(key)
        sha256 = integrity.digest_of(path, record, folder.averages)
        return integrity.read_arrays(path, columns.AVERAGED, folder.averages, sha256)

    def averaged_weights(self, key: FitKey, epoch: int) -> dict[str, np.ndarray]:
        """Averaged weights of a fit that `has_averages`, at one of its ends."""
        folder = self.folder.fit(key.name)
        path, record = folder.averaged(epoch), self._averages(key)
        sha256 = integrity.digest_of(path, record, folder.averages)
        return integrity.read_weights(path, folder.averages, sha256)

    def averaged_probabilities(self, key: FitKey) -> dict[int, np.ndarray]:
        """Test probabilities of a fit's averaged weights by epoch; each (n_trials, n_classes)."""
        path = self.folder.fit(key.name).averaged_predictions
        arrays = self._checked(self.averaged_predictions(key), path)
        return dict(zip(arrays["epochs"].tolist(), arrays["probabilities"], strict=True))

    def _averages(self, key: FitKey) -> dict[str, Any]:
        """averaged.json of a fit."""
        path = self.folder.fit(key.name).averages
        record = records.read_record(path, records.AVERAGES)
        if record["fingerprint"] != self.fits[key]["fingerprint"]:
            raise integrity.altered(path, "it is about another fit", delete=path)
        return record

    def _checked(self, arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
        """Stored predictions; UserError unless trials and classes are those of trials.csv and data.json."""
        listed = self.tested
        classes = self.data["classes"]
        if (
            arrays["classes"].tolist() != classes
            or arrays["trials"].tolist() != listed["trial"].tolist()
            or [classes[k] for k in arrays["y"]] != listed["class"].tolist()
        ):
            raise UserError(
                f"{path}: is of other trials than {self.folder.trials} lists; delete the one "
                "that was changed and run again."
            )
        return arrays


class CrossValidated(Subject):
    """The results of a subject whose runs (or sessions) are held out one by one: those of its folds, pooled.

    A fit is there when it is in all folds; of one at a chosen rate, each fold has its own. Weights and
    histories are those of the folds (`folds`).
    """

    @cached_property
    def folds(self) -> Sequence[Subject]:
        """See `Subject.folds`."""
        return [Subject(folder) for folder in self.folder.folds()]

    @property
    def is_complete(self) -> bool:
        """Whether all folds have trials."""
        return len(self.folds) == len(self.data["folds"])

    @cached_property
    def tested(self) -> pd.DataFrame:
        """See `Subject.tested`; fold by fold."""
        return pd.concat([self.trials[:0], *(fold.tested for fold in self.folds)], ignore_index=True)

    @cached_property
    def rates(self) -> pd.DataFrame:
        """Means over folds of rates.csv; ``chosen`` is the fraction of folds, trials are those of all."""
        tables = pd.concat([_no_rates(), *(fold.rates for fold in self.folds)])
        by_fit = tables.groupby(["schedule", "budget", "rate"], sort=False)
        means = by_fit[["error", "nll", "chosen"]].mean()
        counts = by_fit.agg(n_seeds=("n_seeds", "min"), n_validation=("n_validation", "sum"))
        return counts.join(means)[by_fit.size() == len(self.folds)].reset_index()

    @cached_property
    def chosen(self) -> dict[tuple[str, int], float]:
        """None: each fold chooses its own."""
        return {}

    def trained(self, key: FitKey) -> FitKey:
        """A fit itself, tuned or not: in each fold it is that at the fold's rate."""
        return key

    @cached_property
    def fits(self) -> dict[FitKey, dict[str, Any]]:
        """fit.json of the first fold, of every fit that ended in all; that of a failed one if one failed."""
        of_folds = []
        for fold in self.folds if self.is_complete else ():
            tuned = {replace(key, rate="tuned"): key for key in at_chosen_rates(fold.fits, fold.chosen)}
            of_folds.append({**fold.fits, **{key: fold.fits[fit] for key, fit in tuned.items()}})
        return _in_all(of_folds)

    @cached_property
    def baselines(self) -> dict[str, dict[str, Any]]:
        """The same of baselines."""
        return _in_all([fold.baselines for fold in self.folds] if self.is_complete else [])

    @cached_property
    def done(self) -> list[FitKey]:
        """The fits that are done in all folds, tuned ones last."""
        done = [key for key, content in self.fits.items() if content["state"] == "done"]
        return sorted(done, key=lambda key: (key.rate == "tuned", replace(key, rate=0), key.rate))

    @property
    def failed(self) -> dict[str, str]:
        """Fits and baselines that failed in a fold, by the fold and their name; and why."""
        return {
            f"fold {fold.fold_of_subject}, {name}": why
            for fold in self.folds
            for name, why in fold.failed.items()
        }

    def probabilities(self, key: FitKey, statistics: str) -> dict[int, np.ndarray]:
        """See `Subject.probabilities`; in the order of `tested`."""
        return _one_after_the_other(
            [fold.probabilities(fold.trained(key), statistics) for fold in self.folds]
        )

    def baseline_probabilities(self, name: str) -> np.ndarray:
        """See `Subject.baseline_probabilities`."""
        return np.concatenate([fold.baseline_probabilities(name) for fold in self.folds])

    def has_averages(self, key: FitKey) -> bool:
        """See `Subject.has_averages`; of all folds."""
        return all(fold.has_averages(fold.trained(key)) for fold in self.folds)

    def averaged_probabilities(self, key: FitKey) -> dict[int, np.ndarray]:
        """See `Subject.averaged_probabilities`."""
        return _one_after_the_other([fold.averaged_probabilities(fold.trained(key)) for fold in self.folds])


def _no_rates() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.RATES.items()})


Key = TypeVar("Key")


def _in_all(of_folds: Sequence[Mapping[Key, dict[str, Any]]]) -> dict[Key, dict[str, Any]]:
    """What all folds have: a failed one, if there is one, else that of the first."""
    if not of_folds:
        return {}
    return {
        key: next((fold[key] for fold in of_folds if fold[key]["state"] == "failed"), content)
        for key, content in of_folds[0].items()
        if all(key in fold for fold in of_folds)
    }


def _one_after_the_other(of_folds: Sequence[Mapping[int, np.ndarray]]) -> dict[int, np.ndarray]:
    """Probabilities of all folds at the epochs that all have stored."""
    return {
        epoch: np.concatenate([fold[epoch] for fold in of_folds])
        for epoch in of_folds[0]
        if all(epoch in fold for fold in of_folds)
    }


def chosen_rates(table: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Chosen rate of each arm and budget in a table of the columns of rates.csv."""
    rows = table[table["chosen"]]
    return dict(zip(zip(rows["schedule"], rows["budget"], strict=True), rows["rate"], strict=True))


def _predictions(folder: folders.FitFolder, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    path = folder.predictions
    sha256 = integrity.digest_of(path, content, folder.root)
    return integrity.read_arrays(path, columns.PREDICTIONS, folder.root, sha256)


def fit_seconds(content: Mapping[str, Any]) -> float:
    """Seconds of a whole fit, from its fit.json; first versions of the program wrote that number alone."""
    seconds = content["seconds"]
    return seconds["fit"] if isinstance(seconds, Mapping) else seconds


def trial_seconds(content: Mapping[str, Any]) -> float | None:
    """Seconds to predict one trial, from a fit.json; None where they were not measured."""
    seconds = content["seconds"]
    return seconds.get("prediction") if isinstance(seconds, Mapping) else None
