"""Several fits trained in lock-step as one, which is what fills a GPU."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.build import open_device
from eeg_sgdr.networks.dropout import dropout_mask
from eeg_sgdr.networks.forward import BraindecodeForward, masked, mean_logits
from eeg_sgdr.parallel.interrupts import Interrupted, held_back
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import NetworkSettings, Training
from eeg_sgdr.training.checkpoints import NOTHING_KEPT, Checkpoint, Epoch, Keeper, Record
from eeg_sgdr.training.loop import (
    Data,
    Fit,
    FitFailed,
    build_for,
    crop_order,
    dropout_seed,
    updates_per_epoch,
)
from eeg_sgdr.training.optimizers import SGD
from eeg_sgdr.training.scoring import Score, prediction_seconds, score


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


def fit_stack(
    members: Sequence[Member],
    network: NetworkSettings,
    training: Training,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    keeper: Keeper = NOTHING_KEPT,
) -> list[Fit | FitFailed]:
    """Train fits in lock-step, each with its own rate, order and dropout.

    Equal to `eeg_sgdr.training.loop.fit` of each with braindecode's own forward, to rounding.

    Parameters
    ----------
    members : sequence of Member
        The fits.
    network : NetworkSettings
        Their network.
    training : Training
        Batch size, momentum and the like; its lists of rates and seeds are not read.
    on_epoch : callable
        Called with the number of epochs done, after each and for every member that trained in it.
    keeper : Keeper
        Where checkpoints of all of them together are kept, as in `eeg_sgdr.training.loop.fit`.

    Returns
    -------
    fits : list of Fit or FitFailed
        In the order of ``members``; one whose loss is not finite leaves the others alone.

    Raises
    ------
    UserError
        If the members' shapes differ, or as `eeg_sgdr.training.loop.fit`.
    Interrupted
        If it was asked to stop; the checkpoint is kept.
    """
    device = open_device(training.numerics.device, training.numerics.threads)
    networks = [build_for(member.data, network, member.seed) for member in members]
    shapes = {(member.data.x_train.shape, member.data.n_classes) for member in members}
    if len(shapes) > 1:
        raise UserError("a stack of fits: their training windows differ in shape; train them one by one.")
    dtype = torch.from_numpy(members[0].data.x_train[:0].copy()).dtype
    for net in networks:
        net.module.to(device, dtype)
    base = BraindecodeForward(networks[0])
    windows = _Windows(members, device)
    n_crops = len(members[0].data.y_train) * len(base.network.starts)
    n_updates = updates_per_epoch(n_crops, training.batch_size)
    course = Course(members, Running([net.module for net in networks], training))
    course.go_on(keeper.load())
    for record in course.records:
        for line in record.history:
            on_epoch(line.epoch)
    try:
        while course.alive:
            done = course.epoch + 1
            rates = _train_epoch(course, n_updates, members, base, windows, training, keeper)
            losses = (course.total / n_updates).tolist()
            scores: dict[int, Score] = {}
            for i, member in enumerate(course.alive):
                if not np.isfinite(losses[i]):
                    continue
                if done in members[member].schedule.ends or training.store == "epochs":
                    form = BraindecodeForward(replace(base.network, module=networks[member].module))
                    form.module.load_state_dict(course.running.state(i))
                    data = members[member].data
                    scores[member] = score(form, windows.of(data.x_train), windows.of(data.x_test))
            trained = course.alive
            course.end_epoch(rates, losses, scores)
            if course.alive and any(done in members[member].schedule.ends for member in trained):
                keeper.save(course.checkpoint())
            for member in trained:
                if member not in course.failures:
                    on_epoch(done)
    except Interrupted:
        keeper.save(course.checkpoint())
        raise
    # Members are networks of one kind: what one takes, all take.
    prediction_s = prediction_seconds(base, windows.of(members[0].data.x_test))
    return [
        course.failures.get(i) or Fit(record.history, record.scores, base.name, n_updates, prediction_s)
        for i, record in enumerate(course.records)
    ]


class _Windows:
    """Windows on the device, each array of a subject once."""

    def __init__(self, members: Sequence[Member], device: torch.device) -> None:
        arrays = {id(x): x for member in members for x in (member.data.x_train, member.data.x_test)}
        self.tensors = {key: torch.from_numpy(np.array(x)).to(device) for key, x in arrays.items()}

    def of(self, x: np.ndarray) -> Tensor:
        """The tensor of an array."""
        return self.tensors[id(x)]


def _train_epoch(
    course: Course,
    n_updates: int,
    members: Sequence[Member],
    base: BraindecodeForward,
    windows: _Windows,
    training: Training,
    keeper: Keeper,
) -> np.ndarray:
    """What is left of an epoch of the members alive; returns its rates (n_updates, n)."""
    base.module.train()
    here = [members[i] for i in course.alive]
    first = course.epoch * n_updates
    rates = np.array([[m.schedule.lr((first + k) / n_updates) for m in here] for k in range(n_updates)])
    n_crops = len(here[0].data.y_train) * len(base.network.starts)
    orders = np.stack([crop_order(member.seed, course.epoch, n_crops) for member in here])
    for k in range(course.updates, n_updates):
        with course.update():
            numbers = orders[:, k * training.batch_size : (k + 1) * training.batch_size]
            x, y = _batches(here, numbers, base, windows)
            masks = _masks(base, x, [dropout_seed(member.seed, first + k) for member in here])
            mixed = training.numerics.precision == "mixed"
            with torch.autocast(x.device.type, torch.bfloat16, enabled=mixed):
                logits = _forward(base, course.running, x, masks)
            losses = nn.functional.cross_entropy(
                logits.to(x.dtype).flatten(0, 1), y.flatten(), reduction="none"
            ).view(y.shape)
            losses.mean(1).sum().backward()
            course.running.optimizer.step(torch.from_numpy(rates[k]).to(x))
            course.total = course.total.to(x) + losses.detach().mean(1)
        if keeper.due():
            keeper.save(course.checkpoint())
    return rates


def _batches(
    here: list[Member], numbers: np.ndarray, base: BraindecodeForward, windows: _Windows
) -> tuple[Tensor, Tensor]:
    """Crops (n, batch, n_channels, crop_samples) and labels (n, batch) of each member."""
    starts = len(base.network.starts)
    x = [
        base.crops(windows.of(member.data.x_train), torch.from_numpy(own))
        for member, own in zip(here, numbers, strict=True)
    ]
    y = np.stack([member.data.y_train[own // starts] for member, own in zip(here, numbers, strict=True)])
    return torch.stack(x), torch.from_numpy(y).to(x[0].device)


def _masks(base: BraindecodeForward, x: Tensor, seeds: list[int]) -> list[Tensor]:
    """Dropout masks of every layer, (n, batch, ...) each: for each member those it would draw alone."""
    if not base.dropouts:
        return []
    shapes: list[tuple[tuple[int, ...], float]] = []

    def note(layer: Any, output: Tensor) -> Tensor:
        shapes.append((tuple(output.shape), layer.p))
        return torch.ones_like(output)

    one = {name: value.clone() for name, value in base.module.state_dict().items()}
    with torch.no_grad(), masked(base.dropouts, note):
        functional_call(base.module, one, (x[0],))
    drawn: dict[int, list[Tensor]] = {}
    for seed in dict.fromkeys(seeds):
        generator = torch.Generator(x.device).manual_seed(seed)
        drawn[seed] = [dropout_mask(shape, p, generator, x.dtype) for shape, p in shapes]
    return [torch.stack([drawn[seed][i] for seed in seeds]) for i in range(len(shapes))]


def _forward(base: BraindecodeForward, running: Running, x: Tensor, masks: list[Tensor]) -> Tensor:
    """Mean logits (n, batch, n_classes) of every member for its own crops."""

    def one(parameters: Any, buffers: Any, crops: Tensor, own_masks: list[Tensor]) -> Tensor:
        remaining = iter(own_masks)
        with masked(base.dropouts, lambda layer, output: next(remaining)):
            return mean_logits(lambda x: functional_call(base.module, {**parameters, **buffers}, (x,)), crops)

    return vmap(one)(running.parameters, running.buffers, x, masks)
