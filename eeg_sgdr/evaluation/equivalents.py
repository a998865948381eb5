"""Deep-ensemble equivalents: how many networks of other seeds do as well as the snapshots of one fit."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.predictors import (
    Predictor,
    Rates,
    averages,
    fit_keys,
    members_at,
    seed_groups,
)
from eeg_sgdr.evaluation.statistics import TOLERANCE
from eeg_sgdr.evaluation.units import Group, Row, UnitErrors, describe, mean_errors, sample_size
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey, ends_of

#: Predictors by disjoint group of seeds.
Cell = dict[Group, list[Predictor]]


def equivalents(settings: Settings, error: UnitErrors, nll: UnitErrors) -> list[Row]:
    """Rows of the ensemble of the last cycles, and of the averaged weights, of every arm that leaves them.

    The number of networks whose averaged last snapshots have as low an error, or negative log-likelihood, on
    the mean over units, linear between whole numbers (Ashukha et al., 2020, ICLR); infinite where that takes
    more seeds than there are. The interval is that of a bootstrap over units. Nothing with one seed.
    """
    rows = []
    for snapshots, by_size in _alternatives(settings):
        for quantity, metric in (("error", error), ("likelihood", nll)):
            curve = pd.DataFrame({size: _of_units(metric, cell) for size, cell in by_size.items()})
            both = curve.assign(snapshots=_of_units(metric, snapshots)).dropna()
            about = {"family": "ensemble", "quantity": f"independent networks by {quantity}", "side": "a"}
            sample = sample_size(mean_errors(metric, {group: [side] for group, side in snapshots.items()}))
            described = describe(settings, next(iter(snapshots.values())))
            numbers = {"metric": "networks", "n_units": len(both), **_with_interval(both.to_numpy())}
            rows.append({**about, **described, **sample, **numbers})
    return rows


def _alternatives(settings: Settings) -> Iterator[tuple[Cell, dict[int, Cell]]]:
    """Snapshots of one fit, and averages of the last snapshots of one, two and more seeds."""
    n_seeds = len(settings.training.seeds)
    leaving = [name for name, arm in settings.schedules.items() if arm.leaves_snapshots and n_seeds > 1]
    for name in leaving:
        every = settings.rates_alone(name)
        one_by_one: Rates = tuple(rate for rate in every if rate != "tuned")
        chosen: Rates = tuple(rate for rate in every if rate == "tuned")
        for rates in filter(None, (one_by_one, chosen)):
            key = FitKey(name, max(settings.schedules[name].budgets), rates[0], 0)
            ends = ends_of(key, settings)
            by_size = {n: _cell(settings, key, rates, n, ends[-1:], "cycles") for n in range(1, n_seeds + 1)}
            yield _cell(settings, key, rates, 1, members_at(ends, len(ends)), "cycles"), by_size
            for epochs in averages(key, settings)[-1:]:
                yield _cell(settings, key, rates, 1, epochs, "averaged"), by_size


def _cell(
    settings: Settings, key: FitKey, rates: Rates, size: int, epochs: tuple[int, ...], members: str
) -> Cell:
    """Predictors like a fit's at each rate, over groups of so many seeds."""
    return {
        group: [
            Predictor(fit_keys(key.schedule, key.budget, (rate,), group), epochs, members) for rate in rates
        ]
        for group in seed_groups(settings, size)
    }


def _of_units(metric: UnitErrors, cell: Cell) -> pd.Series:
    found = mean_errors(metric, {group: [side] for group, side in cell.items()})
    return pd.Series(found.values[:, 0], found.units)


def _with_interval(x: np.ndarray, n_samples: int = 9_999, seed: int = 0) -> Row:
    """Equivalent of values of shape (n_units, n_sizes + 1), the last column that of the snapshots."""
    if not len(x):
        return {"estimate": np.nan}
    row = {"estimate": float(networks_needed(x.mean(axis=0)[None])[0])}
    if len(x) < 2:
        return row
    drawn = np.random.default_rng(seed).integers(len(x), size=(n_samples, len(x)))
    low, high = np.quantile(networks_needed(x[drawn].mean(axis=1)), (0.025, 0.975), method="inverted_cdf")
    return {**row, "low": float(low), "high": float(high)}


def networks_needed(means: np.ndarray) -> np.ndarray:
    """Where a curve over 1, 2, ... networks first falls to the value in the last column; shape (n,)."""
    curve, value = means[:, :-1], means[:, -1:]
    reached = curve <= value + TOLERANCE
    at = reached.argmax(axis=1)
    before, after = (np.take_along_axis(curve, i[:, None], axis=1)[:, 0] for i in (np.maximum(at - 1, 0), at))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = at + np.minimum((before - value[:, 0]) / (before - after), 1)
    return np.where(reached.any(axis=1), np.where(at == 0, 1, between), np.inf)
