"""The table of every predictor of a subject: evaluation.csv."""

from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import store
from eeg_sgdr.metrics import METRICS
from eeg_sgdr.predictors import CLASSICAL, Predictor, predictors
from eeg_sgdr.results import Subject
from eeg_sgdr.settings import Settings

#: Columns of evaluation.csv that tell predictors apart.
ROW = ("schedule", "budget", "epoch", "rates", "seeds", "members")

#: What the baseline has in the columns that tell predictors apart and say what they cost.
BASELINE = {
    "schedule": "baseline",
    "budget": 0,
    "epoch": 0,
    "rates": "",
    "seeds": "",
    "members": "baseline",
    "n_fits": 0,
    "n_snapshots": 0,
    "n_networks": 0,
    "epochs_spent": 0,
}


def evaluation(subject: Subject, settings: Settings) -> pd.DataFrame:
    """One row per predictor of a subject, and one of the baseline where it is done.

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
    rows = [
        _row(subject, _described(predictor), y, predictor.probabilities(stored))
        for predictor in predictors(settings, stored)
    ]
    if subject.baseline and subject.baseline["state"] == "done":
        (probabilities,) = store.read_npz(subject.folder.baseline.predictions)["probabilities"]
        rows.append(_row(subject, BASELINE, y, probabilities))
    return pd.DataFrame(rows)


def labels(subject: Subject) -> np.ndarray:
    """Classes of the test trials that were not rejected, by index; shape (n_trials,)."""
    trials = subject.trials
    kept = trials[(trials["split"] == "test") & (trials["rejected"] == "")]
    index = {name: i for i, name in enumerate(subject.data["classes"])}
    return kept["class"].map(index).to_numpy(int)


def row_of(predictor: Predictor) -> tuple[object, ...]:
    """What tells a predictor's row in evaluation.csv; the columns are those of `ROW`."""
    if predictor == CLASSICAL:
        return tuple(BASELINE[name] for name in ROW)
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


def _described(predictor: Predictor) -> dict[str, object]:
    n_fits, n_snapshots = len(predictor.fits), len(predictor.epochs)
    return {
        **dict(zip(ROW, row_of(predictor), strict=True)),
        "n_fits": n_fits,
        "n_snapshots": n_snapshots,
        "n_networks": n_fits * n_snapshots,
        "epochs_spent": n_fits * predictor.epoch,
    }


def _row(
    subject: Subject, described: dict[str, object], y: np.ndarray, probabilities: np.ndarray
) -> dict[str, object]:
    return {
        "fold": "",
        "subject": subject.label,
        **described,
        "n_test": len(y),
        **{name: metric(y, probabilities) for name, metric in METRICS.items()},
    }
