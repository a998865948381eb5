"""A fold's report: the sections of a subject's, and the people who train and test in it."""

from collections.abc import Collection, Sequence

import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from eeg_sgdr.evaluation.inference import Pairs
from eeg_sgdr.evaluation.predictors import CLASSICAL
from eeg_sgdr.evaluation.statistics import binomial_interval
from eeg_sgdr.evaluation.tables import ROW, records, row_of
from eeg_sgdr.reports import html
from eeg_sgdr.reports.answers import Answer
from eeg_sgdr.reports.figures.curves import slopes
from eeg_sgdr.reports.headline import Headline, headline
from eeg_sgdr.reports.html import assemble, folded, paragraphs, picture, table
from eeg_sgdr.reports.subject import content, title
from eeg_sgdr.reports.tables import unit_pair
from eeg_sgdr.reports.wording import counted, percent, short_name
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import Results, Subject


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
    files.write_text(fold.folder.report, page(results, fold))


# As for a subject's page: maps are slow where threads wait for each other.
@threadpool_limits.wrap(limits=1)
def page(results: Results, fold: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    found = headline(fold, results.settings)
    shared = content(results, fold, found)
    first = shared.pop("Result")
    people = {
        "Error of each test subject": people_tested(fold, results.settings, found),
        "Who trains and who tests": who(fold),
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


def membership(folds: Sequence[Subject]) -> str:
    """Which subjects test in each fold, how many train, and whose recordings were resampled.

    Parameters
    ----------
    folds : sequence of Subject
        At least one.
    """
    rows = [
        [fold.label, ", ".join(fold.test_subjects), *(str(len(labels)) for labels in _sides(fold))]
        for fold in folds
    ]
    header = ["Fold", "Subjects that test", "How many test", "How many train"]
    caption = (
        "In each fold all other subjects train: nothing of a subject that tests is in what its fold's "
        "networks were trained on."
    )
    return table(header, rows, caption) + paragraphs(other_rates(folds[0]))


def who(fold: Subject) -> str:
    """Every subject that tests and that trains in one fold, and whose recordings were resampled."""
    rows = [
        [part, str(len(labels)), ", ".join(labels)]
        for part, labels in zip(("test", "train"), _sides(fold), strict=True)
    ]
    caption = "Nothing of the subjects that test is in what the networks were trained on."
    return table(["Split", "How many", "Subjects"], rows, caption) + paragraphs(other_rates(fold))


def _sides(fold: Subject) -> tuple[list[str], list[str]]:
    return fold.test_subjects, fold.data["train_subjects"]


def other_rates(fold: Subject) -> list[str]:
    """Names the subjects whose recordings had to be resampled; nothing where there are none."""
    by_rate: dict[float, dict[str, None]] = {}
    for run, rate in fold.data["resampled"].items():
        # Runs are named subject/session/run.
        by_rate.setdefault(rate, {})[run.split("/")[0]] = None
    if not by_rate:
        return []
    n_people = sum(map(len, _sides(fold)))
    named = [
        f"{_people(labels, n_people)} (recorded at {rate:g} Hz)" for rate, labels in sorted(by_rate.items())
    ]
    return [f"Resampled to {fold.data['sfreq']:g} Hz: {'; '.join(named)}."]


def _people(labels: Collection[str], n_people: int) -> str:
    if len(labels) == n_people:
        return "all subjects"
    return f"{'subject' if len(labels) == 1 else 'subjects'} {joined(labels)}"


def people(found: Sequence[Answer]) -> str:
    """Every comparison over the subjects that were tested, and their errors; no finding rests on it.

    Parameters
    ----------
    found : sequence of Answer
        The comparisons of a study across subjects.
    """
    answered = [answer for answer in found if not answer.left_out]
    rows = []
    for answer in answered:
        row = answer.rows["conditional mean difference", ""]
        rows.append(
            [
                answer.comparison.name,
                html.points(row),
                html.interval(row),
                html.p(row),
                html.tally(row),
                *html.basis(row),
            ]
        )
    header = ["Comparison (a against b)", "Mean difference (points)", "95 % interval, t", "Sign-flip test"]
    header += ["Better : equal : worse", "Subjects", "Seeds", "Missing"]
    return table(
        header,
        rows,
        "Over subjects, given these trained networks: this speaks of other people whom the same networks "
        "decode, not of networks trained anew.",
    ) + paragraphs(
        [
            "Read as if it spoke of networks trained anew, this test would find too much: subjects of a fold "
            "share their networks, so they are no independent observations. It is not corrected for the "
            "number of comparisons, and what is said of the folds does not rest on it."
        ]
    )


def errors(found: Sequence[Answer], labels: Sequence[str]) -> str:
    """Both sides' error in every subject that was tested, to be opened."""
    answered = [answer for answer in found if not answer.left_out]
    rows = [[label, *(unit_pair(answer, "subject", label) for answer in answered)] for label in labels]
    return folded(
        f"Errors of {counted(len(labels), 'subject')}",
        table(
            ["Subject", *(answer.comparison.name for answer in answered)],
            rows,
            "Mean error of each subject over seeds (and rates, where a comparison goes rate by rate), in "
            "percent, as a : b, by the networks of the fold in which it tests.",
        ),
    )
