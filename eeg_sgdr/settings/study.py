"""The whole configuration, and defaults that depend on several sections."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import Field, model_validator

from eeg_sgdr.schedules import n_averaged
from eeg_sgdr.settings.arms import AnyArm, Arm
from eeg_sgdr.settings.evaluation import Comparison, Evaluation, Reference, Side
from eeg_sgdr.settings.preprocessing import (
    BASELINES,
    AnyBaseline,
    AnySplit,
    Baseline,
    Preprocessing,
    Split,
    TangentSpace,
)
from eeg_sgdr.settings.recordings import AnyRecordings
from eeg_sgdr.settings.training import NetworkSettings, Training
from eeg_sgdr.settings.types import AnyRate, ArmName, Integer, Model, Number

#: Most fits at a time, and most fits of a subject.
MAX_JOBS, MAX_FITS = 1024, 100_000


class Compute(Model):
    """How it is computed, without effect on results.

    Attributes
    ----------
    jobs : int, optional
        Number of fits at a time on the CPU, null for one per core; on GPUs one stack of fits per card.
    stack : int
        Number of fits that are trained together on a GPU.
    checkpoint_minutes : float
        Minutes between checkpoints of a running fit; the ends of its cycles are always kept.
    data_dir : str, optional
        Where downloads, simulated recordings and prepared trials are kept. null: ``data`` in a clone of the
        program, and where an earlier version has kept them there; elsewhere the user's cache folder
        (``~/.cache/eeg_sgdr`` on Linux).
    backend : "local" or "dask"
        Whether workers are processes of this machine or of a Dask cluster.
    dask_address : str, optional
        Address of the cluster's scheduler, such as tcp://10.0.0.1:8786.
    """

    jobs: Annotated[Integer, Field(ge=1, le=MAX_JOBS)] | None = None
    stack: Annotated[Integer, Field(ge=1, le=10_000)] = 32
    checkpoint_minutes: Annotated[Number, Field(ge=0, le=525_600)] = 3.0
    data_dir: str | None = None
    backend: Literal["local", "dask"] = "local"
    dask_address: str | None = None

    @property
    def data_folder(self) -> Path:
        """The folder ``data_dir``, or its default in the current folder."""
        if self.data_dir is not None:
            return Path(self.data_dir)
        if Path("data/cache").is_dir() or Path("eeg_sgdr/__init__.py").is_file():
            return Path("data")
        return user_cache_path("eeg_sgdr", appauthor=False)


class Settings(Model):
    """A whole configuration, section by section.

    Attributes
    ----------
    name : str
        Name of the study; its results are under ``results/NAME``.
    recordings : Recordings
        Where recordings come from.
    split : Split
        Which recordings are used for testing.
    preprocessing : Preprocessing
        How recordings become windows.
    network : NetworkSettings
        The ConvNet.
    training : Training
        How every fit is trained.
    schedules : dict of arms
        The schedules to compare, by name.
    baselines : list of Baseline
        Classical baselines; an empty list disables them. ``baseline`` may be given instead, for the tangent
        space alone: ``{band_hz: [8, 30]}``; null disables it.
    evaluation : Evaluation
        What the tables use.
    compute : Compute
        Processes and folders; without effect on results.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    recordings: AnyRecordings
    split: AnySplit
    preprocessing: Preprocessing = Preprocessing()
    network: NetworkSettings = NetworkSettings()
    training: Training = Training()
    schedules: dict[ArmName, AnyArm] = Field(min_length=1)
    baselines: tuple[AnyBaseline, ...] = (TangentSpace(kind="tangent_space"),)
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()

    @property
    def band_hz(self) -> tuple[float, float] | None:
        """The band of all baselines; None without baselines."""
        return self.baselines[0].band_hz if self.baselines else None

    @property
    def unit(self) -> Literal["subject", "fold"]:
        """The unit of inference, which has networks of its own: a subject or, across subjects, a fold."""
        return "fold" if self.split.by == "subject" else "subject"

    @property
    def cross_validated(self) -> bool:
        """Whether every run or session of a subject is held out once."""
        return isinstance(self.split, Split) and self.split.folds is not None

    @property
    def only_chosen_rates(self) -> bool:
        """Whether fits on the whole training part are made at chosen rates alone."""
        choice = self.training.rate_choice
        return choice is not None and choice.outer == "chosen"

    def initial_rates(self, arm: str) -> tuple[float, ...]:
        """Initial rates of an arm, its own or those of ``training``."""
        return self.schedules[arm].initial_rates or self.training.initial_rates

    def rates_alone(self, arm: str) -> tuple[AnyRate, ...]:
        """Rates of an arm's predictors of one rate: the initial ones, if all are trained; the chosen one."""
        every = () if self.only_chosen_rates else self.initial_rates(arm)
        return (*every, "tuned") if self.training.rate_choice else every

    def paired_rates(self, arm: str) -> tuple[AnyRate, ...]:
        """Rates at which arms are set beside each other: the chosen one, else one by one."""
        return ("tuned",) if self.training.rate_choice else self.initial_rates(arm)

    @model_validator(mode="after")
    def _subjects_validate_across_subjects(self) -> "Settings":
        choice = self.training.rate_choice
        if choice and choice.validation == "subject" and self.split.by != "subject":
            raise ValueError(
                "training.rate_choice.validation: subject needs split.by subject; give run, session or tail"
            )
        return self

    @model_validator(mode="after")
    def _schedules_serve_every_rate(self) -> "Settings":
        for name in self.schedules.keys() & BASELINES:
            raise ValueError(f"schedules.{name}: tables call the {BASELINES[name]} so; give another name")
        n_fits = len(self.training.seeds) * sum(
            len(arm.budgets) * len(self.initial_rates(name)) for name, arm in self.schedules.items()
        )
        if n_fits > MAX_FITS:
            raise ValueError(
                f"training: budgets, rates and seeds make {n_fits} fits of a subject; shorten these lists "
                f"to {MAX_FITS} fits at most"
            )
        for name, arm in self.schedules.items():
            for rate in self.initial_rates(name):
                for budget in arm.budgets:
                    try:
                        arm.warmed_up(rate, budget)
                    except ValueError as error:
                        raise ValueError(f"schedules.{name}, initial rate {rate}: {error}") from error
        return self

    @model_validator(mode="after")
    def _baselines_share_covariances(self) -> "Settings":
        names = [one.name for one in self.baselines]
        if len({*names}) < len(names):
            raise ValueError(f"baselines: {', '.join(names)} are not all different; name each once")
        bands = [list(band) for band in dict.fromkeys(one.band_hz for one in self.baselines)]
        if len(bands) > 1:
            raise ValueError(
                f"baselines: all read the same covariances; give each the same band_hz (now "
                f"{' and '.join(map(str, bands))})"
            )
        return self

    @model_validator(mode="after")
    def _complete_evaluation(self) -> "Settings":
        """Fill in the reference and the comparisons, and check what they name."""
        evaluation = self.evaluation
        comparisons = evaluation.comparisons
        if comparisons is None:
            rates = {name: self.paired_rates(name) for name in self.schedules}
            comparisons = _default_comparisons(self.schedules, rates, self.baselines)
        comparisons = tuple(
            one.model_copy(update={"a": self._resolved(one.a), "b": self._resolved(one.b)})
            for one in comparisons
        )
        names = [comparison.name for comparison in comparisons]
        if len(set(names)) < len(names):
            raise ValueError("evaluation.comparisons: each needs a name of its own")
        reference = evaluation.reference or self._default_reference()
        for side in [side for comparison in comparisons for side in (comparison.a, comparison.b)]:
            if side.schedule in [one.name for one in self.baselines]:
                continue
            _check_arm(self.schedules, side.schedule, side.budget, "evaluation.comparisons")
            self._check_averages(side)
        for comparison in comparisons:
            self._check_rates(comparison)
        _check_arm(self.schedules, reference.schedule, reference.budget, "evaluation.reference")
        known = self.rates_alone(reference.schedule)
        if reference.rate not in known:
            hint = "" if self.training.rate_choice is None else "; where rates are chosen, give rate: tuned"
            raise ValueError(
                f"evaluation.reference: {reference.rate} is none of the initial rates of "
                f"{reference.schedule} ({', '.join(map(str, known))}){hint}"
            )
        complete = evaluation.model_copy(update={"reference": reference, "comparisons": comparisons})
        object.__setattr__(self, "evaluation", complete)
        return self

    def _resolved(self, side: Side) -> Side:
        """A side with its default rates; ``baseline`` is the first baseline, where none has this name."""
        names = [one.name for one in self.baselines]
        if side.schedule == "baseline" and names and "baseline" not in names:
            side = Side(schedule=names[0])
        return side.model_copy(
            update={"rates": side.rates or ("tuned" if self.training.rate_choice else "each")}
        )

    def _default_reference(self) -> Reference:
        arms = self.schedules
        conventional = {name: arm for name, arm in arms.items() if arm.conventional}
        name, arm = next(iter((conventional or arms).items()))
        ends = [max(rival.budgets) for rival in arms.values() if rival.leaves_snapshots]
        budget = ends[0] if ends and ends[0] in arm.budgets else max(arm.budgets)
        return Reference(schedule=name, budget=budget, rate=self.paired_rates(name)[0])

    def _check_averages(self, side: Side) -> None:
        """Refuse averaged weights of an arm that has no two snapshots to average."""
        arm = self.schedules[side.schedule]
        budget = side.budget or max(arm.budgets)
        n_cycles = len(arm.schedule(self.initial_rates(side.schedule)[0], budget).ends)
        if side.members == "averaged" and not (arm.leaves_snapshots and n_averaged(n_cycles) > 1):
            raise ValueError(
                "evaluation.comparisons: members: averaged needs snapshots of four cycles or more, which "
                f"{side.schedule!r} does not leave; give another arm, or members: single"
            )

    def _check_rates(self, comparison: Comparison) -> None:
        """Refuse rates that are not trained, and rates one by one, or all, of arms with different lists."""
        sides = [side for side in (comparison.a, comparison.b) if side.schedule not in BASELINES]
        for side in sides:
            if side.rates == "tuned" and self.training.rate_choice is None:
                raise ValueError(
                    f"evaluation.comparisons: {comparison.name!r} is of tuned rates, but none are chosen; "
                    "set training.rate_choice, or give rates: each"
                )
            if side.rates != "tuned" and self.only_chosen_rates:
                raise ValueError(
                    f"evaluation.comparisons: {comparison.name!r} needs fits at every rate; set "
                    "training.rate_choice.outer to all, or give rates: tuned"
                )
        arms = [side.schedule for side in sides if side.rates != "tuned"]
        if len({frozenset(self.initial_rates(arm)) for arm in arms}) > 1:
            lists = " and ".join(f"{arm} has {', '.join(map(str, self.initial_rates(arm)))}" for arm in arms)
            raise ValueError(
                f"evaluation.comparisons: {comparison.name!r} is of arms with different initial rates "
                f"({lists}); give both the same"
            )


def _check_arm(arms: Mapping[str, Arm], name: str, budget: int | None, where: str) -> None:
    if name not in arms:
        raise ValueError(f"{where}: there is no schedule {name!r} (there are {', '.join(arms)})")
    if budget is not None and budget not in arms[name].budgets:
        raise ValueError(f"{where}: schedule {name!r} has no budget {budget}")


def _default_comparisons(
    arms: Mapping[str, Arm],
    rates: Mapping[str, tuple[AnyRate, ...]],
    baselines: Sequence[Baseline],
) -> tuple[Comparison, ...]:
    """Comparisons of every arm that leaves snapshots with the conventional arm at an equal budget.

    Those over all rates are left out where ``rates`` says that these are tuned.
    """
    leaving = {name: arm for name, arm in arms.items() if arm.leaves_snapshots}
    comparisons: list[Comparison] = []
    for name, arm in leaving.items():
        budget = max(arm.budgets)
        equal = [
            rival
            for rival, other in arms.items()
            if other.conventional and budget in other.budgets and {*rates[rival]} == {*rates[name]}
        ]
        if not equal:
            raise ValueError(
                f"schedules.{name}: no step schedule has a budget of {budget} epochs and its initial "
                f"rates, so that nothing compares at equal epochs; add {budget} to the budgets of one, "
                "or name evaluation.comparisons"
            )
        first = rates[name][0]
        of_arm = _at_equal_epochs(name, equal[0], arms)
        if not isinstance(first, str):
            n_members = n_averaged(len(arm.schedule(first, budget).ends))
            of_arm += _over_all_rates(name, equal[0], arms, n_members)
        of_arm += [
            Comparison(
                name=f"ensemble of snapshots against the {BASELINES[one.name]}",
                a=Side(schedule=name, members="cycles"),
                b=Side(schedule=one.name),
            )
            for one in baselines
        ]
        prefix = f"{name}: " if len(leaving) > 1 else ""
        comparisons += [one.model_copy(update={"name": f"{prefix}{one.name}"}) for one in of_arm]
    return tuple(comparisons)


def _at_equal_epochs(name: str, rival: str, arms: Mapping[str, Arm]) -> list[Comparison]:
    """Comparisons of an arm with its rival, and of its ensemble with its last snapshot."""
    single = Side(schedule=name)
    return [
        Comparison(
            name=f"{arms[name].short_name} against {arms[rival].short_name} at equal epochs",
            a=single,
            b=Side(schedule=rival, budget=max(arms[name].budgets)),
        ),
        Comparison(
            name="ensemble of snapshots against the last snapshot",
            a=Side(schedule=name, members="cycles"),
            b=single,
        ),
    ]


def _over_all_rates(name: str, rival: str, arms: Mapping[str, Arm], n_members: int) -> list[Comparison]:
    """Comparisons over all rates: with a rival at equal cost and at equal numbers, and of averaging."""
    against = f"snapshots of all rates against {arms[rival].short_name} fits of all rates"
    snapshots = Side(schedule=name, members="cycles", rates="all")
    fits = Side(schedule=rival, budget=max(arms[name].budgets), rates="all")
    at_cost = Comparison(name=f"{against}, at equal cost", a=snapshots, b=fits)
    at_numbers = Comparison(
        name=f"{against} and {n_members} seeds, at equal numbers of networks",
        a=snapshots,
        b=fits.model_copy(update={"seeds": n_members}),
    )
    if n_members == 1:  # an ensemble of one is already compared at equal cost
        return [at_cost]
    # What averaging brings, apart from what the schedule brings.
    last = Side(schedule=name, rates="all")
    of_averaging = [
        Comparison(
            name=f"{words} against the last snapshots, at all rates",
            a=Side(schedule=name, members=members, rates="all"),
            b=last,
        )
        for members, words in (("cycles", "ensemble of snapshots"), ("averaged", "averaged weights"))
    ]
    return [at_cost, at_numbers, *of_averaging]
