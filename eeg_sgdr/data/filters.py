"""From a sampled recording to one that networks read: every step takes and returns an MNE Raw.

The order is that of the High-Gamma pipeline [1]_: rejection is decided on raw amplitudes (in
`eeg_sgdr.rejections`, before anything here), then sensors, resampling and microvolts (in
`eeg_sgdr.sampling`), causal filters, exponential moving standardisation.

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

#: Frequency over width of a notch: 1.7 Hz at 50 Hz.
NOTCH_QUALITY = 30.0


def common_sensors(raws: Sequence[Any], settings: Preprocessing, where: str) -> list[str]:
    """Names of the sensors that go on: those wanted that are in every recording, in the wanted order.

    Parameters
    ----------
    raws : sequence of mne.io.BaseRaw
        All recordings of a subject.
    settings : Preprocessing
        Which sensors, and what becomes of those marked as bad.
    where : str
        What messages call the recordings.

    Returns
    -------
    names : list of str

    Raises
    ------
    UserError
        If no recording has a sensor that is wanted, some lack one of the reference, or none is left.
    """
    available = [eeg_sensors(raw) for raw in raws]
    reference = settings.reference_sensors
    anywhere = list(dict.fromkeys(name for present in available for name in present))
    everywhere = [name for name in anywhere if all(name in present for present in available)]
    wanted = wanted_sensors(raws, settings)
    # A sensor that some recordings lack is left out; one that all lack is a mistake.
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
    """Names of the sensors that would go on if every recording had them; see `common_sensors`."""
    anywhere = dict.fromkeys(name for raw in raws for name in eeg_sensors(raw))
    return list(settings.sensors or [name for name in anywhere if name not in settings.reference_sensors])


def notched(raw: Any, notch_hz: Sequence[float] | None, where: str) -> Any:
    """Filter out the mains, in place, by causal second-order notch filters.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Loaded.
    notch_hz : sequence of float | None
        Frequencies.
    where : str
        What messages call it.

    Returns
    -------
    raw : mne.io.BaseRaw

    Raises
    ------
    UserError
        If a frequency is not below half the rate.
    """
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


def filtered(raw: Any, highpass_hz: float | None, lowpass_hz: float | None, where: str) -> Any:
    """Filter a copy by causal Butterworth filters of order 3: nothing looks ahead.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Loaded.
    highpass_hz, lowpass_hz : float | None
        Corner frequencies; None leaves a filter out.
    where : str
        What messages call it.

    Returns
    -------
    raw : mne.io.BaseRaw

    Raises
    ------
    UserError
        If a corner is not below half the rate.
    """
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
        except ValueError as error:
            raise UserError(
                f"{where}: cannot be filtered at {l_freq or h_freq:g} Hz at a rate of "
                f"{raw.info['sfreq']:g} Hz ({error}); change preprocessing.highpass_hz or lowpass_hz, "
                "or baseline.band_hz."
            ) from error
    return raw


def standardized(raw: Any, settings: Standardize | None) -> Any:
    """Exponential moving standardisation of a copy, by braindecode.

    The first ``init_samples`` samples are scaled by their own mean and deviation, so that trials
    which begin there are not causal.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        In microvolts.
    settings : Standardize | None
        None leaves it as it is.

    Returns
    -------
    raw : mne.io.BaseRaw
        Of unit variance, roughly.
    """
    if settings is None:
        return raw
    import_braindecode()
    from braindecode.preprocessing import exponential_moving_standardize

    def of_one(values: np.ndarray) -> np.ndarray:
        return exponential_moving_standardize(values[np.newaxis], settings.factor_new, settings.init_samples)[
            0
        ]

    # One sensor at a time: of all together it would take six more copies.
    return raw.copy().apply_function(of_one, verbose="error")


def positions(info: Any, names: Sequence[str]) -> np.ndarray:
    """Positions of sensors in head coordinates.

    Returns
    -------
    positions : ndarray, shape (n_channels, 3)
        In metres; NaN where unknown.
    """
    montage = info.get_montage()
    places = {} if montage is None else montage.get_positions()["ch_pos"]
    return np.array([places.get(name, np.full(3, np.nan)) for name in names], float)
