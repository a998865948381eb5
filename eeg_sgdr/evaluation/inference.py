"""The comparisons named in the configuration: tests, intervals, effect sizes and costs."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation import statistics
from eeg_sgdr.evaluation.predictors import Predictor, can_predict, seed_groups, side_predictors
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
from eeg_sgdr.settings import Comparison, Settings


def hypothesis_tests(
    settings: Settings, errors: UnitErrors, subject_errors: UnitErrors, updates: Mapping[str, int]
) -> list[Row]:
    """Rows of every comparison of the configuration; nothing else is tested.

    Only the sign-flip test of the row "mean difference" is adjusted (Holm). Across subjects, rows over
    subjects are conditional on these trained networks, since errors of subjects that share networks are
    correlated. ``updates`` is the number of updates per epoch in each unit.
    """
    comparisons = settings.evaluation.comparisons or ()
    found = [_values(settings, errors, one) for one in comparisons]
    p_values = [statistics.sign_flip(values.difference) for values in found]
    adjusted = statistics.holm(np.array(p_values))
    rows = []
    for one, values, p, p_holm in zip(comparisons, found, p_values, adjusted, strict=True):
        size = _group_size(one)
        # With too few seeds, describe the sides with as many as they need.
        sides = _sides(settings, one, next(iter(seed_groups(settings, size)), tuple(range(size))))
        common = {"comparison": one.name, "family": "tested", "metric": "error"}
        common |= {**describe(settings, *sides), **sample_size(values)}
        numbers = [
            *_numbers(values, p, float(p_holm)),
            *_updates(sides, values, updates),
            *_unit_errors(values),
            *_trainings(settings, errors, one),
        ]
        if errors.kind == "fold":
            numbers += _conditional(_values(settings, subject_errors, one))
        rows += [{**common, **row} for row in numbers]
    return rows


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


def _trainings(settings: Settings, errors: UnitErrors, comparison: Comparison) -> Iterator[Row]:
    """Variation of the difference between trainings of a unit; by seed where units share seeds."""
    groups = seed_groups(settings, _group_size(comparison))
    if len(groups) < 2:
        return
    sides = {group: _sides(settings, comparison, group) for group in groups}
    of_group = {group: mean_errors(errors, {group: sides[group]}) for group in groups}
    table = pd.DataFrame(
        {group: pd.Series(values.difference, values.units) for group, values in of_group.items()}
    )
    # Pooled over units; a unit with one training has no variance.
    variance = table.var(axis=1, ddof=1).mean()
    yield {"quantity": "standard deviation between trainings", "estimate": float(np.sqrt(variance))}
    if settings.training.seeding == "shared":
        for group, values in of_group.items():
            about = {"unit_kind": "seed", "unit": "+".join(map(str, group)), "n_units": len(values.units)}
            x = values.difference
            yield {"quantity": "mean difference of a seed", **about, **mean_of(x), **counts_of(x)}


def _numbers(values: UnitValues, p: float, p_holm: float) -> Iterator[Row]:
    x = values.difference
    mean = mean_of(x)
    low, high = statistics.bootstrap_interval(x)
    yield {"quantity": "mean difference", **mean, **counts_of(x), "p": p, "p_holm": p_holm}
    yield {"quantity": "bootstrap mean difference", "estimate": mean["estimate"], "low": low, "high": high}
    yield {"quantity": "median difference", **median_of(x)}
    yield {"quantity": "signed-rank test", "p": statistics.wilcoxon(x)}
    yield {"quantity": "effect size", "metric": "standard deviations", "estimate": statistics.effect_size(x)}
    yield {"quantity": "detectable difference", "estimate": statistics.detectable_difference(x)}
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
