"""One recording, preprocessed and cut into the windows of its trials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr.data import filters, quality
from eeg_sgdr.data.raw import flat_sensors, load_microvolts, unwatched
from eeg_sgdr.data.sources import Recording
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing, Settings

#: Why a trial is rejected whose window is not all in the recording.
OUTSIDE = "outside recording"

#: Trials whose covariances are computed together; more would only take memory.
AT_ONCE = 64


@dataclass(frozen=True)
class Run:
    """One recording, cut.

    Attributes
    ----------
    cues : DataFrame
        Every cue: onset_s, class, rejected (why; empty if not).
    x : ndarray of float32, shape (n_kept, n_channels, n_samples)
        Windows of the trials that are kept, as networks read them.
    microvolts : ndarray of float32, shape (n_kept, n_channels, n_samples_from_cue)
        The same before standardisation, from the cue to the window's end.
    band : ndarray of float64, shape (n_kept, n_channels, n_channels)
        Covariances between cue and window end in the baseline's band; of no channels without one.
    interpolated, flat, noisy : list of str
        Sensors that were interpolated, those that never change, and those whose course is far from all
        others'.
    bridged : list of list of str
        Pairs of sensors that show the same.
    sfreq : float
        Sampling rate in Hz.
    resampled_from : float | None
        The recording's own rate where it is another.
    positions : ndarray, shape (n_channels, 3)
        Of the sensors, in metres.
    """

    cues: pd.DataFrame
    x: np.ndarray
    microvolts: np.ndarray
    band: np.ndarray
    interpolated: list[str]
    flat: list[str]
    noisy: list[str]
    bridged: list[list[str]]
    sfreq: float
    resampled_from: float | None
    positions: np.ndarray


def cut(
    recording: Recording,
    names: list[str],
    settings: Settings,
    read_one: Callable[[], None] = unwatched,
) -> Run:
    """Preprocess one recording and cut its windows.

    Parameters
    ----------
    recording : Recording
        A run.
    names : list of str
        Sensors to keep, in order.
    settings : Settings
        The configuration.
    read_one : callable
        Called twice for each piece of the recording, see `eeg_sgdr.data.raw`: as it is checked and as it is
        sampled.

    Returns
    -------
    run : Run

    Raises
    ------
    UserError
        If the recording does not fit the configuration.
    """
    where = f"subject {recording.subject}, session {recording.session}, run {recording.run}"
    config, raw = settings.preprocessing, recording.raw
    flat = [name for name in flat_sensors(raw, where, read_one) if name in names]
    if len(flat) == len(names):
        raise UserError(
            f"{where}: all of {', '.join(names)} never change; leave the recording out, or name others in "
            "preprocessing.sensors."
        )
    cues = _cues(raw, settings.recordings.classes, where)
    cues["rejected"] = quality.reasons(raw, cues["onset_s"], config, where)
    sampled = load_microvolts(raw, names, config, where, read_one)
    sampled = filters.notched(sampled, config.notch_hz, where)
    sfreq = sampled.info["sfreq"]
    start, stop = window(config, sfreq)
    sample = np.round(cues["onset_s"].to_numpy() * sfreq).astype(int)
    cues.loc[(sample + start < 0) | (sample + stop > sampled.n_times), "rejected"] = OUTSIDE
    sample = sample[cues["rejected"] == ""]
    band = _band(sampled, settings, where, sample, stop)
    few = quality.some(len(sample))
    raw_trials = _stretches(sampled, sample[few], 0, stop)
    # Each step takes the place of the one before: two arrays of all samples can be most of the memory.
    filtered = filters.filtered(sampled, config.highpass_hz, config.lowpass_hz, where)
    del sampled
    microvolts = _stretches(filtered, sample, 0, stop)
    standard = filters.standardized(filtered, config.standardize)
    del filtered
    # What is known to be wrong, or made from others, says nothing of the rest.
    judged = [i for i, name in enumerate(names) if name not in {*flat, *raw.info["bads"]}]
    judged_names = [names[i] for i in judged]
    return Run(
        cues=cues,
        x=_stretches(standard, sample, start, stop),
        microvolts=microvolts,
        band=band,
        interpolated=[name for name in raw.info["bads"] if name in names and config.bads == "interpolate"],
        flat=flat,
        noisy=quality.noisy(microvolts[few][:, judged], judged_names),
        bridged=quality.bridged(raw_trials[:, judged], judged_names, sfreq),
        sfreq=sfreq,
        resampled_from=None if raw.info["sfreq"] == sfreq else raw.info["sfreq"],
        positions=filters.positions(raw.info, names),
    )


def window(config: Preprocessing, sfreq: float) -> tuple[int, int]:
    """First sample of a window, and the first one after it, counted from the cue."""
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
        there = ", ".join(sorted(set(map(str, raw.annotations.description)))) or "none"
        raise UserError(
            f"{where}: no annotation matches a class; correct recordings.classes (annotations: {there})."
        )
    return pd.DataFrame(rows, columns=["onset_s", "class"]).sort_values("onset_s", ignore_index=True)


def _stretches(raw: Any, samples: np.ndarray, start: int, stop: int) -> np.ndarray:
    """What lies around samples, from ``start`` to ``stop``; float32, shape (n_samples, n_channels, n)."""
    cut = np.empty((len(samples), len(raw.ch_names), stop - start), np.float32)
    for stretch, at in zip(cut, samples, strict=True):
        stretch[:] = raw.get_data(start=at + start, stop=at + stop)
    return cut


def _band(sampled: Any, settings: Settings, where: str, samples: np.ndarray, stop: int) -> np.ndarray:
    """Covariances for the baseline: the same filters at its corners, and nothing standardised."""
    if settings.baseline is None:
        return np.empty((len(samples), 0, 0))
    filtered = filters.filtered(sampled, *settings.baseline.band_hz, f"{where}, baseline")
    n = len(sampled.ch_names)
    found = [np.empty((0, n, n))]
    for first in range(0, len(samples), AT_ONCE):
        some = [filtered.get_data(start=at, stop=at + stop) for at in samples[first : first + AT_ONCE]]
        found.append(covariances(np.array(some)))
    return np.concatenate(found)


def covariances(x: np.ndarray) -> np.ndarray:
    """Covariance of every trial, shrunk towards the identity as far as its samples are few [1]_.

    Parameters
    ----------
    x : ndarray, shape (n_trials, n_channels, n_samples)
        Band-passed trials in microvolts.

    Returns
    -------
    covariances : ndarray of float64, shape (n_trials, n_channels, n_channels)
        In square microvolts.

    References
    ----------
    .. [1] Chen, Y., et al. (2010). Shrinkage algorithms for MMSE covariance estimation. IEEE
           Transactions on Signal Processing 58(10), 5016-5029.
    """
    # Imported where used: it takes a second.
    from pyriemann.estimation import Covariances

    if not len(x):
        return np.empty((0, x.shape[1], x.shape[1]))
    with threadpool_limits(1):
        return Covariances("oas").transform(x.astype(float))
