"""Simulate motor EEG: rhythms of hand and foot areas that desynchronise by class, noise and artefacts."""

from collections.abc import Iterator
from dataclasses import dataclass

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfftfreq
from threadpoolctl import threadpool_limits

from eeg_sgdr.data.sources.channels import montage_1005

Floats = NDArray[np.float64]

#: Raised whenever the same seed gives other samples, so that old ones are not mistaken for new.
REVISION = 1

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

#: How clear the rhythms of each of the 14 people are, between 0 and 1: how far they stand out of the
#: background, how deeply they fade, and how seldom a trial is not done. Chosen so that the errors of
#: a trained ConvNet spread as docs/simulated.md shows.
CLARITY = (0.82, 0.58, 0.84, 0.95, 0.80, 0.92, 0.36, 0.79, 0.50, 0.97, 0.90, 0.69, 0.40, 0.88)


@dataclass(frozen=True)
class Person:
    """Properties of a simulated person, the same in every run."""

    clarity: float  # see `CLARITY`
    mu_hz: float  # centre frequencies: motor areas' mu and beta, occipital alpha
    beta_hz: float
    alpha_hz: float
    #: (n_dipoles, 3), metres, head coordinates: mu and beta areas, 2 occipital, 2 frontal (blinks),
    #: background
    positions: Floats
    orientations: Floats  # (n_dipoles, 3), unit vectors


def person(number: int, seed: int) -> Person:
    """Draw person 1 to 14; the number determines the clarity, the seed everything else."""
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
    """Simulate a person's runs, one at a time: EEG and one EOG channel in volts, cues as annotations of 4 s.

    ``n_trials`` (of a run) is a multiple of the number of classes, ``sfreq`` a whole number of Hz. The same
    seed gives the same samples.
    """
    info = mne.create_info([*SENSORS, "EOG"], sfreq, ["eeg"] * len(SENSORS) + ["eog"])
    info.set_montage(montage_1005(), verbose="error")
    info["line_freq"] = LINE_HZ
    participant = person(number, seed)
    for run in range(1, n_runs + 1):
        # A generator of its own, so that a run does not depend on how many others there are.
        yield _run(participant, info, n_trials, np.random.default_rng([seed, number, run]))


def _run(participant: Person, info: mne.Info, n_trials: int, rng: np.random.Generator) -> mne.io.RawArray:
    """Simulate one run."""
    sfreq = info["sfreq"]
    onsets, cues = _protocol(n_trials, sfreq, rng)
    times = np.arange(int(np.ceil(onsets[-1] + TRIAL_S + 4.0) * sfreq)) / sfreq
    blinks = _blinks(times, rng)
    moments = np.concatenate(
        [
            _motor(participant, onsets, cues, times, rng),
            60e-9 * _rhythms(np.full(2, participant.alpha_hz), 1.0, times, rng),
            250e-9 * np.stack([blinks, blinks]),
        ]
    )
    gains = _gains(participant, info, rng)
    # Double precision, so that the order in which a processor sums does not show in a file's 16 bits. Further
    # threads would mostly wait, on cores that import the workers' libraries meanwhile.
    with threadpool_limits(1):
        eeg = gains[:, : len(moments)] @ moments
        # In blocks, for the memory that long runs need.
        for block in np.array_split(gains[:, len(moments) :], 8, axis=1):
            eeg += block @ (20e-9 * _noise(block.shape[1], 1.2, times, rng))
    _add_movements(eeg, info, onsets, times, rng)
    eog = 250e-6 * blinks + 5e-6 * _noise(1, 1.2, times, rng)
    data = np.concatenate([eeg, eog])
    data += _line(len(data), times, rng)
    data += 0.5e-6 * rng.standard_normal(data.shape)
    data += _drift(len(data), times, rng)
    raw = mne.io.RawArray(data, info, verbose="error")
    return raw.set_annotations(mne.Annotations(onsets, TRIAL_S, [CLASSES[cue] for cue in cues]))


def _protocol(n_trials: int, sfreq: float, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Onsets (s, on samples) every 7 to 8 s, and balanced classes in random order."""
    onsets = 6.0 + np.concatenate([[0.0], np.cumsum(rng.uniform(7.0, 8.0, n_trials - 1))])
    cues = rng.permutation(np.arange(n_trials) % len(CLASSES))
    return np.round(onsets * sfreq) / sfreq, cues


def _gains(participant: Person, info: mne.Info, rng: np.random.Generator) -> Floats:
    """Volts at each sensor per ampere metre of each dipole; the cap sits a little differently each run."""
    tilt = rng.normal(0, 0.02, 3)
    positions = participant.positions + np.cross(tilt, participant.positions - _CENTRE)
    orientations = _unit(participant.orientations + np.cross(tilt, participant.orientations))
    n = len(positions)
    dipoles = mne.Dipole(np.zeros(n), positions, np.ones(n), orientations, np.ones(n), verbose="error")
    sphere = mne.make_sphere_model(_CENTRE, _RADIUS, verbose="error")
    eeg = mne.pick_info(info, mne.pick_types(info, eeg=True))
    forward, _ = mne.make_forward_dipole(dipoles, sphere, eeg, verbose="error")
    return forward["sol"]["data"].astype(np.float64)


def _motor(
    participant: Person, onsets: Floats, cues: NDArray[np.int64], times: Floats, rng: np.random.Generator
) -> Floats:
    """Moments of the motor areas' mu and beta rhythms (A m), faded by class; shape (6, n_samples)."""
    clarity = participant.clarity
    # How well each trial is done; now and then it is not done at all.
    effort = rng.uniform(0.5, 1.0, len(cues)) * (rng.random(len(cues)) > 0.15 * (1 - clarity))
    depth = (0.15 + 0.75 * clarity) * effort
    reaction = rng.uniform(0.2, 0.5, len(cues))
    fading = np.array([weights for _, weights in _AREAS.values()])
    envelope = np.ones((len(fading), len(times)))
    for i, onset in enumerate(onsets):
        near = slice(*np.searchsorted(times, [onset, onset + TRIAL_S + 1.0]))
        course = _step(times[near], onset + reaction[i], 0.5) - _step(times[near], onset + TRIAL_S, 0.8)
        envelope[:, near] -= depth[i] * fading[:, [cues[i]]] * course
    hz = np.repeat([participant.mu_hz, participant.beta_hz], 3) + rng.normal(0, 0.15, 6)
    width = np.repeat([1.0, 2.0], 3)
    strength = np.repeat([45e-9, 22e-9], 3) * (0.3 + 0.9 * clarity) * np.exp(rng.normal(0, 0.1, 6))
    return strength[:, None] * np.tile(envelope, (2, 1)) * _rhythms(hz, width, times, rng)


def _blinks(times: Floats, rng: np.random.Generator) -> Floats:
    """About 15 blinks a minute, of a size around 1; shape (n_samples,)."""
    course = np.zeros(len(times))
    for moment in np.cumsum(rng.exponential(4.0, len(times))):
        if moment > times[-1]:
            break
        near, bump = _bump(times, moment, 0.08)
        course[near] += rng.uniform(0.6, 1.2) * bump
    return course


def _line(n_channels: int, times: Floats, rng: np.random.Generator) -> Floats:
    """Line noise (V) whose strength and phase differ between sensors and whose strength wanders."""
    strength = rng.normal(2e-6, 0.5e-6, (n_channels, 1))
    phase = rng.normal(0, 0.3, (n_channels, 1))
    wander = 1.0 + 0.2 * _noise(1, 2.0, times, rng)
    return strength * wander * np.sin(2 * np.pi * LINE_HZ * times + phase)


def _drift(n_channels: int, times: Floats, rng: np.random.Generator) -> Floats:
    """Offset and slope of each sensor's voltage (V) over a run."""
    offset, slope = rng.normal(0, 20e-6, (2, n_channels, 1))
    return offset + slope * np.linspace(-1, 1, len(times))


def _add_movements(
    eeg: Floats, info: mne.Info, onsets: Floats, times: Floats, rng: np.random.Generator
) -> None:
    """Add a movement artefact of 1.1 to 2 mV, in place, to about one trial in thirty."""
    places = np.array([channel["loc"][:3] for channel in info["chs"][: len(eeg)]])
    for onset in onsets[rng.random(len(onsets)) < 1 / 30]:
        distance = np.linalg.norm(places - places[rng.integers(len(places))], axis=1)
        near, bump = _bump(times, onset + rng.uniform(0.5, 3.5), rng.uniform(0.1, 0.3))
        spread = np.exp(-0.5 * (distance / 0.04) ** 2)
        eeg[:, near] += rng.uniform(1.1e-3, 2e-3) * spread[:, None] * bump


def _rhythms(hz: Floats, width: float | Floats, times: Floats, rng: np.random.Generator) -> Floats:
    """Noise of unit variance whose power is a bell around ``hz`` of standard deviation ``width``."""
    distance = (_frequencies(times) - hz[:, None]) / np.reshape(width, (-1, 1))
    return _shaped(np.exp(-0.25 * distance**2), times, rng)


def _noise(n_signals: int, exponent: float, times: Floats, rng: np.random.Generator) -> Floats:
    """1/f noise of unit variance whose power falls with ``exponent``, flat below 1 Hz."""
    fall = np.maximum(_frequencies(times), 1.0) ** (-exponent / 2)
    return _shaped(np.tile(fall, (n_signals, 1)), times, rng)


def _frequencies(times: Floats) -> Floats:
    return rfftfreq(next_fast_len(len(times), real=True), times[1])


def _shaped(amplitudes: Floats, times: Floats, rng: np.random.Generator) -> Floats:
    """Gaussian noise of unit variance with the given amplitude spectra; shape (n_signals, n_samples)."""
    real, imaginary = rng.standard_normal((2, *amplitudes.shape))
    signals = irfft(amplitudes * (real + 1j * imaginary), next_fast_len(len(times), real=True))
    return signals[:, : len(times)] / signals.std(axis=1, keepdims=True)


def _bump(times: Floats, centre: float, width: float) -> tuple[slice, Floats]:
    """Return a Gaussian of height 1, and the samples where it is not yet zero."""
    near = slice(*np.searchsorted(times, [centre - 6 * width, centre + 6 * width]))
    return near, np.exp(-0.5 * ((times[near] - centre) / width) ** 2)


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
