"""The classical baseline: what it must not depend on, and real recordings."""

import numpy as np
import pytest
from pyriemann.preprocessing import Whitening
from pyriemann.transfer import TLCenter, encode_domains

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


def moved(n=24, seed=5):
    """Covariances of three domains, each seen through a mixing of its own."""
    covariances, y = trials(n, seed)
    domains = np.arange(n) // 8
    mixing = np.random.default_rng(7).normal(size=(3, 4, 4))[domains]
    return mixing @ covariances @ mixing.transpose(0, 2, 1), y, domains


def test_each_domain_is_recentred_as_by_pyriemann():
    covariances, y, domains = moved()
    encoded = encode_domains(covariances, y, domains)
    expected = TLCenter("").fit_transform(*encoded)
    np.testing.assert_allclose(baseline.recentre(covariances, domains), expected, rtol=1e-10)


def test_the_causal_mean_is_the_one_that_pyriemann_updates_trial_by_trial():
    covariances, _, domains = moved()
    whitened = baseline.recentre_causally(covariances, domains)
    for domain in range(3):
        center = Whitening("riemann")
        for trial in np.flatnonzero(domains == domain):
            center.partial_fit(covariances[[trial]])
            # Its own filters rotate as well: domains would not be aligned.
            expected = Whitening("riemann").fit(center.inv_filters_.T[None] @ center.inv_filters_)
            np.testing.assert_allclose(whitened[[trial]], expected.transform(covariances[[trial]]), atol=1e-9)


@pytest.mark.parametrize("causal", [True, False])
def test_later_trials_change_no_causal_prediction(causal):
    covariances, _, domains = moved()
    changed, other = covariances.copy(), moved(seed=8)[0]
    later = [5, 6, 7, 14, 15, 22, 23]
    changed[later] = other[later]
    model = baseline.fit(TRAIN, Y)
    recentre = baseline.recentre_causally if causal else baseline.recentre
    whitened = [recentre(each, domains) for each in (covariances, changed)]
    before, after = (baseline.predict_proba(model, each) for each in whitened)
    same = (before == after).all(axis=1)
    assert np.flatnonzero(~same).tolist() == (later if causal else list(range(24)))


@pytest.mark.recordings
def test_real_recordings_are_decoded(recordings_folder, tmp_path):
    """Subject 1, fists or feet: 0 of 30 when the recordings were put together."""
    settings = config.load("physionet_fists_feet")
    made = make_trials(list(open_source(settings.recordings, tmp_path).recordings("1")), settings)
    model = baseline.fit(made.train.covariances, made.train.y)
    probabilities = baseline.predict_proba(model, made.test.covariances)
    assert len(made.test.y) == 30
    assert (probabilities.argmax(axis=1) != made.test.y).sum() <= 2
