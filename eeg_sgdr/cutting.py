"""One recording, preprocessed and cut into the windows of its trials."""

import warnings
from dataclasses import dataclass
from typing import Any

import mne
import numpy as np
import pandas as pd

from eeg_sgdr import preprocessing
from eeg_sgdr.baseline import covariances
from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.errors import UserError
from eeg_sgdr.recordings import Recording
from eeg_sgdr.settings import Preprocessing, Settings


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
    interpolated, flat : list of str
        Sensors that were interpolated, and those that never change.
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
    sfreq: float
    resampled_from: float | None
    positions: np.ndarray


def cut(recording: Recording, names: list[str], settings: Settings) -> Run:
    """Preprocess one recording and cut its windows.

    Parameters
    ----------
    recording : Recording
        A run.
    names : list of str
        Sensors to keep, in order.
    settings : Settings
        The configuration.

    Returns
    -------
    run : Run

    Raises
    ------
    UserError
        If the recording does not fit the configuration.
    """
    where = f"subject {recording.subject}, session {recording.session}, run {recording.run}"
    config = settings.preprocessing
    eeg = preprocessing.eeg_only(recording.raw, where)
    sampled = preprocessing.sampled(eeg, names, config, where)
    filtered = preprocessing.filtered(sampled, config.highpass_hz, config.lowpass_hz, where)
    sfreq = filtered.info["sfreq"]
    start, stop = window(config, sfreq)
    cues = _cues(eeg, settings.recordings.classes, where)
    sample = np.round(cues["onset_s"].to_numpy() * sfreq).astype(int)
    outside = (sample + start < 0) | (sample + stop > filtered.n_times)
    cues["rejected"] = [
        "outside recording" if is_outside else _rejection(eeg, onset, config)
        for is_outside, onset in zip(outside, cues["onset_s"], strict=True)
    ]
    kept = cues["rejected"] == ""
    standard = preprocessing.standardized(filtered, config.standardize)
    return Run(
        cues=cues,
        x=_windows(standard, cues[kept], start, stop),
        microvolts=_from_cues(filtered, sample[kept], stop).astype(np.float32),
        band=_band(sampled, settings, where, sample[kept], stop),
        interpolated=[name for name in eeg.info["bads"] if name in names and config.bads == "interpolate"],
        flat=[name for name in preprocessing.flat_sensors(eeg) if name in names],
        sfreq=sfreq,
        resampled_from=None if eeg.info["sfreq"] == sfreq else eeg.info["sfreq"],
        positions=preprocessing.positions(filtered.info),
    )


def window(config: Preprocessing, sfreq: float) -> tuple[int, int]:
    """First sample of a window, and the first one after it, counted from the cue."""
    return round(config.window_s[0] * sfreq), round(config.window_s[1] * sfreq)


def _cues(eeg: Any, classes: dict[str, tuple[str, ...]], where: str) -> pd.DataFrame:
    """Onset (seconds from the recording's first sample) and class of every cue."""
    class_of = {cue: name for name, descriptions in classes.items() for cue in descriptions}
    rows = [
        (onset - eeg.first_time, class_of[description])
        for onset, description in zip(eeg.annotations.onset, eeg.annotations.description, strict=True)
        if description in class_of
    ]
    if not rows:
        there = ", ".join(sorted(set(map(str, eeg.annotations.description)))) or "none"
        raise UserError(
            f"{where}: no annotation matches a class; correct recordings.classes (annotations: {there})."
        )
    return pd.DataFrame(rows, columns=["onset_s", "class"]).sort_values("onset_s", ignore_index=True)


def _rejection(eeg: Any, onset: float, config: Preprocessing) -> str:
    """Why a trial is rejected; empty when it is not.

    Its whole window must be free of annotations that begin with BAD or EDGE; amplitudes count from
    the cue to the window's end, on all sensors that are not marked as bad.
    """
    begin, end = onset + config.window_s[0], onset + config.window_s[1]
    for annotation in eeg.annotations:
        at = annotation["onset"] - eeg.first_time
        marked = annotation["description"].upper().startswith(("BAD", "EDGE"))
        if marked and at < end and at + annotation["duration"] > begin:
            return f"annotation {annotation['description']}"
    if config.reject_uv is None:
        return ""
    good = [i for i, name in enumerate(eeg.ch_names) if name not in eeg.info["bads"]]
    first, last = (round(moment * eeg.info["sfreq"]) for moment in (onset, end))
    peaks = (
        np.abs(eeg.get_data(picks=good, start=max(first, 0), stop=min(last, eeg.n_times))).max(axis=1) * 1e6
    )
    if peaks.max(initial=0) >= config.reject_uv:
        return f"amplitude {eeg.ch_names[good[int(peaks.argmax())]]}"
    return ""


def _from_cues(raw: Any, samples: np.ndarray, stop: int) -> np.ndarray:
    """What follows the cues, ``stop`` samples long; shape (n_cues, n_channels, stop)."""
    data = raw.get_data()
    return np.array([data[:, at : at + stop] for at in samples]).reshape(-1, len(data), stop)


def _band(sampled: Any, settings: Settings, where: str, samples: np.ndarray, stop: int) -> np.ndarray:
    """Covariances for the baseline: the same filters at its corners, and nothing standardised."""
    if settings.baseline is None:
        return np.empty((len(samples), 0, 0))
    filtered = preprocessing.filtered(sampled, *settings.baseline.band_hz, f"{where}, baseline")
    return covariances(_from_cues(filtered, samples, stop))


def _windows(raw: Any, cues: pd.DataFrame, start: int, stop: int) -> np.ndarray:
    """Windows of the cues, cut by braindecode; shape (n_cues, n_channels, stop - start)."""
    if cues.empty:
        return np.empty((0, len(raw.ch_names), stop - start), np.float32)
    import_braindecode()
    from braindecode.datasets import BaseConcatDataset, RawDataset
    from braindecode.preprocessing import create_windows_from_events

    # Annotations without duration: braindecode counts the stop from an annotation's end.
    raw = raw.copy().set_annotations(mne.Annotations(cues["onset_s"], 0.0, ["cue"] * len(cues)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = create_windows_from_events(
            BaseConcatDataset([RawDataset(raw, {})]),
            trial_start_offset_samples=start,
            trial_stop_offset_samples=stop,
            window_size_samples=stop - start,
            window_stride_samples=stop - start,
            mapping={"cue": 0},
            preload=True,
            on_overlapping_events="ignore",
        )
    return np.stack([dataset[i][0] for i in range(len(dataset))]).astype(np.float32)
