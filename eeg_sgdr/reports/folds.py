"""A fold's page, and the study page's sections on folds and their test subjects."""

from collections.abc import Sequence

import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr.evaluation.inference import Pairs
from eeg_sgdr.evaluation.predictors import classical
from eeg_sgdr.evaluation.statistics import binomial_interval
from eeg_sgdr.evaluation.tables import IDENTITY, identity, records
from eeg_sgdr.reports import html
from eeg_sgdr.reports.answers import Answer
from eeg_sgdr.reports.data import members, resampled_subjects
from eeg_sgdr.reports.figures.curves import slopes
from eeg_sgdr.reports.headline import Headline, headline
from eeg_sgdr.reports.html import Html, Image, assemble, image, render
from eeg_sgdr.reports.subject import content
from eeg_sgdr.reports.tables import unit_pair
from eeg_sgdr.reports.wording import page_title, percent, short_name
from eeg_sgdr.settings import BASELINES, Settings
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject


def fold_report(results: Results, fold: Subject) -> None:
    """Write report.html of an evaluated fold; raises UserError if it cannot be written."""
    files.write_text(fold.folder.report, page(results, fold))


# As for a subject's page: maps are slow where threads wait for each other.
@threadpool_limits.wrap(limits=1)
def page(results: Results, fold: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    leading = headline(fold, results.settings)
    shared = content(results, fold, leading)
    sections = {
        "Result": shared.pop("Result"),
        "Error of each test subject": _test_subjects(fold, results.settings, leading),
        "Who trains and who tests": members(fold),
        **shared,
    }
    return assemble(page_title(results, fold), sections)


def _test_subjects(fold: Subject, settings: Settings, leading: Headline) -> Html:
    """Errors of the predictors of the first sentence in each test subject, and over all of them."""
    shown = {short_name(settings, one.predictor): one.predictor for one in leading.contenders}
    rows = {(row["subject"], *(row[name] for name in IDENTITY)): row for row in records(fold.evaluation)}
    shown |= {
        words: classical(name)
        for name, words in BASELINES.items()
        if ("all", *identity(classical(name))) in rows
    }
    labels = [*fold.test_subjects, "all"]
    by_name = {name: [rows[label, *identity(one)] for label in labels] for name, one in shown.items()}
    n_test = [str(row["n_test"]) for row in next(iter(by_name.values()))]
    cells = [list(map(_error, column)) for column in by_name.values()]
    return render(
        "test_subjects.html",
        error_columns=[f"Errors, {name}" for name in by_name],
        rows=list(zip(labels, n_test, *cells, strict=True)),
        slopes=_slopes(by_name, fold.data["simulated"]) if len(leading.contenders) > 1 else None,
    )


def _slopes(by_name: dict[str, list[dict[str, float]]], simulated: bool) -> Image:
    """A line per subject, from the second predictor's error to the first's; the last row is over all."""
    a, b = list(by_name)[:2]
    errors = {side: [row["error"] for row in by_name[name][:-1]] for side, name in (("a", a), ("b", b))}
    pairs = Pairs(a.replace(", ", "\n"), b.replace(", ", "\n"), pd.DataFrame(errors))
    return image(slopes({"Error of each test subject": pairs}), "svg", simulated)


def _error(row: dict[str, float]) -> str:
    n_errors = round(row["error"] * row["n_test"])
    low, high = binomial_interval(n_errors, int(row["n_test"]))
    return f"{n_errors} ({percent(row['error'])} %, {percent(low)} to {percent(high)} %)"


def membership(folds: Sequence[Subject]) -> Html:
    """Test subjects of each fold, number of training subjects, and resampled recordings."""
    rows = [
        [
            fold.label,
            ", ".join(fold.test_subjects),
            *(str(len(labels)) for labels in (fold.test_subjects, fold.data["train_subjects"])),
        ]
        for fold in folds
    ]
    return render("folds.html", rows=rows, resampled=resampled_subjects(folds[0]))


def given_networks(found: Sequence[Answer]) -> Html:
    """Every comparison over the test subjects, conditional on the trained networks."""
    rows = []
    for answer in found:
        if not answer.left_out:
            row = answer.rows["conditional mean difference", ""]
            numbers = html.points(row), html.interval(row), html.p(row), html.tally(row)
            rows.append([answer.comparison.name, *numbers, *html.basis(row)])
    return render("given_networks.html", rows=rows)


def subject_errors(found: Sequence[Answer], labels: Sequence[str]) -> Html:
    """Both sides' error in every test subject, folded."""
    answered = [answer for answer in found if not answer.left_out]
    return render(
        "subject_errors.html",
        comparisons=[answer.comparison.name for answer in answered],
        rows=[[label, *(unit_pair(answer, "subject", label) for answer in answered)] for label in labels],
    )
