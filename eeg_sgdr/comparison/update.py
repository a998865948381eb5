"""Bring comparison.csv of a results folder up to date."""

from collections.abc import Collection
from pathlib import Path

from eeg_sgdr import store, tables
from eeg_sgdr.comparison.table import comparison
from eeg_sgdr.results import Results


def update(root: Path, evaluated: Collection[str]) -> Path | None:
    """Write comparison.csv of a study of several subjects, or of one that has it already.

    Parameters
    ----------
    root : Path
        The results folder.
    evaluated : collection of str
        Labels of the subjects whose evaluation.csv is new. Those of the others are computed again first:
        with other settings of the evaluation they would be of another kind.

    Returns
    -------
    path : Path | None
        The table; None when there is nothing to compare.
    """
    results = Results(root)
    path = store.Study(root).comparison
    done = [subject for subject in results.subjects if subject.done]
    named = results.settings.recordings.subjects
    n_subjects = len(done) if named == "all" else len(named)
    if not done or (n_subjects < 2 and not path.is_file()):
        return None
    for subject in done:
        if subject.label not in evaluated:
            store.write_csv(subject.folder.evaluation, tables.evaluation(subject, results.settings))
    store.write_csv(path, comparison(Results(root)))
    return path
