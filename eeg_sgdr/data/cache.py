"""The cache of prepared trials on disk, found by its fingerprint."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import Recording, Source
from eeg_sgdr.data.splits import Fold
from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.progress import Progress, tick
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage import schemas
from eeg_sgdr.storage.files import clean, lock, write_array, write_csv, write_json, write_npz

#: What is in an entry of the cache; another number, and entries that lack something are made again.
EDITION = 2

#: What a process takes before it has read anything, in bytes.
PROCESS = 600_000_000


class Trials(Protocol):
    """Trials of a subject, or of a fold of subjects, as fits and reports read them; cheap to pickle."""

    @property
    def title(self) -> str:
        """What messages call it, "subject 1" or "fold 2"."""

    @property
    def table(self) -> pd.DataFrame:
        """Every cue, the columns of trials.csv."""

    @property
    def info(self) -> dict[str, Any]:
        """What data.json holds."""

    @property
    def summary(self) -> dict[str, np.ndarray]:
        """What summary.npz holds: the numbers that reports draw of the recordings."""

    def array(self, name: str) -> np.ndarray:
        """One of x, y, trials and band, of _train or _test (see `eeg_sgdr.data.trials.Windows`)."""


@dataclass(frozen=True)
class SubjectTrials:
    """A subject's trials on disk; arrays are read as memory maps, which processes share.

    Attributes
    ----------
    folder : Path
        Where they are.
    """

    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers read what they need themselves."""
        return SubjectTrials, (self.folder,)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"subject {self.info['subject']}"

    def array(self, name: str) -> np.ndarray:
        """One of x, y, trials and band, of _train or _test, never to be changed; see `trials.Windows`."""
        path = self.folder / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: cannot be read ({in_words(error)}); delete {self.folder} and run again."
            ) from error

    @cached_property
    def table(self) -> pd.DataFrame:
        """The table of trials."""
        table = schemas.read_table(self.folder / "trials.csv", schemas.TRIALS, self.folder)
        return table.fillna({"rejected": ""})

    @cached_property
    def info(self) -> dict[str, Any]:
        """What data.json will hold."""
        return schemas.read_plain(self.folder / "data.json", schemas.DATA)

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """What reports draw of the recordings."""
        return schemas.read_arrays(self.folder / "summary.npz", schemas.SUMMARY, self.folder)


def prepare(source: Source, subject: str, settings: Settings, data_dir: Path) -> SubjectTrials:
    """Find a subject's trials in the cache, or make them.

    Parameters
    ----------
    source : Source
        Where its recordings come from.
    subject : str
        Label of the subject.
    settings : Settings
        The configuration.
    data_dir : Path
        The cache is its folder ``cache``.

    Returns
    -------
    prepared : Prepared

    Raises
    ------
    UserError
        If the recordings cannot be had, or do not fit the configuration.
    """
    cache = data_dir / "cache"
    files = _hashes(source.files(subject), cache)
    fingerprint = config.fingerprint(
        {"settings": config.data_settings(settings), "subject": subject, "files": files}
    )
    # The baseline's covariances lie beside the windows, but no ConvNet depends on them.
    contents = config.fingerprint(
        {"data": fingerprint, **config.baseline_settings(settings), "edition": EDITION}
    )
    folder = cache / "trials" / contents[:32]
    with lock(cache / "trials" / f"{folder.name}.lock"):
        if not (folder / "data.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _fill(folder, source, subject, settings, {"fingerprint": fingerprint, "source_files": files})
    return SubjectTrials(folder)


def _fill(folder: Path, source: Source, subject: str, settings: Settings, origin: dict[str, Any]) -> None:
    """Make the trials and write them; data.json comes last and says that all is there."""
    from eeg_sgdr.data import raw
    from eeg_sgdr.data.trials import make_trials

    recordings = list(source.recordings(subject))
    # Each piece is checked, and then sampled.
    n_steps = sum(2 * raw.n_pieces(recording.raw) for recording in recordings)
    with Progress(n_steps, f"subject {subject}, preparing recordings", "step") as steps:
        n_processes = at_a_time(recordings, settings, workers.n_cores(), workers.free_memory())
        trials = make_trials(recordings, settings, n_processes, partial(tick, steps))
    for part in ("train", "test"):
        windows = getattr(trials, part)
        for name in ("x", "y", "trials", "band"):
            write_array(folder / f"{name}_{part}.npy", getattr(windows, name))
    write_csv(folder / "trials.csv", trials.table)
    write_npz(folder / "summary.npz", trials.summary)
    write_json(folder / "data.json", {**trials.info, "simulated": source.simulated, **origin})


def at_a_time(recordings: Sequence[Recording], settings: Settings, n_cores: int, free: int) -> int:
    """As many recordings as there are cores and memory for.

    Parameters
    ----------
    recordings : sequence of Recording
        What is to be prepared.
    settings : Settings
        The configuration.
    n_cores : int
        Cores that may be used.
    free : int
        Memory that is available, in bytes.

    Returns
    -------
    n_processes : int
        At least one. One takes about three arrays of the samples that go on, in float64, while it is
        preprocessed.
    """
    if any(recording.raw.preload for recording in recordings):
        return 1  # each process would have a copy of all that is in memory already
    config = settings.preprocessing
    largest = max(
        (
            8
            * len(config.sensors or r.raw.ch_names)
            * round(r.raw.n_times * (config.resample_hz or r.raw.info["sfreq"]) / r.raw.info["sfreq"])
            for r in recordings
        ),
        default=1,
    )
    return max(1, min(n_cores, len(recordings), free // (3 * largest + PROCESS)))


def _hashes(files: dict[str, Path], cache: Path) -> dict[str, str]:
    """SHA-256 of the source files, remembered by path, size and time."""
    index = cache / "hashes.json"
    with lock(cache / "hashes.lock"):
        clean(cache)
        known = _known(index)
        hashes = {}
        for name, path in files.items():
            try:
                status = path.stat()
                key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
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


def _known(index: Path) -> dict[str, str]:
    """Hashes that are remembered; a damaged memory is begun again."""
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


@dataclass(frozen=True)
class FoldTrials:
    """A fold's trials, read like those of one subject; nothing of them is on disk twice.

    Attributes
    ----------
    fold : Fold
        Which subjects train and test.
    subjects : dict of str to Prepared
        The trials of each subject, train and test together in order of the labels.
    """

    fold: Fold
    subjects: dict[str, SubjectTrials]

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers read what they need themselves."""
        return FoldTrials, (self.fold, self.subjects)

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
) -> FoldTrials:
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
    return FoldTrials(fold, subjects)
