"""From a subject's recordings to arrays of windows with their table of trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal

from eeg_sgdr.data import filters, splits
from eeg_sgdr.data.quality import most_to_blame
from eeg_sgdr.data.raw import unwatched
from eeg_sgdr.data.sources import Recording
from eeg_sgdr.data.windows import OUTSIDE, Run, cut, window
from eeg_sgdr.errors import UserError
from eeg_sgdr.parallel import workers
from eeg_sgdr.settings import Preprocessing, Settings


@dataclass(frozen=True)
class Windows:
    """The windows of one side of the split.

    Attributes
    ----------
    x : ndarray of float32, shape (n_trials, n_channels, n_samples)
        As networks read them.
    y : ndarray of int64, shape (n_trials,)
        Index of the class.
    trials : ndarray of int64, shape (n_trials,)
        Row in the table of trials.
    band : ndarray of float64, shape (n_trials, n_channels, n_channels)
        Covariances that the baseline reads, in square microvolts; of no channels without a baseline.
    """

    x: np.ndarray
    y: np.ndarray
    trials: np.ndarray
    band: np.ndarray


@dataclass(frozen=True)
class SplitWindows:
    """What a subject's fits need, and what a report says of the data.

    Attributes
    ----------
    train, test : Windows
        The trials that were not rejected.
    table : DataFrame
        Every cue: trial, split, subject, session, run, onset_s, class, rejected (why; empty if not).
    info : dict
        Plain data: sensors, sfreq, window, classes in order, what was interpolated, flat, noisy, bridged
        (pairs), resampled (and from which rate), not causal.
    summary : dict of ndarray
        Of the training trials: ``positions`` (n_channels, 3) in metres; ``frequencies`` (n,) in Hz
        and ``spectra`` (n_classes, n_channels, n) in square microvolts per hertz, filtered, before
        standardisation; ``covariance`` (n_channels, n_channels) of the networks' input.
    """

    train: Windows
    test: Windows
    table: pd.DataFrame
    info: dict[str, Any]
    summary: dict[str, np.ndarray]


def make_trials(
    recordings: Sequence[Recording],
    settings: Settings,
    n_processes: int = 1,
    read_one: Callable[[], None] = unwatched,
) -> SplitWindows:
    """Preprocess and cut all recordings of a subject.

    Parameters
    ----------
    recordings : sequence of Recording
        One subject's, in order.
    settings : Settings
        The configuration.
    n_processes : int
        Recordings at a time; with one, it is this process that cuts them.
    read_one : callable
        Called twice for each piece of a recording (`eeg_sgdr.data.windows.cut`); importable by name.

    Returns
    -------
    trials : Trials

    Raises
    ------
    UserError
        If the recordings do not fit the configuration, or a class has no trial to train or test.
    """
    if not recordings:
        raise UserError("recordings: the source yields none for this subject; check it in the configuration.")
    subject = recordings[0].subject
    parts = splits.assign(settings.split, recordings)
    raws = [recording.raw for recording in recordings]
    names = filters.common_sensors(raws, settings.preprocessing, f"subject {subject}")
    wanted = filters.wanted_sensors(raws, settings.preprocessing)
    calls = [(recording, names, settings, read_one) for recording in recordings]
    runs = workers.run_all(cut, calls, n_processes) if n_processes > 1 else [cut(*call) for call in calls]
    rates = sorted({run.sfreq for run in runs})
    if len(rates) > 1:
        raise UserError(
            f"subject {subject}: recordings at {' and '.join(f'{rate:g}' for rate in rates)} Hz; "
            "set preprocessing.resample_hz."
        )
    table = _table(recordings, parts, runs)
    classes = list(settings.recordings.classes)
    _check_classes(table, classes, subject, parts)
    train = _side("train", parts, runs, table, classes)
    test = _side("test", parts, runs, table, classes)
    start, stop = window(settings.preprocessing, rates[0])
    info = {
        "subject": subject,
        "sensors": names,
        "sfreq": rates[0],
        "window_samples": [start, stop],
        "classes": classes,
        "lacking": _by_run(recordings, [[n for n in wanted if n not in raw.ch_names] for raw in raws]),
        "interpolated": _by_run(recordings, [run.interpolated for run in runs]),
        "flat": _by_run(recordings, [run.flat for run in runs]),
        "noisy": _by_run(recordings, [run.noisy for run in runs]),
        "bridged": _by_run(recordings, [run.bridged for run in runs]),
        "resampled": _by_run(recordings, [run.resampled_from for run in runs]),
        "not_causal": _not_causal(table, settings.preprocessing, rates[0]),
    }
    microvolts = [run.microvolts for run, part in zip(runs, parts, strict=True) if part == "train"]
    summary = {
        "positions": runs[0].positions,
        **_spectra(microvolts, train.y, len(classes), rates[0]),
        "covariance": _covariance(train.x),
    }
    return SplitWindows(train, test, table, info, summary)


def _table(recordings: Sequence[Recording], parts: list[str], runs: list[Run]) -> pd.DataFrame:
    """All cues of all runs, numbered from 0."""
    tables = [
        run.cues.assign(split=part, subject=recording.subject, session=recording.session, run=recording.run)
        for recording, part, run in zip(recordings, parts, runs, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "trial", np.arange(len(table)))
    return table[["trial", "split", "subject", "session", "run", "onset_s", "class", "rejected"]]


def _check_classes(table: pd.DataFrame, classes: list[str], subject: str, parts: Sequence[str]) -> None:
    for part, verb in (("train", "train on"), ("test", "test")):
        if part not in parts:
            continue
        here = table[table["split"] == part]
        for name in classes:
            cues = here[here["class"] == name]
            if (cues["rejected"] != "").all():
                outside = int((cues["rejected"] == OUTSIDE).sum())
                why = [f"all {len(cues)} were rejected" if len(cues) else "there are none"]
                why += [f"the windows of {outside} leave the recording"] if outside else []
                why += [blame] if (blame := most_to_blame(cues["rejected"].tolist())) else []
                raise UserError(
                    f"subject {subject}: class {name!r} has no trial to {verb} ({', '.join(why)}); change "
                    "the split, the classes, or preprocessing.window_s, reject_uv or reject_ptp_uv."
                )


def _side(part: str, parts: list[str], runs: list[Run], table: pd.DataFrame, classes: list[str]) -> Windows:
    kept = table[(table["split"] == part) & (table["rejected"] == "")]
    of_part = [run for run, p in zip(runs, parts, strict=True) if p == part]
    # Of no run at all (across subjects, nothing tests here), arrays are empty and have their shape.
    none = runs[0]
    return Windows(
        x=np.concatenate([none.x[:0], *(run.x for run in of_part)]),
        y=kept["class"].map({name: i for i, name in enumerate(classes)}).to_numpy(np.int64),
        trials=kept["trial"].to_numpy(np.int64),
        band=np.concatenate([none.band[:0], *(run.band for run in of_part)]),
    )


def _by_run(recordings: Sequence[Recording], found: Sequence[Any]) -> dict[str, Any]:
    """What was found, by run, for the runs in which anything was."""
    return {f"{r.session}/{r.run}": value for r, value in zip(recordings, found, strict=True) if value}


def _not_causal(table: pd.DataFrame, config: Preprocessing, sfreq: float) -> list[int]:
    """Trials whose window begins in the block that is scaled by its own mean and deviation."""
    if config.standardize is None:
        return []
    start = table["onset_s"] + config.window_s[0]
    return table.loc[start * sfreq < config.standardize.init_samples, "trial"].tolist()


def _spectra(
    microvolts: list[np.ndarray], y: np.ndarray, n_classes: int, sfreq: float
) -> dict[str, np.ndarray]:
    """Mean spectrum of each class between cue and window end, at 1 Hz (Welch)."""
    trials = [trial for of_run in microvolts for trial in of_run]
    n_samples = microvolts[0].shape[2]
    by_class = []
    for k in range(n_classes):
        of_class = np.array([trial for trial, label in zip(trials, y, strict=True) if label == k])
        frequencies, spectra = signal.welch(of_class, fs=sfreq, nperseg=min(round(sfreq), n_samples), axis=2)
        by_class.append(spectra.mean(axis=0))
    return {"frequencies": frequencies, "spectra": np.stack(by_class).astype(np.float32)}


def _covariance(x: np.ndarray) -> np.ndarray:
    """Covariance over all samples of all trials, one trial at a time; shape (n_channels, n_channels)."""
    mean = x.mean(axis=(0, 2), dtype=float)[:, np.newaxis]
    products = sum((trial - mean) @ (trial - mean).T for trial in x)
    return products / (x.shape[0] * x.shape[2] - 1)
