"""Metrics against hand-computed values."""

import numpy as np
import pytest

from eeg_sgdr.evaluation import metrics

Y = np.array([0, 0, 1, 1])
P = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])


def test_metrics_by_hand():
    values = {name: metric(Y, P) for name, metric in metrics.METRICS.items()}
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
    assert metrics.reliability(y, p) == [(2, 1.0, pytest.approx(0.63)), (1, 0.0, 1.0)]
    assert metrics.ece(y, p) == pytest.approx(2 / 3 * 0.37 + 1 / 3 * 1.0)


def test_more_than_two_classes_have_no_auc():
    p = np.full((3, 3), 1 / 3, np.float32)
    assert np.isnan(metrics.auc(np.arange(3), p))
    assert metrics.nll(np.arange(3), p) == pytest.approx(np.log(3), rel=1e-6)


def test_a_class_that_is_never_right_still_has_its_metrics():
    p = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    values = {name: metric(np.array([0, 1]), p) for name, metric in metrics.METRICS.items()}
    assert values["error"] == 0.5
    assert np.isfinite(list(values.values())).all()


def test_chance_is_the_error_of_the_commonest_class():
    assert metrics.chance(np.array([0, 2, 2, 1, 2])) == pytest.approx(0.4)
