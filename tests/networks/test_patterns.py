"""Patterns recover a mixing that is known, are read from real networks, and rank units by their use."""

import numpy as np
import pytest
import torch
from results_folder import shallow_state

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.networks.patterns import READERS, spatial_patterns

import_braindecode()
from braindecode import models  # noqa: E402


def shallow(spatial, temporal, classifier):
    combined = np.eye(len(spatial))[:, :, None, None] * spatial[:, None, None, :]
    return {
        "conv_time_spat.conv_time.weight": temporal[:, None, :, None],
        "conv_time_spat.conv_spat.weight": combined,
        "final_layer.conv_classifier.weight": classifier,
    }


def test_the_pattern_is_the_mixing_and_not_the_filter():
    # Two sources and noise; the filter that takes out source 0 has weights unlike its mixing.
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 2))
    covariance = mixing @ np.diag([1.0, 4.0]) @ mixing.T + 0.01 * np.eye(6)
    best = np.linalg.solve(covariance, mixing[:, 0])
    state = shallow(best[None], np.hanning(5)[None], rng.normal(size=(2, 1, 3, 1)))
    (pattern,) = spatial_patterns("ShallowFBCSPNet", state, covariance, 100.0)
    assert abs(np.corrcoef(pattern.values, mixing[:, 0])[0, 1]) > 0.999
    assert abs(np.corrcoef(pattern.values, best)[0, 1]) < 0.95
    assert np.isclose(pattern.share, 1)
    # The source has unit variance, so the pattern is the mixing itself.
    assert np.allclose(np.abs(pattern.values), np.abs(mixing[:, 0]), rtol=0.05, atol=0.02)
    assert pattern.values[np.argmax(np.abs(pattern.values))] > 0


def test_the_strongest_temporal_filter_is_taken():
    # A unit that takes one place through a strong filter and another through a weak one.
    state = shallow_state(np.random.default_rng(0), 4, 2, n_units=2)
    time = np.array([[3.0, 3.0, 3.0, 3.0], [1.0, -1.0, 1.0, -1.0]])
    state["conv_time_spat.conv_time.weight"] = time[:, None, :, None]
    spatial = np.array([[[1, 0, 0, 0], [0, 0, 1, 0]], [[0, 1, 0, 0], [0, 0, 0, 0]]], float)
    state["conv_time_spat.conv_spat.weight"] = spatial[:, :, None]
    by_unit = {p.unit: p for p in spatial_patterns("ShallowFBCSPNet", state, np.eye(4), 100.0)}
    assert np.allclose(by_unit[0].values, [1, 0, 0, 0])
    assert by_unit[0].peak_hz == 0
    assert np.isclose(by_unit[0].share, 36 / (36 + 4))


def test_units_are_ranked_by_the_differences_between_classes():
    rng = np.random.default_rng(0)
    # That of unit 0 is the same for both classes: no effect on any probability.
    classifier = np.tile(np.array([[100.0, 1, 3], [100, -1, -3]])[:, :, None, None], (1, 1, 4, 1))
    state = shallow(rng.normal(size=(3, 5)), rng.normal(size=(3, 7)), classifier)
    patterns = spatial_patterns("ShallowFBCSPNet", state, np.eye(5), 100.0, n_units=2)
    assert [pattern.unit for pattern in patterns] == [2, 1]
    assert np.isclose(patterns[0].importance, 0.75)


@pytest.mark.parametrize("name", sorted(READERS))
def test_real_networks_can_be_read(name):
    module = getattr(models, name)(n_chans=5, n_outputs=3, n_times=600, sfreq=128)
    state = {key: value.detach().numpy() for key, value in module.state_dict().items()}
    covariance = np.cov(np.random.default_rng(0).normal(size=(5, 100)))
    patterns = spatial_patterns(name, state, covariance, 128.0)
    assert len(patterns) == 6
    assert all(pattern.values.shape == (5,) and np.isfinite(pattern.values).all() for pattern in patterns)
    assert all(0 < pattern.share <= 1 + 1e-9 and 0 <= pattern.peak_hz <= 64 for pattern in patterns)


def test_a_unit_of_eegnet_computes_what_is_read():
    torch.manual_seed(0)
    module = models.EEGNet(n_chans=5, n_outputs=2, n_times=200, sfreq=100).double().eval()
    state = {key: value.detach().numpy() for key, value in module.state_dict().items()}
    filters, _ = READERS["EEGNet"](state)
    x = torch.randn(1, 5, 200, dtype=torch.float64)
    with torch.no_grad():
        ours = torch.nn.functional.conv1d(x, torch.from_numpy(filters))
        theirs = module.conv_spatial(module.conv_temporal(x[:, None]))[0, :, 0]
    for a, b in zip(ours[0], theirs[:, 32 : 32 + ours.shape[2]], strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) > 1 - 1e-9


def test_unknown_networks_have_no_patterns():
    assert spatial_patterns("TCN", {}, np.eye(3), 100.0) == []
    assert spatial_patterns("ShallowFBCSPNet", {"conv_time.weight": np.ones(3)}, np.eye(3), 100.0) == []
