"""Fits in lock-step: their states side by side, and what they have come to."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import stack_module_state

from eeg_sgdr.checkpoints import Checkpoint
from eeg_sgdr.fitting import Data, FitFailed
from eeg_sgdr.interruptions import held_back
from eeg_sgdr.records import Epoch, Record
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.scoring import Score
from eeg_sgdr.settings import Training
from eeg_sgdr.sgd import SGD


@dataclass(frozen=True)
class Member:
    """One fit of a stack.

    Attributes
    ----------
    data : Data
        What it sees; all members' arrays have equal shapes.
    schedule : Schedule
        Sets its rates; budgets may differ.
    seed : int
        Its seed.
    """

    data: Data
    schedule: Schedule
    seed: int


class Running:
    """The members that still train: their parameters and buffers along a first axis of their own."""

    def __init__(self, modules: list[nn.Module], training: Training) -> None:
        self.parameters, self.buffers = stack_module_state(modules)
        self.optimizer = SGD(
            self.parameters.values(), training.momentum, training.weight_decay, training.momentum_form
        )

    def keep(self, members: list[int]) -> None:
        """Go on with some of them, by their places along the first axis."""
        for name, value in self.parameters.items():
            self.parameters[name] = value.detach()[members].clone().requires_grad_()
        self.buffers = {name: value[members].clone() for name, value in self.buffers.items()}
        self.optimizer.parameters = list(self.parameters.values())
        self.optimizer.velocity = [velocity[members].clone() for velocity in self.optimizer.velocity]

    def state(self, member: int) -> dict[str, Tensor]:
        """The state dict of one of them."""
        both = {**self.parameters, **self.buffers}
        return {name: value[member].detach() for name, value in both.items()}

    def tensors(self) -> dict[str, Tensor]:
        """All that updates change."""
        velocity = {f"velocity/{i}": value for i, value in enumerate(self.optimizer.velocity)}
        return {
            f"state/{name}": value for name, value in {**self.parameters, **self.buffers}.items()
        } | velocity

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` returned, with the same members."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])


class Course:
    """Fits under way; all of it changes as a whole or not at all when they are asked to stop."""

    def __init__(self, members: Sequence[Member], running: Running) -> None:
        self.members = members
        self.running = running
        self.alive = list(range(len(members)))
        self.failures: dict[int, FitFailed] = {}
        self.records = [Record() for _ in members]
        self.epoch = 0
        #: Of the epoch under way: updates done, the sum of their losses (n,), and what these took.
        self.updates = 0
        self.total = torch.zeros(())
        self.seconds = 0.0

    @contextmanager
    def update(self) -> Iterator[None]:
        """Count what is done inside as one update."""
        with held_back():
            started = time.perf_counter()
            yield
            self.updates += 1
            self.seconds += time.perf_counter() - started

    def end_epoch(self, rates: np.ndarray, losses: list[float], scores: dict[int, Score]) -> None:
        """Note what the members have come to, and leave those behind that are done or have failed."""
        with held_back():
            self.epoch += 1
            seconds = self.seconds / len(self.alive)
            for i, member in enumerate(self.alive):
                first, last = float(rates[0, i]), float(rates[-1, i])
                if not np.isfinite(losses[i]):
                    self.failures[member] = FitFailed(self.epoch, first)
                    continue
                self.records[member].history.append(Epoch(self.epoch, first, last, losses[i], seconds))
                if member in scores:
                    self.records[member].scores[self.epoch] = scores[member]
            self._keep(
                [
                    member
                    for member in self.alive
                    if self.members[member].schedule.budget > self.epoch and member not in self.failures
                ]
            )
            self.updates, self.total, self.seconds = 0, torch.zeros(()), 0.0

    def _keep(self, alive: list[int]) -> None:
        if alive != self.alive:
            self.running.keep([self.alive.index(member) for member in alive])
            self.alive = alive

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on."""
        tensors = {**self.running.tensors(), "total": self.total}
        for i, (record, member) in enumerate(zip(self.records, self.members, strict=True)):
            tensors |= record.tensors(f"score/{i}/", member.schedule.ends)
        numbers = {
            "records": [record.numbers() for record in self.records],
            "alive": self.alive,
            "failures": [[i, failure.epoch, failure.rate] for i, failure in self.failures.items()],
            "epoch": self.epoch,
            "updates": self.updates,
            "seconds": self.seconds,
        }
        return Checkpoint(tensors, numbers)

    def go_on(self, kept: Checkpoint | None) -> None:
        """Go on from a checkpoint, if there is one."""
        if kept is None:
            return
        numbers = kept.numbers
        self._keep(numbers["alive"])
        self.running.load(kept.tensors)
        self.failures = {i: FitFailed(epoch, rate) for i, epoch, rate in numbers["failures"]}
        self.records = [
            Record.of(kept.tensors, f"score/{i}/", record) for i, record in enumerate(numbers["records"])
        ]
        self.epoch, self.updates, self.seconds = numbers["epoch"], numbers["updates"], numbers["seconds"]
        self.total = kept.tensors["total"].to(self.running.optimizer.velocity[0].device)
