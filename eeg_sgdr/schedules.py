"""Learning rates as pure functions of the epoch.

A schedule is a frozen data class with ``lr(epoch)``, defined for 0 <= epoch < budget, and ``ends``,
the epochs at which its fit is a result. A new schedule is one more such class. `Warmup` goes before any.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, Protocol


class Schedule(Protocol):
    """Interface of schedules."""

    @property
    def initial_rate(self) -> float:
        """Rate that the schedule starts from or, with a warm-up, rises to."""

    @property
    def budget(self) -> int:
        """Number of epochs that the schedule is laid out for."""

    @property
    def ends(self) -> tuple[int, ...]:
        """Epochs at which the weights are a result, ascending; the last one is the budget."""

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done."""


@dataclass(frozen=True)
class Step:
    """The rate is multiplied by a factor at fractions of the budget.

    Parameters
    ----------
    initial_rate : float
        Rate at the start.
    budget : int
        Number of epochs.
    drops : tuple of Fraction
        Where the rate drops, as fractions of the budget; a drop may fall inside an epoch.
    factor : float
        What the rate is multiplied by at each drop.
    """

    initial_rate: float
    budget: int
    drops: tuple[Fraction, ...] = (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))
    factor: float = 0.1

    @property
    def ends(self) -> tuple[int, ...]:
        """The budget alone."""
        return (self.budget,)

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done; at a drop it has dropped."""
        # drop <= epoch / budget, exactly for whole epochs: 10 of 30 is a third in integers, not in
        # floats.
        passed = sum(drop * self.budget <= epoch for drop in self.drops)
        return self.initial_rate * self.factor**passed


@dataclass(frozen=True)
class WarmRestarts:
    r"""Cosine annealing with warm restarts, equation (5) of [1]_.

    In cycle i, which lasts :math:`T_i = T_0 T_{mult}^i` epochs of which :math:`T_{cur}` are done,

    .. math:: \eta = \eta_{min} + \frac{1}{2} (\eta_{max}^i - \eta_{min})
              \left(1 + \cos\left(\frac{T_{cur}}{T_i} \pi\right)\right)

    with :math:`\eta_{max}^i` the initial rate times ``eta_decay`` to the power i.

    Parameters
    ----------
    initial_rate : float
        :math:`\eta_{max}` of the first cycle.
    budget : int
        Number of epochs; the end of a cycle.
    t_0 : int
        Epochs of the first cycle.
    t_mult : int
        How many times longer each next cycle is.
    eta_min : float
        What the rate falls to.
    eta_decay : float
        Factor on :math:`\eta_{max}` at each restart.

    Raises
    ------
    ValueError
        If the cycles are not whole epochs, the budget is no cycle end, or a rate of a restart is
        below ``eta_min``.

    References
    ----------
    .. [1] Loshchilov, I., & Hutter, F. (2017). SGDR: Stochastic gradient descent with warm restarts.
           ICLR.
    """

    initial_rate: float
    budget: int
    t_0: int = 1
    t_mult: int = 2
    eta_min: float = 0.0
    eta_decay: float = 1.0

    def __post_init__(self) -> None:
        if self.t_0 < 1 or self.t_mult < 1:
            raise ValueError("t_0 and t_mult must be whole numbers of at least 1")
        before, after = 0, 0
        for after in self._all_ends():
            if after >= self.budget:
                break
            before = after
        if after != self.budget:
            nearest = f"{before} and {after}" if before else f"{after}"
            raise ValueError(
                f"epochs: {self.budget} is not the end of a cycle; the nearest ends are {nearest}"
            )
        if self.initial_rate * self.eta_decay ** (len(self.ends) - 1) < self.eta_min:
            raise ValueError("eta_min must not be above the rate of the last restart")

    def _all_ends(self) -> Iterator[int]:
        """All cycle ends, in integers: powers of floats would miss some by rounding."""
        return itertools.accumulate(self.t_0 * self.t_mult**i for i in itertools.count())

    @property
    def ends(self) -> tuple[int, ...]:
        """Cycle ends up to the budget."""
        return tuple(itertools.takewhile(lambda end: end <= self.budget, self._all_ends()))

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done; at a cycle's end it has been restarted."""
        cycle, start, length = 0, 0, self.t_0
        while start + length <= epoch:
            cycle, start, length = cycle + 1, start + length, length * self.t_mult
        high = self.initial_rate * self.eta_decay**cycle
        return self.eta_min + 0.5 * (high - self.eta_min) * (1 + math.cos(math.pi * (epoch - start) / length))


@dataclass(frozen=True)
class Cyclic:
    r"""The rate falls and rises in straight lines: the triangular policy of [1]_, going down first.

    With a period of P epochs,

    .. math:: \eta = low + (high - low) \left|1 - 2 \left(\frac{epoch}{P} \bmod 1\right)\right|

    with ``high`` the initial rate, reached at 0, P, 2 P, ..., and the low rate at P / 2, 3 P / 2, ...
    This is Smith's formula with his step size P / 2, half a period later: his begins at the low rate.
    The budget ends where the rate is low, as cycles of warm restarts do.

    Parameters
    ----------
    initial_rate : float
        The high rate.
    budget : int
        Number of epochs; an odd multiple of half the period.
    period : int
        Epochs from one high rate to the next; even.
    low : float
        What the rate falls to.

    Raises
    ------
    ValueError
        If the rate is not low after the last epoch, or the initial rate is below the low one.

    References
    ----------
    .. [1] Smith, L. N. (2017). Cyclical learning rates for training neural networks. WACV. Section 3.1.
    """

    initial_rate: float
    budget: int
    period: int
    low: float = 0.0

    def __post_init__(self) -> None:
        if self.period < 2 or self.period % 2:
            raise ValueError("period must be an even number of epochs")
        half = self.period // 2
        if self.budget % self.period != half:
            before = (self.budget - half) // self.period * self.period + half
            nearest = " and ".join(str(end) for end in (before, before + self.period) if end > 0)
            raise ValueError(
                f"budgets: the rate is not low after {self.budget} epochs; the nearest ends are {nearest}"
            )
        if self.initial_rate < self.low:
            raise ValueError("low must not be above the initial rate")

    @property
    def ends(self) -> tuple[int, ...]:
        """The budget alone."""
        return (self.budget,)

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done."""
        return self.low + (self.initial_rate - self.low) * abs(1 - 2 * (epoch / self.period % 1))


@dataclass(frozen=True)
class Linear:
    """The rate falls in a straight line to zero (linear decay, [1]_).

    Parameters
    ----------
    initial_rate : float
        Rate at the start.
    budget : int
        Number of epochs.

    References
    ----------
    .. [1] Defazio, A., Cutkosky, A., Mehta, H., & Mishchenko, K. (2023). Optimal linear decay learning
           rate schedules and further refinements. arXiv:2310.07831.
    """

    initial_rate: float
    budget: int

    @property
    def ends(self) -> tuple[int, ...]:
        """The budget alone."""
        return (self.budget,)

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done."""
        return self.initial_rate * (1 - epoch / self.budget)


@dataclass(frozen=True)
class OneCycle:
    """The rate rises to the initial rate and falls far below its start, both along half a cosine [1]_.

    These are the two phases of torch's ``OneCycleLR``, which has the same rates in the first n of n + 1
    steps, n being the updates of the whole budget, if its ``pct_start`` is (pct_start n + 1) / (n + 1).
    Momentum is not cycled.

    Parameters
    ----------
    initial_rate : float
        The peak.
    budget : int
        Number of epochs.
    pct_start : float
        Fraction of the budget after which the peak is reached.
    div_factor : float
        The peak divided by the rate at the start.
    final_div_factor : float
        The rate at the start divided by that at the end.

    Raises
    ------
    ValueError
        If ``pct_start`` is not between 0 and 1, or a factor is below 1.

    References
    ----------
    .. [1] Smith, L. N., & Topin, N. (2019). Super-convergence: Very fast training of neural networks using
           large learning rates. Proceedings of SPIE 11006.
    """

    initial_rate: float
    budget: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        if not 0 < self.pct_start < 1:
            raise ValueError("pct_start must be between 0 and 1")
        if self.div_factor < 1 or self.final_div_factor < 1:
            raise ValueError("div_factor and final_div_factor must be at least 1")

    @property
    def ends(self) -> tuple[int, ...]:
        """The budget alone."""
        return (self.budget,)

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done."""
        start, peak = self.initial_rate / self.div_factor, self.pct_start * self.budget
        if epoch <= peak:
            low, from_peak = start, (peak - epoch) / peak
        else:
            low, from_peak = start / self.final_div_factor, (epoch - peak) / (self.budget - peak)
        return low + 0.5 * (self.initial_rate - low) * (1 + math.cos(math.pi * from_peak))


@dataclass(frozen=True)
class Trapezoid:
    r"""The rate is constant and falls to zero at the end: a constant rate with cooldown [1]_.

    When a fraction x of the cooldown is done, the initial rate is multiplied by :math:`1 - x` or by
    :math:`1 - \sqrt{x}`.

    Parameters
    ----------
    initial_rate : float
        Rate before the cooldown.
    budget : int
        Number of epochs.
    cooldown : Fraction
        Part of the budget over which the rate falls.
    shape : "linear" or "1-sqrt"
        How it falls.

    Raises
    ------
    ValueError
        If the cooldown is not between 0 and 1, or there is no such shape.

    References
    ----------
    .. [1] Hägele, A., Bakouch, E., Kosson, A., Ben Allal, L., Von Werra, L., & Jaggi, M. (2024). Scaling laws
           and compute-optimal training beyond fixed training durations. NeurIPS.
    """

    initial_rate: float
    budget: int
    cooldown: Fraction = Fraction(1, 5)
    shape: Literal["linear", "1-sqrt"] = "linear"

    def __post_init__(self) -> None:
        if not 0 < self.cooldown < 1:
            raise ValueError("cooldown must be between 0 and 1")
        if self.shape not in ("linear", "1-sqrt"):
            raise ValueError("shape must be linear or 1-sqrt")

    @property
    def ends(self) -> tuple[int, ...]:
        """The budget alone."""
        return (self.budget,)

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done."""
        # A fraction, as in Step: the root would make 1e-8 of a rounding by 1e-16.
        start = self.budget * (1 - self.cooldown)
        if epoch <= start:
            return self.initial_rate
        done = float((epoch - start) / (self.budget - start))
        return self.initial_rate * (1 - (done if self.shape == "linear" else math.sqrt(done)))


@dataclass(frozen=True)
class Warmup:
    """Another schedule, multiplied by a factor that rises from 0.01 to 1 in a straight line [1]_.

    When e epochs are done, the factor is min(1, 0.01 + 0.99 e / epochs); from then on the rates are those of
    the other schedule.

    Parameters
    ----------
    schedule : Schedule
        The other schedule, of any kind.
    epochs : float
        Length of the warm-up.
    every_cycle : bool
        Whether every cycle of the schedule begins with a warm-up, not the first alone.

    Raises
    ------
    ValueError
        If the warm-up is not above 0 and shorter than the shortest cycle or the budget.

    References
    ----------
    .. [1] Goyal, P., et al. (2017). Accurate, large minibatch SGD: Training ImageNet in 1 hour.
           arXiv:1706.02677. Section 2.2.
    """

    schedule: Schedule
    epochs: float
    every_cycle: bool = False

    def __post_init__(self) -> None:
        shortest = min(after - before for before, after in itertools.pairwise((0, *self.ends)))
        if not 0 < self.epochs < shortest:
            raise ValueError(
                f"warmup: {self.epochs:g} epochs must be above 0 and below the shortest cycle or budget "
                f"({shortest})"
            )

    @property
    def initial_rate(self) -> float:
        """That of the other schedule."""
        return self.schedule.initial_rate

    @property
    def budget(self) -> int:
        """Number of epochs, those of the warm-up included."""
        return self.schedule.budget

    @property
    def ends(self) -> tuple[int, ...]:
        """Those of the other schedule."""
        return self.schedule.ends

    def lr(self, epoch: float) -> float:
        """Learning rate when ``epoch`` epochs are done."""
        start = max((end for end in self.ends if end <= epoch), default=0) if self.every_cycle else 0
        return min(1.0, 0.01 + 0.99 * (epoch - start) / self.epochs) * self.schedule.lr(epoch)


def at_rate(schedule: Schedule, rate: float) -> Schedule:
    """The same schedule with another initial rate."""
    if isinstance(schedule, Warmup):
        return replace(schedule, schedule=at_rate(schedule.schedule, rate))
    return replace(schedule, initial_rate=rate)  # type: ignore[type-var]


def cycle_epochs(schedule: Schedule, epoch: int) -> int:
    """Length of the cycle to which the next epoch belongs when ``epoch`` are done; else the budget."""
    cycles = itertools.pairwise((0, *schedule.ends))
    return next(after - before for before, after in cycles if epoch < after)


def n_averaged(n_cycles: int) -> int:
    """Snapshots in the ensemble when ``n_cycles`` cycles are completed: M = nr / 2, at least one."""
    return max(1, n_cycles // 2)
