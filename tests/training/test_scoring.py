"""Scores of a network, which they leave unchanged, and the time of a prediction."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from fits import small_network

from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.forward import CHUNK
from eeg_sgdr.training import scoring


@pytest.mark.parametrize(("name", "crop_samples"), [("ShallowFBCSPNet", 200), ("EEGNet", None)])
def test_scoring_leaves_the_network_as_it_is(name, crop_samples):
    net = small_network(name, crop_samples, **({"final_conv_length": 4} if crop_samples else {}))
    forward = choose(net)
    torch.manual_seed(0)
    train, test = (forward.prepare(torch.randn(n, 3, 230)) for n in (6, 4))
    forward.logits(train, torch.arange(6), 0).sum().backward()
    before = copy.deepcopy(net.module.state_dict())
    score = scoring.score(forward, train, test)
    assert all(torch.equal(value, before[key]) for key, value in net.module.state_dict().items())
    assert net.module.training
    np.testing.assert_allclose(score.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert not np.allclose(score.probabilities, score.probabilities_running)
    # The snapshot gives the recomputed probabilities in braindecode itself.
    again = copy.deepcopy(net.module)
    again.load_state_dict(score.state)
    expected = torch.softmax(choose(replace(net, module=again)).trial_logits(test).double(), 1)
    np.testing.assert_allclose(score.probabilities, expected, rtol=1e-5)


def test_prediction_is_timed_on_a_chunk_of_windows_from_their_preparation_on(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(scoring.time, "perf_counter", lambda: clock[0])

    class Slow:
        def prepare(self, windows):
            clock[0] += 1
            return windows

        def trial_logits(self, prepared):
            clock[0] += 2
            return prepared.mean(2)

    for n, timed in ((20, 20), (100, CHUNK)):
        assert scoring.prediction_seconds(Slow(), torch.zeros(n, 3, 5)) == 3 / timed
