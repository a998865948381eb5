"""comparison.csv: all rows, and the update of the file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.anytime import anytime
from eeg_sgdr.evaluation.descriptive import curve, diverged, learned, untested
from eeg_sgdr.evaluation.ensembles import ensemble
from eeg_sgdr.evaluation.inference import hypothesis_tests, likelihoods
from eeg_sgdr.evaluation.metrics import chance
from eeg_sgdr.evaluation.rate_choice import choices
from eeg_sgdr.evaluation.stored import Facts, bring_folds_up_to_date, bring_up_to_date, facts
from eeg_sgdr.evaluation.tables import labels
from eeg_sgdr.evaluation.units import read_errors, read_subject_errors
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.columns import COMPARISON, COUNTS, TEXTS
from eeg_sgdr.storage.integrity import digest, file_digest
from eeg_sgdr.storage.records import write_record
from eeg_sgdr.storage.results import Results


def comparison(results: Results) -> pd.DataFrame:
    """One row per number of the study's page; columns as in `storage.columns`."""
    return _table(results, {subject.label: facts(subject, results.settings) for subject in results.subjects})


def _table(results: Results, of_unit: Mapping[str, Facts]) -> pd.DataFrame:
    """The table from evaluations, and from the facts of every unit."""
    settings = results.settings
    errors = read_errors(results.evaluation, settings)
    subject_errors = read_subject_errors(results.evaluation, settings)
    updates = {
        subject.label: content["updates_per_epoch"]
        for subject in results.subjects
        for content in [subject.fits[key] for key in subject.done[:1]]
    }
    nll, scaled, temperatures = (
        read_errors(results.evaluation, settings, metric) for metric in ("nll", "nll_scaled", "temperature")
    )
    last_losses = {
        subject.label: [facts(fold, settings).last_loss for fold in subject.folds]
        or [of_unit[subject.label].last_loss]
        for subject in results.subjects
        if subject.label in of_unit
    }
    rows = [
        *hypothesis_tests(settings, errors, subject_errors, updates, _test_ratio(results), results.plan),
        *likelihoods(settings, nll, scaled, temperatures),
        *curve(settings, subject_errors),
        *untested(settings, errors),
        *ensemble(settings, errors, {unit: known.surface for unit, known in of_unit.items()}),
        *anytime(settings, errors),
        *choices(settings, errors, {subject.label: subject.rates for subject in results.subjects}),
        *diverged(settings, errors, last_losses),
        *learned(
            settings,
            errors,
            {subject.label: chance(labels(subject)) for subject in results.subjects if subject.done},
        ),
    ]
    table = pd.DataFrame(rows, columns=list(COMPARISON))
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(dict.fromkeys(COUNTS, "Int64"))


def _test_ratio(results: Results) -> float:
    """Number of test subjects to that of training subjects, mean over folds; 0 without folds."""
    of_folds = [subject.data for subject in results.subjects if subject.fold]
    ratios = [len(data["test_subjects"]) / len(data["train_subjects"]) for data in of_folds]
    return float(np.mean(ratios)) if ratios else 0.0


def update(root: Path) -> Results | None:
    """Write comparison.csv of a study of several subjects, or where it exists; None if nothing to compare.

    Subjects are evaluated again first where their tables are of other settings or fits.
    """
    results = Results(root)
    study = folders.Study(root)
    path = study.comparison
    for subject in results.subjects:
        bring_folds_up_to_date(subject, results.settings)
    done = [subject for subject in results.subjects if subject.done]
    named = results.settings.recordings.subjects
    n_subjects = len(done) if named == "all" else len(named)
    if not done or (n_subjects < 2 and not path.is_file()):
        return None
    of_unit = {subject.label: bring_up_to_date(subject, results.settings) for subject in done}
    # Results reads tables when they are asked for, so these are the new ones.
    table = files.csv_bytes(_table(results, of_unit))
    files.remove(path)  # the record is never beside another table
    of_plan = {study.plan.name: file_digest(study.plan)} if study.plan.is_file() else {}
    write_record(study.comparison_record, {"sha256": {path.name: digest(table), **of_plan}})
    files.write_bytes(path, table)
    return results
