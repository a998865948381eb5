"""Cache of a subject's or a fold's trials on disk, found by fingerprint."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import Recording, Source, require_file
from eeg_sgdr.data.splits import Fold
from eeg_sgdr.errors import UserError, disk_errors, in_words
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.progress import Progress, say, tick
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.types import label_order
from eeg_sgdr.storage import columns, integrity, records
from eeg_sgdr.storage.files import clean, lock, write_array, write_csv, write_json, write_npz

#: Version of the cache's entries; entries of another version are made again.
CACHE_VERSION = 3

#: Keys of data.json that must be equal for one network to read all subjects.
COMMON_KEYS = ("sensors", "sfreq", "window_samples", "classes")

#: Memory of a process before it has read anything, in bytes.
PROCESS_BYTES = 600_000_000


class Trials(Protocol):
    """Interface of the trials of a subject or a fold; cheap to pickle."""

    @property
    def label(self) -> str:
        """Label of the subject, or number of the fold."""

    @property
    def title(self) -> str:
        """Name in messages, "subject 1" or "fold 2"."""

    @property
    def table(self) -> pd.DataFrame:
        """Every cue, with the columns of trials.csv."""

    @property
    def info(self) -> dict[str, Any]:
        """Content of data.json."""

    @property
    def summary(self) -> dict[str, np.ndarray]:
        """Content of summary.npz: arrays of the recordings for figures."""

    def array(self, name: str) -> np.ndarray:
        """x, y, trials or band (baseline covariances), of _train or _test; see `data.trials.Windows`."""


@dataclass(frozen=True)
class SubjectTrials:
    """A subject's trials in a folder of the cache; arrays are memory maps, which processes share."""

    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the folder alone: workers read what they need."""
        return SubjectTrials, (self.folder,)

    @property
    def label(self) -> str:
        """See `Trials.label`."""
        return self.info["subject"]

    @property
    def title(self) -> str:
        """See `Trials.title`."""
        return f"subject {self.label}"

    def array(self, name: str) -> np.ndarray:
        """See `Trials.array`; read-only."""
        path = self.folder / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: cannot be read ({in_words(error)}); delete {self.folder} and run again."
            ) from error

    @cached_property
    def table(self) -> pd.DataFrame:
        """See `Trials.table`."""
        table = integrity.read_table(self.folder / "trials.csv", columns.TRIALS, self.folder)
        return table.fillna({"rejected": ""})

    @cached_property
    def info(self) -> dict[str, Any]:
        """See `Trials.info`."""
        return records.read_record(self.folder / "data.json", records.DATA)

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """See `Trials.summary`."""
        return integrity.read_arrays(self.folder / "summary.npz", columns.SUMMARY, self.folder)


def prepare(source: Source, subject: str, settings: Settings, data_dir: Path) -> SubjectTrials:
    """Load a subject's trials from the cache under ``data_dir``, or make them.

    Raises UserError if the recordings are not available, or do not fit the configuration.
    """
    cache = data_dir / "cache"
    with disk_errors(cache):
        is_new = not cache.exists()
    if is_new:
        say(
            f"{data_dir.resolve()}: downloads, simulated recordings and prepared trials are kept here; "
            "compute.data_dir names another folder.",
            sys.stderr,
        )
    files = _file_hashes(source.files(subject), cache)
    fingerprint = config.fingerprint(
        {"settings": config.data_settings(settings), "subject": subject, "files": files}
    )
    # Baselines' covariances lie beside the windows, but no ConvNet depends on them.
    contents = config.fingerprint(
        {"data": fingerprint, **config.covariance_settings(settings), "edition": CACHE_VERSION}
    )
    folder = cache / "trials" / contents[:32]
    with lock(cache / "trials" / f"{folder.name}.lock"):
        if not (folder / "data.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _make_entry(
                folder, source, subject, settings, {"fingerprint": fingerprint, "source_files": files}
            )
    return SubjectTrials(folder)


def _make_entry(
    folder: Path, source: Source, subject: str, settings: Settings, origin: dict[str, Any]
) -> None:
    """Make the trials and write them; data.json, written last, marks the entry as complete."""
    from eeg_sgdr.data import raw
    from eeg_sgdr.data.trials import make_trials

    recordings = list(source.recordings(subject))
    # Each chunk is checked, and then resampled.
    n_steps = sum(2 * raw.n_chunks(recording.raw) for recording in recordings)
    with Progress(n_steps, f"subject {subject}, preparing recordings", "step") as steps:
        n_processes = n_parallel(recordings, settings, workers.n_cores(), workers.free_memory())
        trials = make_trials(recordings, settings, n_processes, partial(tick, steps))
    for part in ("train", "test"):
        side = getattr(trials, part)
        arrays = {"x": side.x, "y": side.y, "trials": side.trials, "band": side.covariances}
        for name, values in arrays.items():
            write_array(folder / f"{name}_{part}.npy", values)
    write_csv(folder / "trials.csv", trials.table)
    write_npz(folder / "summary.npz", trials.summary)
    write_json(folder / "data.json", {**trials.info, "simulated": settings.recordings.simulated, **origin})


def n_parallel(recordings: Sequence[Recording], settings: Settings, n_cores: int, free: int) -> int:
    """Recordings to prepare in parallel, at least one, by cores and available memory (bytes).

    Preprocessing takes about three float64 arrays of the sensors to keep.
    """
    if any(recording.raw.preload for recording in recordings):
        return 1  # each process would copy all that is in memory
    config = settings.preprocessing
    largest = 1
    for raw in (recording.raw for recording in recordings):
        rate = raw.info["sfreq"]
        n_samples = round(raw.n_times * (config.resample_hz or rate) / rate)
        largest = max(largest, 8 * len(config.sensors or raw.ch_names) * n_samples)
    return max(1, min(n_cores, len(recordings), free // (3 * largest + PROCESS_BYTES)))


def _file_hashes(files: dict[str, Path], cache: Path) -> dict[str, str]:
    """SHA-256 of the source files, cached by path, size and modification time."""
    index = cache / "hashes.json"
    with lock(cache / "hashes.lock"):
        clean(cache)
        known = _read_index(index)
        hashes = {}
        for name, path in files.items():
            require_file(path)
            try:
                status = path.stat()
                place = os.fsencode(path.resolve()).decode(errors="backslashreplace")
                key = f"{place}|{status.st_size}|{status.st_mtime_ns}"
                if key not in known:
                    with path.open("rb") as file:
                        known[key] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise UserError(
                    f"{path}: cannot be read ({error.strerror}); allow it, or fetch the file."
                ) from error
            hashes[name] = known[key]
        write_json(index, known)
    return hashes


def _read_index(index: Path) -> dict[str, str]:
    """Cached hashes; none if the index is damaged."""
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


@dataclass(frozen=True)
class FoldTrials:
    """Concatenated trials of a fold's subjects, which alone are on disk."""

    fold: Fold
    subjects: dict[str, SubjectTrials]  # by label, in order

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the folders alone: workers read what they need."""
        return FoldTrials, (self.fold, self.subjects)

    @property
    def label(self) -> str:
        """See `Trials.label`."""
        return self.fold.label

    @property
    def title(self) -> str:
        """See `Trials.title`."""
        return f"fold {self.label}"

    def array(self, name: str) -> np.ndarray:
        """See `Trials.array`; a copy in memory."""
        kind, _, part = name.rpartition("_")
        labels = self.fold.train if part == "train" else self.fold.test
        arrays = [self.subjects[label].array(f"{kind}_train") for label in labels]
        if kind == "trials":
            arrays = [self._first_trials[label] + array for label, array in zip(labels, arrays, strict=True)]
        return np.concatenate(arrays)

    @cached_property
    def table(self) -> pd.DataFrame:
        """See `Trials.table`; the trials of all subjects, numbered consecutively."""
        tables = [
            trials.table.assign(split="test" if label in self.fold.test else "train")
            for label, trials in self.subjects.items()
        ]
        return pd.concat(tables, ignore_index=True).assign(trial=lambda table: np.arange(len(table)))

    @cached_property
    def info(self) -> dict[str, Any]:
        """See `Trials.info`; keys of runs are subject/session/run."""
        infos = {label: trials.info for label, trials in self.subjects.items()}
        first = next(iter(infos.values()))
        by_run = {
            key: {
                f"{label}/{run}": value
                for label, info in infos.items()
                for run, value in info.get(key, {}).items()
            }
            for key in ("lacking", "interpolated", "flat", "noisy", "bridged", "resampled")
        }
        return {
            "fold": self.fold.label,
            "train_subjects": list(self.fold.train),
            "test_subjects": list(self.fold.test),
            **{key: first[key] for key in COMMON_KEYS},
            **by_run,
            "not_causal": [
                self._first_trials[label] + trial
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
        """See `Trials.summary`; means over the training subjects, each training trial of equal weight.

        Of peak-to-peak amplitudes, medians.
        """
        summaries = [self.subjects[label].summary for label in self.fold.train]
        labels = [np.asarray(self.subjects[label].array("y_train")) for label in self.fold.train]
        n_trials = np.array([np.bincount(y, minlength=len(self.info["classes"])) for y in labels])
        spectra = np.stack([summary["spectra"] for summary in summaries])
        covariances = np.stack([summary["covariance"] for summary in summaries])
        by_class = [_weighted_mean(spectra[:, k], n_trials[:, k]) for k in range(n_trials.shape[1])]
        heights = pd.DataFrame([summary["peak_to_peak"] for summary in summaries])
        return {
            "positions": summaries[0]["positions"],
            "peak_to_peak": heights.median().to_numpy(),
            "frequencies": summaries[0]["frequencies"],
            "spectra": np.stack(by_class).astype(np.float32),
            "covariance": _weighted_mean(covariances, n_trials.sum(axis=1)),
        }

    @cached_property
    def _first_trials(self) -> dict[str, int]:
        """Number of each subject's first trial in the fold's table."""
        lengths = [len(trials.table) for trials in self.subjects.values()]
        return dict(zip(self.subjects, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True))


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the first axis, of what has weight; NaN if nothing has."""
    has_weight = weights > 0
    if not has_weight.any():
        return np.full(values.shape[1:], np.nan)
    return np.average(values[has_weight], axis=0, weights=weights[has_weight])


def prepare_fold(fold: Fold, source: Source, settings: Settings, data_dir: Path) -> FoldTrials:
    """Load the trials of a fold's subjects from the cache under ``data_dir``, or make them.

    Raises UserError if recordings are not available or do not fit, or subjects differ in sensors or rate.
    """
    labels = sorted({*fold.train, *fold.test}, key=label_order)
    subjects = {label: prepare(source, label, settings, data_dir) for label in labels}
    first, *others = subjects.items()
    for key in COMMON_KEYS:
        differing = [label for label, trials in others if trials.info[key] != first[1].info[key]]
        if differing:
            raise UserError(
                f"{key}: subject {', '.join(differing)} has other than subject {first[0]}; name "
                "preprocessing.sensors and resample_hz, or leave subjects out of recordings.subjects."
            )
    return FoldTrials(fold, subjects)
