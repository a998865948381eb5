"""Settings of the arms: the schedules that are compared, with what belongs to each alone."""

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from eeg_sgdr import schedules
from eeg_sgdr.settings.optimizers import AnyOptimizer
from eeg_sgdr.settings.types import (
    Drop,
    Epochs,
    Later,
    LowRate,
    Model,
    Number,
    Rates,
    joined,
    of_kind,
    plain,
    unique,
)

SGDR = "Loshchilov, I., & Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts. ICLR."

Budgets = Annotated[tuple[Epochs, ...], Field(min_length=1), AfterValidator(unique)]


class Arm(Model):
    """A schedule that is compared; every kind is a subclass, which needs a ``kind`` and `budgets`.

    A configuration may name any kind, wherever its class is defined; no other code depends on the kind.

    Attributes
    ----------
    optimizer : Optimizer, optional
        How the weights are updated; null: by SGD, as ``training`` says.
    initial_rates : list of float, optional
        Rates of this arm alone; null: those of ``training``.
    warmup : float
        Epochs, a fraction of one, too, over which the rate is multiplied by a factor that rises from 0.01 to
        1 in a straight line; fewer than the shortest cycle or budget. 0 leaves it out.
    """

    #: Whether fits leave snapshots at the ends of cycles, to be averaged.
    leaves_snapshots: ClassVar[bool] = False
    #: Whether it is the conventional choice, the rival in default comparisons.
    conventional: ClassVar[bool] = False
    #: References cited by `describe`.
    references: ClassVar[tuple[str, ...]] = ()

    optimizer: Annotated[AnyOptimizer | None, Later(None)] = None
    initial_rates: Annotated[Rates | None, Later(None)] = None
    warmup: Annotated[Number, Later(0.0), Field(ge=0, le=100_000)] = 0.0

    if TYPE_CHECKING:  # fields or properties of each kind

        @property
        def kind(self) -> str: ...  # noqa: D102

        @property
        def budgets(self) -> tuple[int, ...]: ...  # noqa: D102

    def schedule(self, rate: float, budget: int) -> schedules.Schedule:
        """The schedule of one fit, without its warm-up."""
        raise NotImplementedError

    def warmed_up(self, rate: float, budget: int) -> schedules.Schedule:
        """The schedule of one fit."""
        schedule = self.schedule(rate, budget)
        if not self.warmup:
            return schedule
        return schedules.Warmup(schedule, self.warmup, self._warmed_restarts)

    @property
    def _warmed_restarts(self) -> bool:
        """Whether every cycle begins with a warm-up."""
        return False

    @property
    def noun(self) -> str:
        """Name in sentences."""
        return f"the {plain(self.kind)} schedule"

    @property
    def short_name(self) -> str:
        """Name in the names of comparisons."""
        return plain(self.kind)

    def describe(self) -> str:
        """Predicate of a sentence of the methods, to follow `noun`."""
        return f"set the rate of every update over budgets of {joined(self.budgets)} epochs."

    def describe_warmup(self) -> str:
        """Sentence of the methods, to follow that of `describe`; empty without a warm-up."""
        if not self.warmup:
            return ""
        epochs = f"{self.warmup:g} epoch{'s' if self.warmup != 1 else ''}"
        stretch = "every cycle" if self._warmed_restarts else "training"
        return (
            f"In a warm-up of {epochs} at the beginning of {stretch} the rate was multiplied by a factor "
            "that rose in a straight line from 0.01 to 1 (Goyal et al., 2017)."
        )

    def assumptions(self) -> str:
        """Sentences on choices that the paper leaves open; empty if there are none."""
        return ""


class StepArm(Arm):
    """The rate falls by a factor at fractions of the budget.

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for; one fit each.
    drops : list of fractions
        Where it falls, as fractions of the budget.
    factor : float
        What it is multiplied by at each drop.
    """

    conventional: ClassVar[bool] = True

    kind: Literal["step"]
    budgets: Budgets
    drops: tuple[Drop, ...] = (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))
    factor: Number = Field(0.1, gt=0, lt=1)

    @model_validator(mode="after")
    def _drops_ascend(self) -> "StepArm":
        if list(self.drops) != sorted(set(self.drops)) or any(not 0 < drop < 1 for drop in self.drops):
            raise ValueError("drops: must ascend between 0 and 1")
        return self

    def schedule(self, rate: float, budget: int) -> schedules.Step:
        """The schedule of one fit."""
        return schedules.Step(rate, budget, self.drops, self.factor)

    def describe(self) -> str:
        """See `Arm.describe`."""
        return (
            f"multiplied the rate by {self.factor:g} at {joined(self.drops)} of budgets of "
            f"{joined(self.budgets)} epochs."
        )


#: Most cycles of a fit, each of which leaves a snapshot.
MAX_CYCLES = 1000


class WarmRestartsArm(Arm):
    """Cosine annealing with warm restarts (SGDR).

    Attributes
    ----------
    t_0, t_mult : int
        Epochs of the first cycle, and how many times longer each next one is.
    eta_min : float
        What the rate falls to.
    eta_decay : float
        What the rate of a restart is multiplied by, cycle after cycle.
    epochs : int
        Budget; the end of a cycle.
    warmup_restarts : bool
        Whether every cycle begins with the warm-up, not the first alone.
    """

    leaves_snapshots: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = (SGDR,)

    kind: Literal["warm_restarts"]
    t_0: Epochs = 1
    t_mult: Epochs = 2
    eta_min: LowRate = 0.0
    eta_decay: Number = Field(1.0, gt=0, le=1)
    epochs: Epochs
    warmup_restarts: Annotated[bool, Later(False)] = False

    @model_validator(mode="after")
    def _ends_with_a_cycle(self) -> "WarmRestartsArm":
        if self.t_mult == 1 and self.epochs > MAX_CYCLES * self.t_0:
            raise ValueError(f"epochs: {self.epochs} make more than {MAX_CYCLES} cycles; lengthen t_0")
        self.schedule(1.0 + self.eta_min, self.epochs)
        if self.warmup_restarts and not self.warmup:
            raise ValueError("warmup_restarts: there is no warm-up; give its epochs as warmup")
        return self

    @property
    def budgets(self) -> tuple[int, ...]:
        """The one budget of this arm."""
        return (self.epochs,)

    def schedule(self, rate: float, budget: int) -> schedules.WarmRestarts:
        """The schedule of one fit."""
        return schedules.WarmRestarts(rate, budget, self.t_0, self.t_mult, self.eta_min, self.eta_decay)

    @property
    def _warmed_restarts(self) -> bool:
        """See `Arm._warmed_restarts`."""
        return self.warmup_restarts

    @property
    def noun(self) -> str:
        """See `Arm.noun`."""
        return "warm restarts"

    @property
    def short_name(self) -> str:
        """See `Arm.short_name`."""
        return "restarts"

    def describe(self) -> str:
        """See `Arm.describe`."""
        decay = "" if self.eta_decay == 1 else f", the rate of each restart multiplied by {self.eta_decay:g}"
        ends = self.schedule(1.0 + self.eta_min, self.epochs).ends
        return (
            f"followed Loshchilov and Hutter (2017), equation (5), at every update, with T_0 = {self.t_0}, "
            f"T_mult = {self.t_mult} and eta_min = {self.eta_min:g}{decay}; cycles ended after "
            f"{joined(ends)} epochs."
        )

    def assumptions(self) -> str:
        """See `Arm.assumptions`."""
        return (
            f"T_0 = {self.t_0}, T_mult = {self.t_mult} and eta_min = {self.eta_min:g} are chosen here. "
            "Snapshots are taken right before a restart, and the solution at any moment is that of the last "
            "completed cycle."
        )


class CosineArm(Arm):
    """One cosine over the whole budget: warm restarts that never restart.

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for; one fit each.
    eta_min : float
        What the rate falls to.
    """

    references: ClassVar[tuple[str, ...]] = (SGDR,)

    kind: Literal["cosine"]
    budgets: Budgets
    eta_min: LowRate = 0.0

    def schedule(self, rate: float, budget: int) -> schedules.WarmRestarts:
        """The schedule of one fit: one cycle, as long as the budget."""
        return schedules.WarmRestarts(rate, budget, t_0=budget, t_mult=1, eta_min=self.eta_min)

    def describe(self) -> str:
        """See `Arm.describe`."""
        return (
            "was one cycle of cosine annealing (Loshchilov and Hutter, 2017, equation 5) over budgets of "
            f"{joined(self.budgets)} epochs, with eta_min = {self.eta_min:g}."
        )


class CyclicArm(Arm):
    """The rate falls and rises in straight lines (Smith, 2017), a soft restart; down first.

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for, odd multiples of half the period, where the rate is
        low; one fit each.
    period : int
        Epochs from one high rate to the next; even.
    low : float
        What the rate falls to.
    """

    references: ClassVar[tuple[str, ...]] = (
        "Smith, L. N. (2017). Cyclical learning rates for training neural networks. WACV.",
    )

    kind: Literal["cyclic"]
    budgets: Budgets
    period: Annotated[Epochs, Field(ge=2)]
    low: LowRate = 0.0

    @model_validator(mode="after")
    def _ends_low(self) -> "CyclicArm":
        for budget in self.budgets:
            self.schedule(1.0 + self.low, budget)
        if self.warmup >= self.period:
            raise ValueError(f"warmup: {self.warmup:g} epochs must be below the period ({self.period})")
        return self

    def schedule(self, rate: float, budget: int) -> schedules.Cyclic:
        """The schedule of one fit."""
        return schedules.Cyclic(rate, budget, self.period, self.low)

    def describe(self) -> str:
        """See `Arm.describe`."""
        return (
            f"fell in a straight line to {self.low:g} and rose again, with a period of {self.period} epochs "
            f"(triangular, Smith, 2017; down first), over budgets of {joined(self.budgets)} epochs."
        )


class LinearArm(Arm):
    """The rate falls in a straight line to zero.

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for; one fit each.
    """

    references: ClassVar[tuple[str, ...]] = (
        "Defazio, A., Cutkosky, A., Mehta, H., & Mishchenko, K. (2023). Optimal linear decay learning rate "
        "schedules and further refinements. arXiv:2310.07831.",
    )

    kind: Literal["linear"]
    budgets: Budgets

    def schedule(self, rate: float, budget: int) -> schedules.Linear:
        """The schedule of one fit."""
        return schedules.Linear(rate, budget)

    def describe(self) -> str:
        """See `Arm.describe`."""
        return (
            "fell in a straight line to zero (Defazio et al., 2023) over budgets of "
            f"{joined(self.budgets)} epochs."
        )


class OneCycleArm(Arm):
    """The rate rises to the initial rate and falls far below its start (Smith and Topin, 2019).

    Both along half a cosine, as torch's OneCycleLR has it; momentum is not cycled.

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for; one fit each.
    pct_start : float
        Fraction of the budget after which the initial rate is reached.
    div_factor : float
        The initial rate divided by that of the first update.
    final_div_factor : float
        The rate of the first update divided by that at the end.
    """

    references: ClassVar[tuple[str, ...]] = (
        "Smith, L. N., & Topin, N. (2019). Super-convergence: very fast training of neural networks using "
        "large learning rates. Proceedings of SPIE 11006.",
    )

    kind: Literal["one_cycle"]
    budgets: Budgets
    pct_start: Number = Field(0.3, gt=0, lt=1)
    div_factor: Number = Field(25.0, ge=1, le=1e6)
    final_div_factor: Number = Field(1e4, ge=1, le=1e12)

    def schedule(self, rate: float, budget: int) -> schedules.OneCycle:
        """The schedule of one fit."""
        return schedules.OneCycle(rate, budget, self.pct_start, self.div_factor, self.final_div_factor)

    @property
    def noun(self) -> str:
        """See `Arm.noun`."""
        return "the one-cycle schedule"

    def describe(self) -> str:
        """See `Arm.describe`."""
        return (
            f"rose along half a cosine from 1/{self.div_factor:g} of the initial rate to that rate over the "
            f"first {self.pct_start:g} of budgets of {joined(self.budgets)} epochs, and fell along another "
            f"to 1/{self.div_factor * self.final_div_factor:g} of it (Smith and Topin, 2019, in the two "
            "phases of torch's OneCycleLR; momentum was not cycled)."
        )


class TrapezoidArm(Arm):
    """The rate is constant and falls to zero at the end: a constant rate with cooldown (Hägele et al., 2024).

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for; one fit each.
    cooldown : fraction
        Part of the budget, between 0 and 1, over which the rate falls.
    shape : "linear" or "1-sqrt"
        How it falls: as 1 - x or as 1 - sqrt(x), where x of the cooldown is done.
    """

    references: ClassVar[tuple[str, ...]] = (
        "Hägele, A., Bakouch, E., Kosson, A., Ben Allal, L., Von Werra, L., & Jaggi, M. (2024). Scaling laws "
        "and compute-optimal training beyond fixed training durations. NeurIPS.",
    )

    kind: Literal["trapezoid"]
    budgets: Budgets
    cooldown: Drop = Fraction(1, 5)
    shape: Literal["linear", "1-sqrt"] = "linear"

    def schedule(self, rate: float, budget: int) -> schedules.Trapezoid:
        """The schedule of one fit."""
        return schedules.Trapezoid(rate, budget, self.cooldown, self.shape)

    def describe(self) -> str:
        """See `Arm.describe`."""
        straight = self.shape == "linear"
        form = "in a straight line" if straight else "multiplied by 1 - sqrt(x) when x of that was done"
        return (
            f"held the initial rate and let it fall to zero over the last {self.cooldown} of budgets of "
            f"{joined(self.budgets)} epochs, {form} (Hägele et al., 2024)."
        )


AnyArm = Annotated[SerializeAsAny[Arm], of_kind(Arm, "kind")]
