"""A fold's report: the sections of a subject's, and the people who train and test in it."""

import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from eeg_sgdr import store
from eeg_sgdr.comparison import Pairs
from eeg_sgdr.figures.slopes import slopes
from eeg_sgdr.pages import across
from eeg_sgdr.pages.headline import Headline, headline
from eeg_sgdr.pages.markup import paragraphs, picture, table
from eeg_sgdr.pages.page import assemble
from eeg_sgdr.pages.subject import content, title
from eeg_sgdr.pages.wording import percent, short_name
from eeg_sgdr.predictors import CLASSICAL
from eeg_sgdr.results import Results
from eeg_sgdr.settings import Settings
from eeg_sgdr.statistics import binomial_interval
from eeg_sgdr.subjects import Subject
from eeg_sgdr.tables import ROW, records, row_of


def fold_report(results: Results, fold: Subject) -> None:
    """Write a fold's report.html.

    Parameters
    ----------
    results : Results
        The results folder.
    fold : Subject
        With evaluation.csv, and at least one fit that is done.

    Raises
    ------
    UserError
        If what is on disk cannot be read, or the report cannot be written.
    """
    store.write_text(fold.folder.report, page(results, fold))


# As for a subject's page: maps are slow where threads wait for each other.
@threadpool_limits.wrap(limits=1)
def page(results: Results, fold: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    found = headline(fold, results.settings)
    shared = content(results, fold, found)
    first = shared.pop("Result")
    people = {
        "Error of each test subject": people_tested(fold, results.settings, found),
        "Who trains and who tests": across.who(fold),
    }
    return assemble(title(results, fold), {"Result": first, **people, **shared})


def people_tested(fold: Subject, settings: Settings, found: Headline) -> str:
    """Errors of each test subject by the predictors of the first sentence, and of all together."""
    shown = {short_name(settings, one.predictor): one.predictor for one in found.contenders}
    rows = {(row["subject"], *(row[name] for name in ROW)): row for row in records(fold.evaluation)}
    if ("all", *row_of(CLASSICAL)) in rows:
        shown["classical baseline"] = CLASSICAL
    labels = [*fold.test_subjects, "all"]
    of = {name: [rows[label, *row_of(one)] for label in labels] for name, one in shown.items()}
    trials = [str(row["n_test"]) for row in next(iter(of.values()))]
    cells = [list(map(_error, column)) for column in of.values()]
    html = table(
        ["Subject", "Test trials", *(f"Errors, {name}" for name in of)],
        list(zip(labels, trials, *cells, strict=True)),
        "Errors of the predictors of the first sentence on the trials of each test subject, with exact 95 % "
        "intervals.",
        marked=[len(labels) - 1],
    ) + paragraphs(
        [
            "How to judge it: all were decoded by the same networks, and people differ in how well they can "
            "be decoded at all. An interval is about the trials of its line alone."
        ]
    )
    if len(found.contenders) < 2:
        return html
    caption = [
        "Test error of each subject by the two predictors of the first sentence; each line is a subject of "
        "the table above.",
        "How to judge it: lines that nearly all fall to the right mean that most of these people are decoded "
        "better by the right one; lines that cross are no finding.",
    ]
    errors = pd.DataFrame({name: [row["error"] for row in rows[:-1]] for name, rows in of.items()})
    return html + picture(_slopes(errors), caption, "svg", fold.data["simulated"])


def _slopes(errors: pd.DataFrame) -> Figure:
    """A line for each row, from the second column to the first."""
    a, b = errors.columns[:2]
    sides = errors[[a, b]].set_axis(["a", "b"], axis=1)
    pairs = Pairs(a.replace(", ", "\n"), b.replace(", ", "\n"), sides)
    return slopes({"Error of each test subject": pairs})


def _error(row: dict[str, float]) -> str:
    n_errors = round(row["error"] * row["n_test"])
    low, high = binomial_interval(n_errors, int(row["n_test"]))
    return f"{n_errors} ({percent(row['error'])} %, {percent(low)} to {percent(high)} %)"
