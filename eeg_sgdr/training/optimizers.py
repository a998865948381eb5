"""Optimizers whose learning rate is given at every update, for one fit or a stack of fits."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from eeg_sgdr.settings import Training


def make_optimizer(training: Training, parameters: Iterable[Tensor]) -> "Optimizer":
    """The optimizer of the settings."""
    return SGD(parameters, training.momentum, training.weight_decay, training.momentum_form)


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
        form: Literal["torch", "paper"],
    ) -> None:
        super().__init__(parameters, ["velocity"])
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.form = form

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


def _add_scaled(target: Tensor, value: Tensor, factors: float | Tensor) -> None:
    """Add a value times a factor, or times each fit's factor, in place."""
    if isinstance(factors, Tensor):
        target.addcmul_(value, factors.view(-1, *[1] * (value.ndim - 1)))
    else:
        target.add_(value, alpha=factors)
