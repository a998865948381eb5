"""The comparisons named in the configuration: tests, intervals, effect sizes and costs."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation import statistics
from eeg_sgdr.evaluation.departures import is_planned, margin_is_planned
from eeg_sgdr.evaluation.predictors import (
    Predictor,
    can_predict,
    has_temperature,
    seed_groups,
    side_predictors,
)
from eeg_sgdr.evaluation.units import (
    Group,
    Row,
    UnitErrors,
    UnitValues,
    counts_of,
    describe,
    mean_errors,
    mean_of,
    median_of,
    sample_size,
)
from eeg_sgdr.settings import Comparison, Settings, Side
from eeg_sgdr.storage.study_plan import StudyPlan

#: Level of tests, after correction.
ALPHA = 0.05


def hypothesis_tests(
    settings: Settings,
    errors: UnitErrors,
    subject_errors: UnitErrors,
    updates: Mapping[str, int],
    test_ratio: float,
    plan: StudyPlan | None,
) -> list[Row]:
    """Rows of every comparison of the configuration; nothing else is tested.

    What came later than the study's plan is not, either: a comparison, another margin, another metric.
    Holm's correction is made within each family of tests: the sign-flip tests of the rows "mean difference",
    those of equivalence and, across subjects, the corrected resampled t tests. There, rows over subjects are
    conditional on these trained networks, since errors of subjects that share networks are correlated.
    ``updates`` is the number of updates per epoch in each unit, ``test_ratio`` that of test subjects to
    training subjects, 0 where units share none.
    """
    comparisons = settings.evaluation.comparisons or ()
    margin = settings.evaluation.margin / 100
    found = [_values(settings, errors, one) for one in comparisons]
    in_plan = [plan is None or is_planned(one, settings, plan) for one in comparisons]
    # What is not planned is as if there were no units: no test has a p-value.
    x = [
        values.difference if is_tested else np.empty(0)
        for values, is_tested in zip(found, in_plan, strict=True)
    ]
    of_margin = x if plan is None or margin_is_planned(settings, plan) else [np.empty(0)] * len(x)
    tested = _corrected(map(statistics.sign_flip, x))
    equivalent = _corrected(statistics.equivalence(of_one, margin, test_ratio) for of_one in of_margin)
    resampled = _corrected(statistics.corrected_test(of_one, test_ratio) for of_one in x)
    # Of Holm's first step.
    alpha = ALPHA / max(1, sum(not math.isnan(row["p"]) for row in tested))
    rows = []
    for one, values, is_tested, *p in zip(
        comparisons, found, in_plan, tested, equivalent, resampled, strict=True
    ):
        numbers = [
            *_differences(values.difference, margin, *p[:2]),
            *_numbers(values, alpha),
            *_updates(_described(settings, one), values, updates),
            *_unit_errors(values),
            *_trainings(settings, errors, one),
        ]
        if errors.kind == "fold":
            of_subjects = _values(settings, subject_errors, one)
            numbers += [
                _corrected_difference(values.difference, test_ratio, *p[1:]),
                *_conditional(of_subjects),
                *_new_subject(of_subjects, len(values.units)),
            ]
        else:
            numbers += _new_subject(values, len(values.units))
        if not is_tested:
            numbers = [{**row, "p": np.nan} for row in numbers]
        status = "" if plan is None else "yes" if is_tested else "no"
        common = {**_common(settings, one, values), "planned": status}
        rows += [{**common, "family": "tested", "metric": "error", **row} for row in numbers]
    return rows


def _corrected(p: Iterable[float]) -> list[Row]:
    """Columns of the p-values of a family of tests."""
    values = np.array(list(p))
    both = zip(values, statistics.holm(values), strict=True)
    return [{"p": float(of_one), "p_holm": float(of_family)} for of_one, of_family in both]


def verdict(difference: float, p: float, p_equivalent: float) -> str:
    """What corrected p-values say of a: "equivalent", "better", "worse" or "undecided"; empty without p."""
    if math.isnan(p) and math.isnan(p_equivalent):
        return ""
    if p_equivalent < ALPHA:
        return "equivalent"
    if p < ALPHA:
        return "better" if difference > 0 else "worse"
    return "undecided"


def likelihoods(
    settings: Settings, nll: UnitErrors, scaled: UnitErrors, temperatures: UnitErrors
) -> list[Row]:
    """Negative log-likelihoods of both sides of every comparison; described, not tested.

    ``nll``, ``scaled`` (after temperature scaling) and ``temperatures`` are those of every predictor that
    has them.
    """
    rows: list[Row] = []
    for one in settings.evaluation.comparisons or ():
        values = _values(settings, nll, one)
        x = values.difference
        common = {**_common(settings, one, values), "family": "likelihood", "metric": "nats"}
        rows.append({**common, "quantity": "mean nll difference", **mean_of(x), **counts_of(x)})
        for letter, of_side in zip("ab", values.values.T, strict=True):
            rows.append({**common, "quantity": "mean nll", "side": letter, **mean_of(of_side)})
        sides = {"a": one.a, "b": one.b}
        for letter in [letter for letter, side in sides.items() if has_temperature(side)]:
            for quantity, of_unit in (("mean temperature", temperatures), ("mean scaled nll", scaled)):
                found = _alone(settings, of_unit, sides[letter])
                row = {"quantity": quantity, "side": letter, **mean_of(found.values[:, 0])}
                rows.append({**common, **sample_size(found), **row})
    return rows


def _alone(settings: Settings, errors: UnitErrors, side: Side) -> UnitValues:
    """Mean of one side in every unit, over seeds."""
    groups = seed_groups(settings, side.seeds)
    return mean_errors(errors, {group: [side_predictors(settings, side, group)] for group in groups})


def _common(settings: Settings, comparison: Comparison, values: UnitValues) -> Row:
    """Columns of the name, sides and sample sizes of a comparison."""
    sides = describe(settings, *_described(settings, comparison))
    return {"comparison": comparison.name, **sides, **sample_size(values)}


def _described(settings: Settings, comparison: Comparison) -> list[list[Predictor]]:
    """Both sides with the first group of seeds; where these are too few, with as many as they need."""
    size = _group_size(comparison)
    return _sides(settings, comparison, next(iter(seed_groups(settings, size)), tuple(range(size))))


def _sides(settings: Settings, comparison: Comparison, seeds: Group) -> list[list[Predictor]]:
    """Both sides' predictors for one group of seeds."""
    return [side_predictors(settings, side, seeds) for side in (comparison.a, comparison.b)]


def _group_size(comparison: Comparison) -> int:
    """Smallest number of seeds that both sides' groups divide."""
    return math.lcm(comparison.a.seeds, comparison.b.seeds)


def _values(settings: Settings, errors: UnitErrors, comparison: Comparison) -> UnitValues:
    """Mean errors of both sides of a comparison in every unit, over the seeds that both have."""
    size = _group_size(comparison)
    groups = seed_groups(settings, size)
    why = ""
    if not groups:
        why = f"needs {size} seeds, there are {len(settings.training.seeds)}"
    elif not all(can_predict(settings, side) for side in (comparison.a, comparison.b)):
        why = "averaged weights have no running batch-norm statistics"
    if why:
        return UnitValues(errors.kind, (), np.empty((0, 2)), 0, why, left_out=True)
    return mean_errors(errors, {group: _sides(settings, comparison, group) for group in groups})


def training_differences(
    settings: Settings, errors: UnitErrors, comparison: Comparison
) -> dict[str, pd.Series]:
    """Difference in every unit that has it, by the seed, or seeds that a side averages over ("0+1")."""
    groups = seed_groups(settings, _group_size(comparison))
    sides = {group: _sides(settings, comparison, group) for group in groups}
    found = {group: mean_errors(errors, {group: sides[group]}) for group in groups}
    return {
        "+".join(map(str, group)): pd.Series(values.difference, values.units)
        for group, values in found.items()
    }


def _trainings(settings: Settings, errors: UnitErrors, comparison: Comparison) -> Iterator[Row]:
    """Variation of the difference between trainings of a unit; by seed where units share seeds."""
    of_group = training_differences(settings, errors, comparison)
    if len(of_group) < 2:
        return
    # Pooled over units; a unit with one training has no variance.
    variance = pd.DataFrame(of_group).var(axis=1, ddof=1).mean()
    yield {"quantity": "standard deviation between trainings", "estimate": float(np.sqrt(variance))}
    if settings.training.seeding == "shared":
        for seeds, values in of_group.items():
            about = {"unit_kind": "seed", "unit": seeds, "n_units": len(values)}
            x = values.to_numpy()
            yield {"quantity": "mean difference of a seed", **about, **mean_of(x), **counts_of(x)}


def _differences(x: np.ndarray, margin: float, tested: Row, equivalent: Row) -> Iterator[Row]:
    """Mean difference with its test and verdict, and the test of equivalence."""
    mean = mean_of(x)
    words = verdict(mean["estimate"], tested["p_holm"], equivalent["p_holm"])
    yield {"quantity": "mean difference", **mean, **counts_of(x), **tested, "verdict": words}
    yield {"quantity": "equivalence", "estimate": margin, **equivalent}


def _corrected_difference(x: np.ndarray, test_ratio: float, equivalent: Row, resampled: Row) -> Row:
    """Mean difference with interval, test and verdict that allow for training sets that overlap."""
    estimate = mean_of(x)["estimate"]
    low, high = statistics.corrected_interval(x, test_ratio)
    words = verdict(estimate, resampled["p_holm"], equivalent["p_holm"])
    numbers = {"estimate": estimate, "low": low, "high": high, **resampled, "verdict": words}
    return {"quantity": "corrected mean difference", **numbers}


def _new_subject(values: UnitValues, n_independent: int) -> Iterator[Row]:
    """Difference that one subject more would have, and the probability that a is better for them."""
    x = values.difference
    low, high = statistics.prediction_interval(x, n_independent)
    estimate = mean_of(x)["estimate"]
    counted = sample_size(values)
    about = {"quantity": "difference of a new subject", **counted}
    yield {**about, "estimate": estimate, "low": low, "high": high}
    estimate, low, high = statistics.positive_probability(x, n_independent)
    about = {"quantity": "better for a new subject", "metric": "probability", **counted}
    yield {**about, "estimate": estimate, "low": low, "high": high}


def _numbers(values: UnitValues, alpha: float) -> Iterator[Row]:
    """Other estimates of the difference, and both sides' errors; ``alpha`` is the level of one test."""
    x = values.difference
    low, high = statistics.bootstrap_interval(x)
    estimate = mean_of(x)["estimate"]
    yield {"quantity": "bootstrap mean difference", "estimate": estimate, "low": low, "high": high}
    yield {"quantity": "median difference", **median_of(x)}
    yield {"quantity": "signed-rank test", "p": statistics.wilcoxon(x)}
    yield {"quantity": "effect size", "metric": "standard deviations", "estimate": statistics.effect_size(x)}
    yield {"quantity": "detectable difference", "estimate": statistics.detectable_difference(x, alpha)}
    for letter, of_side in zip("ab", values.values.T, strict=True):
        yield {"quantity": "mean error", "side": letter, **mean_of(of_side)}
        yield {"quantity": "median error", "side": letter, **median_of(of_side)}


def _updates(sides: list[list[Predictor]], values: UnitValues, updates: Mapping[str, int]) -> Iterator[Row]:
    """Updates of one predictor of each side: mean, minimum and maximum over units."""
    each = np.array([updates[unit] for unit in values.units if unit in updates])
    for letter, (one, *_) in zip("ab", sides, strict=True):
        x = each * one.epochs_spent
        row = {"estimate": float(x.mean()), "low": float(x.min()), "high": float(x.max())} if len(x) else {}
        yield {"quantity": "updates", "side": letter, "metric": "updates", **row}


def _conditional(values: UnitValues) -> Iterator[Row]:
    """Difference over the test subjects, given these trained networks, and their errors."""
    x = values.difference
    counted = {**sample_size(values), **mean_of(x), **counts_of(x)}
    yield {"quantity": "conditional mean difference", **counted, "p": statistics.sign_flip(x)}
    yield from _unit_errors(values)


def _unit_errors(values: UnitValues) -> Iterator[Row]:
    """Both sides' error in every unit, from which the other numbers follow."""
    for unit, pair in zip(values.units, values.values, strict=True):
        for letter, error in zip("ab", pair, strict=True):
            about = {"unit_kind": values.kind, "unit": unit, "side": letter}
            yield {"quantity": "error", **about, "estimate": float(error), "n_units": 1}


@dataclass(frozen=True)
class Pairs:
    """Labels of both sides of a comparison, and their errors in the units that have both."""

    a: str
    b: str
    #: Columns ``a`` and ``b``, fractions between 0 and 1; a row for each subject or fold, by its label.
    errors: pd.DataFrame

    @property
    def difference(self) -> np.ndarray:
        """Errors of b less those of a: positive where a is better; shape (n_units,)."""
        return (self.errors["b"] - self.errors["a"]).to_numpy()


def pairs(comparison: pd.DataFrame, settings: Settings) -> dict[str, Pairs]:
    """Errors behind the comparisons of comparison.csv, by name, where any unit has both sides."""
    errors = comparison[(comparison["quantity"] == "error") & (comparison["unit_kind"] == settings.unit)]
    found = {}
    for name, rows in errors.groupby("comparison", sort=False):
        wide = rows.pivot_table("estimate", "unit", "side", sort=False)
        label_a, label_b = rows[["label_a", "label_b"]].iloc[0]
        found[str(name)] = Pairs(label_a, label_b, wide.rename_axis(index=settings.unit, columns=None))
    return found
