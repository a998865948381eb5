"""Metrics against hand-computed values and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

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


@pytest.mark.filterwarnings("ignore")  # of classes that do not occur
@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("concentration", [0.01, 1])
def test_metrics_are_those_of_scikit_learn_to_the_last_bit(n_classes, concentration):
    rng = np.random.default_rng(n_classes)
    for n, n_present, digits in [(1, 1, 8), (7, 2, 1), (40, 2, 1), (40, n_classes, 8), (300, n_classes, 2)]:
        y = rng.integers(0, n_present, n)
        p = rng.dirichlet(np.full(n_classes, concentration), n).round(digits).astype(np.float32).astype(float)
        said = p.argmax(axis=1)
        expected = {
            "error": sklearn.zero_one_loss(y, said, normalize=False) / n,
            "balanced_accuracy": sklearn.balanced_accuracy_score(y, said),
            "auc": sklearn.roc_auc_score(y, p[:, 1]) if n_classes == 2 else np.nan,
            "nll": sklearn.log_loss(y, p / p.sum(axis=1, keepdims=True), labels=np.arange(n_classes)),
            "kappa": sklearn.cohen_kappa_score(y, said),
        }
        found = {name: metrics.METRICS[name](y, p) for name in expected}
        np.testing.assert_array_equal([*found.values()], [*expected.values()])


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
