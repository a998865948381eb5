"""Engines that compute the losses and gradients of an update: of one fit, or of a stack of fits."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.build import Network, build_network, open_device
from eeg_sgdr.networks.dropout import dropout_mask
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.forward import CHUNK, BraindecodeForward, Forward, masked, mean_logits
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import NetworkSettings, Training
from eeg_sgdr.settings.optimizers import OptimizerSettings, SGDSettings
from eeg_sgdr.training.scoring import Score, prediction_seconds, score


@dataclass(frozen=True)
class Data:
    """The trials of a fit: test trials without their labels.

    Windows ``x`` are of float32 or float64, in which the network is computed too, and of shape (n_trials,
    n_channels, n_samples); classes ``y`` of int64; the sampling rate ``sfreq`` is in Hz, None if unknown.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    n_classes: int
    sfreq: float | None


#: SGD with all of its settings from ``training``.
AS_TRAINING = SGDSettings(kind="sgd")


@dataclass(frozen=True)
class Member:
    """A fit to be trained, alone or in a stack."""

    data: Data
    schedule: Schedule
    seed: int
    optimizer: OptimizerSettings = AS_TRAINING


def build_for(data: Data, network: NetworkSettings, seed: int) -> Network:
    """The network of a fit with its initial weights. Raises `UserError` if it does not fit the data."""
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


class Engine(ABC):
    """Networks of n fits; ``members`` and ``parameters`` are of the fits still in training."""

    forward: Forward
    parameters: list[Tensor]

    def __init__(self, members: Sequence[Member], networks: Sequence[Network], training: Training) -> None:
        self.members = list(members)
        self.training = training
        self.optimizer = members[0].optimizer.completed(training)
        self.device = open_device(training.numerics.device, training.numerics.threads)
        data = members[0].data
        self.dtype = torch.from_numpy(data.x_train[:0].copy()).dtype
        for network in networks:
            network.module.to(self.device, self.dtype).train()
        self.crops_per_trial = len(networks[0].starts)
        self.n_crops = len(data.y_train) * self.crops_per_trial

    @abstractmethod
    def losses(self, crops: np.ndarray, seeds: Sequence[int]) -> Tensor:
        """Mean losses (n,) over each fit's crops (n, batch), with each fit's dropout seed."""

    @abstractmethod
    def rates(self, rates: np.ndarray) -> float | Tensor:
        """The rates (n,) of an update as the optimizer takes them."""

    @abstractmethod
    def score(self, i: int) -> Score:
        """Test probabilities and state of the i-th fit."""

    @abstractmethod
    def keep(self, members: list[int]) -> None:
        """Keep the given fits and drop the others, whose training has ended."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned, of the same fits."""

    def prediction_seconds(self) -> float:
        """Seconds in which a network predicts one trial."""
        return prediction_seconds(self.forward, self.on_device(self.members[0].data.x_test[:CHUNK]))

    def on_device(self, x: np.ndarray) -> Tensor:
        """Windows on the device; read-only memory maps are copied, as torch would warn."""
        return torch.from_numpy(np.require(x, requirements="W")).to(self.device)

    def autocast(self) -> AbstractContextManager:
        """The precision of forward passes."""
        mixed = self.training.numerics.precision == "mixed"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=mixed)


class OneFit(Engine):
    """One fit, by the fastest forward of its network; trains the given module in place."""

    def __init__(self, member: Member, network: Network, training: Training) -> None:
        super().__init__([member], [network], training)
        self.module = network.module
        self.parameters = list(network.module.parameters())
        # The fast forwards are optimised for the cache of one CPU core.
        on_cpu = self.device.type == "cpu"
        numerics = training.numerics
        self.forward: Forward = BraindecodeForward(network)
        if on_cpu:
            self.forward = choose(network, numerics.precision, numerics.threads)
        data = member.data
        self.train, self.test = (self.forward.prepare(self.on_device(x)) for x in (data.x_train, data.x_test))
        self.labels = torch.from_numpy(np.repeat(data.y_train, self.crops_per_trial)).to(self.device)

    def losses(self, crops: np.ndarray, seeds: Sequence[int]) -> Tensor:
        """See `Engine.losses`."""
        batch = torch.from_numpy(crops[0]).to(self.device)
        with self.autocast():
            return self.forward.loss(self.train, batch, self.labels[batch], seeds[0])[None]

    def rates(self, rates: np.ndarray) -> float:
        """See `Engine.rates`."""
        return float(rates[0])

    def score(self, i: int) -> Score:
        """See `Engine.score`."""
        return score(self.forward, self.train, self.test)

    def keep(self, members: list[int]) -> None:
        """See `Engine.keep`; a single fit has no others to drop."""

    def state_dict(self) -> dict[str, Tensor]:
        """See `Engine.state_dict`."""
        return self.module.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """See `Engine.load_state_dict`."""
        self.module.load_state_dict(state)


class Stack(Engine):
    """Fits of one network trained together by `torch.func.vmap`, which fills a GPU.

    Parameters and buffers have a first axis of members. Equal to each fit alone with braindecode's own
    forward, to rounding. Raises `UserError` if the members' windows differ in shape.
    """

    def __init__(self, members: Sequence[Member], networks: Sequence[Network], training: Training) -> None:
        if len({(member.data.x_train.shape, member.data.n_classes) for member in members}) > 1:
            raise UserError("a stack of fits: their training windows differ in shape; train them one by one.")
        if len({member.optimizer for member in members}) > 1:
            raise ValueError("a stack of fits: their optimizers differ")
        super().__init__(members, networks, training)
        self.named, self.buffers = stack_module_state([network.module for network in networks])
        self.parameters = list(self.named.values())
        #: Its own weights are not used, but replaced by those of a member.
        self.forward: BraindecodeForward = BraindecodeForward(networks[0])
        arrays = {id(x): x for member in members for x in (member.data.x_train, member.data.x_test)}
        #: Each array once: fits of a subject share them.
        self.windows = {key: self.on_device(x) for key, x in arrays.items()}

    def losses(self, crops: np.ndarray, seeds: Sequence[int]) -> Tensor:
        """See `Engine.losses`."""
        batches = list(zip(self.members, crops, strict=True))
        x = torch.stack(
            [
                self.forward.crops(self._windows(member.data.x_train), torch.from_numpy(batch))
                for member, batch in batches
            ]
        )
        labels = np.stack([member.data.y_train[batch // self.crops_per_trial] for member, batch in batches])
        y = torch.from_numpy(labels).to(self.device)
        masks = self._masks(x, seeds)
        with self.autocast():
            logits = vmap(self._logits)(self.named, self.buffers, x, masks)
        losses = cross_entropy(logits.to(self.dtype).flatten(0, 1), y.flatten(), reduction="none")
        return losses.view(y.shape).mean(1)

    def _logits(self, parameters: Any, buffers: Any, crops: Tensor, masks: list[Tensor]) -> Tensor:
        """Mean logits (batch, n_classes) of one member."""
        remaining = iter(masks)
        with masked(self.forward.dropouts, lambda layer, output: next(remaining)):
            return mean_logits(
                lambda x: functional_call(self.forward.module, {**parameters, **buffers}, (x,)), crops
            )

    def _masks(self, x: Tensor, seeds: Sequence[int]) -> list[Tensor]:
        """Dropout masks (n, batch, ...) of every layer; those of a member are as if it trained alone."""
        if not self.forward.dropouts:
            return []
        shapes: list[tuple[tuple[int, ...], float]] = []

        def record(layer: Any, output: Tensor) -> Tensor:
            shapes.append((tuple(output.shape), layer.p))
            return torch.ones_like(output)

        state = {name: value.clone() for name, value in self.forward.module.state_dict().items()}
        with torch.no_grad(), masked(self.forward.dropouts, record):
            functional_call(self.forward.module, state, (x[0],))
        drawn: dict[int, list[Tensor]] = {}
        for seed in dict.fromkeys(seeds):
            generator = torch.Generator(x.device).manual_seed(seed)
            drawn[seed] = [dropout_mask(shape, p, generator, x.dtype) for shape, p in shapes]
        return [torch.stack([drawn[seed][i] for seed in seeds]) for i in range(len(shapes))]

    def rates(self, rates: np.ndarray) -> Tensor:
        """See `Engine.rates`."""
        return torch.from_numpy(rates).to(self.device, self.dtype)

    def score(self, i: int) -> Score:
        """See `Engine.score`."""
        self.forward.module.load_state_dict({name: value[i] for name, value in self.state_dict().items()})
        data = self.members[i].data
        return score(self.forward, self._windows(data.x_train), self._windows(data.x_test))

    def keep(self, members: list[int]) -> None:
        """See `Engine.keep`."""
        self.members = [self.members[i] for i in members]
        self.named = {
            name: value.detach()[members].clone().requires_grad_() for name, value in self.named.items()
        }
        self.parameters = list(self.named.values())
        self.buffers = {name: value[members].clone() for name, value in self.buffers.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """See `Engine.state_dict`."""
        return {name: value.detach() for name, value in {**self.named, **self.buffers}.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """See `Engine.load_state_dict`."""
        for name, value in self.state_dict().items():
            value.copy_(state[name])

    def _windows(self, x: np.ndarray) -> Tensor:
        return self.windows[id(x)]
