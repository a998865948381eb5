"""Preprocess one recording and extract the windows of its trials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr.data import filters, quality
from eeg_sgdr.data.quality import OUTSIDE
from eeg_sgdr.data.raw import eeg_sensors, flat_sensors, load_microvolts, no_progress
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing, Settings

#: Trials whose covariances are computed together, to save memory.
BATCH = 64


@dataclass(frozen=True)
class RecordingWindows:
    """Windows of one recording; those of rejected trials are left out."""

    cues: pd.DataFrame  # every cue: onset_s, class, rejected (why; empty if not)
    x: np.ndarray  # network input, float32, (n_kept, n_channels, n_samples)
    #: of every cue, as recorded, in microvolts, (n_cues, n_channels); NaN where a sensor is marked as bad
    peak_to_peak: np.ndarray
    #: x before standardisation, from the cue on, float32, (n_kept, n_channels, n_samples_from_cue)
    microvolts: np.ndarray
    #: in the baseline's band, in square microvolts, (n_kept, n_channels, n_channels); (n_kept, 0, 0) without
    covariances: np.ndarray
    interpolated: list[str]
    flat: list[str]
    noisy: list[str]
    bridged: list[list[str]]  # pairs of sensors
    sfreq: float
    resampled_from: float | None  # the recording's own rate in Hz, if it is another
    positions: np.ndarray  # in metres, (n_channels, 3)


def extract_windows(
    raw: Any,
    names: list[str],
    settings: Settings,
    where: str,
    on_chunk: Callable[[], None] = no_progress,
) -> RecordingWindows:
    """Preprocess one recording and extract its windows of the sensors ``names``.

    ``on_chunk`` is called twice for each chunk: as it is checked and as it is resampled. Raises UserError,
    about ``where``, if the recording does not fit the configuration.
    """
    config = settings.preprocessing
    flat = [name for name in flat_sensors(raw, where, on_chunk) if name in names]
    if len(flat) == len(names):
        raise UserError(
            f"{where}: all of {', '.join(names)} never change; leave the recording out, or name others in "
            "preprocessing.sensors."
        )
    cues = _cues(raw, settings.recordings.classes, where)
    onsets = cues["onset_s"].tolist()
    extremes = quality.extremes(raw, onsets, config.window_s[1], where)
    cues["rejected"] = quality.rejection_reasons(raw, onsets, extremes, config)
    sampled = load_microvolts(raw, names, config, where, on_chunk)
    sampled = filters.notch(sampled, config.notch_hz, where)
    sfreq = sampled.info["sfreq"]
    start, stop = window(config, sfreq)
    if stop - max(start, 0) < 2:
        raise UserError(
            f"preprocessing.window_s: has no two samples after the cue at {sfreq:g} Hz; lengthen the window, "
            "or raise preprocessing.resample_hz."
        )
    sample = np.round(cues["onset_s"].to_numpy() * sfreq).astype(int)
    cues.loc[(sample + start < 0) | (sample + stop > sampled.n_times), "rejected"] = OUTSIDE
    sample = sample[cues["rejected"] == ""]
    baseline = _baseline_covariances(sampled, settings, where, sample, stop)
    chosen = quality.evenly_spaced_trials(len(sample))
    raw_trials = _samples_around(sampled, sample[chosen], 0, stop)
    # Each step replaces the one before: arrays of all samples are most of the memory.
    filtered = filters.butterworth(sampled, config.highpass_hz, config.lowpass_hz, where)
    del sampled
    microvolts = _samples_around(filtered, sample, 0, stop)
    standard = filters.standardize(filtered, config.standardize)
    del filtered
    # Flat, bad and interpolated sensors must not influence the judgement of others.
    judged = [i for i, name in enumerate(names) if name not in {*flat, *raw.info["bads"]}]
    judged_names = [names[i] for i in judged]
    return RecordingWindows(
        cues=cues,
        x=_samples_around(standard, sample, start, stop),
        peak_to_peak=_peak_to_peak(raw, names, extremes),
        microvolts=microvolts,
        covariances=baseline,
        interpolated=[name for name in raw.info["bads"] if name in names and config.bads == "interpolate"],
        flat=flat,
        noisy=quality.noisy_sensors(microvolts[chosen][:, judged], judged_names),
        bridged=quality.bridged_sensors(raw_trials[:, judged], judged_names, sfreq),
        sfreq=sfreq,
        resampled_from=None if raw.info["sfreq"] == sfreq else raw.info["sfreq"],
        positions=filters.sensor_positions(raw.info, names),
    )


def window(config: Preprocessing, sfreq: float) -> tuple[int, int]:
    """First sample of a window, and the one after its last, relative to the cue."""
    return round(config.window_s[0] * sfreq), round(config.window_s[1] * sfreq)


def _cues(raw: Any, classes: dict[str, tuple[str, ...]], where: str) -> pd.DataFrame:
    """Onset (seconds from the recording's first sample) and class of every cue."""
    class_of = {cue: name for name, descriptions in classes.items() for cue in descriptions}
    rows = [
        (onset - raw.first_time, class_of[description])
        for onset, description in zip(raw.annotations.onset, raw.annotations.description, strict=True)
        if description in class_of
    ]
    if not rows:
        present = ", ".join(sorted(set(map(str, raw.annotations.description)))) or "none"
        raise UserError(
            f"{where}: no annotation matches a class; correct recordings.classes (annotations: {present})."
        )
    return pd.DataFrame(rows, columns=["onset_s", "class"]).sort_values("onset_s", ignore_index=True)


def _peak_to_peak(raw: Any, names: list[str], extremes: np.ndarray) -> np.ndarray:
    available = eeg_sensors(raw)
    heights = (extremes[:, 1] - extremes[:, 0])[:, [available.index(name) for name in names]]
    return np.where([name in raw.info["bads"] for name in names], np.nan, heights)


def _samples_around(raw: Any, samples: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Samples from ``start`` to ``stop`` around each cue; float32, shape (n_cues, n_channels, n_samples)."""
    windows = np.empty((len(samples), len(raw.ch_names), stop - start), np.float32)
    for out, sample in zip(windows, samples, strict=True):
        out[:] = raw.get_data(start=sample + start, stop=sample + stop)
    return windows


def _baseline_covariances(
    sampled: Any, settings: Settings, where: str, samples: np.ndarray, stop: int
) -> np.ndarray:
    """Covariances for baselines: Butterworth filters at its corner frequencies, no standardisation."""
    if settings.band_hz is None:
        return np.empty((len(samples), 0, 0))
    filtered = filters.butterworth(sampled, *settings.band_hz, f"{where}, baseline")
    n = len(sampled.ch_names)
    batches = [np.empty((0, n, n))]
    for first in range(0, len(samples), BATCH):
        batch = [filtered.get_data(start=at, stop=at + stop) for at in samples[first : first + BATCH]]
        batches.append(covariances(np.array(batch)))
    return np.concatenate(batches)


def covariances(x: np.ndarray) -> np.ndarray:
    """OAS-shrunk covariance [1]_ of each band-passed trial, shape (n_trials, n_channels, n_channels).

    .. [1] Chen, Y., et al. (2010). Shrinkage algorithms for MMSE covariance estimation. IEEE
           Transactions on Signal Processing 58(10), 5016-5029.
    """
    # Imported where used: it takes a second.
    from pyriemann.estimation import Covariances

    if not len(x):
        return np.empty((0, x.shape[1], x.shape[1]))
    with threadpool_limits(1):
        return Covariances("oas").transform(x.astype(float))
