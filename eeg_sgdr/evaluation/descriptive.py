"""Descriptive statistics, never tested: errors against epochs, other pairs of arms, diverged fits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eeg_sgdr.evaluation.predictors import (
    Predictor,
    classical,
    last_snapshot,
    members_at,
    predictors,
    reference,
    seed_groups,
)
from eeg_sgdr.evaluation.statistics import better_than_guessing
from eeg_sgdr.evaluation.units import (
    Group,
    Row,
    UnitErrors,
    counts_of,
    describe,
    mean_errors,
    mean_of,
    median_of,
    sample_size,
)
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey, ends_of


def curve(settings: Settings, subject_errors: UnitErrors) -> list[Row]:
    """Every predictor of one seed and every baseline: error, and improvement over the reference (Figure 4).

    Medians over subjects with quartiles; improvement is positive where the error is below the reference's.
    At the end of an arm's longest budget, and of baselines, also that of every subject.
    """
    series: dict[tuple[object, ...], dict[Group, Predictor]] = {}
    for one in predictors(settings, plan.evaluated(settings)):
        if len(one.seed_group) == 1:
            name = (one.schedule, one.budget, one.rates, one.members, one.epoch)
            series.setdefault(name, {})[one.seed_group] = one
    rows = []
    for by_seed in series.values():
        rows += _point(settings, subject_errors, by_seed)
    for baseline in settings.baselines:
        rows += _point(settings, subject_errors, {(): classical(baseline.name)})
    return rows


def _point(settings: Settings, errors: UnitErrors, by_seed: dict[Group, Predictor]) -> list[Row]:
    groups = seed_groups(settings, 1)
    # A baseline has no seeds; it is compared with the reference of each.
    pairs = {
        group: [[by_seed[group if group in by_seed else ()]], [reference(settings, *group)]]
        for group in groups
    }
    alone = mean_errors(errors, {group: [[one]] for group, one in by_seed.items()})
    both = mean_errors(errors, pairs)
    a, b = pairs[groups[0]]
    common = {"family": "curve", "metric": "error"}
    x = both.difference
    sides = describe(settings, a, b)
    at_end = a[0].baseline or a[0].epoch == max(settings.schedules[a[0].schedule].budgets)
    return [
        {**common, "quantity": "median error", "side": "a", **describe(settings, a), **sample_size(alone)}
        | median_of(alone.values[:, 0]),
        {**common, "quantity": "median improvement", **sides, **sample_size(both)}
        | {**median_of(x), **counts_of(x)},
        *(
            {**common, "quantity": "improvement", **sides, **sample_size(both)}
            | {"unit": unit, "n_units": 1, "estimate": float(value)}
            for unit, value in zip(both.units if at_end else (), x, strict=False)
        ),
    ]


def untested(settings: Settings, errors: UnitErrors) -> list[Row]:
    """The last completed cycle beside every budget of the other arms, and the rates of conventional arms.

    Nothing here is tested: epochs of a and b differ, or rates were not chosen in advance. Arms with different
    lists of rates are not paired.
    """
    arms = settings.schedules
    restarts = [name for name, arm in arms.items() if arm.leaves_snapshots]
    rows = [
        row
        for name in restarts
        for rival in arms
        if rival not in restarts and settings.paired_rates(rival) == settings.paired_rates(name)
        for budget in arms[rival].budgets
        for row in _beside(settings, errors, name, rival, budget)
    ]
    for name, arm in arms.items():
        if arm.conventional and settings.training.rate_choice is None:
            rows += _rates(settings, errors, name)
    return rows


def _beside(settings: Settings, errors: UnitErrors, name: str, rival: str, budget: int) -> list[Row]:
    """Restarts at their last cycle end within the rival's budget against the rival, rate by rate."""
    own_budget = settings.schedules[name].budgets[0]
    ends = ends_of(FitKey(name, own_budget, settings.paired_rates(name)[0], 0), settings)
    n_done = sum(end <= budget for end in ends)
    if not n_done:
        return []
    rows = []
    for members, epochs in (("single", ends[n_done - 1 : n_done]), ("cycles", members_at(ends, n_done))):
        sides = {
            group: [
                [Predictor((key,), epochs, members) for key in _keys(settings, name, own_budget, *group)],
                [last_snapshot(key) for key in _keys(settings, rival, budget, *group)],
            ]
            for group in seed_groups(settings, 1)
        }
        found = mean_errors(errors, sides)
        a, b = next(iter(sides.values()))
        x = found.difference
        described = {"family": "descriptive", "quantity": "mean difference", "metric": "error"}
        rows.append(
            {**described, **describe(settings, a, b), **sample_size(found), **mean_of(x), **counts_of(x)}
        )
    return rows


def _keys(settings: Settings, name: str, budget: int, seed: int) -> list[FitKey]:
    return [FitKey(name, budget, rate, seed) for rate in settings.paired_rates(name)]


def _rates(settings: Settings, errors: UnitErrors, name: str) -> list[Row]:
    """Mean error of a conventional arm at every rate, and whether the best is at the edge of the list."""
    named = settings.evaluation.reference
    budget = named.budget if named and named.schedule == name else max(settings.schedules[name].budgets)
    sides = {
        group: [[last_snapshot(key)] for key in _keys(settings, name, budget, *group)]
        for group in seed_groups(settings, 1)
    }
    rates = settings.initial_rates(name)
    found = mean_errors(errors, sides)
    common = {"family": "descriptive", "metric": "error", **sample_size(found)}
    of_rate = [
        {**common, "quantity": "mean error", "side": "a", **describe(settings, side), **mean_of(x)}
        for side, x in zip(next(iter(sides.values())), found.values.T, strict=True)
    ]
    if not found.units:
        return of_rate
    best = int(np.argmin(found.values.mean(axis=0)))
    where = "at the edge of" if rates[best] in (min(rates), max(rates)) else "inside"
    return [*of_rate, {**of_rate[best], "quantity": f"best rate, {where} the list"}]


def diverged(
    settings: Settings, errors: UnitErrors, last_losses: Mapping[str, Sequence[Mapping[FitKey, float]]]
) -> list[Row]:
    """Fraction of fits whose last loss is above chance, ln(n_classes), by arm (longest budget) and rate.

    ``last_losses`` are those of the fits that are done in each unit, or in each of its folds; fits that
    failed are missing.
    """
    seeds = settings.training.seeds
    guessing = np.log(len(settings.recordings.classes))
    above = {
        unit: {
            last_snapshot(key): float(np.mean([losses[key] > guessing for losses in of_folds]))
            for key in of_folds[0]
            if all(key in losses for losses in of_folds)
        }
        for unit, of_folds in last_losses.items()
    }
    counted = replace(errors, of_unit=above)
    rows: list[Row] = []
    for name, arm in settings.schedules.items():
        for rate in settings.rates_alone(name):
            ends = {seed: last_snapshot(FitKey(name, max(arm.budgets), rate, seed)) for seed in seeds}
            found = mean_errors(counted, {(seed,): [[end]] for seed, end in ends.items()})
            estimate = float(found.values.mean()) if found.units else np.nan
            common = {"family": "training", "quantity": "diverged", "side": "a", "metric": "fraction"}
            described = {**describe(settings, [ends[seeds[0]]]), **sample_size(found)}
            rows.append({**common, **described, "estimate": estimate})
    return rows


def learned(settings: Settings, errors: UnitErrors, chance: Mapping[str, float]) -> list[Row]:
    """Whether the last snapshots of each arm (longest budget) learned, at every rate.

    The fraction of units in which they err less, at 5 % by a one-sided binomial test, than always naming the
    commonest class would, whose error is ``chance``; and how far their error is above that of the first
    baseline, mean over units.
    """
    rows: list[Row] = []
    for name, arm in settings.schedules.items():
        for rate in settings.rates_alone(name):
            ends = {
                (seed,): [last_snapshot(FitKey(name, max(arm.budgets), rate, seed))]
                for seed in settings.training.seeds
            }
            alone = mean_errors(errors, {group: [side] for group, side in ends.items()})
            first = next(iter(ends.values()))
            common = {"family": "learned", "metric": "fraction", "side": "a"}
            told_apart = [
                better_than_guessing(round(error * errors.n_test[unit]), errors.n_test[unit], chance[unit])
                for unit, error in zip(alone.units, alone.values[:, 0], strict=True)
            ]
            estimate = float(np.mean(told_apart)) if told_apart else np.nan
            described = {**describe(settings, first), **sample_size(alone)}
            rows.append({**common, "quantity": "better than guessing", **described, "estimate": estimate})
            for baseline in settings.baselines[:1]:
                rival = [classical(baseline.name)]
                found = mean_errors(errors, {group: [side, rival] for group, side in ends.items()})
                x = found.difference
                compared = {**describe(settings, first, rival), **sample_size(found)}
                common = {"family": "learned", "quantity": "mean difference", "metric": "error"}
                rows.append({**common, **compared, **mean_of(x), **counts_of(x)})
    return rows
