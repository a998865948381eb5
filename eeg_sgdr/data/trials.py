"""Preprocess a subject's recordings into windows of training and test trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal

from eeg_sgdr.data import filters, splits
from eeg_sgdr.data.raw import no_progress
from eeg_sgdr.data.sources import Recording
from eeg_sgdr.data.windows import RecordingWindows, extract_windows, window
from eeg_sgdr.errors import UserError
from eeg_sgdr.parallel import workers
from eeg_sgdr.settings import Preprocessing, Settings


@dataclass(frozen=True)
class Windows:
    """Windows of the training or of the test trials."""

    x: np.ndarray  # float32, (n_trials, n_channels, n_samples), standardised
    y: np.ndarray  # int64, (n_trials,), index of the class
    trials: np.ndarray  # int64, (n_trials,), row in the table of trials
    covariances: np.ndarray  # of the baseline's band, square microvolts, (n_trials, n_channels, n_channels)


@dataclass(frozen=True)
class SplitWindows:
    """A subject's windows, without rejected trials, and the content of its files for reports."""

    train: Windows
    test: Windows
    #: every cue: trial, split, subject, session, run, onset_s, class, rejected (why; empty if not)
    table: pd.DataFrame
    #: sensors, sfreq, window, classes in order, interpolated, flat, noisy, bridged, resampled,
    #: not_causal ...
    info: dict[str, Any]
    #: of the training trials: positions (n_channels, 3) in metres, frequencies (n,) in Hz, spectra
    #: (n_classes, n_channels, n) in square microvolts per hertz, covariance (n_channels, n_channels) of
    #: the network's input, peak_to_peak (n_channels,) in microvolts, the median over trials, rejected ones
    #: too; NaN in spectra of classes, and in a covariance, without trials
    summary: dict[str, np.ndarray]


def make_trials(
    recordings: Sequence[Recording],
    settings: Settings,
    n_processes: int = 1,
    on_chunk: Callable[[], None] = no_progress,
) -> SplitWindows:
    """Preprocess all recordings of a subject, in order, and extract their windows.

    One process makes them here; more make that many recordings in parallel, and ``on_chunk`` (see
    `extract_windows`) must be importable. Raises UserError if the recordings do not fit the configuration.
    """
    if not recordings:
        raise UserError("recordings: the source yields none for this subject; check it in the configuration.")
    subject = recordings[0].subject
    parts = splits.split_recordings(settings.split, recordings)
    raws = [recording.raw for recording in recordings]
    names = filters.common_sensors(raws, settings.preprocessing, f"subject {subject}")
    wanted = filters.wanted_sensors(raws, settings.preprocessing)
    runs = _extract_all(recordings, names, settings, n_processes, on_chunk)
    sfreq = runs[0].sfreq
    table = _table(recordings, parts, runs)
    classes = list(settings.recordings.classes)
    train = _side("train", parts, runs, table, classes)
    test = _side("test", parts, runs, table, classes)
    start, stop = window(settings.preprocessing, sfreq)
    info = {
        "subject": subject,
        "sensors": names,
        "sfreq": sfreq,
        "window_samples": [start, stop],
        "classes": classes,
        "lacking": _by_run(recordings, [[n for n in wanted if n not in raw.ch_names] for raw in raws]),
        "interpolated": _by_run(recordings, [run.interpolated for run in runs]),
        "flat": _by_run(recordings, [run.flat for run in runs]),
        "noisy": _by_run(recordings, [run.noisy for run in runs]),
        "bridged": _by_run(recordings, [run.bridged for run in runs]),
        "resampled": _by_run(recordings, [run.resampled_from for run in runs]),
        "not_causal": _not_causal(table, settings.preprocessing, sfreq),
    }
    training = [run for run, part in zip(runs, parts, strict=True) if part == "train"]
    heights = pd.DataFrame(np.concatenate([run.peak_to_peak for run in training]))
    summary = {
        "positions": runs[0].positions,
        "peak_to_peak": heights.median().to_numpy(),  # of what is not NaN
        **_spectra([run.microvolts for run in training], train.y, len(classes), sfreq),
        "covariance": covariance(train.x),
    }
    return SplitWindows(train, test, table, info, summary)


def _extract_all(
    recordings: Sequence[Recording],
    names: list[str],
    settings: Settings,
    n_processes: int,
    on_chunk: Callable[[], None],
) -> list[RecordingWindows]:
    """Windows of all recordings; UserError if they differ in sampling rate."""
    calls = [
        (one.raw, names, settings, f"subject {one.subject}, session {one.session}, run {one.run}", on_chunk)
        for one in recordings
    ]
    if n_processes > 1:
        runs = workers.run_all(extract_windows, calls, n_processes)
    else:
        runs = [extract_windows(*call) for call in calls]
    rates = sorted({run.sfreq for run in runs})
    if len(rates) > 1:
        raise UserError(
            f"subject {recordings[0].subject}: recordings at "
            f"{' and '.join(f'{rate:g}' for rate in rates)} Hz; set preprocessing.resample_hz."
        )
    return runs


def _table(recordings: Sequence[Recording], parts: list[str], runs: list[RecordingWindows]) -> pd.DataFrame:
    """All cues of all runs, numbered from 0."""
    tables = [
        run.cues.assign(split=part, subject=recording.subject, session=recording.session, run=recording.run)
        for recording, part, run in zip(recordings, parts, runs, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "trial", np.arange(len(table)))
    return table[["trial", "split", "subject", "session", "run", "onset_s", "class", "rejected"]]


def _side(
    part: str, parts: list[str], runs: list[RecordingWindows], table: pd.DataFrame, classes: list[str]
) -> Windows:
    kept = table[(table["split"] == part) & (table["rejected"] == "")]
    selected = [run for run, p in zip(runs, parts, strict=True) if p == part]
    # Across subjects a subject has no test runs: its arrays are empty, with the shape of others.
    first = runs[0]
    return Windows(
        x=np.concatenate([first.x[:0], *(run.x for run in selected)]),
        y=kept["class"].map({name: i for i, name in enumerate(classes)}).to_numpy(np.int64),
        trials=kept["trial"].to_numpy(np.int64),
        covariances=np.concatenate([first.covariances[:0], *(run.covariances for run in selected)]),
    )


def _by_run(recordings: Sequence[Recording], values: Sequence[Any]) -> dict[str, Any]:
    """Values that are not empty, by session/run."""
    return {f"{r.session}/{r.run}": value for r, value in zip(recordings, values, strict=True) if value}


def _not_causal(table: pd.DataFrame, config: Preprocessing, sfreq: float) -> list[int]:
    """Trials whose window begins in the samples that are scaled by their own mean and deviation."""
    if config.standardize is None:
        return []
    start = table["onset_s"] + config.window_s[0]
    return table.loc[start * sfreq < config.standardize.init_samples, "trial"].tolist()


def _spectra(
    microvolts: list[np.ndarray], y: np.ndarray, n_classes: int, sfreq: float
) -> dict[str, np.ndarray]:
    """Mean spectrum of each class between cue and window end, at 1 Hz (Welch); NaN without trials."""
    trials = [trial for run in microvolts for trial in run]
    n_channels, n_samples = microvolts[0].shape[1:]
    none = np.full((1, n_channels, n_samples), np.nan)
    by_class = []
    for k in range(n_classes):
        in_class = np.array([trial for trial, label in zip(trials, y, strict=True) if label == k] or none)
        frequencies, spectra = signal.welch(in_class, fs=sfreq, nperseg=min(round(sfreq), n_samples), axis=2)
        by_class.append(spectra.mean(axis=0))
    return {"frequencies": frequencies, "spectra": np.stack(by_class).astype(np.float32)}


def covariance(x: np.ndarray) -> np.ndarray:
    """Covariance over all samples of all trials, (n_channels, n_channels), one trial at a time; or NaN."""
    if not len(x):
        return np.full((x.shape[1], x.shape[1]), np.nan)
    mean = x.mean(axis=(0, 2), dtype=float)[:, np.newaxis]
    products = sum((trial - mean) @ (trial - mean).T for trial in x)
    return products / (x.shape[0] * x.shape[2] - 1)
