"""The cache of prepared trials on disk, found by its fingerprint."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import formats, store, workers
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.progress import Progress, tick
from eeg_sgdr.recordings import Recording, Source
from eeg_sgdr.settings import Settings

#: What is in an entry of the cache; another number, and entries that lack something are made again.
EDITION = 2

#: What a process takes before it has read anything, in bytes.
PROCESS = 600_000_000


@dataclass(frozen=True)
class Prepared:
    """A subject's trials on disk; arrays are read as memory maps, which processes share.

    Attributes
    ----------
    folder : Path
        Where they are.
    """

    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers read what they need themselves."""
        return Prepared, (self.folder,)

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
        table = formats.read_table(self.folder / "trials.csv", formats.TRIALS, self.folder)
        return table.fillna({"rejected": ""})

    @cached_property
    def info(self) -> dict[str, Any]:
        """What data.json will hold."""
        return formats.read_plain(self.folder / "data.json", formats.DATA)

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """What reports draw of the recordings."""
        return formats.read_arrays(self.folder / "summary.npz", formats.SUMMARY, self.folder)


def prepare(source: Source, subject: str, settings: Settings, data_dir: Path) -> Prepared:
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
    with store.locked(cache / "trials" / f"{folder.name}.lock"):
        if not (folder / "data.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _fill(folder, source, subject, settings, {"fingerprint": fingerprint, "source_files": files})
    return Prepared(folder)


def _fill(folder: Path, source: Source, subject: str, settings: Settings, origin: dict[str, Any]) -> None:
    """Make the trials and write them; data.json comes last and says that all is there."""
    from eeg_sgdr import sampling
    from eeg_sgdr.trials import make_trials

    recordings = list(source.recordings(subject))
    # Each piece is checked, and then sampled.
    n_steps = sum(2 * sampling.n_pieces(recording.raw) for recording in recordings)
    with Progress(n_steps, f"subject {subject}, preparing recordings", "step") as steps:
        n_processes = at_a_time(recordings, settings, workers.n_cores(), workers.free_memory())
        trials = make_trials(recordings, settings, n_processes, partial(tick, steps))
    for part in ("train", "test"):
        windows = getattr(trials, part)
        for name in ("x", "y", "trials", "band"):
            store.write_array(folder / f"{name}_{part}.npy", getattr(windows, name))
    store.write_csv(folder / "trials.csv", trials.table)
    store.write_npz(folder / "summary.npz", trials.summary)
    store.write_json(folder / "data.json", {**trials.info, "simulated": source.simulated, **origin})


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
    with store.locked(cache / "hashes.lock"):
        store.clean(cache)
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
        store.write_json(index, known)
    return hashes


def _known(index: Path) -> dict[str, str]:
    """Hashes that are remembered; a damaged memory is begun again."""
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
