"""Why trials are rejected."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.sampling import eeg_sensors, read
from eeg_sgdr.settings import Preprocessing

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
