"""HTML of reports: one page, its markup, and numbers that name their row of comparison.csv."""

import base64
import re
import tempfile
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import mne
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.reports.figures import canvas
from eeg_sgdr.reports.wording import p_value

CSS = """
#content { padding: 0 1.5rem 4rem; }
#content p, #content li, #content figcaption { max-width: 60rem; }
#content figure { margin: 1.2rem 0 2rem; }
#content figure img { max-width: 100%; height: auto; }
#content figcaption p { margin: 0.2rem 0; color: #444; font-size: 0.95rem; }
#content h4 { margin-top: 1.5rem; font-size: 1.1rem; }
#content .wide { overflow-x: auto; container-type: inline-size; }
#content table { border-collapse: collapse; margin: 0.8rem 0; font-size: 0.8rem; }
#content caption { caption-side: top; color: #444; font-size: 0.95rem; padding: 0.2rem 0; max-width: 100cqw; }
#content th, #content td { padding: 0.1rem 0.3rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
#content th { vertical-align: bottom; white-space: normal; }
#content .number { text-align: right; font-variant-numeric: tabular-nums; }
#content td.long { white-space: normal; min-width: 15rem; }
#content tr.marked { background: #fff3cd; }
#content p.warning { padding: 0.5rem 0.8rem; border-left: 5px solid #D55E00; background: #fdf0e7; }
#content p.result { font-size: 1.2rem; }
#content pre { font-size: 0.85rem; background: #f6f6f6; padding: 0.6rem; }
#content data { white-space: nowrap; }
#content .answers li { margin: 0.5rem 0; font-size: 1.1rem; }
#filter-by-tags-dropdown-menu { display: none; }
"""


def assemble(title: str, content: dict[str, str]) -> str:
    """One self-contained page.

    Parameters
    ----------
    title : str
        Its title.
    content : dict of str to str
        HTML of each section, by title.

    Returns
    -------
    html : str
    """
    report = mne.Report(title=title, verbose="error")
    report.add_custom_css(CSS)
    for name, html in content.items():
        report.add_html(html, name, tags=())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        report.save(path, open_browser=False, overwrite=True, verbose="error")
        text = path.read_text(encoding="utf-8")
    # MNE writes the moment of making into the footer, where it would differ each time.
    body, tag, footer = text.rpartition("<footer>")
    return body + tag + re.sub(r"Created on [-\d]+ [:\d]+ via", "Made with", footer)


class Html(str):
    """What is HTML already; all other text is escaped where it goes into a page."""


def phrase(*parts: str) -> Html:
    """Texts and HTML in one piece."""
    return Html("".join(map(_unbroken, parts)))


#: Characters of a cell from which on its lines may break.
LONG = 32


def paragraphs(texts: Iterable[str], css_class: str = "") -> str:
    """Texts as paragraphs."""
    attribute = f' class="{escape(css_class)}"' if css_class else ""
    return "".join(f"<p{attribute}>{_unbroken(text)}</p>\n" for text in texts)


def bullets(texts: Iterable[str]) -> str:
    """Texts as a list."""
    return "<ul>\n" + "".join(f"<li>{_unbroken(text)}</li>\n" for text in texts) + "</ul>\n"


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)


def _unbroken(text: str) -> str:
    """Escaped, with no line broken between a number and its unit."""
    if isinstance(text, Html):
        return text
    return re.sub(r"(\d) (?=%|Hz|s\b|µV)", r"\1&nbsp;", escape(text))


def code(text: str) -> str:
    """Text as it is, in type of equal width."""
    return f"<pre>{escape(text)}</pre>\n"


def folded(title: str, html: str) -> str:
    """Something long that opens when its title is clicked."""
    return f"<details><summary>{escape(title)}</summary>\n{html}</details>\n"


def heading(text: str) -> str:
    """A heading within a section."""
    return f"<h4>{escape(text)}</h4>\n"


def link(address: str, text: str) -> Html:
    """A text that leads somewhere."""
    return Html(f'<a href="{escape(quote(address))}">{escape(text)}</a>')


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    marked: Sequence[int] = (),
) -> str:
    """A table with its caption; numbers stand to the right.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        Cells.
    caption : str
        What it shows.
    marked : sequence of int
        Rows to emphasise, from 0.

    Returns
    -------
    html : str
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = ""
    for i, row in enumerate(rows):
        cells = "".join(f"<td{_side(cell)}>{_escaped(cell)}</td>" for cell in row)
        body += f"<tr{' class=marked' if i in marked else ''}>{cells}</tr>\n"
    return (
        f'<div class="wide"><table><caption>{_unbroken(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def _side(cell: str) -> str:
    """Cells that begin with a number stand to the right, long ones may break."""
    text = re.sub(r"<[^>]*>", "", cell) if isinstance(cell, Html) else cell
    if text.removeprefix("-")[:1].isdigit():
        return ' class="number"'
    return ' class="long"' if len(text) > LONG else ""


def picture(figure: Figure, caption: Sequence[str], kind: str, simulated: bool) -> str:
    """A figure within the page, with its caption; says so where recordings were simulated.

    Parameters
    ----------
    figure : Figure
        What.
    caption : sequence of str
        What it shows, and how to judge it; a paragraph each.
    kind : "svg" or "png"
        Curves are sharp and small as svg, maps as png.
    simulated : bool
        Whether the recordings are simulated.

    Returns
    -------
    html : str
    """
    if simulated:
        canvas.watermark(figure, "simulated recordings")
    content = base64.b64encode(canvas.encode(figure, kind)).decode()
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    width = round(100 * figure.get_figwidth())
    return (
        f'<figure><img src="data:{mime};base64,{content}" width="{width}" alt="{escape(caption[0])}">\n'
        f"<figcaption>{paragraphs(caption)}</figcaption></figure>\n"
    )


#: A row of comparison.csv by column, and "line": its number in the file, whose first line is the header.
Row = dict[str, Any]

#: What stands where there is no number.
NONE = "none"


def numbered_lines(comparison: pd.DataFrame, family: str) -> list[Row]:
    """Rows of a family, with their numbers in the file."""
    numbered = comparison.assign(line=np.arange(len(comparison)) + 2)
    return records(numbered[numbered["family"] == family])


def marked(row: Row, column: str, text: str) -> Html:
    """A text that shows a number, with the row and column of comparison.csv that it comes from."""
    line = row["line"]
    return Html(
        f'<data value="{row[column]}" data-row="{line}" data-column="{column}" '
        f'title="comparison.csv, line {line}, {column}">{escape(text)}</data>'
    )


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
        return Html(NONE)
    if np.isinf(value):
        return marked(row, column, "infinite")
    # What rounds to zero has no sign.
    return marked(row, column, f"{round(factor * value, digits) + 0.0:.{digits}f}")


def whole(row: Row, column: str) -> Html:
    """A whole number; epochs that are infinite were not reached, medians may lie between two."""
    value = row[column]
    if pd.isna(value):
        return Html(NONE)
    return marked(row, column, "not reached" if np.isinf(value) else f"{value:g}")


def p(row: Row, column: str = "p") -> Html:
    """A p-value with its sign of equality."""
    if pd.isna(row[column]):
        return Html(NONE)
    words, _, digits = p_value(row[column]).rpartition(" ")
    return Html(escape(f"{words} ").replace(" ", "&nbsp;") + marked(row, column, digits))


def interval(row: Row, factor: float = 100, digits: int = 1) -> Html:
    """Low to high."""
    if pd.isna(row["low"]):
        return Html(NONE)
    low, high = (decimal(row, column, digits, factor) for column in ("low", "high"))
    return Html(f"{low} to {high}")


def pair(row: Row, column: str) -> Html:
    """The column of a, a colon, and that of b."""
    return Html(" : ".join(whole(row, f"{column}_{letter}") for letter in "ab"))


def tally(row: Row) -> Html:
    """Units better, equal, worse."""
    return Html(" : ".join(whole(row, name) for name in ("better", "equal", "worse")))


def median(row: Row) -> Html:
    """A median of fractions, and its quartiles."""
    return Html(f"{points(row)} ({interval(row)})")


def basis(row: Row) -> list[str]:
    """How many subjects and seeds a row stands on, and who is missing."""
    return [whole(row, "n_units"), whole(row, "n_seeds"), row["missing"] or "none"]
