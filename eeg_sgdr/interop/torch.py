"""Schedules as torch's LRScheduler, stepped after every update."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from eeg_sgdr.schedules import Schedule


class ScheduleLR(LRScheduler):
    """Sets the rate of every update to that of a schedule of `eeg_sgdr.schedules`.

    The rate is a function of the number of updates done, so it is right however training is resumed:
    from a state dict, or by ``last_epoch``. (torch's ``CosineAnnealingWarmRestarts`` begins in its first
    cycle when it is made with ``last_epoch``.)

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Whose rates are set; the rate that it was made with is of no effect.
    schedule : Schedule or sequence of Schedule
        One for all of the optimizer's groups, or one for each.
    updates_per_epoch : int
        U: update k has the rate ``schedule.lr(k / U)``.
    last_epoch : int
        As in torch: the index of the last update that was done, -1 if none was.

    Raises
    ------
    ValueError
        If there are not as many schedules as groups, or no updates in an epoch.

    Examples
    --------
    >>> import torch
    >>> from eeg_sgdr.schedules import WarmRestarts
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], momentum=0.9)
    >>> scheduler = ScheduleLR(optimizer, WarmRestarts(0.05, budget=3), updates_per_epoch=2)
    >>> rates = []
    >>> for update in range(3 * 2):
    ...     rates.append(round(optimizer.param_groups[0]["lr"], 3))
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.05, 0.025, 0.05, 0.043, 0.025, 0.007]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule | Sequence[Schedule],
        updates_per_epoch: int,
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        self._schedules = list(schedule) if isinstance(schedule, Sequence) else [schedule] * groups
        if len(self._schedules) != groups:
            raise ValueError(
                f"{len(self._schedules)} schedules for {groups} groups of parameters; give one each"
            )
        if updates_per_epoch < 1:
            raise ValueError(f"updates_per_epoch: {updates_per_epoch} must be at least 1")
        self.updates_per_epoch = updates_per_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Rates of the next update, one for each group."""
        return [schedule.lr(self.last_epoch / self.updates_per_epoch) for schedule in self._schedules]

    def state_dict(self) -> dict[str, Any]:
        """Numbers only, so that ``torch.load`` reads them with ``weights_only``; no schedule."""
        return {name: value for name, value in super().state_dict().items() if name != "_schedules"}
