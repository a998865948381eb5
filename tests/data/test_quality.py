"""Sensors that were made wrong are found, and others are not."""

import numpy as np
import pytest

from eeg_sgdr.data.quality import MAX_TRIALS, bridged_sensors, evenly_spaced_trials, noisy_sensors

SFREQ = 125.0
NAMES = [f"E{i}" for i in range(16)]


@pytest.fixture
def trials():
    """Trials of common and own noise, in microvolts."""
    rng = np.random.default_rng(0)
    common = rng.normal(scale=10, size=(20, 1, 500))
    return common + rng.normal(scale=8, size=(20, len(NAMES), 500))


def test_nothing_is_wrong_with_noise(trials):
    assert noisy_sensors(trials, NAMES) == []
    assert bridged_sensors(trials, NAMES, SFREQ) == []


def test_a_noisy_sensor_is_named(trials):
    trials[:, 5] += np.random.default_rng(1).normal(scale=80, size=trials[:, 5].shape)
    assert noisy_sensors(trials, NAMES) == ["E5"]
    assert noisy_sensors(trials[:, :6], NAMES[:6]) == [], "too few sensors to lie out of"


def test_bridged_sensors_are_named(trials):
    rng = np.random.default_rng(1)
    for a, b in ((2, 3), (9, 14)):
        trials[:, b] = trials[:, a] + rng.normal(scale=0.3, size=trials[:, a].shape)
    assert bridged_sensors(trials, NAMES, SFREQ) == [["E2", "E3"], ["E9", "E14"]]


def test_without_trials_nothing_is_found(trials):
    assert noisy_sensors(trials[:0], NAMES) == []
    assert bridged_sensors(trials[:0], NAMES, SFREQ) == []


@pytest.mark.parametrize("n", [0, 1, MAX_TRIALS, 10 * MAX_TRIALS])
def test_few_trials_are_taken_from_all(n):
    taken = evenly_spaced_trials(n)
    assert len(taken) == min(n, MAX_TRIALS)
    assert len({*taken}) == len(taken)
    if n > 1:
        assert (taken[0], taken[-1]) == (0, n - 1)
