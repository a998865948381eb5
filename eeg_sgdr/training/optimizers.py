"""Optimizers whose learning rate is given at every update, for one fit or a stack of fits."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from eeg_sgdr.schedules import Schedule, cycle_epochs
from eeg_sgdr.settings.optimizers import OptimizerSettings


def make_optimizer(
    settings: OptimizerSettings, parameters: Iterable[Tensor], schedules: Sequence[Schedule], n_updates: int
) -> "Optimizer":
    """The optimizer of the settings, for fits of a schedule each and ``n_updates`` an epoch."""
    values = settings.model_dump(exclude={"kind"})
    if settings.kind == "adamw":
        return AdamW(parameters, schedules=schedules, n_updates=n_updates, **values)
    return SGD(parameters, **values)


class Optimizer(ABC):
    """Updates parameters in place; its ``moments`` hold a tensor for each of them, zero at first."""

    def __init__(self, parameters: Iterable[Tensor], moments: Iterable[str]) -> None:
        self.parameters = list(parameters)
        self.moments = {
            name: [torch.zeros_like(parameter) for parameter in self.parameters] for name in moments
        }

    @abstractmethod
    def step(self, rates: float | Tensor) -> None:
        """Update all parameters that have a gradient, and clear the gradients.

        A tensor of rates, shape (n,), is for n fits whose parameters lie along the first axis.
        """

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume, apart from the parameters."""
        return {"moments": self.moments}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name, values in self.moments.items():
            for value, saved in zip(values, state["moments"][name], strict=True):
                value.copy_(saved)

    def keep(self, members: list[int], parameters: Iterable[Tensor]) -> None:
        """Keep the given fits of a stack; ``parameters`` are those of the stack without the others."""
        self.parameters = list(parameters)
        self.moments = {
            name: [value[members].clone() for value in values] for name, values in self.moments.items()
        }


class SGD(Optimizer):
    r"""SGD with classical momentum and weight decay.

    With the gradient :math:`g` (weight decay included) and the velocity :math:`v`, which starts at
    zero, the two forms are

    .. math::
        \text{torch:} \quad v \leftarrow \mu v + g, \quad x \leftarrow x - \eta v

        \text{paper:} \quad v \leftarrow \mu v - \eta g, \quad x \leftarrow x + v

    They differ only where the rate :math:`\eta` changes: in torch's form a restart multiplies the old
    velocity by the new rate; the paper's (Loshchilov and Hutter, 2017, equations 3 and 4) keeps the rate
    inside it.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        momentum: float,
        weight_decay: float,
        momentum_form: Literal["torch", "paper"],
    ) -> None:
        super().__init__(parameters, ["velocity"])
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.form = momentum_form

    @torch.no_grad()
    def step(self, rates: float | Tensor) -> None:
        """See `Optimizer.step`."""
        for parameter, velocity in zip(self.parameters, self.moments["velocity"], strict=True):
            if parameter.grad is None:
                continue
            gradient = parameter.grad.add(parameter, alpha=self.weight_decay)
            if self.form == "torch":
                velocity.mul_(self.momentum).add_(gradient)
                _add_scaled(parameter, velocity, -rates)
            else:
                _add_scaled(velocity.mul_(self.momentum), gradient, -rates)
                parameter.add_(velocity)
            parameter.grad = None


class AdamW(Optimizer):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019); restarts keep moments and step count.

    With the gradient :math:`g`, the moments :math:`m` and :math:`v`, which start at zero, and the number
    :math:`t` of the update,

    .. math::
        x \leftarrow (1 - \eta d) x, \quad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        x \leftarrow x - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    where d is the weight decay (torch), or the weight decay times :math:`\sqrt{1 / (U T)}` over the initial
    rate (normalized, their appendix B.1), U being the updates of an epoch and T the epochs of the cycle.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        decay: Literal["torch", "normalized"],
        schedules: Sequence[Schedule],
        n_updates: int,
    ) -> None:
        super().__init__(parameters, ["mean", "square"])
        self.betas = betas
        self.eps = eps
        self.weight_decay = weight_decay
        self.decay = decay
        self.schedules = list(schedules)
        self.n_updates = n_updates
        self.n_done = 0

    @torch.no_grad()
    def step(self, rates: float | Tensor) -> None:
        """See `Optimizer.step`."""
        decays = [self._decay(schedule) for schedule in self.schedules]
        self.n_done += 1
        corrections = [1 - beta**self.n_done for beta in self.betas]
        # Of a stack, a decay for each fit; of one fit, a number.
        decay = (
            torch.tensor(decays, dtype=rates.dtype, device=rates.device)
            if isinstance(rates, Tensor)
            else decays[0]
        )
        for parameter, mean, square in zip(
            self.parameters, self.moments["mean"], self.moments["square"], strict=True
        ):
            gradient = parameter.grad
            if gradient is None:
                continue
            _add_scaled(parameter, parameter.clone(), -rates * decay)
            mean.lerp_(gradient, 1 - self.betas[0])
            square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
            root = (square.sqrt() / math.sqrt(corrections[1])).add_(self.eps)
            _add_scaled(parameter, mean / root, -rates / corrections[0])
            parameter.grad = None

    def _decay(self, schedule: Schedule) -> float:
        """Weight decay of the next update, to be multiplied by the rate."""
        if self.decay == "torch":
            return self.weight_decay
        total = self.n_updates * cycle_epochs(schedule, self.n_done // self.n_updates)
        return self.weight_decay * math.sqrt(1 / total) / schedule.initial_rate

    def state_dict(self) -> dict[str, Any]:
        """See `Optimizer.state_dict`."""
        return {**super().state_dict(), "n_done": self.n_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Optimizer.load_state_dict`."""
        super().load_state_dict(state)
        self.n_done = state["n_done"]

    def keep(self, members: list[int], parameters: Iterable[Tensor]) -> None:
        """See `Optimizer.keep`."""
        super().keep(members, parameters)
        self.schedules = [self.schedules[i] for i in members]


def _add_scaled(target: Tensor, value: Tensor, factors: float | Tensor) -> None:
    """Add a value times a factor, or times each fit's factor, in place."""
    if isinstance(factors, Tensor):
        target.addcmul_(value, factors.view(-1, *[1] * (value.ndim - 1)))
    else:
        target.add_(value, alpha=factors)
