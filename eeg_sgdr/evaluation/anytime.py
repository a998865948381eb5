"""Anytime performance: area under the error curve, and first epoch within a target error."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from eeg_sgdr.evaluation.predictors import Predictor, last_snapshot, members_at, reference, seed_groups
from eeg_sgdr.evaluation.statistics import TOLERANCE, quartiles
from eeg_sgdr.evaluation.units import (
    Group,
    Row,
    UnitErrors,
    UnitValues,
    completeness,
    counts_of,
    describe,
    mean_of,
    mean_over_seeds,
    median_of,
    sample_size,
    unit_values,
)
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey, ends_of
from eeg_sgdr.settings.types import AnyRate

#: Error from each epoch on, epochs ascending; chance before the first.
Points = list[tuple[int, float]]


def area(points: Points, chance: float, last: int) -> float:
    """Area under the error over log2 epochs from 1 to ``last``, from ``chance`` before the first point.

    Divided by log2(last) it is the mean error over log epochs.
    """
    knots = [(1, chance), *((epoch, error) for epoch, error in points if epoch < last)]
    edges = [*(epoch for epoch, _ in knots[1:]), last]
    return sum(error * math.log2(end / start) for (start, error), end in zip(knots, edges, strict=True))


def first_within(points: Points, target: float, last: int) -> float:
    """First epoch with an error of at most the target; infinite when there is none up to ``last``."""
    good = (epoch for epoch, error in points if error <= target + TOLERANCE and epoch <= last)
    return min(good, default=np.inf)


def anytime(settings: Settings, errors: UnitErrors) -> list[Row]:
    """Rows for every arm that leaves snapshots against every other with three budgets or more.

    The error at an epoch is that of the last completed cycle, or of the largest completed budget. Described,
    not tested. First epochs are medians over seeds and rates, then over units; infinite means not reached by
    the common last epoch.
    """
    arms = settings.schedules
    restarts = [name for name, arm in arms.items() if arm.leaves_snapshots]
    rows: list[Row] = []
    for name in restarts:
        for rival in (rival for rival in arms if rival not in restarts):
            n_budgets = len(arms[rival].budgets)
            if settings.paired_rates(name) != settings.paired_rates(rival):
                why = f"needs equal lists of rates, those of {name} and {rival} differ"
            elif n_budgets < 3:
                why = f"needs three budgets, {rival} has {n_budgets}"
            else:
                why = ""
                for members in ("single", "cycles"):
                    rows += _pair(settings, errors, (name, members), (rival, "single"))
            if why:
                arms_only = {"arm_a": name, "arm_b": rival, "label_a": name, "label_b": rival}
                left_out = sample_size(UnitValues(errors.kind, (), np.empty((0, 2)), 0, why, left_out=True))
                about = {"family": "anytime", "quantity": "difference of areas", "metric": "error"}
                rows.append({**about, **arms_only, **left_out})
    return rows


def candidates(settings: Settings, name: str, members: str, rate: AnyRate, seed: int) -> list[Predictor]:
    """Predictors of an arm by ascending epoch: its cycle ends, or a fit of each budget."""
    arm = settings.schedules[name]
    if not arm.leaves_snapshots:
        return [last_snapshot(FitKey(name, budget, rate, seed)) for budget in sorted(arm.budgets)]
    key = FitKey(name, max(arm.budgets), rate, seed)
    ends = ends_of(key, settings)
    return [
        Predictor((key,), members_at(ends, n) if members == "cycles" else (ends[n - 1],), members)
        for n in range(1, len(ends) + 1)
    ]


def _median_over_seeds(values: np.ndarray) -> np.ndarray:
    """From shape (n_seeds x n_rates, n_sides) to (n_sides,); epochs not reached are infinite."""
    return np.array([quartiles(side)[1] for side in values.T])


def _pair(settings: Settings, errors: UnitErrors, a: tuple[str, str], b: tuple[str, str]) -> list[Row]:
    rates, groups = settings.paired_rates(a[0]), seed_groups(settings, 1)
    offers = {
        group: [[candidates(settings, *side, rate, *group) for side in (a, b)] for rate in rates]
        for group in groups
    }
    # The last epoch at which both sides have a predictor.
    last = min(side[-1].epoch for side in offers[groups[0]][0])
    chance = 1 - 1 / len(settings.recordings.classes)

    def areas(unit: str, group: Group) -> np.ndarray | None:
        curves = _curves(errors, unit, offers[group])
        if curves is None:
            return None
        return np.mean([[area(points, chance, last) for points in pair] for pair in curves], axis=0)[None]

    def first_epochs(points_within: float, unit: str, group: Group) -> np.ndarray | None:
        curves = _curves(errors, unit, offers[group])
        known = [errors.of_unit[unit].get(reference(settings, *one)) for one in groups]
        if curves is None or not any(error is not None for error in known):
            return None
        goal = float(np.mean([error for error in known if error is not None]))
        target = goal + max(points_within, 1 / errors.n_test[unit])
        return np.array([[first_within(points, target, last) for points in pair] for pair in curves])

    pairs = offers[groups[0]]
    a_side, b_side = ([_latest(pair[i], last) for pair in pairs] for i in (0, 1))
    common = {"family": "anytime", **describe(settings, a_side, b_side), "epochs_a": last, "epochs_b": last}
    rows = [*_areas(unit_values(errors, groups, 2, areas, mean_over_seeds))]
    for points in (1, 2):
        within = unit_values(errors, groups, 2, partial(first_epochs, points / 100), _median_over_seeds)
        rows += [{**row, "points": points} for row in _first_epochs(within)]
    return [{**common, **row} for row in rows]


def _latest(offered: Sequence[Predictor], last: int) -> Predictor:
    return [predictor for predictor in offered if predictor.epoch <= last][-1]


def _curves(errors: UnitErrors, unit: str, offers: list[list[list[Predictor]]]) -> list[list[Points]] | None:
    """Errors of both sides at every rate; None if any is missing."""
    found = errors.of_unit[unit]
    if not all(one in found for pair in offers for side in pair for one in side):
        return None
    return [[[(one.epoch, found[one]) for one in side] for side in pair] for pair in offers]


def _areas(areas: UnitValues) -> Iterator[Row]:
    common = {"metric": "error x log2 epochs", **sample_size(areas)}
    for letter, values in zip("ab", areas.values.T, strict=True):
        yield {**common, "quantity": "area", "side": letter, **mean_of(values)}
    x = areas.difference
    yield {**common, "quantity": "difference of areas", **mean_of(x), **counts_of(x)}


def _first_epochs(first: UnitValues) -> Iterator[Row]:
    """First epochs of both sides, fraction of units that reached the target, and the ratio of b to a."""
    common = sample_size(first)
    for letter, epochs in zip("ab", first.values.T, strict=True):
        of_side = {**common, "side": letter}
        yield {**of_side, "quantity": "first epoch", "metric": "epochs", **median_of(epochs)}
        reached = float(np.mean(np.isfinite(epochs))) if len(epochs) else np.nan
        yield {**of_side, "quantity": "reached", "metric": "fraction", "estimate": reached}
    known = np.isfinite(first.values).any(axis=1)
    a, b = first.values[known].T
    neither = [unit for unit, is_known in zip(first.units, known, strict=True) if not is_known]
    missing = [first.missing] if first.missing else []
    missing += [f"reached by neither: {', '.join(neither)}"] if neither else []
    n_units = int(known.sum())
    # The ratio is infinite where b did not reach the target, zero where a did not.
    yield {
        **common,
        "quantity": "ratio of epochs",
        "metric": "ratio",
        "n_units": n_units,
        **completeness(n_units, "; ".join(missing)),
        **median_of(b / a),
        "better": int(np.sum(a < b)),
        "equal": int(np.sum(a == b)),
        "worse": int(np.sum(a > b)),
    }
