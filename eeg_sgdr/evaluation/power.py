"""Units and seeds by which a study would find a difference, from the variances of a finished one."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation.inference import ALPHA, training_differences
from eeg_sgdr.evaluation.statistics import TOLERANCE, least_p, t_power
from eeg_sgdr.evaluation.units import read_errors
from eeg_sgdr.storage.results import Results

#: Probability with which a difference is to be found.
POWER = 0.8

#: Numbers of trainings of each unit that are tried where what they vary is known.
TRAININGS = (1, 2, 3, 5, 10)

#: Units beyond which none are looked for.
MOST_UNITS = 10_000


@dataclass(frozen=True)
class Spread:
    """How the differences of a comparison vary in a finished study, as fractions."""

    n_units: int
    #: Of each unit; the most that any has.
    n_trainings: int
    #: Standard deviation between units; with one training of each, what trainings vary is within it.
    between_units: float
    #: Between the trainings of a unit; NaN with one training of each.
    between_trainings: float

    def sd(self, n_trainings: int) -> float:
        """Standard deviation between units of their means over so many trainings."""
        of_trainings = np.nan_to_num(self.between_trainings) ** 2 / n_trainings
        return float(np.sqrt(self.between_units**2 + of_trainings))

    @property
    def trainings(self) -> list[int]:
        """Numbers of trainings whose standard deviation is known."""
        others = () if np.isnan(self.between_trainings) else TRAININGS
        return sorted({self.n_trainings, *others})


def spread(differences: pd.DataFrame) -> Spread:
    """Estimate by moments how differences vary; a row for each unit, a column for each training."""
    counts = differences.notna().sum(axis=1)
    within = differences.var(axis=1, ddof=1).mean()
    between = differences.mean(axis=1).var(ddof=1) - np.nan_to_num(within) * (1 / counts).mean()
    roots = np.sqrt([max(between, 0), within])
    return Spread(len(differences), int(counts.max()), *map(float, roots))


def power(difference: float, sd: float, n_units: int, unit: str, alpha: float) -> float:
    """Probability of finding a true mean difference in so many units; 0 if sign flips cannot reach alpha.

    By Student's t over subjects, by the corrected resampled t over folds of equally many subjects.
    """
    if least_p(n_units) > alpha:
        return 0.0
    # A fold's subjects are tested by what those of all others trained.
    ratio = 1 / (n_units - 1) if unit == "fold" else 0
    return t_power(difference / (sd * np.sqrt(1 / n_units + ratio)), n_units - 1, alpha)


def units_needed(difference: float, sd: float, unit: str, alpha: float) -> float:
    """Fewest units that find a true mean difference with probability `POWER`; NaN beyond `MOST_UNITS`."""
    numbers = range(2, MOST_UNITS + 1)
    i = bisect_left(numbers, POWER, key=lambda n: power(difference, sd, n, unit, alpha))
    return numbers[i] if i < len(numbers) else np.nan


def sample_sizes(results: Results, difference: float) -> pd.DataFrame:
    """Units that would find a true mean difference, by comparison and number of seeds.

    The level is that of Holm's first step over the comparisons that are tested. Raises UserError if no
    comparison has two units or more that vary.
    """
    settings = results.settings
    errors = read_errors(results.evaluation, settings)
    found = {}
    for one in settings.evaluation.comparisons or ():
        of_trainings = training_differences(settings, errors, one)
        if any(map(len, of_trainings.values())):
            found[one.name] = of_trainings
    alpha = ALPHA / max(1, len(found))
    common = {"unit_kind": settings.unit, "difference": difference, "alpha": alpha, "power": POWER}
    rows = [
        {"comparison": name, **common, **needed}
        for name, of_trainings in found.items()
        for needed in _needed(of_trainings, difference, settings.unit, alpha)
    ]
    if not rows:
        raise UserError(
            f"{results.root}: no comparison has differences in two {settings.unit}s or more that vary, from "
            f"which their numbers could be planned; run more {settings.unit}s first."
        )
    table = pd.DataFrame(rows)
    table["unit_size"] = np.mean([len(subject.test_subjects) for subject in results.subjects])
    table["n_subjects"] = np.ceil(table["n_units"] * table["unit_size"])
    counts = ["n_units", "low", "high", "n_subjects"]
    return table.astype(dict.fromkeys(counts, "Int64"))


def _needed(
    of_trainings: dict[str, pd.Series], difference: float, unit: str, alpha: float
) -> Iterator[dict[str, float]]:
    """Units needed, a row for each number of seeds; none where fewer than two units vary."""
    differences = pd.DataFrame(of_trainings).dropna(how="all")
    known = spread(differences)
    if known.n_units < 2 or known.sd(known.n_trainings) <= TOLERANCE:
        return
    # A training may be of several seeds, where a side averages over them.
    n_seeds = len(next(iter(of_trainings)).split("+"))
    # From a standard deviation to the ends of its 95 % interval.
    df = known.n_units - 1
    factors = np.sqrt(df / stats.chi2.ppf([0.975, 0.025], df))
    for n_trainings in known.trainings:
        sd = known.sd(n_trainings)
        low, high = (units_needed(difference, sd * factor, unit, alpha) for factor in factors)
        yield {
            "known_units": known.n_units,
            "known_seeds": known.n_trainings * n_seeds,
            "sd_units": known.between_units,
            "sd_trainings": known.between_trainings,
            "n_seeds": n_trainings * n_seeds,
            "sd": sd,
            "n_units": units_needed(difference, sd, unit, alpha),
            "low": low,
            "high": high,
        }
