"""The classical baseline: what it must not depend on, and real recordings."""

import numpy as np
import pytest

from eeg_sgdr import settings as config
from eeg_sgdr.data import windows
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.training import baseline


def trials(n=40, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    power = np.ones((n, 4))
    power[y == 1, 2] = 4
    mixing = np.random.default_rng(9).normal(size=(4, 4))
    x = mixing @ (np.sqrt(power)[:, :, None] * rng.normal(size=(n, 4, 200)))
    return windows.covariances(x), y


(TRAIN, Y), (TEST, Y_TEST) = trials(), trials(seed=1)


def predict(train, test):
    return baseline.predict_proba(baseline.fit(train, Y), test)


def test_classes_that_differ_in_power_are_told_apart():
    probabilities = predict(TRAIN, TEST)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities.argmax(axis=1) == Y_TEST).mean() >= 0.95


def test_linear_mixing_of_the_sensors_changes_nothing():
    """The metric is invariant to it, and the penalty to the rotation that is left in tangent space."""
    mixing = np.random.default_rng(2).normal(size=(4, 4))
    mixed = [mixing @ covariances @ mixing.T for covariances in (TRAIN, TEST)]
    np.testing.assert_allclose(predict(*mixed), predict(TRAIN, TEST), atol=1e-3)


def test_a_test_trial_is_predicted_whatever_the_others_are():
    np.testing.assert_allclose(predict(TRAIN, TEST)[:1], predict(TRAIN, TEST[:1]), rtol=1e-6)


def test_trials_without_signal_are_singular_and_flat_sensors_are_not():
    x = np.random.default_rng(0).normal(size=(4, 5, 40))
    x[1] = 0
    x[2, 3] = 0
    assert baseline.singular(windows.covariances(x)).tolist() == [1]
    assert baseline.singular(np.ones((2, 3, 3))).tolist() == [0, 1]


@pytest.mark.recordings
def test_real_recordings_are_decoded(recordings_folder, tmp_path):
    """Subject 1, fists or feet: 0 of 30 when the recordings were put together."""
    settings = config.load("physionet_fists_feet")
    made = make_trials(list(open_source(settings.recordings, tmp_path).recordings("1")), settings)
    model = baseline.fit(made.train.covariances, made.train.y)
    probabilities = baseline.predict_proba(model, made.test.covariances)
    assert len(made.test.y) == 30
    assert (probabilities.argmax(axis=1) != made.test.y).sum() <= 2
