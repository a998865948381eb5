"""What a trained state is worth: its probabilities for the test trials."""

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
    """A state of a fit, scored on the test trials.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_trials, n_classes)
        With batch-norm statistics recomputed over the training crops.
    probabilities_running : ndarray of float32, shape (n_trials, n_classes)
        With the running statistics of training.
    state : dict of Tensor
        The module's state dict with the recomputed statistics, on the CPU.
    """

    probabilities: np.ndarray
    probabilities_running: np.ndarray
    state: dict[str, Tensor]


def score(form: Forward, train: Any, test: Any) -> Score:
    """Score the present state of a network; the network is left as it is.

    Running batch-norm statistics lag behind the weights, most of all early in a fit. Therefore they
    are recomputed, on a copy, from the training crops.

    Parameters
    ----------
    form : Form
        The network, in whatever mode.
    train, test : object
        Prepared windows of the training and of the test trials.

    Returns
    -------
    score : Score
    """
    running = probabilities(form, test)
    module = copy.deepcopy(form.module)
    module.load_state_dict(form.batch_norm_statistics(train), strict=False)
    recomputed = type(form)(replace(form.network, module=module))
    state = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
    return Score(probabilities(recomputed, test), running, state)


def prediction_seconds(form: Forward, windows: Tensor) -> float:
    """Seconds in which a network predicts one trial, from its window on, when it is given many at a time.

    Parameters
    ----------
    form : Form
        The network.
    windows : Tensor, shape (n_trials, n_channels, n_samples)
        Of which a chunk is predicted.
    """
    windows = windows[:CHUNK]
    started = time.perf_counter()
    probabilities(form, form.prepare(windows))
    return (time.perf_counter() - started) / len(windows)


def probabilities(form: Forward, prepared: Any) -> np.ndarray:
    """Class probabilities of trials, with the batch-norm statistics that the module has.

    Parameters
    ----------
    form : Form
        The network, in whatever mode.
    prepared : object
        Prepared windows of the trials.

    Returns
    -------
    probabilities : ndarray of float32, shape (n_trials, n_classes)
    """
    return torch.softmax(form.trial_logits(prepared).double(), dim=1).float().cpu().numpy()
