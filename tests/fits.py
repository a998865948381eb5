"""A small training problem, and when two fits of it are the same."""

from dataclasses import astuple, replace

import numpy as np
import torch

from eeg_sgdr.settings import NetworkSettings, Training
from eeg_sgdr.training.engines import Data, Stack, build_for

DENSE = NetworkSettings(crop_samples=200, arguments={"final_conv_length": 4})
EEGNET = NetworkSettings(name="EEGNet")
WHOLE = NetworkSettings(crop_samples=None)
TRAINING = Training(batch_size=8, weight_decay=0.01)


def make_data(dtype=np.float32, seed=0):
    """24 training and 10 test trials of three classes, 5 sensors and 230 samples at 100 Hz."""
    rng = np.random.default_rng(seed)
    y = np.arange(24) % 3
    x = rng.normal(size=(34, 5, 230))
    x[:24] += 0.5 * np.sin(np.arange(230) * (0.3 + 0.2 * y[:, None, None]))
    return Data(x[:24].astype(dtype), y, x[24:].astype(dtype), 3, 100.0)


def stack(members, network, training=TRAINING):
    return Stack(members, [build_for(member.data, network, member.seed) for member in members], training)


def same(a, b):
    pairs = [(a.scores[epoch], b.scores[epoch]) for epoch in a.scores]
    return all(
        np.array_equal(x.probabilities, y.probabilities)
        and np.array_equal(x.probabilities_running, y.probabilities_running)
        and all(torch.equal(x.state[name], y.state[name]) for name in x.state)
        for x, y in pairs
    )


def without_times(history):
    return [astuple(replace(epoch, seconds=0.0)) for epoch in history]
