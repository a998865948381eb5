"""Trials that are rejected, and sensors that look wrong."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import mne
import numpy as np
import pandas as pd

from eeg_sgdr.data.raw import eeg_sensors, read
from eeg_sgdr.settings import Preprocessing

#: Trials that are looked at, evenly taken from all of a recording: their number decides the time it takes.
N_TRIALS = 60

#: An outlier needs others to lie out of.
FEWEST_SENSORS = 8

NEIGHBOURS = 20


def some(n_trials: int) -> np.ndarray:
    """Which trials to look at; at most `N_TRIALS`, evenly taken."""
    return np.unique(np.linspace(0, n_trials - 1, min(n_trials, N_TRIALS)).round().astype(int))


def noisy(microvolts: np.ndarray, names: list[str]) -> list[str]:
    """Sensors whose course is far from all others', by their local outlier factor.

    Parameters
    ----------
    microvolts : ndarray, shape (n_trials, n_channels, n_samples)
        Trials, filtered: offsets and drifts would outweigh everything else.
    names : list of str
        The sensors.

    Returns
    -------
    names : list of str
        None where there are fewer than `FEWEST_SENSORS`, or no trials.
    """
    if len(names) < FEWEST_SENSORS or not len(microvolts):
        return []
    course = 1e-6 * microvolts.transpose(1, 0, 2).reshape(len(names), -1).astype(float)
    raw = mne.io.RawArray(course, mne.create_info(names, 1.0, "eeg"), verbose="error")
    neighbours = min(NEIGHBOURS, len(names) // 2)
    return mne.preprocessing.find_bad_channels_lof(raw, neighbours, verbose="error")


def bridged(microvolts: np.ndarray, names: list[str], sfreq: float) -> list[list[str]]:
    """Pairs of sensors that show the same, as where gel joins them.

    Parameters
    ----------
    microvolts : ndarray, shape (n_trials, n_channels, n_samples)
        Trials, not filtered.
    names : list of str
        The sensors.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    pairs : list of list of str
    """
    if not len(microvolts):
        return []
    info = mne.create_info(names, sfreq, "eeg")
    epochs = mne.EpochsArray(1e-6 * microvolts.astype(float), info, verbose="error")
    highest = min(30.0, 0.9 * sfreq / 2)
    # Trials are short for a filter at 0.5 Hz, which MNE says whatever verbose is: only drifts suffer.
    with mne.utils.catch_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs, _ = mne.preprocessing.compute_bridged_electrodes(epochs, h_freq=highest, verbose="error")
    return [[names[i], names[j]] for i, j in pairs]


#: What a reason begins with when a sensor is to blame, whose name follows.
AMPLITUDE, PEAK_TO_PEAK = "amplitude", "peak-to-peak"


def reasons(raw: Any, onsets_s: Iterable[float], config: Preprocessing, where: str) -> list[str]:
    """Why each trial of a recording is rejected; empty when it is not.

    Its whole window must be free of annotations that begin with BAD or EDGE. Raw amplitudes count from the
    cue to the window's end, on all EEG sensors that are not marked as bad: rejected is what reaches
    ``reject_uv`` in absolute value, and what goes beyond ``reject_ptp_uv`` from its least to its largest, as
    in MNE's ``Epochs(reject=...)``.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        A recording in volts, not necessarily in memory.
    onsets_s : iterable of float
        Cues, in seconds from the recording's first sample.
    config : Preprocessing
        Bounds and window.
    where : str
        What messages call the recording.

    Returns
    -------
    reasons : list of str
        "annotation BAD_blink", "amplitude Fp1", "peak-to-peak Fp1": the sensor is the worst one.
    """
    good = [name for name in eeg_sensors(raw) if name not in raw.info["bads"]]
    return [
        _annotation(raw, onset, config) or _amplitude(raw, good, onset, config, where) for onset in onsets_s
    ]


def _annotation(raw: Any, onset: float, config: Preprocessing) -> str:
    begin, end = onset + config.window_s[0], onset + config.window_s[1]
    for annotation in raw.annotations:
        at = annotation["onset"] - raw.first_time
        marked = annotation["description"].upper().startswith(("BAD", "EDGE"))
        if marked and at < end and at + annotation["duration"] > begin:
            return f"annotation {annotation['description']}"
    return ""


def _amplitude(raw: Any, good: list[str], onset: float, config: Preprocessing, where: str) -> str:
    if not good or (config.reject_uv is None and config.reject_ptp_uv is None):
        return ""
    first, last = (round(at * raw.info["sfreq"]) for at in (onset, onset + config.window_s[1]))
    first, last = max(first, 0), min(last, raw.n_times)
    if first >= last:
        return ""
    volts = read(raw, good, first, last, where)
    low, high = 1e6 * volts.min(axis=1), 1e6 * volts.max(axis=1)
    peaks, heights = np.maximum(-low, high), high - low
    if config.reject_uv is not None and peaks.max() >= config.reject_uv:
        return f"{AMPLITUDE} {good[int(peaks.argmax())]}"
    if config.reject_ptp_uv is not None and heights.max() > config.reject_ptp_uv:
        return f"{PEAK_TO_PEAK} {good[int(heights.argmax())]}"
    return ""


def most_to_blame(reasons: Sequence[str]) -> str:
    """The sensor that trials were most often rejected for, as part of a sentence; empty if none was."""
    blamed = [reason.partition(" ")[::2] for reason in reasons]
    counts = Counter(sensor for kind, sensor in blamed if kind in (AMPLITUDE, PEAK_TO_PEAK))
    if not counts:
        return ""
    sensor, n = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{n} of them for sensor {sensor}"


def too_many(trials: pd.DataFrame) -> str:
    """A sentence where more than half of the trials are rejected; empty otherwise.

    Parameters
    ----------
    trials : DataFrame
        The table of trials.
    """
    rejected = trials.loc[trials["rejected"] != "", "rejected"].tolist()
    if 2 * len(rejected) <= len(trials):
        return ""
    blame = most_to_blame(rejected)
    remedy = "mark it as bad, or change preprocessing.reject_uv or reject_ptp_uv"
    if not blame:
        remedy = "trials.csv says why"
    return f"{len(rejected)} of {len(trials)} trials are rejected{f', {blame}' if blame else ''}; {remedy}."
