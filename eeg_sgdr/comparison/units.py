"""Values of the units of inference, or of the people behind them, with what is missing named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from eeg_sgdr import plan
from eeg_sgdr.predictors import CLASSICAL, Predictor, predictors
from eeg_sgdr.settings import Settings, SubjectSplit
from eeg_sgdr.splits import folds
from eeg_sgdr.tables import ROW, records, row_of

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
