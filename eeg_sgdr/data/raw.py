"""Read a recording in chunks: pick, re-reference, resample, scale to µV.

A chunk is a minute, so that two hours of 133 sensors at 500 Hz are never in memory as a whole; only the
sensors to keep are, at their new rate.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import mne
import numpy as np
from scipy import signal

from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.settings import Preprocessing

CHUNK_S = 60

#: Most times that resampling may raise a rate: more only takes memory.
MAX_RATIO = 10

#: Half length of the resampler's filter, in samples of the lower of both rates (scipy's default).
FILTER_HALF_LENGTH = 10


def no_progress() -> None:
    """Callback of chunks that reports no progress."""


def n_chunks(raw: Any) -> int:
    """Number of chunks of a recording."""
    return -(-raw.n_times // _chunk_length(raw))


def _chunk_length(raw: Any) -> int:
    return max(1, round(CHUNK_S * raw.info["sfreq"]))


def eeg_sensors(raw: Any) -> list[str]:
    """Names of the EEG sensors, those marked as bad among them."""
    return [raw.ch_names[i] for i in mne.pick_types(raw.info, eeg=True, exclude=[])]


def read_volts(raw: Any, names: list[str], start: int, stop: int, where: str) -> np.ndarray:
    """Samples of the named channels in volts, (n_channels, n_samples); UserError if the file is damaged."""
    try:
        return raw.get_data(picks=names, start=start, stop=stop, verbose="error")
    except Exception as error:  # a truncated or damaged file can raise anything
        raise UserError(
            f"{where}: its samples cannot be read ({in_words(error)}); replace the file."
        ) from error


def flat_sensors(raw: Any, where: str, on_chunk: Callable[[], None] = no_progress) -> list[str]:
    """EEG sensors that never change; UserError if there is no EEG, or NaN in sensors not marked as bad."""
    names = eeg_sensors(raw)
    if not names:
        raise UserError(f"{where}: has no EEG channels; check the channels' types.")
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    finite = np.ones(len(names), bool)
    length = _chunk_length(raw)
    for start in range(0, raw.n_times, length):
        volts = read_volts(raw, names, start, min(start + length, raw.n_times), where)
        finite &= np.isfinite(volts).all(axis=1)
        low, high = np.minimum(low, volts.min(axis=1)), np.maximum(high, volts.max(axis=1))
        on_chunk()
    broken = [name for name, good in zip(names, finite, strict=True) if not good]
    broken = [name for name in broken if name not in raw.info["bads"]]
    if broken:
        raise UserError(
            f"{where}: NaN or infinite values in {', '.join(broken)}; mark them as bad, or leave them out "
            "of preprocessing.sensors."
        )
    return [name for name, a, b in zip(names, low, high, strict=True) if a == b]


def load_microvolts(
    raw: Any,
    names: list[str],
    settings: Preprocessing,
    where: str,
    on_chunk: Callable[[], None] = no_progress,
) -> Any:
    """Interpolate bads, re-reference, pick sensors and resample; a Raw in microvolts, without positions.

    The recording, in volts, is not changed and need not be in memory. Resampling reaches ``10 / min(old
    rate, new rate)`` seconds to either side. Raises UserError if a bad channel has no position to
    interpolate it from, or the reference is bad or missing.
    """
    old = raw.info["sfreq"]
    new = settings.resample_hz or old
    if new > MAX_RATIO * old:
        raise UserError(
            f"preprocessing.resample_hz: {new:g} Hz is more than {MAX_RATIO} times the {old:g} Hz of "
            f"{where}; lower it."
        )
    ratio = Fraction(new / old).limit_denominator(100_000)
    data = np.empty((len(names), _resampled_length(raw.n_times, ratio)))
    for start, stop, volts in _chunks(raw, names, settings, where, ratio):
        data[:, start:stop] = volts
        on_chunk()
    data *= 1e6
    return mne.io.RawArray(data, mne.create_info(names, new, "eeg"), copy=None, verbose="error")


def _resampled_length(n_samples: int, ratio: Fraction) -> int:
    return -(-n_samples * ratio.numerator // ratio.denominator)


def _chunks(
    raw: Any, names: list[str], settings: Preprocessing, where: str, ratio: Fraction
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Chunks of the resampled recording: first sample, the one after the last, and volts."""
    up, down = ratio.numerator, ratio.denominator
    # Chunks begin where old and new samples coincide, and are read with the margin that the filter needs.
    length = max(1, _chunk_length(raw) // down) * down
    margin = 0 if up == down else -(-FILTER_HALF_LENGTH * max(up, down) // (up * down)) * down
    required = _required_sensors(raw, names, settings)
    info = mne.pick_info(raw.info, [raw.ch_names.index(name) for name in required])
    for start in range(0, raw.n_times, length):
        stop = min(start + length, raw.n_times)
        first = max(start - margin, 0)
        volts = read_volts(raw, required, first, min(stop + margin, raw.n_times), where)
        chunk = mne.io.RawArray(volts, info, verbose="error")
        chunk = _interpolate_bads(chunk, names, settings, where)
        volts = chunk.get_data(picks=names) - _reference(chunk, settings, where)
        if up != down:
            volts = signal.resample_poly(volts, up, down, axis=1, padtype="reflect")
        before = first * up // down
        new_start, new_stop = start * up // down, _resampled_length(stop, ratio)
        yield new_start, new_stop, volts[:, new_start - before : new_stop - before]


def _required_sensors(raw: Any, names: list[str], settings: Preprocessing) -> list[str]:
    """Sensors to keep, and those needed for interpolation and reference."""
    if settings.reference == "average" or (settings.bads == "interpolate" and raw.info["bads"]):
        return eeg_sensors(raw)
    return list(dict.fromkeys([*names, *settings.reference_sensors]))


def _interpolate_bads(eeg: Any, names: list[str], settings: Preprocessing, where: str) -> Any:
    """Interpolate bad sensors that are kept or make the reference, in place."""
    used = {*(eeg.ch_names if settings.reference == "average" else names), *settings.reference_sensors}
    if settings.bads == "interpolate" and set(eeg.info["bads"]) & used:
        try:
            eeg.interpolate_bads(reset_bads=True, verbose="error")
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{where}: {', '.join(eeg.info['bads'])} cannot be interpolated ({error}); "
                "give the sensors' positions, or set preprocessing.bads to drop."
            ) from error
    return eeg


def _reference(eeg: Any, settings: Preprocessing, where: str) -> np.ndarray | float:
    """Signal to subtract from every sensor, in volts.

    MNE's `set_eeg_reference` would not re-reference bad sensors, even those that are kept.
    """
    if settings.reference is None:
        return 0.0
    good = [name for name in eeg.ch_names if name not in eeg.info["bads"]]
    names = list(settings.reference_sensors) or good
    bad = [name for name in names if name not in good]
    if bad or not names:
        raise UserError(
            f"{where}: {', '.join(bad) or 'every EEG sensor'} is marked as bad; name another "
            "preprocessing.reference, or set preprocessing.bads to interpolate."
        )
    return eeg.get_data(picks=names).mean(axis=0)
