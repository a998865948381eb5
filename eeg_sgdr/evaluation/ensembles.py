"""Error against the number of fits and snapshots averaged, from stored probabilities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from eeg_sgdr.evaluation import metrics
from eeg_sgdr.evaluation.equivalents import Cell, equivalents
from eeg_sgdr.evaluation.predictors import (
    Predictor,
    Rates,
    Stored,
    averages,
    fit_keys,
    rate_groups,
    seed_groups,
)
from eeg_sgdr.evaluation.units import (
    Row,
    UnitErrors,
    describe,
    mean_errors,
    mean_of,
    mean_over_seeds,
    median_of,
    sample_size,
    unit_values,
)
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey, ends_of


def cells(settings: Settings) -> list[Cell]:
    """The surface of N fits and M snapshots, at the last end of every arm (the paper's Figure 3, Table 2).

    N grows over seeds, at each rate alone, over all rates together, or at the chosen rate; M, for warm
    restarts, over the last cycle ends and, where every epoch is stored, over the last epochs of the last
    cycle, the paper's control. Weights are averaged for the M of the ensemble alone.
    """
    found = []
    for name, arm in settings.schedules.items():
        groups = rate_groups(settings, name)
        # At each rate alone, errors are averaged.
        alone: list[Rates] = [group for group in groups if len(group) == 1 and group != ("tuned",)]
        together = [[group] for group in groups if group not in alone]
        over_rates: list[list[Rates]] = [alone, *together] if alone else together
        budget = max(arm.budgets)
        restarts = arm.leaves_snapshots
        key = FitKey(name, budget, groups[0][0], 0)
        every_epoch = restarts and settings.training.store == "epochs"
        for members, snapshots in [
            *_snapshots(ends_of(key, settings), restarts, every_epoch),
            *(("averaged", epochs) for epochs in averages(key, settings)[-1:]),
        ]:
            for size in range(1, len(settings.training.seeds) + 1):
                found += [
                    {
                        group: [
                            Predictor(fit_keys(name, budget, together, group), snapshots, members)
                            for together in over
                        ]
                        for group in seed_groups(settings, size)
                    }
                    for over in over_rates
                ]
    return found


def _snapshots(ends: Sequence[int], restarts: bool, every_epoch: bool) -> list[tuple[str, tuple[int, ...]]]:
    """Kinds of members, and the epochs of the snapshots that are averaged."""
    if not restarts:
        return [("single", tuple(ends[-1:]))]
    found = [("cycles", tuple(ends[-m:])) for m in range(1, len(ends) + 1)]
    if every_epoch:
        last, before = ends[-1], (0, *ends)[-2]
        m_most = min(len(ends), last - before)
        found += [("consecutive", tuple(range(last - m + 1, last + 1))) for m in range(1, m_most + 1)]
    return found


def surface_predictors(settings: Settings) -> list[Predictor]:
    """The predictors of all cells, each once."""
    return list(dict.fromkeys(one for cell in cells(settings) for side in cell.values() for one in side))


#: Error and negative log-likelihood of every predictor of the surface.
Surface = Mapping[Predictor, tuple[float, float]]


def stored_scores(
    y: np.ndarray, stored: Stored, wanted: Iterable[Predictor]
) -> dict[Predictor, tuple[float, float]]:
    """Error and negative log-likelihood of those predictors whose fits and epochs are stored."""
    return {
        predictor: (metrics.error(y, predicted), metrics.nll(y, predicted))
        for predictor in wanted
        if predictor.is_stored(stored)
        for predicted in [predictor.probabilities(stored)]
    }


def ensemble(settings: Settings, errors: UnitErrors, surfaces: Mapping[str, Surface]) -> list[Row]:
    """Rows of the surface: mean error over units with its t interval; described, not tested.

    For each N, errors are averaged over disjoint groups of seeds. The last row counts test trials.
    ``surfaces`` are those of each unit.
    """
    error, nll = (
        replace(
            errors,
            of_unit={
                unit: {one: scores[i] for one, scores in surfaces.get(unit, {}).items()}
                for unit in errors.of_unit
            },
        )
        for i in (0, 1)
    )
    rows = []
    for cell in cells(settings):
        found = mean_errors(error, {group: [side] for group, side in cell.items()})
        described = {"family": "ensemble", "quantity": "mean error", "side": "a", "metric": "error"}
        side = next(iter(cell.values()))
        rows.append(
            {**described, **describe(settings, side), **sample_size(found), **mean_of(found.values[:, 0])}
        )
    return [*rows, *equivalents(settings, error, nll), _n_test(error)]


def _n_test(errors: UnitErrors) -> Row:
    """Median number of test trials of the units."""
    # They do not depend on seeds: one empty group.
    trials = unit_values(errors, [()], 1, lambda unit, _: np.array([[errors.n_test[unit]]]), mean_over_seeds)
    described = {"family": "ensemble", "quantity": "median test trials", "metric": "trials"}
    return {**described, **sample_size(trials), **median_of(trials.values[:, 0])}
