"""Pages from templates, figures in them, and numbers that name their row of comparison.csv."""

import base64
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from importlib import resources
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
from eeg_sgdr.reports.methods import bibtex
from eeg_sgdr.reports.wording import counted, p_value, percent
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage.files import temporary_folder
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import fit_seconds

#: Longest cell, in characters, whose line is not broken.
LONG = 32


def assemble(title: str, content: Mapping[str, str]) -> str:
    """A self-contained page from its sections, HTML by title."""
    report = mne.Report(title=title, verbose="error")
    templates = resources.files("eeg_sgdr.reports") / "templates"
    report.add_custom_css((templates / "page.css").read_text("utf-8"))
    report.add_custom_js((templates / "page.js").read_text("utf-8"))
    for name, html in content.items():
        report.add_html(str(html), name, tags=())
    with temporary_folder() as folder:
        path = folder / "report.html"
        report.save(path, open_browser=False, overwrite=True, verbose="error")
        text = path.read_text(encoding="utf-8")
    # MNE writes the time into the footer, which would differ each time, and a link away from the folder.
    body, tag, footer = text.rpartition("<footer>")
    footer = re.sub(r"Created on [-\d]+ [:\d]+ via", "Made with", footer)
    return body + tag + re.sub(r"</?a\b[^>]*>", "", footer)


def render(template: str, **values: Any) -> Html:
    """HTML of a template; values are escaped unless they are Html."""
    return Html(_ENVIRONMENT.get_template(template).render(values))  # noqa: S704 (escaped by the template)


def made(
    results: Results,
    fits: Sequence[dict[str, Any]] = (),
    versions: Sequence[str] = (),
    template: str = "made.html",
    **values: Any,
) -> Html:
    """How a page was made and can be made again; `fits` are contents of the fit.json that it rests on."""
    return render(
        template,
        folder=shlex.quote(str(results.root)),
        n_fits=len(fits),
        seconds=sum(map(fit_seconds, fits)),
        moment=time.strftime("%Y-%m-%d at %H:%M:%S %z"),
        versions=versions,
        configuration=config.to_yaml(results.settings),
        **values,
    )


def unbroken(text: str) -> Html:
    """Escape a text, with no-break spaces between numbers and their units."""
    if isinstance(text, Html):
        return text
    return escape(re.sub(r"(\d) (?=%|Hz|s\b|µV)", "\\1\N{NO-BREAK SPACE}", text))


def cell_class(cell: str) -> str:
    """CSS class of a cell: numbers are aligned to the right, long texts may be broken."""
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
    "bibtex_url": lambda references: _data_url("application/x-bibtex", bibtex(references).encode()),
    "cell_class": cell_class,
    "counted": counted,
    "joined": joined,
    "percent": percent,
    "unbroken": unbroken,
}
_MACROS: Any = _ENVIRONMENT.get_template("macros.html").module

#: A link, from its address and text.
link = _MACROS.link

#: The text of a number, with the row and column of comparison.csv that it comes from.
marked = _MACROS.marked


def phrase(*parts: str) -> Html:
    """Join texts, which are escaped, and HTML."""
    return Html("").join(map(unbroken, parts))


class Image(NamedTuple):
    """A figure for a page: an svg element or, of a bitmap, its data URL; and its width in pixels."""

    svg: Html
    address: str
    width: int


def image(figure: Figure, kind: str, simulated: bool) -> Image:
    """Encode a figure for a template: curves as svg, maps as png; with a watermark where simulated."""
    if simulated:
        canvas.watermark(figure, "simulated recordings")
    width = round(100 * figure.get_figwidth())
    if kind == "svg":
        return Image(Html(canvas.inline(figure)), "", width)  # noqa: S704 (escaped by matplotlib)
    return Image(Html(), _data_url("image/png", canvas.encode(figure, kind)), width)


def _data_url(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


#: A row of comparison.csv by column, with its line in the file (from 1, the header) as "line".
Row = dict[str, Any]

#: Shown instead of a missing number.
NONE = Html("none")


def numbered_lines(comparison: pd.DataFrame, family: str) -> list[Row]:
    """Rows of a family, with their lines in the file."""
    numbered = comparison.assign(line=np.arange(len(comparison)) + 2)
    return records(numbered[numbered["family"] == family])


def points(row: Row, column: str = "estimate") -> Html:
    """A fraction in percent or percentage points, with one decimal."""
    return decimal(row, column, digits=1, factor=100)


def margin(row: Row) -> Html:
    """The margin of equivalence in points, with its noun."""
    points = round(100 * row["estimate"], 9)
    return phrase(marked(row, "estimate", f"{points:g}"), " point" if points == 1 else " points")


def absolute(row: Row) -> Html:
    """A difference in points without its sign."""
    return marked(row, "estimate", f"{abs(100 * row['estimate']):.1f}")


def decimal(row: Row, column: str = "estimate", digits: int = 2, factor: float = 1) -> Html:
    """A number times ``factor``, with ``digits`` decimals."""
    value = row[column]
    if pd.isna(value):
        return NONE
    if np.isinf(value):
        return marked(row, column, "infinite")
    # What rounds to zero has no sign.
    return marked(row, column, f"{round(factor * value, digits) + 0.0:.{digits}f}")


def whole(row: Row, column: str) -> Html:
    """A count or a median of counts; infinite epochs were not reached."""
    value = row[column]
    if pd.isna(value):
        return NONE
    return marked(row, column, "not reached" if np.isinf(value) else f"{value:g}")


def p(row: Row, column: str = "p") -> Html:
    """A p-value: "p = 0.03", "p < 0.001"."""
    if pd.isna(row[column]):
        return NONE
    words, _, digits = p_value(row[column]).rpartition(" ")
    return escape(f"{words} ".replace(" ", "\N{NO-BREAK SPACE}")) + marked(row, column, digits)


def interval(row: Row, factor: float = 100, digits: int = 1) -> Html:
    """The ends of an interval: low to high."""
    if pd.isna(row["low"]):
        return NONE
    return Html(" to ").join(decimal(row, column, digits, factor) for column in ("low", "high"))


def pair(row: Row, column: str) -> Html:
    """A column of both sides, as a : b."""
    return Html(" : ").join(whole(row, f"{column}_{letter}") for letter in "ab")


def tally(row: Row) -> Html:
    """Numbers of units in which a is better, equal and worse."""
    return Html(" : ").join(whole(row, name) for name in ("better", "equal", "worse"))


def with_ends(row: Row) -> Html:
    """A median, or mean, of fractions with its quartiles, or interval."""
    return Html("{} ({})").format(points(row), interval(row))


def basis(row: Row) -> list[str]:
    """Numbers of units and seeds behind a row, and which are missing."""
    return [whole(row, "n_units"), whole(row, "n_seeds"), row["missing"] or NONE]
