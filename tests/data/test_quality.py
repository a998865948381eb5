"""Rejected trials against MNE's own rejection; noisy and bridged sensors and mains are found, others not."""

import mne
import numpy as np
import pandas as pd
import pytest
from conftest import make_raw
from scipy import signal

from eeg_sgdr.data.quality import (
    MAX_TRIALS,
    bridged_sensors,
    evenly_spaced_trials,
    extremes,
    mains_warning,
    noisy_sensors,
    rejection_reasons,
    rejection_warning,
)
from eeg_sgdr.settings import Preprocessing

SFREQ = 125.0
NAMES = [f"E{i}" for i in range(16)]


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    common = rng.normal(scale=10, size=(20, 1, 500))
    return common + rng.normal(scale=8, size=(20, len(NAMES), 500))


@pytest.mark.parametrize("n", [20, 0])
def test_nothing_is_wrong_with_noise_or_without_trials(trials, n):
    assert noisy_sensors(trials[:n], NAMES) == []
    assert bridged_sensors(trials[:n], NAMES, SFREQ) == []


def test_a_noisy_sensor_is_named(trials):
    trials[:, 5] += np.random.default_rng(1).normal(scale=80, size=trials[:, 5].shape)
    assert noisy_sensors(trials, NAMES) == ["E5"]
    assert noisy_sensors(trials[:, :6], NAMES[:6]) == [], "too few sensors to lie out of"


def test_bridged_sensors_are_named(trials):
    rng = np.random.default_rng(1)
    trials[:, [3, 14]] = trials[:, [2, 9]] + rng.normal(scale=0.3, size=(20, 2, 500))
    assert bridged_sensors(trials, NAMES, SFREQ) == [["E2", "E3"], ["E9", "E14"]]


def summary_of(trials):
    frequencies, power = signal.welch(trials, fs=SFREQ, nperseg=round(SFREQ))
    return {
        "frequencies": frequencies,
        "spectra": np.stack([power.mean(axis=0), np.full(power.shape[1:], np.nan)]),
    }


@pytest.mark.parametrize("mains", [50, 60])
@pytest.mark.parametrize(("times", "is_named"), [(0.9, False), (1.1, True)])
def test_mains_are_named_where_they_have_more_power_than_all_else(trials, mains, times, is_named):
    amplitude = times * np.sqrt(2 * trials.var(axis=(0, 2), keepdims=True))
    wave = amplitude * np.sin(2 * np.pi * mains * np.arange(trials.shape[2]) / SFREQ)
    share = times**2 / (1 + times**2)
    found = mains_warning(summary_of(trials + wave))
    assert bool(found) == is_named
    if is_named:
        percent = float(found.partition(" %")[0])
        # The EEG's own power near the mains counts as theirs.
        assert 100 * share <= percent <= 100 * (share + (1 - share) * 5 / 62.5) + 1
        assert f"the mains ({mains} Hz)" in found


def test_what_has_no_power_is_not_said_to_be_mains(trials):
    assert mains_warning(summary_of(0 * trials)) == ""
    wave = 40 * np.sin(2 * np.pi * 50 * np.arange(500) / SFREQ)
    trials[:, 9:] += wave
    assert mains_warning(summary_of(trials)) == "", "in 7 of 16 sensors"
    trials[:, 7:9] += wave
    trials[:, 0] = 0
    assert mains_warning(summary_of(trials))


@pytest.mark.parametrize("n", [0, 1, MAX_TRIALS, 10 * MAX_TRIALS])
def test_few_trials_are_taken_from_all(n):
    taken = evenly_spaced_trials(n)
    assert len(taken) == min(n, MAX_TRIALS)
    assert len({*taken}) == len(taken)
    if n > 1:
        assert (taken[0], taken[-1]) == (0, n - 1)


def reasons(raw, **settings):
    config = Preprocessing(**{"reject_uv": None, "window_s": (-0.5, 2.0), **settings})
    onsets = raw.annotations.onset.tolist()
    return rejection_reasons(raw, onsets, extremes(raw, onsets, 2.0, "x"), config)


@pytest.mark.parametrize("bound", [75.0, 80.0, 85.0])
def test_peak_to_peak_is_that_of_mne(bound):
    raw = make_raw(n_trials=20)
    raw.info["bads"] = ["C4"]
    raw._data[1, 1000] += 200e-6
    ours = reasons(raw, reject_ptp_uv=bound)
    events, _ = mne.events_from_annotations(raw, verbose="error")
    options = {"baseline": None, "preload": True, "reject": {"eeg": bound * 1e-6}, "verbose": "error"}
    epochs = mne.Epochs(raw, events, tmin=0, tmax=2 - 1 / 100, **options)
    assert [bool(reason) for reason in ours] == [bool(log) for log in epochs.drop_log]
    assert {*ours} == {"", "peak-to-peak C3", "peak-to-peak Cz"}
    for reason, log in zip(ours, epochs.drop_log, strict=True):
        assert not reason or reason.removeprefix("peak-to-peak ") in log


def test_an_offset_is_too_much_for_the_absolute_bound_alone():
    raw = make_raw()
    raw._data += 0.05  # as of a DC-coupled amplifier
    cut = [raw._data[:, round(100 * at) :][:, :200] for at in raw.annotations.onset]
    worst = {raw.ch_names[np.abs(trial).max(axis=1).argmax()] for trial in cut}
    assert {*reasons(raw, reject_uv=800)} == {f"amplitude {name}" for name in worst}
    assert {*reasons(raw, reject_ptp_uv=800)} == {""}


def test_bounds_are_met_or_exceeded_as_their_sources_have_it():
    raw = make_raw(n_trials=1)
    raw._data[:] = 0
    raw._data[0, 250] = 512e-6
    assert reasons(raw, reject_uv=512) == ["amplitude C3"]
    assert reasons(raw, reject_ptp_uv=512.1) == [""]
    assert reasons(raw, reject_ptp_uv=511.9) == ["peak-to-peak C3"]


def test_only_good_eeg_sensors_reject():
    raw = make_raw(names=("C3", "Cz", "EOG"))
    raw.set_channel_types({"EOG": "eog"})
    raw._data[1:] *= 1000
    raw.info["bads"] = ["Cz"]
    assert {*reasons(raw, reject_uv=800, reject_ptp_uv=800)} == {""}


@pytest.mark.parametrize(
    ("rejected", "sentence"),
    [
        (["amplitude Fp1", "amplitude Fp1", "", ""], ""),
        (
            ["amplitude Fp1", "peak-to-peak Fp1", "amplitude C3", "annotation BAD Fp2", ""],
            "4 of 5 trials are rejected, 2 of them for sensor Fp1; mark it as bad, or change "
            "preprocessing.reject_uv or reject_ptp_uv.",
        ),
        (["annotation BAD", ""], ""),
        (["annotation BAD", "outside recording", ""], "2 of 3 trials are rejected; trials.csv says why."),
    ],
)
def test_the_sensor_to_blame_is_named_when_most_are_rejected(rejected, sentence):
    assert rejection_warning(pd.DataFrame({"rejected": rejected})) == sentence
