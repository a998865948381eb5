"""Errors per unit of inference (subject or fold), and their columns of comparison.csv."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.data.splits import folds
from eeg_sgdr.evaluation.predictors import Predictor, classical, predictors
from eeg_sgdr.evaluation.statistics import mean_interval, quartiles, tally
from eeg_sgdr.evaluation.tables import COST, IDENTITY, identity, records
from eeg_sgdr.settings import BASELINES, Settings, SubjectSplit, plan
from eeg_sgdr.settings.types import plain

#: Seeds of one predictor: one, or those that it averages over.
Group = tuple[int, ...]


@dataclass(frozen=True)
class UnitErrors:
    """Errors (0 to 1), or another metric, of every predictor in every unit."""

    #: What a unit is: "subject" or "fold".
    kind: str
    #: All units of the study, present or missing.
    expected: tuple[str, ...]
    of_unit: Mapping[str, Mapping[Predictor, float]]
    #: Test trials of the units that are present.
    n_test: Mapping[str, int]
    #: Across subjects, the fold in which each subject tests; empty where units have their own networks.
    fold_of: Mapping[str, str] = field(default_factory=dict)

    def name(self, unit: str) -> str:
        """Name of a missing unit: its fold, if its networks are shared."""
        return f"fold {self.fold_of[unit]}" if unit in self.fold_of else f"{self.kind} {unit}"


@dataclass(frozen=True)
class UnitValues:
    """One value of each side in every unit that has them, shape (n_units, n_sides)."""

    #: What a unit is: "subject" or "fold".
    kind: str
    units: tuple[str, ...]
    values: np.ndarray
    #: The smallest number of seeds behind any unit's values.
    n_seeds: int
    #: Missing units and seeds, in words.
    missing: str
    #: Whether the configuration itself leaves no values.
    left_out: bool = False

    @property
    def difference(self) -> np.ndarray:
        """Values of b minus a: positive where a has the lower error."""
        return self.values[:, 1] - self.values[:, 0]


def read_errors(evaluation: pd.DataFrame, settings: Settings, metric: str = "error") -> UnitErrors:
    """Errors of the units of inference: subjects or, where these share networks, folds.

    ``metric`` names another column of evaluation.csv in their place; where a predictor lacks it, that
    predictor is left out.
    """
    across = bool(evaluation["fold"].ne("").any())
    table = evaluation[evaluation["subject"] == "all"] if across else evaluation
    kind = "fold" if across else "subject"
    of_unit, n_test = _read(table, kind, settings, metric)
    return UnitErrors(kind, expected_units(settings) or tuple(of_unit), of_unit, n_test)


def read_subject_errors(evaluation: pd.DataFrame, settings: Settings) -> UnitErrors:
    """Errors of the test subjects, with folds by the networks of each one's fold."""
    table = evaluation[evaluation["fold"].eq("") | evaluation["subject"].ne("all")]
    of_unit, n_test = _read(table, "subject", settings, "error")
    fold_of = folds_of_subjects(settings)
    expected = tuple(fold_of) or expected_units(settings) or tuple(of_unit)
    return UnitErrors("subject", expected, of_unit, n_test, fold_of)


def _read(
    table: pd.DataFrame, column: str, settings: Settings, metric: str
) -> tuple[dict[str, dict[Predictor, float]], dict[str, int]]:
    """A metric and test trials by unit, the values of ``column``."""
    found: dict[str, dict[tuple[object, ...], float]] = {}
    n_test = {}
    for row in records(table):
        of_unit = found.setdefault(row[column], {})
        if not pd.isna(row.get(metric)):
            of_unit[tuple(row[name] for name in IDENTITY)] = row[metric]
        n_test[row[column]] = row["n_test"]
    expected = {
        predictor: identity(predictor)
        for predictor in (*predictors(settings, plan.evaluated(settings)), *map(classical, BASELINES))
    }
    of_predictors = {
        unit: {predictor: values[row] for predictor, row in expected.items() if row in values}
        for unit, values in found.items()
    }
    return of_predictors, n_test


def expected_units(settings: Settings) -> tuple[str, ...]:
    """Subjects or folds that the configuration names; empty if it leaves them to the source."""
    named = settings.recordings.subjects
    if named == "all":
        return ()
    if isinstance(settings.split, SubjectSplit):
        return tuple(fold.label for fold in folds(settings.split, named))
    return tuple(named)


def folds_of_subjects(settings: Settings) -> dict[str, str]:
    """The fold in which each subject tests; empty without folds or with subjects left to the source."""
    named = settings.recordings.subjects
    if named == "all" or not isinstance(settings.split, SubjectSplit):
        return {}
    found = {label: fold.label for fold in folds(settings.split, named) for label in fold.test}
    return {label: found[label] for label in named if label in found}


def mean_errors(errors: UnitErrors, sides: Mapping[Group, Sequence[Sequence[Predictor]]]) -> UnitValues:
    """Mean error of each side in every unit, over the groups of seeds that have all predictors."""

    def means(unit: str, group: Group) -> np.ndarray | None:
        found = errors.of_unit[unit]
        if not all(predictor in found for side in sides[group] for predictor in side):
            return None
        return np.array([[np.mean([found[predictor] for predictor in side]) for side in sides[group]]])

    n_sides = len(next(iter(sides.values())))
    return unit_values(errors, list(sides), n_sides, means, mean_over_seeds)


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """From shape (n_values, n_sides) to (n_sides,)."""
    return values.mean(axis=0)


def unit_values(
    errors: UnitErrors,
    groups: Sequence[Group],
    n_sides: int,
    value: Callable[[str, Group], np.ndarray | None],
    over_seeds: Callable[[np.ndarray], np.ndarray],
) -> UnitValues:
    """One value of each side in every unit.

    ``value`` returns those of a unit and group of seeds, shape (n, n_sides), or None if any is missing;
    ``over_seeds`` reduces those of all groups to shape (n_sides,).
    """
    values, units, counts, missing = [], [], [], []
    for unit in errors.expected:
        found = {group: value(unit, group) if unit in errors.of_unit else None for group in groups}
        present = {group: of_group for group, of_group in found.items() if of_group is not None}
        lacking = ["+".join(map(str, group)) for group in groups if group not in present]
        if present:
            values.append(over_seeds(np.concatenate(list(present.values()))))
            units.append(unit)
            counts.append(sum(map(len, present)))
        if lacking:
            seeds = f": {'seed' if len(lacking) == 1 else 'seeds'} {', '.join(lacking)}" if present else ""
            missing.append(f"{errors.name(unit)}{seeds}")
    table = np.array(values).reshape(-1, n_sides)
    text = "; ".join(dict.fromkeys(missing))
    return UnitValues(errors.kind, tuple(units), table, min(counts, default=0), text)


#: The filled columns of a row of comparison.csv.
Row = dict[str, Any]


def describe(settings: Settings, a: Sequence[Predictor], b: Sequence[Predictor] = ()) -> Row:
    """Columns of what is compared and its cost; sides by their predictors of one group of seeds."""
    return {**_side(settings, "a", a), **(_side(settings, "b", b) if b else {})}


def _side(settings: Settings, letter: str, side: Sequence[Predictor]) -> Row:
    first = side[0]
    rates = list(dict.fromkeys(predictor.rates for predictor in side))
    columns = {
        "arm": first.schedule,
        "snapshots": first.members,
        "rates": rates[0] if len(rates) == 1 else "each",
        "budget": first.budget,
        "epochs": first.epoch,
        "n_seeds": len(first.seed_group),
        **{name: getattr(first, name) for name in COST},
        "epochs_tuning": sum(plan.tuning_epochs(key, settings) for key in first.fits[:1]),
        "label": _label(first),
    }
    return {f"{name}_{letter}": value for name, value in columns.items()}


def _label(predictor: Predictor) -> str:
    """For instance "restarts cycles", or "step single, 2 seeds"."""
    if predictor.baseline:
        return plain(predictor.baseline)
    n_seeds = len(predictor.seed_group)
    return f"{predictor.schedule} {predictor.members}" + ("" if n_seeds == 1 else f", {n_seeds} seeds")


def sample_size(values: UnitValues) -> Row:
    """Columns of the units and seeds behind a number, and of those that are missing."""
    n_units = len(values.units)
    known = {"unit_kind": values.kind, "n_units": n_units, "n_seeds": values.n_seeds}
    return {**known, **completeness(n_units, values.missing, values.left_out)}


def completeness(n_units: int, missing: str, left_out: bool = False) -> Row:
    """Columns of the status, and in words of what is missing."""
    status = "left out" if left_out else "ok" if not missing else "incomplete" if n_units else "missing"
    return {"status": status, "missing": missing}


def mean_of(x: np.ndarray) -> Row:
    """Mean over units with its t interval; shape (n_units,)."""
    low, high = mean_interval(x)
    return {"estimate": float(np.mean(x)) if len(x) else np.nan, "low": low, "high": high}


def median_of(x: np.ndarray) -> Row:
    """Median over units with the quartiles as low and high; shape (n_units,)."""
    low, estimate, high = quartiles(x)
    return {"estimate": estimate, "low": low, "high": high}


def counts_of(difference: np.ndarray) -> Row:
    """Numbers of units in which a is better, equal and worse."""
    return dict(zip(("better", "equal", "worse"), tally(difference), strict=True))
