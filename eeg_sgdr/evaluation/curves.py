"""Errors against epochs: described, never tested."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eeg_sgdr.evaluation.predictors import CLASSICAL, Predictor, members_at, predictors, seed_groups
from eeg_sgdr.evaluation.units import (
    Errors,
    Row,
    counts_of,
    describe,
    gather_means,
    mean_of,
    median_of,
    sample_size,
)
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey, schedule_of
from eeg_sgdr.storage.results import Subject


def reference(settings: Settings, seed: int) -> Predictor:
    """The predictor that others are measured against."""
    named = settings.evaluation.reference
    assert named is not None
    return Predictor((FitKey(named.schedule, named.budget, named.rate, seed),), (named.budget,), "single")


def curve(settings: Settings, people: Errors) -> list[Row]:
    """Every predictor of one seed and the baseline: improvement over the reference, and error (Figure 4).

    Parameters
    ----------
    settings : Settings
        The configuration.
    people : Errors
        Of all subjects that are tested.

    Returns
    -------
    rows : list of Row
        Medians over subjects with quartiles; improvement is positive where the error is below the
        reference's.
    """
    series: dict[tuple[object, ...], dict[int, Predictor]] = {}
    for predictor in predictors(settings, plan.fits(settings)):
        key = predictor.fits[0]
        if len({key.seed for key in predictor.fits}) == 1:
            name = (key.schedule, key.budget, predictor.rates, predictor.members, predictor.epoch)
            series.setdefault(name, {})[key.seed] = predictor
    if settings.baseline:
        series["baseline",] = dict.fromkeys(settings.training.seeds, CLASSICAL)
    rows = []
    for by_seed in series.values():
        rows += _point(settings, people, by_seed)
    return rows


def _point(settings: Settings, people: Errors, by_seed: dict[int, Predictor]) -> list[Row]:
    seed = settings.training.seeds[0]
    first, rival = by_seed[seed], reference(settings, seed)
    # The baseline has no seeds: one group of none.
    alone = gather_means(
        people, {() if one == CLASSICAL else (seed,): [[one]] for seed, one in by_seed.items()}
    )
    both = gather_means(
        people, {(seed,): [[one], [reference(settings, seed)]] for seed, one in by_seed.items()}
    )
    common = {"family": "curve", "metric": "error"}
    improvement = "median improvement over the reference"
    return [
        {**common, "quantity": "median error", **describe([first]), **sample_size(alone)}
        | median_of(alone.values[:, 0]),
        {**common, "quantity": improvement, **describe([first], [rival]), **sample_size(both)}
        | {"rate": first.rates, **median_of(both.difference), **counts_of(both.difference)},
    ]


def descriptive(settings: Settings, errors: Errors) -> list[Row]:
    """The last completed cycle beside every budget of the other arms, and the rates of step schedules.

    Parameters
    ----------
    settings : Settings
        The configuration.
    errors : Errors
        Of all units.

    Returns
    -------
    rows : list of Row
        Nothing here is tested: epochs of a and b differ, or rates were not chosen in advance.
    """
    arms = settings.schedules
    restarts = [name for name, arm in arms.items() if arm.leaves_snapshots]
    rows = [
        row
        for name in restarts
        for rival in arms
        if rival not in restarts
        for budget in arms[rival].budgets
        for row in _beside(settings, errors, name, rival, budget)
    ]
    for name, arm in arms.items():
        if arm.conventional:
            rows += _rates(settings, errors, name)
    return rows


def _beside(settings: Settings, errors: Errors, name: str, rival: str, budget: int) -> list[Row]:
    """Restarts at their last cycle end that is not after the rival's budget, both rate by rate."""
    own_budget = settings.schedules[name].budgets[0]
    ends = schedule_of(FitKey(name, own_budget, settings.training.initial_rates[0], 0), settings).ends
    n_done = sum(end <= budget for end in ends)
    if not n_done:
        return []
    rows = []
    for members, epochs in (("single", ends[n_done - 1 : n_done]), ("cycles", members_at(ends, n_done))):
        sides = {
            group: [
                [Predictor((key,), epochs, members) for key in _keys(settings, name, own_budget, *group)],
                [Predictor((key,), (budget,), "single") for key in _keys(settings, rival, budget, *group)],
            ]
            for group in seed_groups(settings, 1)
        }
        gathered = gather_means(errors, sides)
        a, b = next(iter(sides.values()))
        x = gathered.difference
        described = {"family": "descriptive", "quantity": "mean difference", "metric": "error"}
        rows.append({**described, **describe(a, b), **sample_size(gathered), **mean_of(x), **counts_of(x)})
    return rows


def _keys(settings: Settings, name: str, budget: int, seed: int) -> list[FitKey]:
    return [FitKey(name, budget, rate, seed) for rate in settings.training.initial_rates]


def _rates(settings: Settings, errors: Errors, name: str) -> list[Row]:
    """Mean error of a step schedule at every rate, and where in the list the best one lies."""
    named = settings.evaluation.reference
    budget = named.budget if named and named.schedule == name else max(settings.schedules[name].budgets)
    sides = {
        group: [[Predictor((key,), (budget,), "single")] for key in _keys(settings, name, budget, *group)]
        for group in seed_groups(settings, 1)
    }
    rates = settings.training.initial_rates
    gathered = gather_means(errors, sides)
    common = {"family": "descriptive", "metric": "error", **sample_size(gathered)}
    of_rate = [
        {**common, "quantity": "mean error", **describe(side), **mean_of(x)}
        for side, x in zip(next(iter(sides.values())), gathered.values.T, strict=True)
    ]
    if not gathered.units:
        return of_rate
    best = int(np.argmin(gathered.values.mean(axis=0)))
    where = "at the edge of" if rates[best] in (min(rates), max(rates)) else "inside"
    return [*of_rate, {**of_rate[best], "quantity": f"best rate, {where} the list"}]


def diverged(settings: Settings, errors: Errors, units: Sequence[Subject]) -> list[Row]:
    """The fraction of trainings, by arm (at its longest budget) and rate, whose last loss is above ln(k).

    That is the cross-entropy of equal probabilities of all k classes. Trainings that failed are missing.

    Parameters
    ----------
    settings : Settings
        The configuration.
    errors : Errors
        Of the units of inference; says which of them are expected.
    units : sequence of Subject
        The subjects, or folds, as they are on disk.

    Returns
    -------
    rows : list of dict
        Of the family ``training``.
    """
    guessing = np.log(len(settings.recordings.classes))
    above = {
        unit.label: {
            Predictor((key,), (key.budget,), "single"): float(unit.history(key)["loss"].iloc[-1] > guessing)
            for key in unit.done
        }
        for unit in units
    }
    counted = replace(errors, of_unit=above)
    rows: list[Row] = []
    for name, arm in settings.schedules.items():
        budget = max(arm.budgets)
        for rate in settings.training.initial_rates:
            sides = {
                group: [[Predictor((FitKey(name, budget, rate, *group),), (budget,), "single")]]
                for group in seed_groups(settings, 1)
            }
            gathered = gather_means(counted, sides)
            rows.append(
                {
                    "family": "training",
                    "quantity": "ended with a loss above that of guessing",
                    **describe(next(iter(sides.values()))[0]),
                    "metric": "loss",
                    **sample_size(gathered),
                    "estimate": float(gathered.values.mean()) if gathered.units else np.nan,
                }
            )
    return rows
