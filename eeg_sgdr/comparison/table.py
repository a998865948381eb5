"""All rows of comparison.csv."""

import pandas as pd

from eeg_sgdr.comparison.anytime import anytime
from eeg_sgdr.comparison.curves import curve, descriptive
from eeg_sgdr.comparison.diverged import diverged
from eeg_sgdr.comparison.ensembles import ensemble
from eeg_sgdr.comparison.rows import COLUMNS
from eeg_sgdr.comparison.tested import tested
from eeg_sgdr.comparison.units import read_errors, read_people
from eeg_sgdr.formats import COUNTS, TEXTS
from eeg_sgdr.results import Results


def comparison(results: Results) -> pd.DataFrame:
    """One row per number that the study's report shows.

    Parameters
    ----------
    results : Results
        A results folder in which at least one subject has an evaluation.

    Returns
    -------
    table : DataFrame
        The columns of comparison.csv. ``estimate``, ``low`` and ``high`` are a mean with its 95 % t
        interval, or a median (so the quantity says) with the quartiles; errors are fractions between 0
        and 1, differences positive where a is better. ``n_seeds`` is the least of any unit; ``missing``
        names what was expected and is not there.
    """
    settings = results.settings
    errors = read_errors(results.evaluation, settings)
    people = read_people(results.evaluation, settings)
    updates = {
        subject.label: content["updates_per_epoch"]
        for subject in results.subjects
        for content in [subject.fits[key] for key in subject.done[:1]]
    }
    rows = [
        *tested(settings, errors, people, updates),
        *curve(settings, people),
        *descriptive(settings, errors),
        *ensemble(settings, errors, results.subjects),
        *anytime(settings, errors),
        *diverged(settings, errors, results.subjects),
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(dict.fromkeys(COUNTS, "Int64"))
