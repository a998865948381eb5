"""Metrics against hand-computed values, and what scoring does to a network (nothing)."""

import copy

import numpy as np
import pytest
import torch

from eeg_sgdr import networks, scoring
from eeg_sgdr.fast import choose

Y = np.array([0, 0, 1, 1])
P = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])


def test_metrics_by_hand():
    values = {name: metric(Y, P) for name, metric in scoring.METRICS.items()}
    assert values["error"] == 0.25
    assert values["balanced_accuracy"] == 0.75
    assert values["auc"] == 1.0
    assert values["nll"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean(), rel=1e-12)
    assert values["brier"] == pytest.approx(2 * np.mean([0.01, 0.36, 0.04, 0.09]), rel=1e-12)
    # Bins of width 1/15: 0.9, 0.6 (wrong), 0.8, 0.7 each alone in its own.
    assert values["ece"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4, rel=1e-12)
    assert values["kappa"] == pytest.approx(0.5, rel=1e-12)
    assert list(values) == ["error", "balanced_accuracy", "auc", "nll", "brier", "ece", "kappa"]


def test_bins_of_confidence_are_filled_together():
    y = np.array([0, 0, 0])
    p = np.array([[0.61, 0.39], [0.65, 0.35], [0.0, 1.0]])
    assert scoring.reliability(y, p) == [(2, 1.0, pytest.approx(0.63)), (1, 0.0, 1.0)]
    assert scoring.ece(y, p) == pytest.approx(2 / 3 * 0.37 + 1 / 3 * 1.0)


def test_more_than_two_classes_have_no_auc():
    p = np.full((3, 3), 1 / 3, np.float32)
    assert np.isnan(scoring.auc(np.arange(3), p))
    assert scoring.nll(np.arange(3), p) == pytest.approx(np.log(3), rel=1e-6)


def test_a_class_that_is_never_right_still_has_its_metrics():
    p = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    values = {name: metric(np.array([0, 1]), p) for name, metric in scoring.METRICS.items()}
    assert values["error"] == 0.5
    assert np.isfinite(list(values.values())).all()


@pytest.mark.parametrize(("name", "crop_samples"), [("ShallowFBCSPNet", 200), ("EEGNet", None)])
def test_scoring_leaves_the_network_as_it_is(name, crop_samples):
    arguments = {"final_conv_length": 4} if crop_samples else {}
    net = networks.build(
        name,
        arguments,
        n_channels=3,
        n_samples=230,
        n_classes=2,
        sfreq=100.0,
        crop_samples=crop_samples,
        seed=0,
    )
    form = choose(net)
    torch.manual_seed(0)
    train, test = (form.prepare(torch.randn(n, 3, 230)) for n in (6, 4))
    form.logits(train, torch.arange(6), 0).sum().backward()
    before = copy.deepcopy(net.module.state_dict())
    score = scoring.score(form, train, test)
    after = net.module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert net.module.training
    np.testing.assert_allclose(score.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert not np.allclose(score.probabilities, score.probabilities_running)
    # The snapshot gives the recomputed probabilities in braindecode itself.
    again = copy.deepcopy(net.module)
    again.load_state_dict(score.state)
    expected = torch.softmax(choose(networks_with(net, again)).trial_logits(test).double(), 1)
    np.testing.assert_allclose(score.probabilities, expected, rtol=1e-5)


def networks_with(net, module):
    from dataclasses import replace

    return replace(net, module=module)
