"""A small training problem, when two fits of it are the same, and small helpers of torch."""

from dataclasses import astuple, replace

import numpy as np
import torch

from eeg_sgdr.networks.build import build_network
from eeg_sgdr.settings import NetworkSettings, Training
from eeg_sgdr.training.engines import Data, Stack, build_for

DENSE = NetworkSettings(crop_samples=200, arguments={"final_conv_length": 4})
EEGNET = NetworkSettings(name="EEGNet")
WHOLE = NetworkSettings(crop_samples=None)
TRAINING = Training(batch_size=8, weight_decay=0.01)
EPOCHS = TRAINING.model_copy(update={"store": "epochs"})


def make_data(dtype=np.float32, seed=0):
    """24 training and 10 test trials of three classes, 5 sensors and 230 samples at 100 Hz."""
    rng = np.random.default_rng(seed)
    y = np.arange(24) % 3
    x = rng.normal(size=(34, 5, 230))
    x[:24] += 0.5 * np.sin(np.arange(230) * (0.3 + 0.2 * y[:, None, None]))
    return Data(x[:24].astype(dtype), y, x[24:].astype(dtype), 3, 100.0)


def small_network(name, crop_samples=None, **arguments):
    """For windows of 3 sensors, 230 samples at 100 Hz and two classes."""
    shape = {"n_channels": 3, "n_samples": 230, "n_classes": 2, "sfreq": 100.0}
    return build_network(name, arguments, **shape, crop_samples=crop_samples, seed=0)


def sgd(n_groups=1, **group):
    """torch's SGD of groups with a parameter each."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], **group} for _ in range(n_groups)]
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9)


def rates(optimizer, scheduler, n):
    """The rate of each of the next n updates."""
    found = []
    for _ in range(n):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


class GivenMask(torch.nn.Module):
    """Dropout with the next of some given masks."""

    def __init__(self, masks):
        super().__init__()
        self.masks = iter(masks)

    def forward(self, values):
        return values * next(self.masks).reshape(values.shape)


def drop_by(module, masks):
    """Dropout layers of a module, in the order of its forward pass, drop by given masks."""
    given = GivenMask(masks)
    for name, layer in list(module.named_modules()):
        if isinstance(layer, torch.nn.Dropout):
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, given)


def stack(members, network, training=TRAINING):
    return Stack(members, [build_for(member.data, network, member.seed) for member in members], training)


def same(a, b):
    return list(a.scores) == list(b.scores) and all(
        np.array_equal(x.probabilities, y.probabilities)
        and np.array_equal(x.probabilities_running, y.probabilities_running)
        and all(torch.equal(x.state[name], y.state[name]) for name in x.state)
        for x, y in zip(a.scores.values(), b.scores.values(), strict=True)
    )


def without_times(history):
    return [astuple(replace(epoch, seconds=0.0)) for epoch in history]
