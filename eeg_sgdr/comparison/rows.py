"""Rows of comparison.csv."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eeg_sgdr.comparison.units import Gathered
from eeg_sgdr.predictors import CLASSICAL, Predictor
from eeg_sgdr.statistics import mean_interval, quartiles, tally

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


def stands_on(gathered: Gathered) -> Row:
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
