"""The table of every predictor of a subject: evaluation.csv."""

from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.metrics import METRICS
from eeg_sgdr.predictors import Predictor, predictors
from eeg_sgdr.results import Subject
from eeg_sgdr.settings import Settings

#: Columns of evaluation.csv that tell predictors apart.
ROW = ("schedule", "budget", "epoch", "rates", "seeds", "members")


def evaluation(subject: Subject, settings: Settings) -> pd.DataFrame:
    """One row per predictor of a subject.

    Parameters
    ----------
    subject : Subject
        With at least one fit that is done.
    settings : Settings
        The configuration.

    Returns
    -------
    table : DataFrame
        The columns of evaluation.csv; fractions between 0 and 1.
    """
    statistics = settings.evaluation.batch_norm_statistics
    stored = {key: subject.probabilities(key, statistics) for key in subject.done}
    y = labels(subject)
    found = predictors(settings, stored)
    return pd.DataFrame([_row(subject, predictor, y, predictor.probabilities(stored)) for predictor in found])


def labels(subject: Subject) -> np.ndarray:
    """Classes of the test trials that were not rejected, by index; shape (n_trials,)."""
    trials = subject.trials
    kept = trials[(trials["split"] == "test") & (trials["rejected"] == "")]
    index = {name: i for i, name in enumerate(subject.data["classes"])}
    return kept["class"].map(index).to_numpy(int)


def row_of(predictor: Predictor) -> tuple[object, ...]:
    """What tells a predictor's row in evaluation.csv; the columns are those of `ROW`."""
    first = predictor.fits[0]
    return (
        first.schedule,
        first.budget,
        predictor.epoch,
        predictor.rates,
        predictor.seeds,
        predictor.members,
    )


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows by name of column."""
    return table.to_dict("records")  # type: ignore[return-value]


def _row(
    subject: Subject, predictor: Predictor, y: np.ndarray, probabilities: np.ndarray
) -> dict[str, object]:
    first = predictor.fits[0]
    n_fits, n_snapshots = len(predictor.fits), len(predictor.epochs)
    return {
        "fold": "",
        "subject": subject.label,
        "schedule": first.schedule,
        "budget": first.budget,
        "epoch": predictor.epoch,
        "rates": predictor.rates,
        "seeds": predictor.seeds,
        "members": predictor.members,
        "n_fits": n_fits,
        "n_snapshots": n_snapshots,
        "n_networks": n_fits * n_snapshots,
        "epochs_spent": n_fits * predictor.epoch,
        "n_test": len(y),
        **{name: metric(y, probabilities) for name, metric in METRICS.items()},
    }
