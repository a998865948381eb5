"""One fit: a network trained from its seed along a schedule, scored at the schedule's ends."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.build import Network, build_network, open_device
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.forward import CHUNK, BraindecodeForward, Forward
from eeg_sgdr.parallel.interrupts import Interrupted, held_back
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import NetworkSettings, Training
from eeg_sgdr.training.checkpoints import NOTHING_KEPT, Checkpoint, Epoch, Keeper, Record, beginning
from eeg_sgdr.training.optimizers import SGD
from eeg_sgdr.training.scoring import Score, prediction_seconds, score


@dataclass(frozen=True)
class Data:
    """What a fit sees: test trials without their labels.

    Attributes
    ----------
    x_train : ndarray of float32 or float64, shape (n_train, n_channels, n_samples)
        Training windows; the network is computed in their type.
    y_train : ndarray of int64, shape (n_train,)
        Their classes.
    x_test : ndarray of the same type, shape (n_test, n_channels, n_samples)
        Test windows.
    n_classes : int
        Number of classes.
    sfreq : float, optional
        Sampling rate in Hz; None where it is not known.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    n_classes: int
    sfreq: float | None


@dataclass(frozen=True)
class Fit:
    """What a fit leaves.

    Attributes
    ----------
    history : list of Epoch
        One per epoch.
    scores : dict of int to Score
        By epoch: at the schedule's ends, or at every epoch.
    form : str
        Which form of the network was computed.
    n_updates : int
        Updates per epoch.
    prediction_s : float
        Seconds in which the network predicts one trial.
    """

    history: list[Epoch]
    scores: dict[int, Score]
    form: str
    n_updates: int
    prediction_s: float


class FitFailed(Exception):  # noqa: N818 (an outcome, not an error of the program)
    """Training cannot go on: the loss is not finite."""

    def __init__(self, epoch: int, rate: float) -> None:
        self.epoch = epoch
        self.rate = rate
        super().__init__(
            f"the loss is not finite in epoch {epoch}, at a rate of {rate:g}; lower training.initial_rates"
        )


def fit(
    data: Data,
    network: NetworkSettings,
    training: Training,
    schedule: Schedule,
    seed: int,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    keeper: Keeper = NOTHING_KEPT,
) -> Fit:
    """Train one network.

    Its result depends on the arguments alone: fits that share a seed share initial weights, the
    order of crops, and dropout.

    Parameters
    ----------
    data : Data
        Windows of one subject.
    network : NetworkSettings
        The network.
    training : Training
        Batch size, momentum and the like; its lists of rates and seeds are not read.
    schedule : Schedule
        Sets the rate of every update; its budget is the number of epochs.
    seed : int
        The seed.
    on_epoch : callable
        Called with the number of epochs done, after each.
    keeper : Keeper
        Where checkpoints are kept: at the schedule's ends, when due, and when interrupted. A fit goes on
        from the last one, to the same result in every bit (the weights of states that are no ends, which
        nobody stores, are not kept).

    Returns
    -------
    fit : Fit

    Raises
    ------
    UserError
        If the network does not fit the data, or there are fewer training crops than a batch.
    FitFailed
        If the loss is not finite.
    Interrupted
        If it was asked to stop; the checkpoint is kept.
    """
    return train_network(build_for(data, network, seed), data, training, schedule, seed, on_epoch, keeper)


def train_network(
    net: Network,
    data: Data,
    training: Training,
    schedule: Schedule,
    seed: int,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    keeper: Keeper = NOTHING_KEPT,
) -> Fit:
    """Train a network that is there, from the weights that it has; see `fit`.

    Parameters
    ----------
    net : Network
        It is changed.
    data, training, schedule, seed, on_epoch, keeper
        As for `fit`; the seed is that of order and dropout.

    Returns
    -------
    fit : Fit
    """
    device = open_device(training.numerics.device, training.numerics.threads)
    dtype = torch.from_numpy(data.x_train[:0].copy()).dtype
    net.module.to(device, dtype)
    # The fast forms are laid out for the cache of one core.
    form = choose(net, training.numerics.precision) if device.type == "cpu" else BraindecodeForward(net)
    train, test = (form.prepare(_windows(x, device)) for x in (data.x_train, data.x_test))
    labels = torch.from_numpy(np.repeat(data.y_train, len(net.starts))).to(device)
    n_updates = updates_per_epoch(len(labels), training.batch_size)
    optimizer = SGD(net.module.parameters(), training.momentum, training.weight_decay, training.momentum_form)
    course = _Course(net.module, optimizer, schedule)
    course.go_on(keeper.load())
    for line in course.record.history:
        on_epoch(line.epoch)
    try:
        for epoch in range(len(course.record.history), schedule.budget):
            done = epoch + 1
            net.module.train()
            rates = [schedule.lr((epoch * n_updates + i) / n_updates) for i in range(n_updates)]
            order = crop_order(seed, epoch, len(labels))[: n_updates * training.batch_size]
            batches = torch.from_numpy(order).to(device).split(training.batch_size)
            for i in range(len(course.losses), n_updates):
                with course.update():
                    logits = _logits(
                        form, train, batches[i], dropout_seed(seed, epoch * n_updates + i), training
                    )
                    loss = nn.functional.cross_entropy(logits.to(dtype), labels[batches[i]])
                    loss.backward()
                    optimizer.step(rates[i])
                    course.losses.append(loss.detach())
                if keeper.due():
                    keeper.save(course.checkpoint())
            mean_loss = float(torch.stack(course.losses).mean())
            if not np.isfinite(mean_loss):
                raise FitFailed(done, rates[0])
            scores = {}
            if done in schedule.ends or training.store == "epochs":
                scores = {done: score(form, train, test)}
            course.end_epoch(Epoch(done, rates[0], rates[-1], mean_loss, course.seconds), scores)
            if done in schedule.ends and done < schedule.budget:
                keeper.save(course.checkpoint())
            on_epoch(done)
    except Interrupted:
        keeper.save(course.checkpoint())
        raise
    prediction_s = prediction_seconds(form, _windows(data.x_test[:CHUNK], device))
    return Fit(course.record.history, course.record.scores, form.name, n_updates, prediction_s)


def _windows(x: np.ndarray, device: torch.device) -> Tensor:
    """Windows on the device; memory maps are copied, since torch minds what must not be written to."""
    return torch.from_numpy(np.require(x, requirements="W")).to(device)


class _Course:
    """A fit under way; all of it changes as a whole or not at all when the fit is asked to stop."""

    def __init__(self, module: nn.Module, optimizer: SGD, schedule: Schedule) -> None:
        self.module = module
        self.optimizer = optimizer
        self.schedule = schedule
        self.record = Record()
        #: Of the epoch under way: losses of its updates, and what these took.
        self.losses: list[Tensor] = []
        self.seconds = 0.0

    @contextmanager
    def update(self) -> Iterator[None]:
        with held_back():
            started = time.perf_counter()
            yield
            self.seconds += time.perf_counter() - started

    def end_epoch(self, line: Epoch, scores: dict[int, Score]) -> None:
        with held_back():
            self.record.history.append(line)
            self.record.scores.update(scores)
            self.losses, self.seconds = [], 0.0

    def checkpoint(self) -> Checkpoint:
        tensors = {f"module/{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"velocity/{i}": value for i, value in enumerate(self.optimizer.velocity)}
        tensors |= {f"loss/{i}": value for i, value in enumerate(self.losses)}
        tensors |= self.record.tensors("score/", self.schedule.ends)
        numbers = {**self.record.numbers(), "n_losses": len(self.losses), "seconds": self.seconds}
        return Checkpoint(tensors, numbers)

    def go_on(self, kept: Checkpoint | None) -> None:
        if kept is None:
            return
        self.module.load_state_dict(beginning(kept.tensors, "module/"))
        for i, velocity in enumerate(self.optimizer.velocity):
            velocity.copy_(kept.tensors[f"velocity/{i}"])
        device = self.optimizer.velocity[0].device
        self.losses = [kept.tensors[f"loss/{i}"].to(device) for i in range(kept.numbers["n_losses"])]
        self.seconds = kept.numbers["seconds"]
        self.record = Record.of(kept.tensors, "score/", kept.numbers)


def _logits(form: Forward, train: Any, crops: Tensor, seed: int, training: Training) -> Tensor:
    """Mean logits of a batch, with gradients, in the precision asked for."""
    mixed = training.numerics.precision == "mixed"
    with torch.autocast(crops.device.type, torch.bfloat16, enabled=mixed):
        return form.logits(train, crops, seed)


def build_for(data: Data, network: NetworkSettings, seed: int) -> Network:
    """The network of a fit, with its initial weights.

    Raises
    ------
    UserError
        If it does not fit the data.
    """
    _, n_channels, n_samples = data.x_train.shape
    return build_network(
        network.name,
        network.arguments,
        n_channels=n_channels,
        n_samples=n_samples,
        n_classes=data.n_classes,
        sfreq=data.sfreq,
        crop_samples=network.crop_samples,
        seed=seed,
    )


def updates_per_epoch(n_crops: int, batch_size: int) -> int:
    """U: full batches in an epoch.

    Raises
    ------
    UserError
        If there is none.
    """
    if n_crops < batch_size:
        raise UserError(
            f"training.batch_size: {batch_size} is more than the {n_crops} training crops; make it smaller."
        )
    return n_crops // batch_size


def crop_order(seed: int, epoch: int, n_crops: int) -> np.ndarray:
    """Order of the crops in an epoch; the same for all fits of a seed."""
    return np.random.default_rng([seed, epoch]).permutation(n_crops)


def dropout_seed(seed: int, update: int) -> int:
    """Seed of the dropout masks of an update; the same for all fits of a seed.

    Made anew for every update, so that a fit can go on anywhere without a stored random state.
    """
    return int(np.random.SeedSequence([seed, update]).generate_state(1, np.uint64)[0] >> 1)
