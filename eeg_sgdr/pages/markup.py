"""Texts, tables and pictures as HTML; every text is escaped on its way in."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from matplotlib.figure import Figure

from eeg_sgdr.figures import canvas


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
        canvas.stamp(figure, "simulated recordings")
    content = base64.b64encode(canvas.encode(figure, kind)).decode()
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    width = round(100 * figure.get_figwidth())
    return (
        f'<figure><img src="data:{mime};base64,{content}" width="{width}" alt="{escape(caption[0])}">\n'
        f"<figcaption>{paragraphs(caption)}</figcaption></figure>\n"
    )
