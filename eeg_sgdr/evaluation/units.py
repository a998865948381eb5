"""Values of the units of inference, or of the people behind them, with what is missing named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.data.splits import folds
from eeg_sgdr.evaluation.predictors import CLASSICAL, Predictor, predictors
from eeg_sgdr.evaluation.statistics import mean_interval, quartiles, tally
from eeg_sgdr.evaluation.tables import ROW, records, row_of
from eeg_sgdr.settings import Settings, SubjectSplit, plan

#: Seeds that are taken together: one, or as many as a predictor averages over.
Group = tuple[int, ...]


@dataclass(frozen=True)
class Errors:
    """What a study knows of the error of every predictor in every unit.

    Attributes
    ----------
    noun : "subject" or "fold"
        What a unit is.
    expected : tuple of str
        The units that the study is made of, whether they are there or not.
    of_unit : mapping of str to mapping of Predictor to float
        Errors between 0 and 1 of the predictors that are there.
    n_test : mapping of str to int
        Test trials of the units that are there.
    fold_of : mapping of str to str
        Across subjects, the fold in which a subject tests, and by which it is missing or there; empty for
        units that have networks of their own.
    """

    noun: str
    expected: tuple[str, ...]
    of_unit: Mapping[str, Mapping[Predictor, float]]
    n_test: Mapping[str, int]
    fold_of: Mapping[str, str] = field(default_factory=dict)

    def name(self, unit: str) -> str:
        """What a unit that is missing is called."""
        return f"fold {self.fold_of[unit]}" if unit in self.fold_of else f"{self.noun} {unit}"


@dataclass(frozen=True)
class Gathered:
    """Values of the units that have any.

    Attributes
    ----------
    units : tuple of str
        Which units.
    values : ndarray, shape (n_units, n_sides)
        One value of each side, over the seeds that all sides have.
    n_seeds : int
        The least number of seeds that a unit's values stand on.
    missing : str
        What was expected and is not there, in words; empty when nothing is missing.
    """

    units: tuple[str, ...]
    values: np.ndarray
    n_seeds: int
    missing: str

    @property
    def difference(self) -> np.ndarray:
        """The second side's values less the first's: positive where the first has less error."""
        return self.values[:, 1] - self.values[:, 0]


def read_errors(evaluation: pd.DataFrame, settings: Settings) -> Errors:
    """Errors of the units of inference: subjects or, across subjects, folds.

    Subjects of a fold share their networks, so the fold is the unit.

    Parameters
    ----------
    evaluation : DataFrame
        The columns of evaluation.csv, of any number of subjects; where there are folds, the rows of all
        subjects of a fold count.
    settings : Settings
        The configuration; it says which predictors.

    Returns
    -------
    errors : Errors
    """
    across = bool(evaluation["fold"].ne("").any())
    table = evaluation[evaluation["subject"] == "all"] if across else evaluation
    noun = "fold" if across else "subject"
    of_unit, n_test = _read(table, noun, settings)
    return Errors(noun, expected_units(settings) or tuple(of_unit), of_unit, n_test)


def read_people(evaluation: pd.DataFrame, settings: Settings) -> Errors:
    """Errors of the subjects that are tested, each by the networks of its fold where there are folds.

    Parameters
    ----------
    evaluation : DataFrame
        As for `read_errors`.
    settings : Settings
        The configuration; it says which predictors.

    Returns
    -------
    errors : Errors
        Without folds the same as of `read_errors`.
    """
    table = evaluation[evaluation["fold"].eq("") | evaluation["subject"].ne("all")]
    of_unit, n_test = _read(table, "subject", settings)
    fold_of = tested_in(settings)
    return Errors(
        "subject", tuple(fold_of) or expected_units(settings) or tuple(of_unit), of_unit, n_test, fold_of
    )


def _read(
    table: pd.DataFrame, column: str, settings: Settings
) -> tuple[dict[str, dict[Predictor, float]], dict[str, int]]:
    """Errors and test trials by what stands in a column."""
    found: dict[str, dict[tuple[object, ...], float]] = {}
    n_test = {}
    for row in records(table):
        found.setdefault(row[column], {})[tuple(row[name] for name in ROW)] = row["error"]
        n_test[row[column]] = row["n_test"]
    asked = {one: row_of(one) for one in (*predictors(settings, plan.fits(settings)), CLASSICAL)}
    of_unit = {
        unit: {one: rows[row] for one, row in asked.items() if row in rows} for unit, rows in found.items()
    }
    return of_unit, n_test


def expected_units(settings: Settings) -> tuple[str, ...]:
    """Subjects or folds that the configuration names; none when it leaves them to the source."""
    named = settings.recordings.subjects
    if named == "all":
        return ()
    if isinstance(settings.split, SubjectSplit):
        return tuple(fold.label for fold in folds(settings.split, named))
    return tuple(named)


def tested_in(settings: Settings) -> dict[str, str]:
    """The fold in which each subject of the configuration tests, in order of the subjects.

    Empty without folds, or when the configuration leaves the subjects to the source.
    """
    named = settings.recordings.subjects
    if named == "all" or not isinstance(settings.split, SubjectSplit):
        return {}
    found = {label: fold.label for fold in folds(settings.split, named) for label in fold.test}
    return {label: found[label] for label in named if label in found}


def gather_means(errors: Errors, sides: Mapping[Group, Sequence[Sequence[Predictor]]]) -> Gathered:
    """Mean error of each side in every unit, over the groups of seeds of which all predictors are there.

    Parameters
    ----------
    errors : Errors
        Of all units.
    sides : mapping of tuple of int to sequence of sequence of Predictor
        For each group of seeds, the predictors of each side.

    Returns
    -------
    gathered : Gathered
    """

    def means(unit: str, group: Group) -> np.ndarray | None:
        found = errors.of_unit[unit]
        if not all(predictor in found for side in sides[group] for predictor in side):
            return None
        return np.array([[np.mean([found[predictor] for predictor in side]) for side in sides[group]]])

    n_sides = len(next(iter(sides.values())))
    return gather(errors, list(sides), n_sides, means, mean_over_seeds)


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """From shape (n_values, n_sides) to (n_sides,)."""
    return values.mean(axis=0)


def gather(
    errors: Errors,
    groups: Sequence[Group],
    n_sides: int,
    value: Callable[[str, Group], np.ndarray | None],
    over_seeds: Callable[[np.ndarray], np.ndarray],
) -> Gathered:
    """One value of each side in every unit.

    Parameters
    ----------
    errors : Errors
        Which units there are, and which are expected.
    groups : sequence of tuple of int
        Groups of seeds, at least one.
    n_sides : int
        Sides that stand beside each other.
    value : callable
        Of a unit and a group of seeds: values, shape (any, n_sides), or None when something is missing.
    over_seeds : callable
        From the values of all groups that are there, shape (any, n_sides), to one of each side.

    Returns
    -------
    gathered : Gathered
    """
    values, units, counts, missing = [], [], [], []
    for unit in errors.expected:
        found = {group: value(unit, group) if unit in errors.of_unit else None for group in groups}
        there = {group: of_group for group, of_group in found.items() if of_group is not None}
        lacking = ["+".join(map(str, group)) for group in groups if group not in there]
        if there:
            values.append(over_seeds(np.concatenate(list(there.values()))))
            units.append(unit)
            counts.append(sum(map(len, there)))
        if lacking:
            seeds = f": {'seed' if len(lacking) == 1 else 'seeds'} {', '.join(lacking)}" if there else ""
            missing.append(f"{errors.name(unit)}{seeds}")
    table = np.array(values).reshape(-1, n_sides)
    return Gathered(tuple(units), table, min(counts, default=0), "; ".join(dict.fromkeys(missing)))


#: A row: its columns that have a content.
Row = dict[str, Any]

COLUMNS = (
    *("family", "quantity", "a", "b", "epoch_a", "epoch_b", "rate", "metric", "n_networks_a", "n_networks_b"),
    *("epochs_spent_a", "epochs_spent_b", "n_units", "n_seeds", "missing", "estimate", "low", "high"),
    *("p", "p_holm", "better", "equal", "worse"),
)


def side_name(side: Sequence[Predictor]) -> str:
    """What the columns a and b call a side: arm, members, and how many seeds are averaged if several.

    Parameters
    ----------
    side : sequence of Predictor
        The side's predictors for one group of seeds.

    Returns
    -------
    name : str
        For instance "restarts cycles", or "step single, 2 seeds".
    """
    first = side[0]
    if first == CLASSICAL:
        return "baseline"
    n_seeds = len({key.seed for key in first.fits})
    name = f"{first.fits[0].schedule} {first.members}"
    return name if n_seeds == 1 else f"{name}, {n_seeds} seeds"


def rates_of(side: Sequence[Predictor]) -> str:
    """Rates whose probabilities a side averages; "each" where it goes rate by rate and averages errors."""
    names = list(dict.fromkeys(predictor.rates for predictor in side))
    return names[0] if len(names) == 1 else "each"


def describe(a: Sequence[Predictor], b: Sequence[Predictor] = ()) -> Row:
    """The columns that say what is set side by side, and what one predictor of each side costs."""
    rates = dict.fromkeys(rates_of(side) for side in (a, b) if side and side[0] != CLASSICAL)
    described: Row = {"rate": " : ".join(rates)}
    for letter, side in (("a", a), ("b", b)):
        if side:
            one = side[0]
            described |= {
                letter: side_name(side),
                f"epoch_{letter}": one.epoch,
                f"n_networks_{letter}": len(one.fits) * len(one.epochs),
                f"epochs_spent_{letter}": len(one.fits) * one.epoch,
            }
    return described


def sample_size(gathered: Gathered) -> Row:
    """The columns that say how many units and seeds a number stands on, and which are missing."""
    return {"n_units": len(gathered.units), "n_seeds": gathered.n_seeds, "missing": gathered.missing}


def mean_of(x: np.ndarray) -> Row:
    """Mean over units with its t interval; shape (n_units,)."""
    low, high = mean_interval(x)
    return {"estimate": float(np.mean(x)) if len(x) else np.nan, "low": low, "high": high}


def median_of(x: np.ndarray) -> Row:
    """Median over units with the quartiles as low and high; shape (n_units,)."""
    low, estimate, high = quartiles(x)
    return {"estimate": estimate, "low": low, "high": high}


def counts_of(difference: np.ndarray) -> Row:
    """Units in which a is better, equal, worse."""
    return dict(zip(("better", "equal", "worse"), tally(difference), strict=True))
