"""Several fits trained in lock-step as one, which is what fills a GPU."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from eeg_sgdr.dropout import dropout_mask
from eeg_sgdr.errors import UserError
from eeg_sgdr.fitting import (
    Data,
    Epoch,
    Fit,
    FitFailed,
    build,
    crop_order,
    dropout_seed,
    open_device,
    updates_per_epoch,
)
from eeg_sgdr.forms import PlainForm, masked, mean_logits
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.scoring import Score, score
from eeg_sgdr.settings import NetworkSettings, Training
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


class _Running:
    """The members that still train: their parameters and buffers along a first axis of their own."""

    def __init__(self, modules: list[nn.Module], training: Training) -> None:
        self.parameters, self.buffers = stack_module_state(modules)
        self.optimizer = SGD(
            self.parameters.values(), training.momentum, training.weight_decay, training.momentum_form
        )

    def keep(self, members: list[int]) -> None:
        """Go on with some of them."""
        for name, value in self.parameters.items():
            self.parameters[name] = value.detach()[members].clone().requires_grad_()
        self.buffers = {name: value[members].clone() for name, value in self.buffers.items()}
        self.optimizer.parameters = list(self.parameters.values())
        self.optimizer.velocity = [velocity[members].clone() for velocity in self.optimizer.velocity]

    def state(self, member: int) -> dict[str, Tensor]:
        """The state dict of one of them."""
        both = {**self.parameters, **self.buffers}
        return {name: value[member].detach() for name, value in both.items()}


def fit_stack(
    members: Sequence[Member],
    network: NetworkSettings,
    training: Training,
    on_epoch: Callable[[int], object] = lambda epoch: None,
) -> list[Fit | FitFailed]:
    """Train fits in lock-step, each with its own rate, order and dropout.

    Equal to `eeg_sgdr.fitting.fit` of each with braindecode's own forward, to rounding.

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

    Returns
    -------
    fits : list of Fit or FitFailed
        In the order of ``members``; one whose loss is not finite leaves the others alone.

    Raises
    ------
    UserError
        If the members' shapes differ, or as `eeg_sgdr.fitting.fit`.
    """
    device = open_device(training.numerics)
    networks = [build(member.data, network, member.seed) for member in members]
    shapes = {(member.data.x_train.shape, member.data.n_classes) for member in members}
    if len(shapes) > 1:
        raise UserError("a stack of fits: their training windows differ in shape; train them one by one.")
    dtype = torch.from_numpy(members[0].data.x_train[:0].copy()).dtype
    for net in networks:
        net.module.to(device, dtype)
    base = PlainForm(networks[0])
    windows = _Windows(members, device)
    n_crops = len(members[0].data.y_train) * len(base.network.starts)
    n_updates = updates_per_epoch(n_crops, training.batch_size)
    running = _Running([net.module for net in networks], training)
    alive = list(range(len(members)))
    failures: dict[int, FitFailed] = {}
    histories: list[list[Epoch]] = [[] for _ in members]
    scores: list[dict[int, Score]] = [{} for _ in members]
    for epoch in range(max(member.schedule.budget for member in members)):
        started = time.perf_counter()
        rates, losses = _train_epoch(epoch, n_updates, members, alive, running, base, windows, training)
        seconds = (time.perf_counter() - started) / len(alive)
        done = epoch + 1
        for i, member in enumerate(alive):
            first, last = float(rates[0, i]), float(rates[-1, i])
            if not np.isfinite(float(losses[i])):
                failures[member] = FitFailed(done, first)
                continue
            histories[member].append(Epoch(done, first, last, float(losses[i]), seconds))
            if done in members[member].schedule.ends or training.store == "epochs":
                form = PlainForm(replace(base.network, module=networks[member].module))
                form.module.load_state_dict(running.state(i))
                data = members[member].data
                scores[member][done] = score(form, windows.of(data.x_train), windows.of(data.x_test))
            on_epoch(done)
        kept = [
            i
            for i, member in enumerate(alive)
            if members[member].schedule.budget > done and member not in failures
        ]
        if len(kept) < len(alive):
            running.keep(kept)
            alive = [alive[i] for i in kept]
        if not alive:
            break
    return [
        failures.get(i) or Fit(histories[i], scores[i], base.name, n_updates) for i in range(len(members))
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
    epoch: int,
    n_updates: int,
    members: Sequence[Member],
    alive: list[int],
    running: _Running,
    base: PlainForm,
    windows: _Windows,
    training: Training,
) -> tuple[np.ndarray, Tensor]:
    """One epoch of the members alive; returns rates (n_updates, n) and mean losses (n,)."""
    base.module.train()
    here = [members[i] for i in alive]
    rates = np.array(
        [[m.schedule.lr((epoch * n_updates + k) / n_updates) for m in here] for k in range(n_updates)]
    )
    n_crops = len(here[0].data.y_train) * len(base.network.starts)
    orders = np.stack([crop_order(member.seed, epoch, n_crops) for member in here])
    total: Any = 0.0
    for k in range(n_updates):
        numbers = orders[:, k * training.batch_size : (k + 1) * training.batch_size]
        x, y = _batches(here, numbers, base, windows)
        masks = _masks(base, x, [dropout_seed(member.seed, epoch * n_updates + k) for member in here])
        with torch.autocast(x.device.type, torch.bfloat16, enabled=training.numerics.precision == "mixed"):
            logits = _forward(base, running, x, masks)
        losses = nn.functional.cross_entropy(
            logits.to(x.dtype).flatten(0, 1), y.flatten(), reduction="none"
        ).view(y.shape)
        losses.mean(1).sum().backward()
        running.optimizer.step(torch.from_numpy(rates[k]).to(x))
        total = total + losses.detach().mean(1)
    return rates, total / n_updates


def _batches(
    here: list[Member], numbers: np.ndarray, base: PlainForm, windows: _Windows
) -> tuple[Tensor, Tensor]:
    """Crops (n, batch, n_channels, crop_samples) and labels (n, batch) of each member."""
    starts = len(base.network.starts)
    x = [
        base.crops(windows.of(member.data.x_train), torch.from_numpy(own))
        for member, own in zip(here, numbers, strict=True)
    ]
    y = np.stack([member.data.y_train[own // starts] for member, own in zip(here, numbers, strict=True)])
    return torch.stack(x), torch.from_numpy(y).to(x[0].device)


def _masks(base: PlainForm, x: Tensor, seeds: list[int]) -> list[Tensor]:
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


def _forward(base: PlainForm, running: _Running, x: Tensor, masks: list[Tensor]) -> Tensor:
    """Mean logits (n, batch, n_classes) of every member for its own crops."""

    def one(parameters: Any, buffers: Any, crops: Tensor, own_masks: list[Tensor]) -> Tensor:
        remaining = iter(own_masks)
        with masked(base.dropouts, lambda layer, output: next(remaining)):
            return mean_logits(lambda x: functional_call(base.module, {**parameters, **buffers}, (x,)), crops)

    return vmap(one)(running.parameters, running.buffers, x, masks)
