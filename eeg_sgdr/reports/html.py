"""Render pages from templates, and numbers that name their row of comparison.csv."""

import base64
import re
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import mne
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup as Html
from markupsafe import escape
from matplotlib.figure import Figure

from eeg_sgdr import settings as config
from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.reports.figures import canvas
from eeg_sgdr.reports.wording import counted, p_value, percent
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage.results import Results, fit_seconds

#: Characters of a cell from which on its lines may break.
LONG = 32


def assemble(title: str, content: Mapping[str, str]) -> str:
    """One self-contained page of sections by title."""
    report = mne.Report(title=title, verbose="error")
    report.add_custom_css((resources.files("eeg_sgdr.reports") / "templates/page.css").read_text("utf-8"))
    for name, html in content.items():
        report.add_html(str(html), name, tags=())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        report.save(path, open_browser=False, overwrite=True, verbose="error")
        text = path.read_text(encoding="utf-8")
    # MNE writes the moment of making into the footer, where it would differ each time.
    body, tag, footer = text.rpartition("<footer>")
    return body + tag + re.sub(r"Created on [-\d]+ [:\d]+ via", "Made with", footer)


def render(template: str, **values: Any) -> Html:
    """HTML of a template; values are escaped unless they are Html."""
    return Html(_ENVIRONMENT.get_template(template).render(values))  # noqa: S704 (escaped by the template)


def made(results: Results, fits: Sequence[dict[str, Any]] = (), versions: Sequence[str] = ()) -> Html:
    """How a page was made and can be made again; `fits` are the contents of fit.json that it rests on."""
    return render(
        "made.html",
        folder=f"results/{results.root.resolve().name}",
        n_fits=len(fits),
        seconds=sum(map(fit_seconds, fits)),
        moment=time.strftime("%Y-%m-%d at %H:%M:%S %z"),
        versions=versions,
        configuration=config.to_yaml(results.settings),
    )


def unbroken(text: str) -> Html:
    """Escaped, with no line broken between a number and its unit."""
    if isinstance(text, Html):
        return text
    return escape(re.sub(r"(\d) (?=%|Hz|s\b|µV)", "\\1\N{NO-BREAK SPACE}", text))


def cell_class(cell: str) -> str:
    """CSS class of a cell: those that begin with a number stand to the right, long ones may break."""
    text = cell.striptags() if isinstance(cell, Html) else cell
    if text.removeprefix("-")[:1].isdigit():
        return "number"
    return "long" if len(text) > LONG else ""


_ENVIRONMENT = Environment(
    loader=PackageLoader("eeg_sgdr.reports"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_ENVIRONMENT.filters |= {
    "cell_class": cell_class,
    "counted": counted,
    "joined": joined,
    "percent": percent,
    "unbroken": unbroken,
}
_MACROS: Any = _ENVIRONMENT.get_template("macros.html").module

paragraphs, bullets, heading, code = _MACROS.paragraphs, _MACROS.bullets, _MACROS.heading, _MACROS.code

#: A text that leads to an address.
link = _MACROS.link

#: A text that shows a number, with the row and column of comparison.csv that it comes from.
marked = _MACROS.marked


def phrase(*parts: str) -> Html:
    """Texts and HTML in one piece."""
    return Html("").join(map(unbroken, parts))


def folded(title: str, html: str) -> Html:
    """Something long that opens when its title is clicked."""
    return _MACROS.folded(title, caller=lambda: html)


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    marked: Collection[int] = (),
) -> Html:
    """A table with its caption; `marked` rows, from 0, are shaded."""
    return _MACROS.table(header, rows, marked, caller=lambda: unbroken(caption))


class Image(NamedTuple):
    """A figure as a data URL, and its width in pixels."""

    address: str
    width: int


def image(figure: Figure, kind: str, simulated: bool) -> Image:
    """A figure for a template: curves are sharp and small as svg, maps as png; says "simulated" on it."""
    if simulated:
        canvas.watermark(figure, "simulated recordings")
    content = base64.b64encode(canvas.encode(figure, kind)).decode()
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    return Image(f"data:{mime};base64,{content}", round(100 * figure.get_figwidth()))


def picture(figure: Figure, caption: Sequence[str], kind: str, simulated: bool) -> Html:
    """A figure with its caption, a paragraph each: what it shows, and how to judge it."""
    return _MACROS.figure(image(figure, kind, simulated), caller=lambda: paragraphs(caption))


#: A row of comparison.csv by column, and "line": its number in the file, whose first line is the header.
Row = dict[str, Any]

#: What stands where there is no number.
NONE = Html("none")


def numbered_lines(comparison: pd.DataFrame, family: str) -> list[Row]:
    """Rows of a family, with their numbers in the file."""
    numbered = comparison.assign(line=np.arange(len(comparison)) + 2)
    return records(numbered[numbered["family"] == family])


def points(row: Row, column: str = "estimate") -> Html:
    """A fraction as percent or points, to a tenth."""
    return decimal(row, column, digits=1, factor=100)


def size(row: Row) -> Html:
    """A difference in points without its sign, for sentences that say better or worse."""
    return marked(row, "estimate", f"{abs(100 * row['estimate']):.1f}")


def decimal(row: Row, column: str = "estimate", digits: int = 2, factor: float = 1) -> Html:
    """A number with so many digits after the point."""
    value = row[column]
    if pd.isna(value):
        return NONE
    if np.isinf(value):
        return marked(row, column, "infinite")
    # What rounds to zero has no sign.
    return marked(row, column, f"{round(factor * value, digits) + 0.0:.{digits}f}")


def whole(row: Row, column: str) -> Html:
    """A whole number; epochs that are infinite were not reached, medians may lie between two."""
    value = row[column]
    if pd.isna(value):
        return NONE
    return marked(row, column, "not reached" if np.isinf(value) else f"{value:g}")


def p(row: Row, column: str = "p") -> Html:
    """A p-value with its sign of equality."""
    if pd.isna(row[column]):
        return NONE
    words, _, digits = p_value(row[column]).rpartition(" ")
    return escape(f"{words} ".replace(" ", "\N{NO-BREAK SPACE}")) + marked(row, column, digits)


def interval(row: Row, factor: float = 100, digits: int = 1) -> Html:
    """Low to high."""
    if pd.isna(row["low"]):
        return NONE
    return Html(" to ").join(decimal(row, column, digits, factor) for column in ("low", "high"))


def pair(row: Row, column: str) -> Html:
    """The column of a, a colon, and that of b."""
    return Html(" : ").join(whole(row, f"{column}_{letter}") for letter in "ab")


def tally(row: Row) -> Html:
    """Units better, equal, worse."""
    return Html(" : ").join(whole(row, name) for name in ("better", "equal", "worse"))


def median(row: Row) -> Html:
    """A median of fractions, and its quartiles."""
    return Html("{} ({})").format(points(row), interval(row))


def basis(row: Row) -> list[str]:
    """How many subjects and seeds a row stands on, and who is missing."""
    return [whole(row, "n_units"), whole(row, "n_seeds"), row["missing"] or NONE]
