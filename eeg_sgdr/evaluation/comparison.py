"""comparison.csv: all rows, and the update of the file."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from eeg_sgdr.evaluation import tables
from eeg_sgdr.evaluation.anytime import anytime
from eeg_sgdr.evaluation.descriptive import curve, diverged, untested
from eeg_sgdr.evaluation.ensembles import ensemble
from eeg_sgdr.evaluation.inference import hypothesis_tests
from eeg_sgdr.evaluation.units import read_errors, read_subject_errors
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.schemas import COMPARISON, COUNTS, TEXTS


def comparison(results: Results) -> pd.DataFrame:
    """One row per number of the study's page; columns as in `storage.schemas`."""
    settings = results.settings
    errors = read_errors(results.evaluation, settings)
    subject_errors = read_subject_errors(results.evaluation, settings)
    updates = {
        subject.label: content["updates_per_epoch"]
        for subject in results.subjects
        for content in [subject.fits[key] for key in subject.done[:1]]
    }
    rows = [
        *hypothesis_tests(settings, errors, subject_errors, updates),
        *curve(settings, subject_errors),
        *untested(settings, errors),
        *ensemble(settings, errors, results.subjects),
        *anytime(settings, errors),
        *diverged(settings, errors, results.subjects),
    ]
    table = pd.DataFrame(rows, columns=list(COMPARISON))
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(dict.fromkeys(COUNTS, "Int64"))


def update(root: Path, evaluated: Collection[str]) -> Results | None:
    """Write comparison.csv of a study of several subjects, or where it exists; None if nothing to compare.

    evaluation.csv of subjects not in ``evaluated`` is computed again first: it may have been made with other
    settings of the evaluation.
    """
    results = Results(root)
    path = folders.Study(root).comparison
    done = [subject for subject in results.subjects if subject.done]
    named = results.settings.recordings.subjects
    n_subjects = len(done) if named == "all" else len(named)
    if not done or (n_subjects < 2 and not path.is_file()):
        return None
    for subject in done:
        if subject.label not in evaluated:
            files.write_csv(subject.folder.evaluation, tables.evaluation(subject, results.settings))
    # Results reads tables when they are asked for, so these are the new ones.
    files.write_csv(path, comparison(results))
    return results
