"""The table of every predictor of a subject: evaluation.csv."""

from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.metrics import METRICS
from eeg_sgdr.evaluation.predictors import CLASSICAL, Predictor, predictors
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.results import Subject

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

    In a fold there is one for each test subject, and one for all of them.

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
    scored = [
        (_described(predictor), predictor.probabilities(stored)) for predictor in predictors(settings, stored)
    ]
    if subject.baseline and subject.baseline["state"] == "done":
        scored.append((BASELINE, subject.baseline_probabilities()))
    return pd.DataFrame(
        [
            {
                "fold": subject.fold,
                "subject": label,
                **described,
                "n_test": int(theirs.sum()),
                **{name: metric(y[theirs], probabilities[theirs]) for name, metric in METRICS.items()},
            }
            for described, probabilities in scored
            for label, theirs in _trials_of(subject).items()
        ]
    )


def _trials_of(subject: Subject) -> dict[str, np.ndarray]:
    """Which test trials count for which subject; in a fold all of them count for "all"."""
    trials = subject.tested
    everything = np.ones(len(trials), bool)
    if not subject.fold:
        return {subject.label: everything}
    return {"all": everything} | {
        label: trials["subject"].eq(label).to_numpy() for label in subject.data["test_subjects"]
    }


def labels(subject: Subject) -> np.ndarray:
    """Classes of the test trials that were not rejected, by index; shape (n_trials,)."""
    index = {name: i for i, name in enumerate(subject.data["classes"])}
    return subject.tested["class"].map(index).to_numpy(int)


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


def distinct(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Rows of evaluation.csv without the ensembles of one snapshot, which are that snapshot."""
    same = (evaluation["members"] == "cycles") & (evaluation["n_snapshots"] == 1)
    return evaluation[~same].reset_index(drop=True)


def seed_by_seed(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Distinct rows of evaluation.csv that average over no seeds."""
    found = distinct(evaluation)
    return found[~found["seeds"].str.contains("+", regex=False)]


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
