"""A fold's trials: those of its subjects, put together from the cache when a fit starts."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.prepared import Prepared, prepare
from eeg_sgdr.recordings import Source
from eeg_sgdr.settings import Settings
from eeg_sgdr.splits import Fold


@dataclass(frozen=True)
class Pooled:
    """A fold's trials, read like those of one subject; nothing of them is on disk twice.

    Attributes
    ----------
    fold : Fold
        Which subjects train and test.
    subjects : dict of str to Prepared
        The trials of each subject, train and test together in order of the labels.
    """

    fold: Fold
    subjects: dict[str, Prepared]

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers read what they need themselves."""
        return Pooled, (self.fold, self.subjects)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"fold {self.fold.label}"

    def array(self, name: str) -> np.ndarray:
        """One of x, y, trials and band, of _train or _test; a copy in memory."""
        kind, _, part = name.rpartition("_")
        labels = self.fold.train if part == "train" else self.fold.test
        arrays = [self.subjects[label].array(f"{kind}_train") for label in labels]
        if kind == "trials":
            arrays = [self._first_trial[label] + array for label, array in zip(labels, arrays, strict=True)]
        return np.concatenate(arrays)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The table of trials of all subjects, numbered through."""
        tables = [
            prepared.table.assign(split="test" if label in self.fold.test else "train")
            for label, prepared in self.subjects.items()
        ]
        return pd.concat(tables, ignore_index=True).assign(trial=lambda table: np.arange(len(table)))

    @cached_property
    def info(self) -> dict[str, Any]:
        """What data.json will hold: the keys of a subject's, by subject and run where it is about runs."""
        infos = {label: prepared.info for label, prepared in self.subjects.items()}
        first = next(iter(infos.values()))
        # Runs are named subject/session/run; trials as the fold's table numbers them.
        by_run = {
            key: {
                f"{label}/{run}": found
                for label, info in infos.items()
                for run, found in info.get(key, {}).items()
            }
            for key in ("lacking", "interpolated", "flat", "noisy", "bridged", "resampled")
        }
        return {
            "fold": self.fold.label,
            "train_subjects": list(self.fold.train),
            "test_subjects": list(self.fold.test),
            **{key: first[key] for key in SHARED},
            **by_run,
            "not_causal": [
                self._first_trial[label] + trial
                for label, info in infos.items()
                for trial in info["not_causal"]
            ],
            "simulated": first["simulated"],
            "fingerprint": config.fingerprint(
                {
                    part: {label: infos[label]["fingerprint"] for label in getattr(self.fold, part)}
                    for part in ("train", "test")
                }
            ),
            "source_files": {
                name: digest for info in infos.values() for name, digest in info["source_files"].items()
            },
        }

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """As of a subject, over the training subjects: means that weigh every training trial the same."""
        summaries = [self.subjects[label].summary for label in self.fold.train]
        labels = [np.asarray(self.subjects[label].array("y_train")) for label in self.fold.train]
        of_class = np.array([np.bincount(y, minlength=len(self.info["classes"])) for y in labels])
        spectra = np.stack([summary["spectra"] for summary in summaries])
        covariances = np.stack([summary["covariance"] for summary in summaries])
        by_class = [
            np.average(spectra[:, k], axis=0, weights=of_class[:, k]) for k in range(of_class.shape[1])
        ]
        return {
            "positions": summaries[0]["positions"],
            "frequencies": summaries[0]["frequencies"],
            "spectra": np.stack(by_class).astype(np.float32),
            "covariance": np.average(covariances, axis=0, weights=of_class.sum(axis=1)),
        }

    @cached_property
    def _first_trial(self) -> dict[str, int]:
        """Number of each subject's first trial in the fold's table."""
        lengths = [len(prepared.table) for prepared in self.subjects.values()]
        return dict(zip(self.subjects, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True))


#: What all subjects of a study must have in common for one network to read them.
SHARED = ("sensors", "sfreq", "window_samples", "classes")


def prepare_fold(
    fold: Fold,
    source: Source,
    settings: Settings,
    data_dir: Path,
) -> Pooled:
    """Find the trials of a fold's subjects in the cache, or make them.

    Parameters
    ----------
    fold : Fold
        Which subjects.
    source : Source
        Where recordings come from.
    settings : Settings
        The configuration.
    data_dir : Path
        The cache is its folder ``cache``.

    Returns
    -------
    pooled : Pooled

    Raises
    ------
    UserError
        If recordings cannot be had or do not serve, or subjects differ in sensors or rate.
    """
    everyone = sorted({*fold.train, *fold.test}, key=lambda label: (label.zfill(9), label))
    subjects = {label: prepare(source, label, settings, data_dir) for label in everyone}
    first, *others = subjects.items()
    for key in SHARED:
        differing = [label for label, prepared in others if prepared.info[key] != first[1].info[key]]
        if differing:
            raise UserError(
                f"{key}: subject {', '.join(differing)} has other than subject {first[0]}; name "
                "preprocessing.sensors and resample_hz, or leave subjects out of recordings.subjects."
            )
    return Pooled(fold, subjects)
