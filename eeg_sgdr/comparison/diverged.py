"""How many trainings ended worse than guessing, as at a rate that is too high."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eeg_sgdr.comparison.rows import Row, describe, stands_on
from eeg_sgdr.comparison.units import Errors, gather_means
from eeg_sgdr.plan import FitKey
from eeg_sgdr.predictors import Predictor, seed_groups
from eeg_sgdr.settings import Settings
from eeg_sgdr.subjects import Subject


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
                    **stands_on(gathered),
                    "estimate": float(gathered.values.mean()) if gathered.units else np.nan,
                }
            )
    return rows
