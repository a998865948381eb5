"""Checkpoints of a fit under way: one file that is whole, and continued only where it was made."""

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from eeg_sgdr.parallel.interrupts import held_back
from eeg_sgdr.storage import files
from eeg_sgdr.training.scoring import Score


@dataclass(frozen=True)
class Checkpoint:
    """All that a fit needs to go on.

    Attributes
    ----------
    tensors : dict of Tensor
        Weights, velocity, batch norm's running statistics, scores.
    numbers : dict
        All else, as JSON holds it.
    """

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


class Keeper:
    """Keeps nothing: for a fit that is trained from beginning to end."""

    def load(self) -> Checkpoint | None:
        """The last checkpoint that can be continued."""
        return None

    def due(self) -> bool:
        """Whether it is time for another, wherever the fit is."""
        return False

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the last."""


NOTHING_KEPT = Keeper()


class FileKeeper(Keeper):
    """Keeps the last checkpoint in a file: a line with the digest of the rest, one of JSON, safetensors.

    Parameters
    ----------
    path : Path
        The file.
    identity : dict
        What a checkpoint must have in common with the fit to be continued, as JSON holds it.
    interval_s : float
        Seconds between checkpoints.
    """

    def __init__(self, path: Path, identity: dict[str, Any], interval_s: float) -> None:
        self.path = path
        self.identity = identity
        self.interval_s = interval_s
        self._started = self._saved = time.monotonic()
        self._seconds_before = 0.0

    @property
    def seconds(self) -> float:
        """What the fit has taken up to now, with what led to the checkpoint that it continued."""
        return self._seconds_before + time.monotonic() - self._started

    def load(self) -> Checkpoint | None:
        """See `Keeper.load`; one that is damaged, or was made otherwise, is told and left."""
        if not self.path.is_file():
            return None
        digest, _, content = self.path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            self._tell("is damaged")
            return None
        line, _, tensors = content.partition(b"\n")
        head = json.loads(line)
        if head["identity"] != self.identity:
            self._tell("was made by other versions, another kind of processor or other settings")
            return None
        self._seconds_before = head["seconds"]
        return Checkpoint(load(tensors), head["numbers"])

    def due(self) -> bool:
        """See `Keeper.due`."""
        return time.monotonic() - self._saved >= self.interval_s

    def save(self, checkpoint: Checkpoint) -> None:
        """See `Keeper.save`.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        head = {"identity": self.identity, "numbers": checkpoint.numbers, "seconds": self.seconds}
        tensors = {name: value.detach().cpu().clone() for name, value in checkpoint.tensors.items()}
        content = json.dumps(head).encode() + b"\n" + save(tensors)
        digest = hashlib.sha256(content).hexdigest().encode()
        with held_back():
            files.write_bytes(self.path, digest + b"\n" + content)
        self._saved = time.monotonic()

    def _tell(self, why: str) -> None:
        print(f"{self.path}: {why}; the fit is begun again.", file=sys.stderr, flush=True)


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
