"""Class probabilities of test trials, with running and with recomputed batch-norm statistics."""

import copy
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eeg_sgdr.networks.forward import CHUNK, Forward


@dataclass(frozen=True)
class Score:
    """A state of a fit, scored on the test trials; probabilities are float32, (n_trials, n_classes).

    ``probabilities`` are with batch-norm statistics recomputed over the training crops,
    ``probabilities_running`` with running statistics; ``state`` is the module's state dict with recomputed
    statistics, on the CPU.
    """

    probabilities: np.ndarray
    probabilities_running: np.ndarray
    state: dict[str, Tensor]

    @property
    def is_finite(self) -> bool:
        """Whether all weights, and the statistics of the training crops' activations, are finite."""
        return all(bool(torch.isfinite(value).all()) for value in self.state.values())


def score(forward: Forward, train: Any, test: Any) -> Score:
    """Score the present state of a network on prepared windows; the network is not changed.

    Running batch-norm statistics lag behind the weights, most of all early in a fit. Therefore they
    are recomputed, on a copy, from the training crops.
    """
    running = probabilities(forward, test)
    copied = recomputed(forward, train)
    return Score(probabilities(copied, test), running, state_of(copied))


def recomputed(forward: Forward, train: Any) -> Forward:
    """A copy of a network, its batch-norm statistics recomputed from the training crops."""
    module = copy.deepcopy(forward.module)
    module.load_state_dict(forward.batch_norm_statistics(train), strict=False)
    return type(forward)(replace(forward.network, module=module))


def state_of(forward: Forward) -> dict[str, Tensor]:
    """A copy of a network's state dict, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in forward.module.state_dict().items()}


def prediction_seconds(forward: Forward, windows: Tensor) -> float:
    """Seconds to predict one trial, measured on a chunk of windows (n, n_channels, n_samples)."""
    windows = windows[:CHUNK]
    started = time.perf_counter()
    probabilities(forward, forward.prepare(windows))
    return (time.perf_counter() - started) / len(windows)


def probabilities(forward: Forward, prepared: Any) -> np.ndarray:
    """Class probabilities of prepared windows in evaluation mode; float32, shape (n_trials, n_classes)."""
    return torch.softmax(forward.trial_logits(prepared).double(), dim=1).float().cpu().numpy()
