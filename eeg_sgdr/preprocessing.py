"""From a raw recording to one that networks read: every step takes and returns an MNE Raw.

The order is that of the High-Gamma pipeline [1]_: rejection is decided on raw amplitudes (in
`eeg_sgdr.trials`, before anything here), then sensors, resampling, causal filters, microvolts,
exponential moving standardisation.

References
----------
.. [1] Schirrmeister, R. T., et al. (2017). Deep learning with convolutional neural networks for EEG
       decoding and visualization. Human Brain Mapping 38(11), 5391-5420.
"""

from collections.abc import Sequence
from typing import Any

import mne
import numpy as np

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing, Standardize


def eeg_only(raw: Any, where: str) -> Any:
    """A loaded copy with the EEG sensors alone.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        A recording.
    where : str
        What messages call it.

    Returns
    -------
    raw : mne.io.BaseRaw
        Loaded, in volts.

    Raises
    ------
    UserError
        If there is no EEG, or it holds NaN or infinite values.
    """
    try:
        eeg = raw.copy().pick("eeg", exclude=[])
    except ValueError as error:
        raise UserError(f"{where}: has no EEG channels; check the channels' types.") from error
    try:
        eeg.load_data(verbose="error")
    except Exception as error:  # a truncated or damaged file can raise anything
        raise UserError(
            f"{where}: its samples cannot be read ({type(error).__name__}: {error}); replace the file."
        ) from error
    broken = [
        name
        for name, values in zip(eeg.ch_names, eeg.get_data(), strict=True)
        if name not in eeg.info["bads"] and not np.isfinite(values).all()
    ]
    if broken:
        raise UserError(
            f"{where}: NaN or infinite values in {', '.join(broken)}; mark them as bad, or leave them out "
            "of preprocessing.sensors."
        )
    return eeg


def common_sensors(raws: Sequence[Any], settings: Preprocessing, where: str) -> list[str]:
    """Names of the sensors that go on, in the configuration's order.

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
        If the recordings differ in sensors, or lack one of the configuration, or none is left.
    """
    available = [[raw.ch_names[i] for i in mne.pick_types(raw.info, eeg=True, exclude=[])] for raw in raws]
    names = list(settings.sensors or available[0])
    for present in available:
        missing = [name for name in names if name not in present]
        if missing:
            raise UserError(
                f"{where}: no EEG sensor {', '.join(missing)} in every recording; name others in "
                f"preprocessing.sensors (there are {', '.join(present)})."
            )
    if settings.bads == "drop":
        bads = {name for raw in raws for name in raw.info["bads"]}
        names = [name for name in names if name not in bads]
    if not names:
        raise UserError(f"{where}: no EEG sensors are left; change preprocessing.sensors or bads.")
    return names


def sampled(eeg: Any, names: list[str], settings: Preprocessing, where: str) -> Any:
    """Interpolate, pick sensors, and resample; in microvolts.

    Resampling reaches ``10 / min(old rate, new rate)`` seconds to either side.

    Parameters
    ----------
    eeg : mne.io.BaseRaw
        Loaded EEG in volts; it is not changed.
    names : list of str
        Sensors to keep, in order.
    settings : Preprocessing
        What to do.
    where : str
        What messages call it.

    Returns
    -------
    raw : mne.io.BaseRaw
        In microvolts.

    Raises
    ------
    UserError
        If a bad channel has no position to interpolate it from.
    """
    eeg = eeg.copy()
    if settings.bads == "interpolate" and set(eeg.info["bads"]) & set(names):
        try:
            eeg.interpolate_bads(reset_bads=True, verbose="error")
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{where}: {', '.join(eeg.info['bads'])} cannot be interpolated ({error}); "
                "give the sensors' positions, or set preprocessing.bads to drop."
            ) from error
    eeg.info["bads"] = []
    eeg.pick(names)
    if settings.resample_hz is not None and settings.resample_hz != eeg.info["sfreq"]:
        eeg.resample(settings.resample_hz, method="polyphase", verbose="error")
    return eeg.apply_function(lambda volts: volts * 1e6, channel_wise=False, verbose="error")


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

    return raw.copy().apply_function(
        exponential_moving_standardize,
        channel_wise=False,
        factor_new=settings.factor_new,
        init_block_size=settings.init_samples,
        verbose="error",
    )


def flat_sensors(eeg: Any) -> list[str]:
    """Names of the sensors whose value never changes."""
    return [name for name, values in zip(eeg.ch_names, eeg.get_data(), strict=True) if np.ptp(values) == 0]


def positions(info: Any) -> np.ndarray:
    """Sensor positions in head coordinates.

    Returns
    -------
    positions : ndarray, shape (n_channels, 3)
        In metres; NaN where unknown.
    """
    montage = info.get_montage()
    places = {} if montage is None else montage.get_positions()["ch_pos"]
    return np.array([places.get(name, np.full(3, np.nan)) for name in info["ch_names"]], float)
