"""Texts, tables and pictures as HTML; every text is escaped on its way in."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from eeg_sgdr.figures import canvas


def paragraphs(texts: Iterable[str], css_class: str = "") -> str:
    """Texts as paragraphs."""
    attribute = f' class="{escape(css_class)}"' if css_class else ""
    return "".join(f"<p{attribute}>{_unbroken(text)}</p>\n" for text in texts)


def bullets(texts: Iterable[str]) -> str:
    """Texts as a list."""
    return "<ul>\n" + "".join(f"<li>{_unbroken(text)}</li>\n" for text in texts) + "</ul>\n"


def _unbroken(text: str) -> str:
    """Escaped, with no line broken between a number and its unit."""
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
        cells = "".join(f"<td{_side(cell)}>{escape(cell)}</td>" for cell in row)
        body += f"<tr{' class=marked' if i in marked else ''}>{cells}</tr>\n"
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def _side(cell: str) -> str:
    return ' class="number"' if cell.removeprefix("-")[:1].isdigit() else ""


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
        canvas.stamp(figure, "simulated recordings")
    content = base64.b64encode(canvas.encode(figure, kind)).decode()
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    width = round(100 * figure.get_figwidth())
    return (
        f'<figure><img src="data:{mime};base64,{content}" width="{width}" alt="{escape(caption[0])}">\n'
        f"<figcaption>{paragraphs(caption)}</figcaption></figure>\n"
    )
