"""Rejected trials, noisy and bridged sensors, and mains."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import mne
import numpy as np
import pandas as pd

from eeg_sgdr.data.raw import eeg_sensors, read_volts
from eeg_sgdr.settings import Preprocessing

#: Most trials of a recording by which sensors are judged; computation time is proportional.
MAX_TRIALS = 60

#: Fewest sensors for a local outlier factor, which compares sensors with their neighbours.
MIN_SENSORS = 8

N_NEIGHBOURS = 20

#: Frequencies of the mains, in Hz.
MAINS_HZ = (50.0, 60.0)

#: As far from the mains as a spectrum of 1 Hz shows their power (a Hann window's main lobe), in Hz.
MAINS_WIDTH_HZ = 2.0


def evenly_spaced_trials(n_trials: int) -> np.ndarray:
    """Indices of at most `MAX_TRIALS` evenly spaced trials."""
    return np.unique(np.linspace(0, n_trials - 1, min(n_trials, MAX_TRIALS)).round().astype(int))


def noisy_sensors(microvolts: np.ndarray, names: list[str]) -> list[str]:
    """Noisy sensors by their local outlier factor; none with fewer than `MIN_SENSORS` sensors or no trials.

    ``microvolts`` are filtered trials (n_trials, n_channels, n_samples): offsets and drifts would outweigh
    everything else.
    """
    if len(names) < MIN_SENSORS or not len(microvolts):
        return []
    volts = 1e-6 * microvolts.transpose(1, 0, 2).reshape(len(names), -1).astype(float)
    raw = mne.io.RawArray(volts, mne.create_info(names, 1.0, "eeg"), verbose="error")
    neighbours = min(N_NEIGHBOURS, len(names) // 2)
    return mne.preprocessing.find_bad_channels_lof(raw, neighbours, verbose="error")


def bridged_sensors(microvolts: np.ndarray, names: list[str], sfreq: float) -> list[list[str]]:
    """Pairs of bridged sensors, from unfiltered trials (n_trials, n_channels, n_samples)."""
    if not len(microvolts):
        return []
    info = mne.create_info(names, sfreq, "eeg")
    epochs = mne.EpochsArray(1e-6 * microvolts.astype(float), info, verbose="error")
    highest = min(30.0, 0.9 * sfreq / 2)
    # Trials are short for MNE's filter at 0.5 Hz, of which it warns even if not verbose; only drifts suffer.
    with mne.utils.catch_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs, _ = mne.preprocessing.compute_bridged_electrodes(epochs, h_freq=highest, verbose="error")
    return [[names[i], names[j]] for i, j in pairs]


#: Reasons that are followed by the name of a sensor.
AMPLITUDE, PEAK_TO_PEAK = "amplitude", "peak-to-peak"

#: Reason for rejecting a trial whose window leaves the recording.
OUTSIDE = "outside recording"


def extremes(raw: Any, onsets_s: Sequence[float], stop_s: float, where: str) -> np.ndarray:
    """Lowest and highest value of every EEG sensor from each cue to ``stop_s`` after it, in microvolts.

    Of the recording as it is; shape (n_trials, 2, n_sensors). NaN where nothing of it is in the recording.
    """
    names = eeg_sensors(raw)
    found = np.full((len(onsets_s), 2, len(names)), np.nan)
    for trial, onset in zip(found, onsets_s, strict=True):
        first, last = (round(time * raw.info["sfreq"]) for time in (onset, onset + stop_s))
        first, last = max(first, 0), min(last, raw.n_times)
        if first < last:
            volts = read_volts(raw, names, first, last, where)
            trial[:] = 1e6 * volts.min(axis=1), 1e6 * volts.max(axis=1)
    return found


def rejection_reasons(
    raw: Any, onsets_s: Sequence[float], trial_extremes: np.ndarray, config: Preprocessing
) -> list[str]:
    """Why each trial of a recording is rejected ("annotation BAD_blink", "amplitude Fp1"), else "".

    The whole window must be free of annotations that begin with BAD or EDGE. Amplitudes (see `extremes`)
    count on all EEG sensors that are not marked as bad: rejected is what reaches ``reject_uv`` in absolute
    value, or exceeds ``reject_ptp_uv`` from minimum to maximum, as in MNE's ``Epochs(reject=...)``. The
    reason names the worst sensor. ``onsets_s`` count from the recording's first sample.
    """
    names = eeg_sensors(raw)
    good = [i for i, name in enumerate(names) if name not in raw.info["bads"]]
    good_names = [names[i] for i in good]
    return [
        _bad_annotation(raw, onset, config) or _bad_amplitude(good_names, low[good], high[good], config)
        for onset, (low, high) in zip(onsets_s, trial_extremes, strict=True)
    ]


def _bad_annotation(raw: Any, onset: float, config: Preprocessing) -> str:
    begin, end = onset + config.window_s[0], onset + config.window_s[1]
    for annotation in raw.annotations:
        start = annotation["onset"] - raw.first_time
        marked = annotation["description"].upper().startswith(("BAD", "EDGE"))
        if marked and start < end and start + annotation["duration"] > begin:
            return f"annotation {annotation['description']}"
    return ""


def _bad_amplitude(names: list[str], low: np.ndarray, high: np.ndarray, config: Preprocessing) -> str:
    if not names:
        return ""
    peaks, heights = np.maximum(-low, high), high - low
    if config.reject_uv is not None and peaks.max() >= config.reject_uv:
        return f"{AMPLITUDE} {names[int(peaks.argmax())]}"
    if config.reject_ptp_uv is not None and heights.max() > config.reject_ptp_uv:
        return f"{PEAK_TO_PEAK} {names[int(heights.argmax())]}"
    return ""


def describe_worst_sensor(reasons: Sequence[str]) -> str:
    """The sensor with the most rejected trials, as part of a sentence; empty if there is none."""
    parts = [reason.partition(" ")[::2] for reason in reasons]
    counts = Counter(sensor for kind, sensor in parts if kind in (AMPLITUDE, PEAK_TO_PEAK))
    if not counts:
        return ""
    sensor, n = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{n} of them for sensor {sensor}"


def lacking_class(trials: pd.DataFrame, classes: Sequence[str]) -> str:
    """A sentence about the first class of which a subject has no trial to train on, or test; else empty."""
    for (subject, part), table in trials.groupby(["subject", "split"], sort=False):
        for name in classes:
            reasons = table.loc[table["class"] == name, "rejected"]
            if (reasons != "").all():
                outside = int((reasons == OUTSIDE).sum())
                why = [f"all {len(reasons)} were rejected" if len(reasons) else "there are none"]
                why += [f"the windows of {outside} leave the recording"] if outside else []
                why += [worst] if (worst := describe_worst_sensor(reasons.tolist())) else []
                return (
                    f"subject {subject}: class {name!r} has no trial to "
                    f"{'test' if part == 'test' else 'train on'} ({', '.join(why)}); change the split, the "
                    "classes, or preprocessing.window_s, reject_uv or reject_ptp_uv."
                )
    return ""


def rejection_warning(trials: pd.DataFrame) -> str:
    """A sentence if more than half of the trials of a table are rejected; empty otherwise."""
    rejected = trials.loc[trials["rejected"] != "", "rejected"].tolist()
    if 2 * len(rejected) <= len(trials):
        return ""
    worst = describe_worst_sensor(rejected)
    remedy = "mark it as bad, or change preprocessing.reject_uv or reject_ptp_uv"
    if not worst:
        remedy = "trials.csv says why"
    return f"{len(rejected)} of {len(trials)} trials are rejected{f', {worst}' if worst else ''}; {remedy}."


def mains_warning(summary: Mapping[str, np.ndarray]) -> str:
    """A sentence if the mains have most of the power that filters left, at the median sensor; else empty.

    ``summary`` has ``frequencies`` (n_frequencies,) and ``spectra`` (n_classes, n_channels, n_frequencies).
    """
    frequencies = summary["frequencies"]
    power = np.nansum(summary["spectra"], axis=0, dtype=float)  # a class without trials is NaN
    power = power[power.sum(axis=1) > 0]
    for mains in MAINS_HZ if len(power) else ():
        near = np.abs(frequencies - mains) <= MAINS_WIDTH_HZ
        share = float(np.median(power[:, near].sum(axis=1) / power.sum(axis=1)))
        if share > 0.5:
            return (
                f"{100 * share:.0f} % of the power of the filtered EEG is that of the mains ({mains:g} Hz), "
                "at the median sensor; take it away by preprocessing.notch_hz and lowpass_hz."
            )
    return ""
