"""Several fits trained in lock-step as one, which is what fills a GPU."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from eeg_sgdr.batches import crop_order, dropout_seed, updates_per_epoch
from eeg_sgdr.checkpoints import NOTHING_KEPT, Keeper
from eeg_sgdr.dropout import dropout_mask
from eeg_sgdr.errors import UserError
from eeg_sgdr.fitting import Fit, FitFailed, build, open_device
from eeg_sgdr.forms import PlainForm, masked, mean_logits
from eeg_sgdr.interruptions import Interrupted
from eeg_sgdr.lockstep import Course, Member, Running
from eeg_sgdr.scoring import Score, prediction_seconds, score
from eeg_sgdr.settings import NetworkSettings, Training


def fit_stack(
    members: Sequence[Member],
    network: NetworkSettings,
    training: Training,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    keeper: Keeper = NOTHING_KEPT,
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
    keeper : Keeper
        Where checkpoints of all of them together are kept, as in `eeg_sgdr.fitting.fit`.

    Returns
    -------
    fits : list of Fit or FitFailed
        In the order of ``members``; one whose loss is not finite leaves the others alone.

    Raises
    ------
    UserError
        If the members' shapes differ, or as `eeg_sgdr.fitting.fit`.
    Interrupted
        If it was asked to stop; the checkpoint is kept.
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
                    form = PlainForm(replace(base.network, module=networks[member].module))
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
    base: PlainForm,
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


def _forward(base: PlainForm, running: Running, x: Tensor, masks: list[Tensor]) -> Tensor:
    """Mean logits (n, batch, n_classes) of every member for its own crops."""

    def one(parameters: Any, buffers: Any, crops: Tensor, own_masks: list[Tensor]) -> Tensor:
        remaining = iter(own_masks)
        with masked(base.dropouts, lambda layer, output: next(remaining)):
            return mean_logits(lambda x: functional_call(base.module, {**parameters, **buffers}, (x,)), crops)

    return vmap(one)(running.parameters, running.buffers, x, masks)
