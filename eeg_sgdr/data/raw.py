"""From a recording in its file to the sensors, reference, rate and unit that go on: a piece at a time.

A piece is a minute. So neither two hours of 133 sensors at 500 Hz nor what becomes of them is ever in memory
as a whole, but for the sensors that go on, at their new rate.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import mne
import numpy as np
from scipy import signal

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing

PIECE_S = 60

#: Half of the resampler's filter, in samples of the lower of both rates (scipy's default).
REACH = 10


def unwatched() -> None:
    """Called after a piece when nobody wants to know."""


def n_pieces(raw: Any) -> int:
    """How many pieces a recording has."""
    return -(-raw.n_times // _piece_length(raw))


def _piece_length(raw: Any) -> int:
    return max(1, round(PIECE_S * raw.info["sfreq"]))


def eeg_sensors(raw: Any) -> list[str]:
    """Names of the EEG sensors, those marked as bad among them."""
    return [raw.ch_names[i] for i in mne.pick_types(raw.info, eeg=True, exclude=[])]


def read(raw: Any, names: list[str], start: int, stop: int, where: str) -> np.ndarray:
    """Read a stretch of a recording that need not be in memory.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        A recording.
    names : list of str
        Which channels.
    start, stop : int
        First sample, and the first one after the stretch.
    where : str
        What messages call the recording.

    Returns
    -------
    volts : ndarray, shape (n_channels, n_samples)

    Raises
    ------
    UserError
        If the file is damaged.
    """
    try:
        return raw.get_data(picks=names, start=start, stop=stop, verbose="error")
    except Exception as error:  # a truncated or damaged file can raise anything
        raise UserError(
            f"{where}: its samples cannot be read ({type(error).__name__}: {error}); replace the file."
        ) from error


def flat_sensors(raw: Any, where: str, read_one: Callable[[], None] = unwatched) -> list[str]:
    """Read a recording through: EEG sensors whose value never changes.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        A recording.
    where : str
        What messages call it.
    read_one : callable
        Called after each piece.

    Returns
    -------
    names : list of str

    Raises
    ------
    UserError
        If there is no EEG, or it holds NaN or infinite values in sensors that are not marked as bad.
    """
    names = eeg_sensors(raw)
    if not names:
        raise UserError(f"{where}: has no EEG channels; check the channels' types.")
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    finite = np.ones(len(names), bool)
    length = _piece_length(raw)
    for start in range(0, raw.n_times, length):
        volts = read(raw, names, start, min(start + length, raw.n_times), where)
        finite &= np.isfinite(volts).all(axis=1)
        low, high = np.minimum(low, volts.min(axis=1)), np.maximum(high, volts.max(axis=1))
        read_one()
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
    read_one: Callable[[], None] = unwatched,
) -> Any:
    """Interpolate, refer to the reference, pick sensors, and resample; in microvolts.

    Resampling reaches ``10 / min(old rate, new rate)`` seconds to either side.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        A recording in volts; it is not changed, and need not be in memory.
    names : list of str
        Sensors to keep, in order.
    settings : Preprocessing
        What to do.
    where : str
        What messages call it.
    read_one : callable
        Called after each piece.

    Returns
    -------
    raw : mne.io.BaseRaw
        In microvolts, from the recording's first sample on; without positions.

    Raises
    ------
    UserError
        If a bad channel has no position to interpolate it from, or the reference cannot be had.
    """
    old = raw.info["sfreq"]
    new = settings.resample_hz or old
    ratio = Fraction(new / old).limit_denominator(100_000)
    data = np.empty((len(names), _resampled_length(raw.n_times, ratio)))
    for start, stop, volts in _pieces(raw, names, settings, where, ratio):
        data[:, start:stop] = volts
        read_one()
    data *= 1e6
    return mne.io.RawArray(data, mne.create_info(names, new, "eeg"), copy=None, verbose="error")


def _resampled_length(n_samples: int, ratio: Fraction) -> int:
    return -(-n_samples * ratio.numerator // ratio.denominator)


def _pieces(
    raw: Any, names: list[str], settings: Preprocessing, where: str, ratio: Fraction
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Stretches of the new samples: first, the first one after, and volts."""
    up, down = ratio.numerator, ratio.denominator
    # Pieces begin where an old sample is a new one, and are read together with all that the filter reaches.
    length = max(1, _piece_length(raw) // down) * down
    margin = 0 if up == down else -(-REACH * max(up, down) // (up * down)) * down
    needed = _needed(raw, names, settings)
    info = mne.pick_info(raw.info, [raw.ch_names.index(name) for name in needed])
    for start in range(0, raw.n_times, length):
        stop = min(start + length, raw.n_times)
        first = max(start - margin, 0)
        volts = read(raw, needed, first, min(stop + margin, raw.n_times), where)
        piece = mne.io.RawArray(volts, info, verbose="error")
        piece = _interpolated(piece, names, settings, where)
        volts = piece.get_data(picks=names) - _reference(piece, settings, where)
        if up != down:
            volts = signal.resample_poly(volts, up, down, axis=1, padtype="reflect")
        before = first * up // down
        new_start, new_stop = start * up // down, _resampled_length(stop, ratio)
        yield new_start, new_stop, volts[:, new_start - before : new_stop - before]


def _needed(raw: Any, names: list[str], settings: Preprocessing) -> list[str]:
    """The sensors to read: those that go on, and those that these are computed from."""
    if settings.reference == "average" or (settings.bads == "interpolate" and raw.info["bads"]):
        return eeg_sensors(raw)
    return list(dict.fromkeys([*names, *settings.reference_sensors]))


def _interpolated(eeg: Any, names: list[str], settings: Preprocessing, where: str) -> Any:
    """Interpolate the bad ones among the sensors that go on or make the reference, in place."""
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
    """What is subtracted from every sensor, in volts.

    MNE's `set_eeg_reference` would leave sensors that are marked as bad as they are, even those that go on.
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
