"""Sensor positions of the international 10-05 system."""

from typing import Any


def montage_1005() -> Any:
    """MNE's montage of the 10-05 system, under the name that the installed MNE prefers.

    Returns
    -------
    montage : mne.channels.DigMontage
    """
    import mne

    try:
        return mne.channels.make_standard_montage("colin27_1005")
    except ValueError:  # the name before MNE 1.13
        return mne.channels.make_standard_montage("standard_1005")
