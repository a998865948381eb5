"""A study's results as a table of MOABB's evaluations."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.predictors import Predictor, TrainingTimes, classical, is_done, predictors
from eeg_sgdr.evaluation.units import Group, mean_errors, read_subject_errors
from eeg_sgdr.reports.wording import counted
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject

#: A predictor by group of seeds; a baseline has none.
Pipeline = Mapping[Group, Predictor]


def to_moabb(results: Results) -> pd.DataFrame:
    """Results as MOABB's evaluations return theirs, for its statistics and plots.

    A pipeline is a predictor of evaluation.csv, called like the folders of fits:
    ``restarts-b31-r0.025+0.05-e31-cycles`` is the arm ``restarts`` with a budget of 31 epochs at both
    rates, after epoch 31, the ensemble of the last cycles (``-averaged`` that of networks with their
    averaged weights, one at each rate); ``-2seeds`` is added where it averages the probabilities of two
    seeds. Ensembles of one snapshot are that snapshot, and left out.

    Parameters
    ----------
    results : Results
        A study, as `eeg_sgdr.load_results` returns it.

    Returns
    -------
    table : DataFrame
        A row for each pipeline and subject; across subjects for each subject that is tested, by the
        networks of its fold. Columns of MOABB: score (accuracy, 1 - error, between 0 and 1; the mean over
        the seeds that are there), time (seconds of training all of the pipeline's networks up to their
        epoch, scoring left out; the mean over those seeds), samples (trials that train), samples_test,
        n_classes, subject, session (those of the test trials), channels, n_sessions, dataset (the study's
        name), pipeline. Where a subject has folds, score is over all its trials, time and samples are means
        over folds. Further columns to choose by: schedule, budget, epoch, rates, members, n_networks,
        epochs_spent, n_seeds (the least number of seeds behind any subject's score).

    Warns
    -----
    UserWarning
        If subjects or seeds that the configuration names are not there: which, and of how many pipelines.
        MOABB's statistics refuse pipelines that lack a subject.

    Raises
    ------
    UserError
        If the folder holds no results yet.

    Examples
    --------
    >>> table = to_moabb(load_results("results/demo14"))  # doctest: +SKIP
    >>> compute_dataset_statistics(table.query("budget == 31 and epoch == 31"))  # doctest: +SKIP
    """
    errors = read_subject_errors(results.evaluation, results.settings)
    units = {label: subject for subject in results.subjects for label in subject.test_subjects}
    recordings = {label: _recordings(subject, label) for label, subject in units.items()}
    times = TrainingTimes()
    rows: list[dict[str, Any]] = []
    lacking: dict[str, int] = {}
    for name, pipeline in _pipelines(results.settings).items():
        found = mean_errors(errors, {group: [[one]] for group, one in pipeline.items()})
        if found.missing:
            lacking[found.missing] = lacking.get(found.missing, 0) + 1
        first = next(iter(pipeline.values()))
        for label, error in zip(found.units, found.values[:, 0], strict=True):
            done = [one for one in pipeline.values() if is_done(units[label], one)]
            rows.append(
                {
                    "score": 1 - error,
                    "time": float(np.mean([times.seconds(units[label], one) for one in done])),
                    "samples_test": errors.n_test[label],
                    **recordings[label],
                    "dataset": results.settings.name,
                    "pipeline": name,
                    **{column: getattr(first, column) for column in _PREDICTOR},
                    "n_seeds": found.n_seeds,
                }
            )
    if lacking:
        listed = ", ".join(f"{counted(n, 'pipeline')} without {what}" for what, n in lacking.items())
        warnings.warn(
            f"{results.root}: not all is there ({listed}); run the command again, or choose pipelines and "
            "subjects that are complete.",
            stacklevel=2,
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


#: What identifies a pipeline, and its cost.
_PREDICTOR = ("schedule", "budget", "epoch", "rates", "members", "n_networks", "epochs_spent")

#: First those of MOABB, in its order.
_COLUMNS = (
    *("score", "time", "samples", "samples_test", "n_classes", "subject", "session", "channels"),
    *("n_sessions", "dataset", "pipeline", *_PREDICTOR, "n_seeds"),
)


def _pipelines(settings: Settings) -> dict[str, Pipeline]:
    """Predictors of the configuration by name of the pipeline, which is the same for all seeds."""
    found: dict[str, dict[Group, Predictor]] = {}
    for predictor in predictors(settings, plan.evaluated(settings)):
        if predictor.members != "cycles" or predictor.n_snapshots > 1:
            found.setdefault(_name(predictor), {})[predictor.seed_group] = predictor
    return {**found, **{one.name: {(): classical(one.name)} for one in settings.baselines}}


def _name(predictor: Predictor) -> str:
    """Name of a pipeline; without spaces, at which MOABB's plots cut long names."""
    n_seeds = len(predictor.seed_group)
    name = (
        f"{predictor.schedule}-b{predictor.budget}-r{predictor.rates}-e{predictor.epoch}-{predictor.members}"
    )
    return name if n_seeds == 1 else f"{name}-{n_seeds}seeds"


def _recordings(subject: Subject, label: str) -> dict[str, Any]:
    """MOABB's columns of a subject's recordings."""
    trials, data = subject.trials, subject.data
    tables = [part.trials for part in subject.parts]
    n_train = [((table["split"] == "train") & (table["rejected"] == "")).sum() for table in tables]
    tested = subject.tested[subject.tested["subject"] == label]
    return {
        "subject": label,
        "session": "+".join(sorted(tested["session"].unique())),
        "n_sessions": trials.loc[trials["subject"] == label, "session"].nunique(),
        "samples": round(float(np.mean(n_train))),
        "n_classes": len(data["classes"]),
        "channels": len(data["sensors"]),
    }
