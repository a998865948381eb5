"""comparison.csv: all its rows, and bringing it up to date."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from eeg_sgdr.evaluation import tables
from eeg_sgdr.evaluation.anytime import anytime
from eeg_sgdr.evaluation.curves import curve, descriptive, diverged
from eeg_sgdr.evaluation.ensembles import ensemble
from eeg_sgdr.evaluation.inference import hypothesis_tests
from eeg_sgdr.evaluation.units import read_errors, read_subject_errors
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.schemas import COMPARISON, COUNTS, TEXTS


def comparison(results: Results) -> pd.DataFrame:
    """One row per number that the study's report shows; columns as `storage.schemas` documents them."""
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
        *descriptive(settings, errors),
        *ensemble(settings, errors, results.subjects),
        *anytime(settings, errors),
        *diverged(settings, errors, results.subjects),
    ]
    table = pd.DataFrame(rows, columns=list(COMPARISON))
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(dict.fromkeys(COUNTS, "Int64"))


def update(root: Path, evaluated: Collection[str]) -> Results | None:
    """Write comparison.csv of a study of several subjects, or of one that has it already.

    ``evaluated`` are the subjects whose evaluation.csv is new. Those of the others are computed again first:
    with other settings of the evaluation they would be of another kind. Returns the folder with the table, or
    None when there is nothing to compare.
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
    # Tables are read when they are asked for, so these are the new ones.
    files.write_csv(path, comparison(results))
    return results
