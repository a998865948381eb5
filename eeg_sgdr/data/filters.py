"""Pick sensors, filter and standardise Raws, in the order of the High-Gamma pipeline [1]_.

Trials are rejected on raw amplitudes before anything here (`quality`); then come sensors, resampling and
microvolts (`raw`), causal filters, exponential moving standardisation.

References
----------
.. [1] Schirrmeister, R. T., et al. (2017). Deep learning with convolutional neural networks for EEG
       decoding and visualization. Human Brain Mapping 38(11), 5391-5420.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import signal

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.data.raw import eeg_sensors
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing, Standardize

#: Quality factor, frequency over width: a notch at 50 Hz is 1.7 Hz wide.
NOTCH_QUALITY = 30.0


def common_sensors(raws: Sequence[Any], settings: Preprocessing, where: str) -> list[str]:
    """Wanted sensors that are in every recording of a subject, in the wanted order.

    Raises UserError if no recording has a wanted sensor, one lacks a reference sensor, or none is left.
    """
    available = [eeg_sensors(raw) for raw in raws]
    reference = settings.reference_sensors
    anywhere = list(dict.fromkeys(name for present in available for name in present))
    everywhere = [name for name in anywhere if all(name in present for present in available)]
    wanted = wanted_sensors(raws, settings)
    # A sensor that some recordings lack is left out; one that all lack is an error.
    names = [name for name in wanted if name in everywhere]
    needed = {"sensors": [name for name in wanted if name not in anywhere or not names]}
    needed["reference"] = [name for name in reference if name not in everywhere]
    for key, missing in needed.items():
        if missing:
            raise UserError(
                f"{where}: no EEG sensor {', '.join(missing)} in every recording; name others in "
                f"preprocessing.{key} (in every one there are {', '.join(everywhere) or 'none'})."
            )
    if settings.bads == "drop":
        bads = {name for raw in raws for name in raw.info["bads"]}
        names = [name for name in names if name not in bads]
    if not names:
        raise UserError(f"{where}: no EEG sensors are left; change preprocessing.sensors or bads.")
    return names


def wanted_sensors(raws: Sequence[Any], settings: Preprocessing) -> list[str]:
    """Sensors to keep where a recording has them; see `common_sensors`."""
    anywhere = dict.fromkeys(name for raw in raws for name in eeg_sensors(raw))
    return list(settings.sensors or [name for name in anywhere if name not in settings.reference_sensors])


def notch(raw: Any, notch_hz: Sequence[float] | None, where: str) -> Any:
    """Remove line noise, in place, by causal second-order notches; UserError from half the rate on."""
    rate = raw.info["sfreq"]
    for frequency in notch_hz or ():
        if frequency >= rate / 2:
            raise UserError(
                f"{where}: no notch at {frequency:g} Hz at a rate of {rate:g} Hz; leave it out of "
                "preprocessing.notch_hz (resampling has removed what is above half the rate), or raise "
                "resample_hz."
            )
        sos = signal.tf2sos(*signal.iirnotch(frequency, NOTCH_QUALITY, fs=rate))
        raw.apply_function(lambda values, sos=sos: signal.sosfilt(sos, values), verbose="error")
    return raw


def butterworth(raw: Any, highpass_hz: float | None, lowpass_hz: float | None, where: str) -> Any:
    """Copy filtered by causal Butterworth filters of order 3; UserError from half the rate on."""
    raw = raw.copy()
    for l_freq, h_freq in ((highpass_hz, None), (None, lowpass_hz)):
        if l_freq is None and h_freq is None:
            continue
        try:
            raw.filter(
                l_freq,
                h_freq,
                method="iir",
                iir_params={"order": 3, "ftype": "butter", "output": "sos"},
                phase="forward",
                verbose="error",
            )
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{where}: cannot be filtered at {l_freq or h_freq:g} Hz at a rate of "
                f"{raw.info['sfreq']:g} Hz ({error}); change preprocessing.highpass_hz or lowpass_hz, "
                "or baseline.band_hz."
            ) from error
    return raw


def standardize(raw: Any, settings: Standardize | None) -> Any:
    """Copy standardised by braindecode's exponential moving mean and deviation.

    The first ``init_samples`` samples are scaled by their own mean and deviation, so that trials which
    begin there are not causal.
    """
    if settings is None:
        return raw
    import_braindecode()
    from braindecode.preprocessing import exponential_moving_standardize

    def one_sensor(values: np.ndarray) -> np.ndarray:
        (scaled,) = exponential_moving_standardize(values[None], settings.factor_new, settings.init_samples)
        return scaled

    # One sensor at a time: of all together it would take six more copies.
    return raw.copy().apply_function(one_sensor, verbose="error")


def sensor_positions(info: Any, names: Sequence[str]) -> np.ndarray:
    """Positions in head coordinates, in metres, shape (n_channels, 3); NaN where unknown."""
    montage = info.get_montage()
    known = {} if montage is None else montage.get_positions()["ch_pos"]
    return np.array([known.get(name, np.full(3, np.nan)) for name in names], float)
