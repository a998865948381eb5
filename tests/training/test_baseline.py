"""The classical baseline: its covariances, what it must not depend on, and real recordings."""

import numpy as np
import pytest
from conftest import make_settings
from scipy import signal
from sklearn.covariance import oas

from eeg_sgdr import settings as config
from eeg_sgdr.data import windows
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.training import baseline


def trials(n=40, seed=0):
    """Covariances of two classes that differ in the power of one of four mixed sources."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    power = np.ones((n, 4))
    power[y == 1, 2] = 4
    mixing = np.random.default_rng(9).normal(size=(4, 4))
    x = mixing @ (np.sqrt(power)[:, :, None] * rng.normal(size=(n, 4, 200)))
    return windows.covariances(x), y


def test_covariances_are_those_of_oas():
    x = np.random.default_rng(0).normal(size=(3, 5, 40))
    expected = [oas(trial.T - trial.T.mean(axis=0), assume_centered=True)[0] for trial in x]
    np.testing.assert_allclose(windows.covariances(x), expected, rtol=1e-10)
    assert windows.covariances(x[:0]).shape == (0, 5, 5)


def test_classes_that_differ_in_power_are_told_apart():
    (train, y), (test, expected) = trials(), trials(seed=1)
    probabilities = baseline.predict_proba(baseline.fit(train, y), test)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities.argmax(axis=1) == expected).mean() >= 0.95


def test_linear_mixing_of_the_sensors_changes_nothing():
    """The metric is invariant to it, and the penalty to the rotation that is left in tangent space."""
    (train, y), (test, _) = trials(), trials(seed=1)
    mixing = np.random.default_rng(2).normal(size=(4, 4))
    mixed = [mixing @ covariances @ mixing.T for covariances in (train, test)]
    np.testing.assert_allclose(
        baseline.predict_proba(baseline.fit(mixed[0], y), mixed[1]),
        baseline.predict_proba(baseline.fit(train, y), test),
        atol=1e-3,
    )


def test_a_test_trial_is_predicted_whatever_the_others_are():
    (train, y), (test, _) = trials(), trials(seed=1)
    together = baseline.predict_proba(baseline.fit(train, y), test)
    np.testing.assert_allclose(
        together[:1], baseline.predict_proba(baseline.fit(train, y), test[:1]), rtol=1e-6
    )


def test_trials_without_signal_are_singular_and_flat_sensors_are_not():
    x = np.random.default_rng(0).normal(size=(4, 5, 40))
    x[1] = 0
    x[2, 3] = 0
    assert baseline.singular(windows.covariances(x)).tolist() == [1]
    assert baseline.singular(np.ones((2, 3, 3))).tolist() == [0, 1]


def test_trials_have_the_covariances_of_their_band(recordings):
    """Against scipy's filters; from the cue on, in microvolts, and nothing when there is no baseline."""
    made = make_trials(recordings, make_settings(baseline={"band_hz": [9, 20]}))
    assert made.train.covariances.shape == (16, 3, 3)
    raw = recordings[2].raw
    sos = [signal.butter(3, 9, "highpass", fs=100, output="sos"), signal.butter(3, 20, fs=100, output="sos")]
    whole = signal.sosfilt(sos[1], signal.sosfilt(sos[0], raw.get_data() * 1e6))
    cut = [whole[:, round(onset * 100) :][:, :200] for onset in raw.annotations.onset]
    np.testing.assert_allclose(made.test.covariances, windows.covariances(np.array(cut)), rtol=1e-6)
    without = make_trials(recordings, make_settings(baseline=None))
    assert without.train.covariances.shape == (16, 0, 0)
    assert np.array_equal(without.train.x, made.train.x)


@pytest.mark.recordings
def test_real_recordings_are_decoded(recordings_folder, tmp_path):
    """Subject 1, fists or feet: 0 of 30 when the recordings were put together."""
    settings = config.load("physionet_fists_feet")
    made = make_trials(list(open_source(settings.recordings, tmp_path).recordings("1")), settings)
    model = baseline.fit(made.train.covariances, made.train.y)
    probabilities = baseline.predict_proba(model, made.test.covariances)
    assert len(made.test.y) == 30
    assert (probabilities.argmax(axis=1) != made.test.y).sum() <= 2
