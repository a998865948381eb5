"""Rates chosen inside the training part, by errors of inner fits on its validation trials; temperatures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation import metrics
from eeg_sgdr.evaluation.predictors import Predictor, fit_keys, last_snapshot, read_stored
from eeg_sgdr.evaluation.tables import labels, records
from eeg_sgdr.evaluation.temperature import fitted
from eeg_sgdr.evaluation.units import (
    Group,
    Row,
    UnitErrors,
    UnitValues,
    describe,
    mean_errors,
    mean_of,
    sample_size,
)
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import Chosen, FitKey
from eeg_sgdr.storage.columns import RATES
from eeg_sgdr.storage.subject import CrossValidated, Subject

#: Decimals to which errors averaged over seeds are compared: equal ones may differ in their last bits.
DECIMALS = 12

#: Columns of rates.csv that a fit has.
_FIT = ("schedule", "budget", "rate")


def choose(subject: Subject, settings: Settings) -> pd.DataFrame:
    """Choose the rates of a subject or fold; one row per arm, budget and rate, columns as of rates.csv.

    The least mean error of the last snapshot over seeds wins; ties are broken by the lower mean negative
    log-likelihood, then by the lower rate. Where a fit failed, the rate is not listed; arms and budgets of
    which a fit is missing are not, either.
    """
    choice = settings.training.rate_choice
    inner = Subject(subject.folder.rate_choice)
    if choice is None or not inner.folder.data.is_file():
        return pd.DataFrame(columns=list(RATES)).astype(RATES)
    rows = []
    for arm, of_arm in settings.schedules.items():
        for budget in of_arm.budgets:
            by_rate = {
                rate: fit_keys(arm, budget, (rate,), choice.seeds) for rate in settings.initial_rates(arm)
            }
            if all(key in inner.fits for keys in by_rate.values() for key in keys):
                rows += _rows(inner, settings, by_rate)
    return pd.DataFrame(rows, columns=list(RATES)).astype(RATES)


def _rows(
    inner: Subject, settings: Settings, by_rate: dict[float, tuple[FitKey, ...]]
) -> list[dict[str, object]]:
    """Rows of one arm and budget."""
    y = labels(inner)
    statistics = settings.evaluation.batch_norm_statistics
    rows = []
    for rate, keys in by_rate.items():
        if not {*keys} <= {*inner.done}:
            continue
        predictions = [inner.probabilities(key, statistics)[key.budget] for key in keys]
        scores = {
            name: round(float(np.mean([metric(y, predicted) for predicted in predictions])), DECIMALS)
            for name, metric in (("error", metrics.error), ("nll", metrics.nll))
        }
        about = {"schedule": keys[0].schedule, "budget": keys[0].budget, "rate": rate}
        rows.append({**about, "n_seeds": len(keys), "n_validation": len(y), **scores})
    best = min(rows, key=lambda row: (row["error"], row["nll"], row["rate"]), default=None)
    return [{**row, "chosen": row is best} for row in rows]


def temperatures(
    subject: Subject, settings: Settings, wanted: Iterable[Predictor], chosen: Chosen
) -> dict[Predictor, float]:
    """Temperatures of predictors at chosen rates, fitted to the validation trials of their inner fits.

    The probabilities of several inner seeds are pooled. Averaged weights, and what averages over seeds, have
    none; nor has anything of which an inner fit is missing.
    """
    choice = settings.training.rate_choice
    inner = Subject(subject.folder.rate_choice)
    if choice is None or not inner.folder.data.is_file():
        return {}
    stored = read_stored(inner, plan.inner(settings), inner.done, chosen)
    y = np.tile(labels(inner), len(choice.seeds))
    found = {}
    for one in wanted:
        if one.rates != "tuned" or one.n_fits > 1 or one.members == "averaged":
            continue
        alike = [replace(one, fits=(replace(one.fits[0], seed=seed),)) for seed in choice.seeds]
        if all(of_seed.is_stored(stored) for of_seed in alike):
            found[one] = fitted(y, np.concatenate([of_seed.probabilities(stored) for of_seed in alike]))
    return found


def fits_asked_for(subject: Subject, settings: Settings) -> dict[str, bool]:
    """Names of the fits of an evaluated subject or fold, and whether they are there; of its choice first.

    Those of folds within a subject bear the fold's folder, which is all there is of a missing fold.
    """
    if isinstance(subject, CrossValidated):
        folders = [subject.folder.fold(str(n)) for n in range(1, len(subject.data["folds"]) + 1)]
        asked_of = {part.folder.root: fits_asked_for(part, settings) for part in subject.folds}
        return {
            f"folds/{folder.root.name}/{name}".rstrip("/"): there
            for folder in folders
            for name, there in asked_of.get(folder.root, {"": False}).items()
        }
    asked = {key.name: key in subject.fits for key in plan.wanted(settings, subject.chosen)}
    if settings.training.rate_choice is None:
        return asked
    inner = Subject(subject.folder.rate_choice)
    choosing = {f"rate_choice/{key.name}": key in inner.fits for key in plan.fits(plan.inner(settings))}
    return {**choosing, **asked}


def choices(settings: Settings, errors: UnitErrors, rates: Mapping[str, pd.DataFrame]) -> list[Row]:
    """Rows of every arm, budget and rate: validation error, and fraction of units that chose the rate.

    Described, not tested. ``rates`` are the tables of `choose`, by unit.
    """
    choice = settings.training.rate_choice
    if choice is None:
        return []
    seed = choice.seeds[0]
    validation, was_chosen = (
        replace(
            errors,
            of_unit={
                unit: {
                    last_snapshot(FitKey(row["schedule"], row["budget"], row["rate"], seed)): float(
                        row[column]
                    )
                    for row in records(table)
                }
                for unit, table in rates.items()
            },
        )
        for column in ("error", "chosen")
    )
    rows = []
    for arm, of_arm in settings.schedules.items():
        every = settings.initial_rates(arm)
        for budget in of_arm.budgets:
            fits = [FitKey(arm, budget, rate, seed) for rate in every]
            for key in fits:
                inner = _sides(key, choice.seeds[:1])
                rows.append(_row(settings, "validation error", mean_errors(validation, inner), key))
                rows.append(_row(settings, "chosen", mean_errors(was_chosen, inner), key))
                if choice.outer == "all":
                    tested = mean_errors(errors, _sides(key, settings.training.seeds))
                    rows.append(_row(settings, "test error", tested, key))
            edges = [
                last_snapshot(key) for key, rate in zip(fits, every, strict=True) if at_edge(rate, every)
            ]
            if edges:
                found = mean_errors(was_chosen, {(seed,): [[one] for one in edges]})
                rows.append(_row(settings, "chosen at the edge of the list", found, *edges[0].fits))
    return rows


def at_edge(rate: float, every: Sequence[float]) -> bool:
    """Whether a rate is the lowest or highest of several."""
    return len(every) > 1 and rate in (min(every), max(every))


def _sides(key: FitKey, seeds: Sequence[int]) -> dict[Group, list[list[Predictor]]]:
    """The last snapshot of a fit, seed by seed, as the one side of `mean_errors`."""
    return {(seed,): [[last_snapshot(replace(key, seed=seed))]] for seed in seeds}


def _row(settings: Settings, quantity: str, found: UnitValues, key: FitKey) -> Row:
    """Mean over units of a value of a fit, or of the sum of those of several."""
    choice = settings.training.rate_choice
    assert choice
    about = {"family": "rate choice", "quantity": quantity, "side": "a"}
    about |= {**describe(settings, [last_snapshot(key)]), **sample_size(found)}
    if quantity == "test error":
        return {**about, "metric": "error", **mean_of(found.values[:, 0])}
    metric = "error" if quantity == "validation error" else "fraction"
    return {**about, "metric": metric, "n_seeds": len(choice.seeds), **mean_of(found.values.sum(axis=1))}
