"""The table of every predictor of a subject or fold: evaluation.csv."""

from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.metrics import METRICS
from eeg_sgdr.evaluation.predictors import CLASSICAL, Predictor, is_done, predictors
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.results import Subject

#: Columns of evaluation.csv that tell predictors apart.
ROW = ("schedule", "budget", "epoch", "rates", "seeds", "members")

#: Those that say what one averages and costs.
COST = ("n_fits", "n_snapshots", "n_networks", "epochs_spent")


def evaluation(subject: Subject, settings: Settings) -> pd.DataFrame:
    """One row per predictor of a subject, and one of the baseline where it is done.

    In a fold there is one for each test subject, and one for all of them ("all").
    """
    statistics = settings.evaluation.batch_norm_statistics
    stored = {key: subject.probabilities(key, statistics) for key in subject.done}
    y = labels(subject)
    scored = [(predictor, predictor.probabilities(stored)) for predictor in predictors(settings, stored)]
    if is_done(subject, CLASSICAL):
        scored.append((CLASSICAL, subject.baseline_probabilities()))
    return pd.DataFrame(
        [
            {
                "fold": subject.fold,
                "subject": label,
                **{name: getattr(predictor, name) for name in (*ROW, *COST)},
                "n_test": int(trials.sum()),
                **{name: metric(y[trials], probabilities[trials]) for name, metric in METRICS.items()},
            }
            for predictor, probabilities in scored
            for label, trials in _trials_of(subject).items()
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
    """A predictor's values in the columns of `ROW`."""
    return tuple(getattr(predictor, name) for name in ROW)


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
