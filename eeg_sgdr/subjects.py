"""What is on disk of one subject or fold, read when asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import formats, store
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey


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
        return formats.read_plain(self.folder.data, formats.DATA)

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
        table = formats.read_table(self.folder.trials, formats.TRIALS, self.folder.trials)
        return table.fillna({"rejected": ""})

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """summary.npz."""
        return formats.read_arrays(self.folder.summary, formats.SUMMARY, self.folder.summary)

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """evaluation.csv."""
        table = formats.read_table(self.folder.evaluation, formats.EVALUATION, self.folder.evaluation)
        return table.fillna({"fold": "", "rates": "", "seeds": ""})

    @property
    def overall(self) -> pd.DataFrame:
        """The rows of evaluation.csv over all test trials; a fold has others for each of its subjects."""
        return self.evaluation[self.evaluation["subject"] == "all"] if self.fold else self.evaluation

    @cached_property
    def fits(self) -> dict[FitKey, dict[str, Any]]:
        """fit.json of every fit that ended, done or failed."""
        found = {}
        for folder in self.folder.fits():
            content = formats.read_plain(folder.fit, formats.FIT)
            key = FitKey(**content["fit"])
            if key.name != folder.root.name:
                raise formats.not_as_written(folder.fit, f"it is about {key.name}", delete=folder.root)
            found[key] = content
        return found

    @cached_property
    def baseline(self) -> dict[str, Any] | None:
        """fit.json of the baseline; None where there is none."""
        folder = self.folder.baseline
        return formats.read_plain(folder.fit, formats.BASELINE) if folder.fit.is_file() else None

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

    @property
    def tested(self) -> pd.DataFrame:
        """The rows of trials.csv that were tested: those that were not rejected."""
        return self.trials[(self.trials["split"] == "test") & (self.trials["rejected"] == "")]

    def predictions(self, key: FitKey) -> dict[str, np.ndarray]:
        """predictions.npz of a fit."""
        return _predictions(self.folder.fit(key.name), self.fits[key])

    def weights(self, key: FitKey, epoch: int) -> dict[str, np.ndarray]:
        """Weights of a fit at one of its ends."""
        folder = self.folder.fit(key.name)
        path = folder.snapshot(epoch)
        return formats.read_weights(path, folder.root, _digest(path, self.fits[key]))

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
        arrays = self._of_trials(self.predictions(key), self.folder.fit(key.name))
        name = "probabilities" if statistics == "recomputed" else "probabilities_running"
        return dict(zip(arrays["epochs"].tolist(), arrays[name], strict=True))

    def baseline_probabilities(self) -> np.ndarray:
        """Test probabilities of the baseline, which is done; shape (n_trials, n_classes)."""
        folder = self.folder.baseline
        arrays = self._of_trials(_predictions(folder, self.baseline or {}), folder)
        return arrays["probabilities"][0]

    def history(self, key: FitKey) -> pd.DataFrame:
        """history.csv of a fit."""
        folder = self.folder.fit(key.name)
        return formats.read_table(folder.history, formats.HISTORY, folder.root)

    def _of_trials(self, arrays: dict[str, np.ndarray], folder: store.FitFolder) -> dict[str, np.ndarray]:
        """What is stored, if it is of the trials that are listed, with their classes."""
        listed = self.tested
        classes = self.data["classes"]
        if (
            arrays["classes"].tolist() != classes
            or arrays["trials"].tolist() != listed["trial"].tolist()
            or [classes[k] for k in arrays["y"]] != listed["class"].tolist()
        ):
            raise UserError(
                f"{folder.predictions}: is of other trials than {self.folder.trials} lists; delete the one "
                "that was changed and run again."
            )
        return arrays


def _digest(path: Path, content: Mapping[str, Any]) -> str | None:
    """What fit.json says of a file beside it; first versions of the program said nothing."""
    return content.get("sha256", {}).get(path.name)


def _predictions(folder: store.FitFolder, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    path = folder.predictions
    return formats.read_arrays(path, formats.PREDICTIONS, folder.root, _digest(path, content))
