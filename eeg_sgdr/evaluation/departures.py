"""What a study has beside its plan: what was added to it, and what was not in it and so is not tested."""

from dataclasses import dataclass

from eeg_sgdr.settings import Comparison, Settings
from eeg_sgdr.settings.types import label_value
from eeg_sgdr.storage.study_plan import StudyPlan, with_budgets


@dataclass(frozen=True)
class Departures:
    """Differences between a study's plan and its configuration as it has grown."""

    #: Labels, seeds, rates of arms and arms that came later: tested with the others.
    subjects: tuple[str, ...]
    seeds: tuple[int, ...]
    rates: dict[str, tuple[float, ...]]
    schedules: tuple[str, ...]
    rate_choice: bool
    #: Names of comparisons that came later: described. Of those that were planned and are no more.
    comparisons: tuple[str, ...]
    dropped: tuple[str, ...]
    #: Whether the margin, or what the metric is measured with, is another one: described.
    margin: bool
    metric: bool

    @property
    def added(self) -> bool:
        """Whether anything that is tested came later."""
        return bool(self.subjects or self.seeds or self.rates or self.schedules or self.rate_choice)

    @property
    def changed(self) -> bool:
        """Whether anything that decides the tests came later."""
        return bool(self.comparisons or self.dropped or self.margin or self.metric)


def departures(plan: StudyPlan, settings: Settings) -> Departures:
    """Compare a plan with the configuration of a results folder."""
    evaluation = settings.evaluation
    intended = set(map(label_value, plan.subjects))
    comparisons = evaluation.comparisons or ()
    rates = {
        name: tuple(rate for rate in settings.initial_rates(name) if rate not in plan.initial_rates[name])
        for name in settings.schedules
        if name in plan.initial_rates
    }
    of_now = {_sides(with_budgets(one, settings)) for one in comparisons}
    return Departures(
        subjects=tuple(label for label in _labels(settings) if label_value(label) not in intended),
        seeds=tuple(seed for seed in settings.training.seeds if seed not in plan.seeds),
        rates={name: more for name, more in rates.items() if more},
        schedules=tuple(name for name, arm in settings.schedules.items() if _grown(plan, name, arm.budgets)),
        rate_choice=plan.rate_choice is None and settings.training.rate_choice is not None,
        comparisons=tuple(one.name for one in comparisons if not _in_plan(one, settings, plan)),
        dropped=tuple(one.name for one in plan.comparisons if _sides(one) not in of_now),
        margin=not margin_is_planned(settings, plan),
        metric=plan.batch_norm_statistics != evaluation.batch_norm_statistics,
    )


def is_planned(comparison: Comparison, settings: Settings, plan: StudyPlan) -> bool:
    """Whether a comparison, by its sides, and its metric are those of the plan."""
    same_metric = plan.batch_norm_statistics == settings.evaluation.batch_norm_statistics
    return same_metric and _in_plan(comparison, settings, plan)


def margin_is_planned(settings: Settings, plan: StudyPlan) -> bool:
    """Whether the margin of equivalence is that of the plan."""
    return plan.margin == settings.evaluation.margin


def _labels(settings: Settings) -> tuple[str, ...]:
    named = settings.recordings.subjects
    return () if isinstance(named, str) else named


def _in_plan(comparison: Comparison, settings: Settings, plan: StudyPlan) -> bool:
    return _sides(with_budgets(comparison, settings)) in {_sides(one) for one in plan.comparisons}


def _sides(comparison: Comparison) -> tuple[object, object]:
    return comparison.a, comparison.b


def _grown(plan: StudyPlan, name: str, budgets: tuple[int, ...]) -> bool:
    """Whether an arm, or a budget of it, came later."""
    arm = plan.schedules.get(name)
    if arm is None:
        return True
    return not {*budgets} <= {*arm.get("budgets", budgets)}
