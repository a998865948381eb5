"""The answer at the end of a run: comparisons with their verdicts, warnings, and where the report is."""

import shutil
import textwrap
from collections.abc import Sequence

from eeg_sgdr.evaluation.inference import ALPHA
from eeg_sgdr.evaluation.statistics import least_p
from eeg_sgdr.reports import answers, subject
from eeg_sgdr.reports.answers import Answer
from eeg_sgdr.reports.headline import headline
from eeg_sgdr.reports.html import Html, interval, margin, points
from eeg_sgdr.reports.warnings import study_warnings
from eeg_sgdr.reports.wording import counted, duration
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.folders import Study
from eeg_sgdr.storage.results import Results

#: Of a terminal whose width is not known, and of files.
WIDTH = 100

#: Between columns.
GAP = "   "


def answer(results: Results, seconds: float) -> str:
    """What a study, or its only subject, came to; ``seconds`` are those that the run took."""
    study, settings = Study(results.root), results.settings
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    first = next(one for one in results.subjects if one.done)
    page, table = study.report if study.report.is_file() else first.folder.report, ""
    if study.comparison.is_file():
        found = answers.answers(results.comparison, settings)
        table = comparisons(found, settings, width)
        sentences = [*_about(found, settings), *study_warnings(results)]
    else:
        leading = headline(first, settings)
        sentences = [*subject.result(first, settings, leading), *subject.warnings(first, settings)]
    wrapped = (
        textwrap.fill(_plain(text), width, break_long_words=False, break_on_hyphens=False)
        for text in sentences
    )
    closing = f"This took {duration(seconds)}.\nReport: {page.resolve().as_uri()}"
    return "\n" + "\n\n".join(filter(None, [table, *wrapped, closing]))


def comparisons(found: Sequence[Answer], settings: Settings, width: int) -> str:
    """Table of comparisons, as wide as the terminal where their names can be broken so; empty without any."""
    if not found:
        return ""
    header = ["errors (%)", "a better by", "95 % interval", "verdict on a"]
    level = ALPHA / max(1, sum(not one.left_out for one in found))
    rows = [header, *([_plain(cell) for cell in _cells(one, settings.unit, level)] for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = max(24, width - sum(widths) - len(GAP) * len(widths))
    names = [textwrap.wrap(one.comparison.name, room, subsequent_indent="  ") for one in found]
    names.insert(0, ["comparison, a : b"])
    longest = max(len(line) for lines in names for line in lines)
    table = []
    for (first, *rest), row in zip(names, rows, strict=True):
        cells = [first.ljust(longest), *(cell.ljust(size) for cell, size in zip(row, widths, strict=True))]
        table += [GAP.join(cells).rstrip(), *rest]
    return "\n".join(table)


def _cells(one: Answer, unit: str, level: float) -> list[str]:
    """Errors of both sides, difference, interval and verdict; ``level`` is that of one of the tests."""
    row = one.difference
    if one.left_out:
        return ["", "", "", "left out"]
    verdict = row["verdict"] or "described, not tested"
    if verdict == "undecided" and least_p(row["n_units"]) > level:
        # With so few, no test could have found anything.
        verdict = f"undecided, {counted(row['n_units'], unit)}"
    errors = Html(" : ").join(points(one.rows["mean error", side]) for side in "ab")
    return [errors, points(row), interval(row), verdict]


def _about(found: Sequence[Answer], settings: Settings) -> list[str]:
    """What the table is of."""
    answered = [one for one in found if not one.left_out]
    if not answered:
        return ["Nothing is compared yet."]
    within = _plain(margin(answered[0].rows["equivalence", ""]))
    simulated = " Simulated recordings: they say nothing of people's EEG."
    return [
        f"Differences in points, means over {settings.unit}s; equivalent is within {within}."
        f"{simulated if settings.recordings.simulated else ''}"
    ]


def _plain(text: str) -> str:
    """Text without markup."""
    return (text.striptags() if isinstance(text, Html) else text).replace("\N{NO-BREAK SPACE}", " ")
