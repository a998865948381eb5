"""The report of recordings before anything is trained on them."""

import time

import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr import settings as config
from eeg_sgdr.reports import folds, methods
from eeg_sgdr.reports.html import assemble, bullets, code, folded, heading, paragraphs, table
from eeg_sgdr.reports.methods import preprocessing, references
from eeg_sgdr.reports.subject import recordings, title
from eeg_sgdr.reports.wording import counted, whose
from eeg_sgdr.settings.types import joined, plain
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import Results, Subject


def data_report(results: Results, subject: Subject) -> None:
    """Write the report.html of a subject or fold that has trials and no fits.

    Parameters
    ----------
    results : Results
        The results folder.
    subject : Subject
        With trials.csv, data.json and summary.npz.

    Raises
    ------
    UserError
        If what is on disk cannot be read, or the report cannot be written.
    """
    files.write_text(subject.folder.report, page(results, subject))


# As for a subject's page: maps are slow where threads wait for each other.
@threadpool_limits.wrap(limits=1)
def page(results: Results, subject: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    first = paragraphs(methods.of_recordings(subject), "warning") + paragraphs([_result(subject)], "result")
    steps = [preprocessing(results.settings, subject)]
    content = {
        "Result": first + paragraphs(["Nothing has been trained on these recordings yet."]),
        "Recordings": recordings(subject),
        **(
            {"Subject by subject": _people(subject), "Who trains and who tests": folds.who(subject)}
            if subject.fold
            else {}
        ),
        "Methods": paragraphs(steps) + heading("References") + bullets(references(steps, results.settings)),
        "Configuration, and this report again": _origin(results),
    }
    return assemble(title(results, subject), content)


def _result(subject: Subject) -> str:
    trials, data = subject.trials, subject.data
    kept = trials["rejected"] == ""
    n = trials.loc[kept, "split"].value_counts()
    simulated = "simulated " if data["simulated"] else ""
    of = whose(subject) if not subject.fold else f"{counted(trials['subject'].nunique(), 'subject')}"
    return (
        f"Of {counted(len(trials), f'{simulated}trial')} of {of}, {kept.sum()} can be used: {n['train']} to "
        f"train and {n['test']} to test, of {joined(map(plain, data['classes']))}, from "
        f"{counted(len(data['sensors']), 'sensor')} at {data['sfreq']:g} Hz."
    )


def _people(fold: Subject) -> str:
    """Trials of each subject of a fold."""
    rows = []
    for label, trials in fold.trials.groupby("subject", sort=False):
        rejected = trials.loc[trials["rejected"] != "", "rejected"]
        rows.append([str(label), trials["split"].iloc[0], *_counts(rejected, len(trials))])
    return table(
        ["Subject", "Split", "Used", "Rejected", "Most often for"],
        rows,
        "Trials of each subject.",
        marked=[i for i, row in enumerate(rows) if int(row[3]) > int(row[2])],
    ) + paragraphs(["How to judge it: subjects of whose trials more than half are rejected are shaded."])


def _counts(rejected: pd.Series, n: int) -> list[str]:
    commonest = rejected.value_counts()
    # Of equally frequent ones the first in the alphabet, so that the page is always the same.
    why = min(commonest.items(), key=lambda item: (-item[1], item[0])) if len(commonest) else ("", 0)
    return [str(n - len(rejected)), str(len(rejected)), f"{why[0]} ({why[1]})" if why[1] else ""]


def _origin(results: Results) -> str:
    return (
        heading("This report again")
        + paragraphs(["From the results folder alone:"])
        + code(f"python -m eeg_sgdr.report results/{results.root.resolve().name}")
        + f'<p id="made">This page was made on {time.strftime("%Y-%m-%d at %H:%M:%S %z")}.</p>\n'
        + folded("Configuration (config.yaml)", code(config.to_yaml(results.settings)))
    )
