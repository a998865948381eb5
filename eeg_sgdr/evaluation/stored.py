"""evaluation.csv, rates.csv and evaluation.json of a unit, made where what decides them has changed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation import rate_choice, tables
from eeg_sgdr.evaluation.ensembles import stored_scores, surface_predictors
from eeg_sgdr.evaluation.metrics import METRICS
from eeg_sgdr.evaluation.predictors import Predictor, Stored, predictors, read_stored, with_tuned
from eeg_sgdr.settings import BASELINES, Settings, plan
from eeg_sgdr.settings.plan import Chosen, FitKey
from eeg_sgdr.storage import files, integrity, records
from eeg_sgdr.storage.subject import CrossValidated, Subject, chosen_rates

#: To be raised by hand when the arithmetic of evaluation.csv, rates.csv or of `Facts` changes.
VERSION = 3


@dataclass(frozen=True)
class Facts:
    """What comparison.csv and the study's page need of a subject or fold beside evaluation.csv."""

    #: Error and negative log-likelihood of the surface of fits and snapshots averaged, where these are there.
    surface: dict[Predictor, tuple[float, float]]
    #: Last training loss of every fit that is done; where a subject has folds, the largest of these.
    last_loss: dict[FitKey, float]
    #: Its seconds of training, scoring left out; means over folds within a subject.
    seconds: dict[FitKey, float]


def evaluate(subject: Subject, settings: Settings) -> Facts:
    """Write evaluation.csv, and evaluation.json, which vouches for it; folds within a subject come before."""
    folder = subject.folder
    rates = rate_choice.choose(subject, settings)
    chosen = chosen_rates(rates)
    stored = read_stored(subject, settings, subject.done, chosen)
    available = predictors(settings, stored.snapshots)
    temperatures = rate_choice.temperatures(subject, settings, available, chosen)
    table = tables.evaluation(subject, settings, stored, temperatures)
    if isinstance(subject, CrossValidated):
        table = tables.with_scaling_of_folds(table, [fold.evaluation for fold in subject.folds])
    contents = {folder.evaluation: files.csv_bytes(table)}
    if len(rates):
        contents[folder.rates] = files.csv_bytes(rates)
    known = _facts(subject, settings, stored, chosen)
    record = {
        "fingerprint": fingerprint(subject, settings),
        "surface": [known.surface.get(one) for one in surface_predictors(settings)],
        "last_loss": {key.name: loss for key, loss in known.last_loss.items()},
        "seconds": {key.name: seconds for key, seconds in known.seconds.items()},
        "sha256": {path.name: integrity.digest(content) for path, content in contents.items()},
    }
    # The record is never beside other tables: a kill leaves none, which the next run makes.
    for path in (folder.evaluation, folder.rates):
        files.remove(path)
    records.write_record(folder.evaluation_record, record)
    for path in reversed(contents):
        files.write_bytes(path, contents[path])
    return known


def bring_up_to_date(subject: Subject, settings: Settings) -> Facts:
    """Evaluate a subject or fold unless its tables are those of these settings and fits, unchanged."""
    record = _current_record(subject, settings)
    paths = (subject.folder.evaluation, subject.folder.rates)
    found = {path.name: integrity.file_digest(path) for path in paths if path.is_file()}
    if record and record["sha256"] == found:
        return _recorded(subject, settings, record)
    return evaluate(subject, settings)


def bring_folds_up_to_date(subject: Subject, settings: Settings) -> None:
    """Evaluate the folds within a subject, which choose its rates, before the subject is looked at.

    Where it is no longer complete, its table goes.
    """
    for fold in subject.folds:
        if fold.done:
            bring_up_to_date(fold, settings)
    if isinstance(subject, CrossValidated) and not subject.done:
        files.remove(subject.folder.evaluation)
        files.remove(subject.folder.evaluation_record)


def facts(subject: Subject, settings: Settings) -> Facts:
    """Facts from evaluation.json where it is current, else computed."""
    record = _current_record(subject, settings)
    if record:
        return _recorded(subject, settings, record)
    chosen = chosen_rates(rate_choice.choose(subject, settings))
    return _facts(subject, settings, read_stored(subject, settings, subject.done, chosen), chosen)


def _recorded(subject: Subject, settings: Settings, record: Mapping[str, Any]) -> Facts:
    """Facts from evaluation.json, which is current."""
    surface = zip(surface_predictors(settings), record["surface"], strict=True)
    keys = [*subject.done, *plan.evaluated(settings)]
    return Facts(
        {one: tuple(scores) for one, scores in surface if scores is not None},
        *(
            {key: record[name][key.name] for key in keys if key.name in record[name]}
            for name in ("last_loss", "seconds")
        ),
    )


def fingerprint(subject: Subject, settings: Settings) -> str:
    """Fingerprint of all that decides the evaluation: settings, trials, predictions, and its arithmetic."""
    training = settings.training
    folder = subject.folder
    if isinstance(subject, CrossValidated):
        of_folds = [fingerprint(fold, settings) for fold in subject.folds]
        trials = [integrity.file_digest(path) for path in (folder.trials, folder.data)]
        return config.fingerprint({"version": VERSION, "trials": trials, "folds": of_folds})
    done = {key.name: subject.fits[key] for key in subject.done}
    done |= {name: content for name, content in subject.baselines.items() if content["state"] == "done"}
    return config.fingerprint(
        {
            "version": VERSION,
            "metrics": list(METRICS),
            "evaluation": settings.evaluation.model_dump(mode="json"),
            "schedules": {name: arm.model_dump(mode="json") for name, arm in settings.schedules.items()},
            "training": [training.initial_rates, training.seeds, training.store],
            **_choice(subject, settings),
            "trials": [integrity.file_digest(path) for path in (folder.trials, folder.data)],
            "predictions": {name: _digest(subject, name, content) for name, content in done.items()},
            "averages": {
                key.name: integrity.file_digest(folder.fit(key.name).averages)
                for key in subject.done
                if subject.has_averages(key)
            },
        }
    )


def _choice(subject: Subject, settings: Settings) -> dict[str, Any]:
    """What decides which rates are chosen; empty where none are."""
    choice = settings.training.rate_choice
    inner = Subject(subject.folder.rate_choice)
    if choice is None or not inner.folder.data.is_file():
        return {}
    return {
        "rate_choice": {
            **choice.model_dump(mode="json"),
            "trials": [integrity.file_digest(path) for path in (inner.folder.trials, inner.folder.data)],
            "predictions": {key.name: _digest(inner, key.name, inner.fits[key]) for key in inner.done},
            "failed": sorted(inner.failed),
        }
    }


def _digest(subject: Subject, name: str, content: Mapping[str, Any]) -> str:
    """SHA-256 of a fit's predictions.npz; computed where fit.json is older than such digests."""
    listed: str = content.get("sha256", {}).get("predictions.npz", "")
    if listed:
        return listed
    path = (subject.folder.baseline if name in BASELINES else subject.folder.fit)(name).predictions
    return integrity.file_digest(path) if path.is_file() else ""


def _current_record(subject: Subject, settings: Settings) -> dict[str, Any]:
    """evaluation.json if it is of these settings and fits, else empty."""
    with suppress(UserError):  # whatever was changed in it
        record = subject.evaluation_record
        if record and record["fingerprint"] == fingerprint(subject, settings):
            return record
    return {}


def _facts(subject: Subject, settings: Settings, stored: Stored, chosen: Chosen) -> Facts:
    surface = stored_scores(tables.labels(subject), stored, surface_predictors(settings))
    if isinstance(subject, CrossValidated):
        of_folds = [facts(fold, settings) for fold in subject.folds]
        return Facts(
            surface,
            {key: max(fold.last_loss[key] for fold in of_folds) for key in subject.done},
            {key: float(np.mean([fold.seconds[key] for fold in of_folds])) for key in subject.done},
        )
    histories = {key: subject.history(key) for key in subject.done}
    return Facts(
        surface,
        with_tuned({key: float(one["loss"].iloc[-1]) for key, one in histories.items()}, chosen),
        with_tuned({key: float(one["seconds"].cumsum().iloc[-1]) for key, one in histories.items()}, chosen),
    )
