"""Stochastic gradient descent with classical momentum, in torch's form or the paper's."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor


class SGD:
    r"""SGD with momentum and weight decay whose rate is given at every update.

    With the gradient :math:`g` (weight decay included) and the velocity :math:`v`, which starts at
    zero, the two forms are

    .. math::
        \text{torch:} \quad v \leftarrow \mu v + g, \quad x \leftarrow x - \eta v

        \text{paper:} \quad v \leftarrow \mu v - \eta g, \quad x \leftarrow x + v

    They differ only where the rate :math:`\eta` changes: in torch's form a restart multiplies the old
    velocity by the new rate; the paper's (equations 3 and 4 of [1]_) keeps the rate inside it.

    Parameters
    ----------
    parameters : iterable of Tensor
        They are updated in place; those without a gradient are left alone.
    momentum : float
        :math:`\mu`.
    weight_decay : float
        Times the parameter, it is added to the gradient.
    form : "torch" or "paper"
        Which of the two.

    Attributes
    ----------
    velocity : list of Tensor
        In the order of the parameters; what a checkpoint has to keep.

    References
    ----------
    .. [1] Loshchilov, I., & Hutter, F. (2017). SGDR: Stochastic gradient descent with warm restarts.
           ICLR.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        momentum: float,
        weight_decay: float,
        form: Literal["torch", "paper"],
    ) -> None:
        self.parameters = list(parameters)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.form = form
        self.velocity = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """Update the parameters once, by the gradients that they hold, which are forgotten.

        Parameters
        ----------
        rate : float or Tensor, shape (n,)
            Learning rate of this update; or of each of n fits, whose parameters lie along the first axis.
        """
        for parameter, velocity in zip(self.parameters, self.velocity, strict=True):
            if parameter.grad is None:
                continue
            gradient = parameter.grad.add(parameter, alpha=self.weight_decay)
            if self.form == "torch":
                velocity.mul_(self.momentum).add_(gradient)
                _add_scaled(parameter, velocity, -rate)
            else:
                _add_scaled(velocity.mul_(self.momentum), gradient, -rate)
                parameter.add_(velocity)
            parameter.grad = None


def _add_scaled(target: Tensor, value: Tensor, factor: float | Tensor) -> None:
    if isinstance(factor, Tensor):
        target.addcmul_(value, factor.view(-1, *[1] * (value.ndim - 1)))
    else:
        target.add_(value, alpha=factor)
