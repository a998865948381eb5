"""The comparisons that the configuration names: tests, intervals, and what they cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation import statistics
from eeg_sgdr.evaluation.predictors import Predictor, seed_groups, side_predictors
from eeg_sgdr.evaluation.units import (
    Errors,
    Gathered,
    Row,
    counts_of,
    describe,
    gather_means,
    mean_of,
    median_of,
    sample_size,
)
from eeg_sgdr.settings import Comparison, Settings

#: Across subjects, the row of a comparison that counts people instead of folds.
GIVEN_NETWORKS = "mean difference over subjects, given these trained networks"


def tested(settings: Settings, errors: Errors, people: Errors, updates: Mapping[str, int]) -> list[Row]:
    """Rows of every comparison of the configuration; nothing else is tested.

    The sign-flip test of the row "mean difference" is the one that is adjusted (Holm); the tests and
    intervals in other rows stand beside it. So do, across subjects, those over people, whose errors hang
    together where they share networks: they hold given these trained networks.

    Parameters
    ----------
    settings : Settings
        The configuration.
    errors : Errors
        Of all units.
    people : Errors
        Of all subjects that are tested; not looked at where they are the units.
    updates : mapping of str to int
        Updates an epoch of each unit.

    Returns
    -------
    rows : list of Row
    """
    comparisons = settings.evaluation.comparisons or ()
    found = [(_sides(settings, one), _gather(settings, errors, one)) for one in comparisons]
    adjusted = statistics.holm(np.array([statistics.sign_flip(gathered.difference) for _, gathered in found]))
    rows = []
    for one, (sides, gathered), p_holm in zip(comparisons, found, adjusted, strict=True):
        described = {"family": "tested", "metric": "error", **describe(*sides), **sample_size(gathered)}
        numbers = _numbers(gathered, float(p_holm)) | _updates(sides, gathered, updates)
        numbers |= _of_units(errors.noun, gathered)
        if errors.noun == "fold":
            numbers |= _of_people(_gather(settings, people, one))
        rows += [{**described, "quantity": quantity, **row} for quantity, row in numbers.items()]
    return rows


def _group_size(comparison: Comparison) -> int:
    """The fewest seeds that serve both sides."""
    return math.lcm(comparison.a.seeds, comparison.b.seeds)


def _sides(settings: Settings, comparison: Comparison) -> tuple[list[Predictor], list[Predictor]]:
    """Both sides' predictors for one group of seeds; where seeds are too few, of as many as it would take."""
    size = _group_size(comparison)
    seeds = next(iter(seed_groups(settings, size)), tuple(range(size)))
    return side_predictors(settings, comparison.a, seeds), side_predictors(settings, comparison.b, seeds)


def _gather(settings: Settings, errors: Errors, comparison: Comparison) -> Gathered:
    """Mean errors of both sides of a comparison in every unit, over the seeds that both sides have."""
    size = _group_size(comparison)
    groups = seed_groups(settings, size)
    if not groups:
        missing = f"left out: needs {size} seeds, there are {len(settings.training.seeds)}"
        return Gathered((), np.empty((0, 2)), 0, missing)
    sides = {
        group: [side_predictors(settings, side, group) for side in (comparison.a, comparison.b)]
        for group in groups
    }
    return gather_means(errors, sides)


def _numbers(gathered: Gathered, p_holm: float) -> dict[str, Row]:
    """Numbers of one comparison, by quantity."""
    x = gathered.difference
    mean, counts = mean_of(x), counts_of(x)
    low, high = statistics.bootstrap_interval(x)
    numbers = {
        "mean difference": {**mean, **counts, "p": statistics.sign_flip(x), "p_holm": p_holm},
        "mean difference, bootstrap": {"estimate": mean["estimate"], "low": low, "high": high},
        "median difference": median_of(x),
        "Wilcoxon signed-rank": {"p": statistics.wilcoxon(x)},
        "effect size dz": {"estimate": statistics.effect_size(x)},
        "detectable difference": {"estimate": statistics.detectable_difference(x)},
    }
    for letter, values in zip("ab", gathered.values.T, strict=True):
        numbers[f"mean error of {letter}"] = mean_of(values)
        numbers[f"median error of {letter}"] = median_of(values)
    return numbers


def _updates(
    sides: tuple[list[Predictor], list[Predictor]], gathered: Gathered, updates: Mapping[str, int]
) -> dict[str, Row]:
    """What one predictor of each side takes in updates: mean over units, least and most."""
    each = np.array([updates[unit] for unit in gathered.units if unit in updates])
    rows = {}
    for letter, (one, *_) in zip("ab", sides, strict=True):
        x = each * len(one.fits) * one.epoch
        row = {"estimate": float(x.mean()), "low": float(x.min()), "high": float(x.max())} if len(x) else {}
        rows[f"updates of {letter}"] = {**row, "metric": "updates"}
    return rows


def _of_people(gathered: Gathered) -> dict[str, Row]:
    """What holds over the people tested, given these trained networks, and their errors."""
    x = gathered.difference
    described = {**mean_of(x), **counts_of(x), **sample_size(gathered), "p": statistics.sign_flip(x)}
    return {GIVEN_NETWORKS: described, **_of_units("subject", gathered)}


def _of_units(noun: str, gathered: Gathered) -> dict[str, Row]:
    """Both sides' error in every unit, of which the other numbers are made."""
    return {
        f"error of {letter}, {noun} {unit}": {"estimate": float(error), "n_units": 1}
        for unit, pair in zip(gathered.units, gathered.values, strict=True)
        for letter, error in zip("ab", pair, strict=True)
    }


@dataclass(frozen=True)
class Pairs:
    """Errors of both sides of a comparison in the units that have both.

    Attributes
    ----------
    a, b : str
        What the sides are called.
    errors : DataFrame
        Columns ``a`` and ``b``, fractions between 0 and 1; a row for each subject or fold, by its label.
    """

    a: str
    b: str
    errors: pd.DataFrame

    @property
    def difference(self) -> np.ndarray:
        """Errors of b less those of a: positive where a is better; shape (n_units,)."""
        return (self.errors["b"] - self.errors["a"]).to_numpy()


def pairs(comparison: pd.DataFrame, settings: Settings) -> dict[str, Pairs]:
    """Errors behind every comparison of the configuration that any unit has both sides of.

    Parameters
    ----------
    comparison : DataFrame
        comparison.csv.
    settings : Settings
        The configuration.

    Returns
    -------
    pairs : dict of str to Pairs
        By the comparison's name.
    """
    noun = settings.unit
    tested = comparison[comparison["family"] == "tested"]
    # Rows of a comparison follow each other, this one first.
    number = (tested["quantity"] == "mean difference").cumsum() - 1
    found = {}
    for i, one in enumerate(settings.evaluation.comparisons or ()):
        rows = tested[number == i]
        errors = pd.DataFrame({letter: _errors(rows, f"error of {letter}, {noun} ") for letter in "ab"})
        if len(errors):
            found[one.name] = Pairs(rows["a"].iloc[0], rows["b"].iloc[0], errors.rename_axis(noun))
    return found


def _errors(rows: pd.DataFrame, prefix: str) -> "pd.Series[float]":
    of_units = rows[rows["quantity"].str.startswith(prefix)]
    labels = of_units["quantity"].str.removeprefix(prefix)
    return of_units["estimate"].set_axis(labels.to_numpy())
