"""The training loop: fits along their schedules, scored at the schedules' ends, resumed at any update."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.build import Network
from eeg_sgdr.parallel.interrupts import Interrupted, defer_interrupts
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import NetworkSettings, Training
from eeg_sgdr.settings.optimizers import OptimizerSettings
from eeg_sgdr.training.checkpoints import NO_CHECKPOINTS, Checkpoints
from eeg_sgdr.training.engines import AS_TRAINING, Data, Engine, Member, OneFit, build_for
from eeg_sgdr.training.optimizers import make_optimizer
from eeg_sgdr.training.scoring import Score
from eeg_sgdr.training.seeds import crop_order, dropout_seed


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv: epochs done, rates of its first and last update, mean loss in nats.

    Its seconds are of training, without scoring.
    """

    epoch: int
    first_rate: float
    last_rate: float
    loss: float
    seconds: float


@dataclass(frozen=True)
class Fit:
    """A trained fit: its history, and its scores by epoch, at the schedule's ends or at every epoch.

    ``form`` is the name of the forward, as in fit.json, ``n_updates`` are those of an epoch, and
    ``prediction_s`` the seconds to predict one trial.
    """

    history: list[Epoch]
    scores: dict[int, Score]
    form: str
    n_updates: int
    prediction_s: float


class FitFailed(Exception):  # noqa: N818 (an outcome, not an error of the program)
    """The loss is not finite."""

    def __init__(self, epoch: int, rate: float) -> None:
        self.epoch = epoch
        self.rate = rate
        super().__init__(
            f"the loss is not finite in epoch {epoch}, at a rate of {rate:g}; lower training.initial_rates"
        )


def train(
    engine: Engine,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> list[Fit | FitFailed]:
    """Train the fits of an engine, each with its own rates, order and dropout, from the last checkpoint on.

    Results depend on data, settings and seeds alone, not on interruptions: fits of a seed share initial
    weights, the order of crops, and dropout. A fit whose loss is not finite does not affect the others.

    ``on_epoch`` is called with the number of epochs done, for each fit, including those before the
    checkpoint. Raises `UserError` if there are fewer crops than a batch, and `Interrupted` after saving a
    checkpoint.
    """
    training = engine.training
    n_updates = updates_per_epoch(engine.n_crops, training.batch_size)
    run = _Run(engine, n_updates)
    run.restore(checkpoints.load())
    for record in run.records:
        for line in record.history:
            on_epoch(line.epoch)
    try:
        while run.active:
            members, active, first = engine.members, run.active, run.epoch * n_updates
            rates = np.array(
                [[m.schedule.lr((first + k) / n_updates) for m in members] for k in range(n_updates)]
            )
            order = np.stack([crop_order(m.seed, run.epoch, engine.n_crops) for m in members])
            for k in range(len(run.losses), n_updates):
                crops = order[:, k * training.batch_size : (k + 1) * training.batch_size]
                with run.update():
                    losses = engine.losses(crops, [dropout_seed(m.seed, first + k) for m in members])
                    losses.sum().backward()
                    run.optimizer.step(engine.rates(rates[k]))
                    run.losses.append(losses.detach())
                if checkpoints.due():
                    checkpoints.save(run.state_dict())
            done = run.epoch + 1
            mean_losses = torch.stack(run.losses, 1).mean(1).tolist()
            ended = [done in m.schedule.ends for m in members]
            scores = {
                i: engine.score(i)
                for i in range(len(members))
                if np.isfinite(mean_losses[i]) and (ended[i] or training.store == "epochs")
            }
            for i, scored in scores.items():
                if not scored.is_finite:  # after the last update, whose own loss was still finite
                    mean_losses[i] = np.nan
            run.end_epoch(rates, mean_losses, scores)
            if run.active and any(ended):
                checkpoints.save(run.state_dict())
            for i in active:
                if not run.records[i].failure:
                    on_epoch(done)
    except Interrupted:
        checkpoints.save(run.state_dict())
        raise
    prediction_s = engine.prediction_seconds()
    return [
        record.failure or Fit(record.history, record.scores, engine.forward.name, n_updates, prediction_s)
        for record in run.records
    ]


@dataclass
class _Record:
    """History and scores of a fit so far, or why it failed."""

    member: Member
    history: list[Epoch] = field(default_factory=list)
    scores: dict[int, Score] = field(default_factory=dict)
    failure: FitFailed | None = None

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors; weights only at the schedule's ends, which alone become snapshots."""
        return {
            "history": [asdict(line) for line in self.history],
            "scores": {
                epoch: {
                    "probabilities": torch.from_numpy(score.probabilities),
                    "probabilities_running": torch.from_numpy(score.probabilities_running),
                    "state": score.state if epoch in self.member.schedule.ends else {},
                }
                for epoch, score in self.scores.items()
            },
            "failure": self.failure and {"epoch": self.failure.epoch, "rate": self.failure.rate},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history = [Epoch(**line) for line in state["history"]]
        self.scores = {
            epoch: Score(
                score["probabilities"].numpy(), score["probabilities_running"].numpy(), score["state"]
            )
            for epoch, score in state["scores"].items()
        }
        self.failure = state["failure"] and FitFailed(**state["failure"])


class _Run:
    """State of a training run; its changes are atomic with respect to interruptions."""

    def __init__(self, engine: Engine, n_updates: int) -> None:
        self.engine = engine
        schedules = [member.schedule for member in engine.members]
        self.optimizer = make_optimizer(engine.optimizer, engine.parameters, schedules, n_updates)
        self.records = [_Record(member) for member in engine.members]
        #: Indices of the fits still in training, in the order of the engine's members.
        self.active = list(range(len(self.records)))
        self.epoch = 0
        #: Losses (n,) of the current epoch's updates, and their seconds.
        self.losses: list[Tensor] = []
        self.seconds = 0.0

    @contextmanager
    def update(self) -> Iterator[None]:
        """Time an update, and defer interruptions."""
        with defer_interrupts():
            started = time.perf_counter()
            yield
            self.seconds += time.perf_counter() - started

    def end_epoch(self, rates: np.ndarray, losses: list[float], scores: dict[int, Score]) -> None:
        """Record an epoch, with rates (n_updates, n), and drop the fits that are done or have failed."""
        with defer_interrupts():
            self.epoch += 1
            seconds = self.seconds / len(self.active)
            for i, number in enumerate(self.active):
                record, first, last = self.records[number], float(rates[0, i]), float(rates[-1, i])
                if not np.isfinite(losses[i]):
                    record.failure = FitFailed(self.epoch, first)
                    continue
                record.history.append(Epoch(self.epoch, first, last, losses[i], seconds))
                if i in scores:
                    record.scores[self.epoch] = scores[i]
            self._drop()
            self.losses, self.seconds = [], 0.0

    def _drop(self) -> None:
        left = [
            number
            for number in self.active
            if not self.records[number].failure and self.records[number].member.schedule.budget > self.epoch
        ]
        # The last fits stay in the engine, to time its predictions.
        if left and left != self.active:
            places = [self.active.index(number) for number in left]
            self.engine.keep(places)
            self.optimizer.keep(places, self.engine.parameters)
        self.active = left

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume."""
        return {
            "epoch": self.epoch,
            "losses": self.losses,
            "seconds": self.seconds,
            "records": [record.state_dict() for record in self.records],
            "engine": self.engine.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Resume from what `state_dict` returned, if there is a checkpoint."""
        if state is None:
            return
        for record, saved in zip(self.records, state["records"], strict=True):
            record.load_state_dict(saved)
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.losses = [losses.to(self.engine.device) for losses in state["losses"]]
        self._drop()
        if self.active:
            self.engine.load_state_dict(state["engine"])
            self.optimizer.load_state_dict(state["optimizer"])


def fit(
    data: Data,
    network: NetworkSettings,
    training: Training,
    schedule: Schedule,
    seed: int,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
    optimizer: OptimizerSettings = AS_TRAINING,
) -> Fit:
    """Train a network from its initial weights; see `train_network`."""
    net = build_for(data, network, seed)
    return train_network(net, data, training, schedule, seed, on_epoch, checkpoints, optimizer)


def train_network(
    net: Network,
    data: Data,
    training: Training,
    schedule: Schedule,
    seed: int,
    on_epoch: Callable[[int], object] = lambda epoch: None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
    optimizer: OptimizerSettings = AS_TRAINING,
) -> Fit:
    """Train a network in place, from its present weights; see `train`. Raises `FitFailed`."""
    member = Member(data, schedule, seed, optimizer)
    (result,) = train(OneFit(member, net, training), on_epoch, checkpoints)
    if isinstance(result, FitFailed):
        raise result
    return result


def updates_per_epoch(n_crops: int, batch_size: int) -> int:
    """Full batches in an epoch. Raises `UserError` if there is none."""
    if n_crops < batch_size:
        raise UserError(
            f"training.batch_size: {batch_size} is more than the {n_crops} training crops; make it smaller."
        )
    return n_crops // batch_size
