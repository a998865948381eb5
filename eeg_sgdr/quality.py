"""Sensors that look wrong, found by MNE; nothing is done about them here.

References
----------
.. [1] Kumaravel, V. P., et al. (2022). Adaptable and robust EEG bad channel detection using local outlier
       factor (LOF). Sensors 22(19), 7314.
.. [2] Tenke, C. E., & Kayser, J. (2001). A convenient method for detecting electrolyte bridges in
       multichannel electroencephalogram and event-related potential recordings. Clinical Neurophysiology
       112(3), 545-550.
"""

import warnings

import mne
import numpy as np

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
