"""Snapshots: weights of a fit that predict class probabilities of windows; averages of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.training.engines import OneFit
from eeg_sgdr.training.scoring import probabilities, recomputed, state_of


@dataclass(frozen=True)
class Snapshot:
    """The weights of a fit at one of its ends.

    Attributes
    ----------
    build : callable
        Makes the network; pickled in place of it, as not every module can be.
    state : mapping of str to Tensor
        State dict of the network's module, batch-norm statistics recomputed.
    classes_ : ndarray, shape (n_classes,)
        The classes, in the order of the network's outputs.
    epoch : int
        Epochs done.
    rate : float
        The fit's initial rate.
    """

    build: Callable[[], Network] = field(repr=False)
    state: Mapping[str, Tensor] = field(repr=False)
    classes_: np.ndarray = field(repr=False)
    epoch: int
    rate: float

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Class probabilities of windows, computed on the CPU.

        Parameters
        ----------
        X : ndarray of float32, shape (n_trials, n_channels, n_samples)

        Returns
        -------
        probabilities : ndarray of float32, shape (n_trials, n_classes)
        """
        if not len(X):
            return np.empty((0, len(self.classes_)), np.float32)
        network = self.build()
        network.module.load_state_dict(self.state)
        forward = choose(network)
        return probabilities(
            forward, forward.prepare(torch.from_numpy(np.require(X, requirements=["C", "W"])))
        )

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most probable classes; shape (n_trials,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def average_weights(
    engine: OneFit, states: Sequence[Mapping[str, Tensor]]
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Mean of snapshots' state dicts, batch-norm statistics recomputed; and its test probabilities.

    The engine's network is changed. What is not floating point (counts of batches) is that of the last one.
    """
    engine.load_state_dict(
        {
            name: torch.stack([state[name].double() for state in states]).mean(0).to(last.dtype)
            if last.is_floating_point()
            else last
            for name, last in states[-1].items()
        }
    )
    network = recomputed(engine.forward, engine.train)
    return state_of(network), probabilities(network, engine.test)


def averaged(snapshots: Sequence[Snapshot], X: np.ndarray) -> np.ndarray:
    """Probabilities averaged over snapshots with equal weights; float64, shape (n_trials, n_classes)."""
    return np.mean([snapshot.predict_proba(X) for snapshot in snapshots], axis=0, dtype=float)
