"""evaluation.csv: metrics of every predictor of a subject or fold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.metrics import METRICS, nll
from eeg_sgdr.evaluation.predictors import Predictor, Stored, classical, is_done, predictors
from eeg_sgdr.evaluation.temperature import scaled
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.subject import Subject

#: Columns of evaluation.csv that identify a predictor.
IDENTITY = ("schedule", "budget", "epoch", "rates", "seeds", "members")

#: Columns of what a predictor averages and costs.
COST = ("n_fits", "n_snapshots", "n_networks", "epochs_spent")


def evaluation(
    subject: Subject, settings: Settings, stored: Stored, temperatures: Mapping[Predictor, float]
) -> pd.DataFrame:
    """One row per predictor, with baselines that are done; in a fold per test subject and for "all".

    Predictors with a temperature have it as a column, and beside it their negative log-likelihood after
    scaling by it.
    """
    y = labels(subject)
    parts = _trials_of(subject)
    scored = [
        (predictor, predictor.probabilities(stored))
        for predictor in predictors(settings, stored.snapshots)
        if predictor.is_stored(stored)
    ]
    scored += [
        (classical(name), subject.baseline_probabilities(name))
        for name in subject.baselines
        if is_done(subject, classical(name))
    ]
    return pd.DataFrame(
        [
            {
                "fold": subject.fold or subject.fold_of_subject,
                "subject": label,
                **{name: getattr(predictor, name) for name in (*IDENTITY, *COST)},
                "n_test": int(trials.sum()),
                **{name: metric(y[trials], probabilities[trials]) for name, metric in METRICS.items()},
                **_scaled(y[trials], probabilities[trials], temperatures.get(predictor)),
            }
            for predictor, probabilities in scored
            for label, trials in parts.items()
        ]
    )


def with_scaling_of_folds(table: pd.DataFrame, of_folds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A subject's evaluation with temperatures, means over folds, and likelihoods scaled by each fold's."""
    folds = pd.concat(of_folds)
    if "temperature" not in folds:
        return table
    weighted = folds.assign(nll_scaled=folds["nll_scaled"] * folds["n_test"]).groupby([*IDENTITY])
    scaled = pd.DataFrame(
        {
            "temperature": weighted["temperature"].mean(),
            "nll_scaled": weighted["nll_scaled"].sum() / weighted["n_test"].sum(),
        }
    )
    in_all = weighted["temperature"].count() == len(of_folds)
    return table.merge(scaled[in_all], "left", [*IDENTITY])


def _scaled(y: np.ndarray, probabilities: np.ndarray, temperature: float | None) -> dict[str, float]:
    if temperature is None:
        return {}
    return {"temperature": temperature, "nll_scaled": nll(y, scaled(probabilities, temperature))}


def _trials_of(subject: Subject) -> dict[str, np.ndarray]:
    """Masks of the test trials of each subject; in a fold with "all"."""
    trials = subject.tested
    everything = np.ones(len(trials), bool)
    if not subject.fold:
        return {subject.label: everything}
    return {"all": everything} | {
        label: trials["subject"].eq(label).to_numpy() for label in subject.data["test_subjects"]
    }


def labels(subject: Subject) -> np.ndarray:
    """Class indices of the test trials that were not rejected; shape (n_trials,)."""
    index = {name: i for i, name in enumerate(subject.data["classes"])}
    return subject.tested["class"].map(index).to_numpy(int)


def identity(predictor: Predictor) -> tuple[object, ...]:
    """A predictor's values of the columns `IDENTITY`."""
    return tuple(getattr(predictor, name) for name in IDENTITY)


def distinct(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Rows of evaluation.csv without ensembles of one snapshot, which equal that snapshot."""
    same = (evaluation["members"] == "cycles") & (evaluation["n_snapshots"] == 1)
    return evaluation[~same].reset_index(drop=True)


def seed_by_seed(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Distinct rows of evaluation.csv that average over no seeds."""
    rows = distinct(evaluation)
    return rows[~rows["seeds"].str.contains("+", regex=False)]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as dictionaries."""
    return table.to_dict("records")  # type: ignore[return-value]
