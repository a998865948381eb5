"""What a fit has come to so far, in memory and in a checkpoint."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from eeg_sgdr.scoring import Score


@dataclass(frozen=True)
class Epoch:
    """One line of a fit's history.

    Attributes
    ----------
    epoch : int
        Epochs done.
    first_rate, last_rate : float
        Learning rate of its first and last update.
    loss : float
        Mean training loss of its updates, in nats.
    seconds : float
        What its training took, scoring left out.
    """

    epoch: int
    first_rate: float
    last_rate: float
    loss: float
    seconds: float


@dataclass(frozen=True)
class Record:
    """History and scores of a fit; both grow.

    Attributes
    ----------
    history : list of Epoch
        One per epoch that is done.
    scores : dict of int to Score
        By epoch.
    """

    history: list[Epoch] = field(default_factory=list)
    scores: dict[int, Score] = field(default_factory=dict)

    def tensors(self, prefix: str, ends: Iterable[int]) -> dict[str, Tensor]:
        """The scores, with the weights of the epochs ``ends`` alone, as only these are stored."""
        found = {}
        for epoch, score in self.scores.items():
            found[f"{prefix}{epoch}/probabilities"] = torch.from_numpy(score.probabilities)
            found[f"{prefix}{epoch}/probabilities_running"] = torch.from_numpy(score.probabilities_running)
            if epoch in ends:
                found |= {f"{prefix}{epoch}/state/{name}": value for name, value in score.state.items()}
        return found

    def numbers(self) -> dict[str, Any]:
        """The history, and which epochs are scored, as JSON holds them."""
        return {"history": [asdict(epoch) for epoch in self.history], "scored": list(self.scores)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], prefix: str, numbers: Mapping[str, Any]) -> "Record":
        """The record that was kept as `tensors` and `numbers`."""
        scores = {
            epoch: Score(
                tensors[f"{prefix}{epoch}/probabilities"].numpy(),
                tensors[f"{prefix}{epoch}/probabilities_running"].numpy(),
                beginning(tensors, f"{prefix}{epoch}/state/"),
            )
            for epoch in numbers["scored"]
        }
        return cls([Epoch(**epoch) for epoch in numbers["history"]], scores)


def beginning(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
