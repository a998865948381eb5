"""Simulates motor EEG: rhythms of the hand and foot areas that fade by class, and what disturbs them."""

from collections.abc import Iterator
from dataclasses import dataclass

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfftfreq

from eeg_sgdr.recordings.positions import montage_1005

Floats = NDArray[np.float64]

#: The motor sensors of the High-Gamma montage (Schirrmeister et al. 2017).
SENSORS = (  # noqa: SIM905 (44 lines otherwise)
    "FC5 FC1 FC2 FC6 C3 C4 CP5 CP1 CP2 CP6 FC3 FCz FC4 C5 C1 C2 C6 CP3 CPz CP4 "
    "FFC5h FFC3h FFC4h FFC6h FCC5h FCC3h FCC4h FCC6h CCP5h CCP3h CCP4h CCP6h CPP5h CPP3h CPP4h CPP6h "
    "FFC1h FFC2h FCC1h FCC2h CCP1h CCP2h CPP1h CPP2h"
).split()
CLASSES = ("right_hand", "left_hand", "feet", "rest")
TRIAL_S = 4.0
LINE_HZ = 50.0

#: The head: a sphere fitted to the 10-05 positions in MNE's head coordinates (metres).
_CENTRE = np.array([-0.001, 0.015, 0.041])
_RADIUS = 0.098
#: The sensor above each motor area, and how much of its rhythm fades in each class of `CLASSES`.
#: Hands are contralateral, with a little on the other side; feet are medial.
_AREAS = {
    "left": ("C3", (1.0, 0.25, 0.0, 0.0)),
    "right": ("C4", (0.25, 1.0, 0.0, 0.0)),
    "foot": ("Cz", (0.0, 0.0, 1.0, 0.0)),
}
_N_BACKGROUND = 80

#: How clearly each of the 14 people modulates the rhythms, between 0 and 1. Chosen so that the
#: errors of a trained ConvNet spread as docs/simulated.md shows.
CLARITY = (0.70, 0.48, 0.62, 0.86, 0.53, 0.78, 0.36, 0.66, 0.42, 0.95, 0.74, 0.58, 0.90, 0.82)


@dataclass(frozen=True)
class Person:
    """What one simulated person keeps from run to run.

    Attributes
    ----------
    clarity : float
        How clearly the rhythms are modulated, between 0 and 1.
    mu_hz, beta_hz, alpha_hz : float
        Centre frequencies of the rhythms of the motor areas and of the occipital alpha.
    positions, orientations : ndarray, shape (n_dipoles, 3)
        Dipoles in metres (head coordinates) and their unit directions: the motor areas (mu, then
        beta), two occipital, two behind the eyes, then the background.
    """

    clarity: float
    mu_hz: float
    beta_hz: float
    alpha_hz: float
    positions: Floats
    orientations: Floats


def person(number: int, seed: int) -> Person:
    """Draw a person.

    Parameters
    ----------
    number : int
        From 1 to 14; it alone determines how difficult the person is.
    seed : int
        Seed of everything else.

    Returns
    -------
    person : Person
    """
    rng = np.random.default_rng([seed, number])
    motor = _below([name for name, _ in _AREAS.values()], 0.72)
    beta = motor + np.array([0.0, 0.006, 0.0])  # beta comes from further in front
    background = (
        _CENTRE + _directions(rng, _N_BACKGROUND) * rng.uniform(0.3, 0.75, (_N_BACKGROUND, 1)) * _RADIUS
    )
    own = np.concatenate([motor, beta, _below(["O1", "O2"], 0.75), _below(["AF3", "AF4"], 0.6)])
    own[:8] += rng.normal(0, 0.005, (8, 3))
    positions = np.concatenate([own, background])
    radial = _unit(own - _CENTRE)
    orientations = np.concatenate(
        [_unit(radial + rng.normal(0, 0.2, own.shape)), _directions(rng, _N_BACKGROUND)]
    )
    return Person(
        clarity=CLARITY[number - 1],
        mu_hz=rng.uniform(9.0, 12.5),
        beta_hz=rng.uniform(17.0, 25.0),
        alpha_hz=rng.uniform(9.0, 11.0),
        positions=positions,
        orientations=orientations,
    )


def runs(number: int, seed: int, n_runs: int, n_trials: int, sfreq: float) -> Iterator[mne.io.RawArray]:
    """Simulate a person's runs, one at a time.

    Parameters
    ----------
    number : int
        The person, from 1 to 14.
    seed : int
        Same seed, same samples.
    n_runs, n_trials : int
        Runs, and trials of each run (a multiple of the number of classes).
    sfreq : float
        Sampling rate in Hz, a whole number.

    Yields
    ------
    raw : mne.io.RawArray
        EEG and one EOG channel in volts, with the cues as annotations of 4 s.
    """
    info = mne.create_info([*SENSORS, "EOG"], sfreq, ["eeg"] * len(SENSORS) + ["eog"])
    info.set_montage(montage_1005(), verbose="error")
    with info._unlock():
        info["line_freq"] = LINE_HZ
    somebody = person(number, seed)
    for run in range(1, n_runs + 1):
        # A generator of its own, so that a run does not depend on how many others there are.
        yield _run(somebody, info, n_trials, np.random.default_rng([seed, number, run]))


def _run(somebody: Person, info: mne.Info, n_trials: int, rng: np.random.Generator) -> mne.io.RawArray:
    sfreq = info["sfreq"]
    onsets, cues = _protocol(n_trials, sfreq, rng)
    n_samples = int(np.ceil(onsets[-1] + TRIAL_S + 4.0) * sfreq)
    gains = _gains(somebody, info, rng)
    activity = np.concatenate(
        [
            _motor(somebody, onsets, cues, n_samples, sfreq, rng),
            60e-9 * _rhythms(np.full(2, somebody.alpha_hz), 1.0, n_samples, sfreq, rng),
            blinks := _blinks(n_samples, sfreq, rng),
            20e-9 * _noise(_N_BACKGROUND, 1.2, n_samples, sfreq, rng),
        ]
    )
    # Double precision, so that the order in which a processor sums does not show in 16 bits.
    eeg = gains @ activity
    eog = 0.5 * (blinks[:1] + blinks[1:]) * 1000.0 + 5e-6 * _noise(1, 1.2, n_samples, sfreq, rng)
    data = np.concatenate([eeg, eog])
    data += _line(len(data), n_samples, sfreq, rng)
    data += 0.5e-6 * rng.standard_normal(data.shape)
    data += _drift(len(data), n_samples, rng)
    _add_movements(data[:-1], info, onsets, rng)
    raw = mne.io.RawArray(data, info, verbose="error")
    return raw.set_annotations(mne.Annotations(onsets, TRIAL_S, [CLASSES[cue] for cue in cues]))


def _protocol(n_trials: int, sfreq: float, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Onsets (s, on samples) every 7 to 8 s, and balanced classes in random order."""
    onsets = 6.0 + np.concatenate([[0.0], np.cumsum(rng.uniform(7.0, 8.0, n_trials - 1))])
    cues = rng.permutation(np.arange(n_trials) % len(CLASSES))
    return np.round(onsets * sfreq) / sfreq, cues


def _gains(somebody: Person, info: mne.Info, rng: np.random.Generator) -> Floats:
    """Volts at each sensor per ampere metre of each dipole; the cap sits a little differently each run."""
    tilt = rng.normal(0, 0.02, 3)
    positions = somebody.positions + np.cross(tilt, somebody.positions - _CENTRE)
    orientations = _unit(somebody.orientations + np.cross(tilt, somebody.orientations))
    n = len(positions)
    dipoles = mne.Dipole(np.zeros(n), positions, np.ones(n), orientations, np.ones(n), verbose="error")
    sphere = mne.make_sphere_model(_CENTRE, _RADIUS, verbose="error")
    eeg = mne.pick_info(info, mne.pick_types(info, eeg=True))
    forward, _ = mne.make_forward_dipole(dipoles, sphere, eeg, verbose="error")
    return forward["sol"]["data"].astype(np.float64)


def _motor(
    somebody: Person,
    onsets: Floats,
    cues: NDArray[np.int64],
    n_samples: int,
    sfreq: float,
    rng: np.random.Generator,
) -> Floats:
    """Moments of the motor areas' mu and beta rhythms (A m), faded by class; shape (6, n_samples)."""
    clarity = somebody.clarity
    fading = np.array([weights for _, weights in _AREAS.values()])
    # How well each trial is done; now and then it is not done at all.
    effort = rng.uniform(0.5, 1.0, len(cues)) * (rng.random(len(cues)) > 0.15 * (1 - clarity))
    depth = (0.25 + 0.6 * clarity) * effort
    times = np.arange(n_samples) / sfreq
    envelope = np.ones((len(fading), n_samples))
    for onset, cue, trial_depth in zip(onsets, cues, depth, strict=True):
        start = onset + rng.uniform(0.2, 0.5)
        course = _step(times, start, 0.5) - _step(times, onset + TRIAL_S, 0.8)
        envelope -= trial_depth * fading[:, [cue]] * course
    strength = (
        np.exp(rng.normal(0, 0.1, (6, 1))) * np.repeat([[45e-9], [22e-9]], 3, axis=0) * (0.5 + 0.5 * clarity)
    )
    hz = np.repeat([somebody.mu_hz, somebody.beta_hz], 3) + rng.normal(0, 0.15, 6)
    width = np.repeat([1.0, 2.0], 3)
    return strength * np.tile(envelope, (2, 1)) * _rhythms(hz, width, n_samples, sfreq, rng)


def _blinks(n_samples: int, sfreq: float, rng: np.random.Generator) -> Floats:
    """Moments of the two dipoles behind the eyes (A m), shape (2, n_samples); 15 blinks a minute."""
    times = np.arange(n_samples) / sfreq
    course = np.zeros(n_samples)
    for moment in np.cumsum(rng.exponential(4.0, int(n_samples / sfreq))):
        if moment < times[-1]:
            near = slice(*np.searchsorted(times, [moment - 0.5, moment + 0.5]))
            course[near] += rng.uniform(0.6, 1.2) * np.exp(-0.5 * ((times[near] - moment) / 0.08) ** 2)
    return 250e-9 * np.stack([course, course])


def _line(n_channels: int, n_samples: int, sfreq: float, rng: np.random.Generator) -> Floats:
    """Line noise (V) whose strength and phase differ between sensors and whose strength wanders."""
    phase = 2 * np.pi * LINE_HZ * np.arange(n_samples) / sfreq
    wander = 1.0 + 0.2 * _noise(1, 2.0, n_samples, sfreq, rng)
    strength = rng.normal(2e-6, 0.5e-6, (n_channels, 1))
    return strength * wander * np.sin(phase + rng.normal(0, 0.3, (n_channels, 1)))


def _drift(n_channels: int, n_samples: int, rng: np.random.Generator) -> Floats:
    """Offset and slope of each sensor's voltage (V) over a run."""
    offset, slope = rng.normal(0, 20e-6, (2, n_channels, 1))
    return offset + slope * np.linspace(-1, 1, n_samples)


def _add_movements(eeg: Floats, info: mne.Info, onsets: Floats, rng: np.random.Generator) -> None:
    """Add a movement artefact of 1 to 2 mV, in place, to about one trial in thirty."""
    places = np.array([channel["loc"][:3] for channel in info["chs"][: len(eeg)]])
    times = np.arange(eeg.shape[1]) / info["sfreq"]
    for onset in onsets[rng.random(len(onsets)) < 1 / 30]:
        centre = rng.integers(len(places))
        distance = np.linalg.norm(places - places[centre], axis=1)
        moment, width = onset + rng.uniform(0.5, 3.5), rng.uniform(0.1, 0.3)
        course = np.exp(-0.5 * ((times - moment) / width) ** 2)
        eeg += rng.uniform(1.1e-3, 2e-3) * np.exp(-0.5 * (distance / 0.04) ** 2)[:, None] * course


def _rhythms(
    hz: Floats, width: float | Floats, n_samples: int, sfreq: float, rng: np.random.Generator
) -> Floats:
    """Narrow-band noise of unit variance: bells around ``hz`` of standard deviation ``width`` (Hz)."""
    frequencies = _frequencies(n_samples, sfreq)
    bells = np.exp(-0.25 * ((frequencies - hz[:, None]) / np.reshape(width, (-1, 1))) ** 2)
    return _shaped(bells, n_samples, rng)


def _noise(n_signals: int, exponent: float, n_samples: int, sfreq: float, rng: np.random.Generator) -> Floats:
    """1/f noise of unit variance whose power falls with ``exponent``, flat below 1 Hz."""
    fall = np.maximum(_frequencies(n_samples, sfreq), 1.0) ** (-exponent / 2)
    return _shaped(np.tile(fall, (n_signals, 1)), n_samples, rng)


def _frequencies(n_samples: int, sfreq: float) -> Floats:
    return rfftfreq(next_fast_len(n_samples, real=True), 1 / sfreq)


def _shaped(amplitudes: Floats, n_samples: int, rng: np.random.Generator) -> Floats:
    """Gaussian noise of unit variance with the given amplitude spectra."""
    spectrum = rng.standard_normal((2, *amplitudes.shape))
    signals = irfft(amplitudes * (spectrum[0] + 1j * spectrum[1]), next_fast_len(n_samples, real=True))
    return signals[:, :n_samples] / signals.std(axis=1, keepdims=True)


def _step(times: Floats, start: float, length: float) -> Floats:
    """From 0 to 1 along half a cosine."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((times - start) / length, 0, 1))


def _below(sensors: list[str], depth: float) -> Floats:
    """Find the points under sensors, at a fraction of the head's radius; shape (n_sensors, 3)."""
    info = mne.create_info(sensors, 100.0, "eeg").set_montage(montage_1005(), verbose="error")
    places = np.array([channel["loc"][:3] for channel in info["chs"]])
    return _CENTRE + depth * _RADIUS * _unit(places - _CENTRE)


def _directions(rng: np.random.Generator, n: int) -> Floats:
    return _unit(rng.standard_normal((n, 3)))


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
