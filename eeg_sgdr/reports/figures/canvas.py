"""Style, colours, legends and encoding of all figures."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

#: Okabe and Ito's colours (brown for yellow), which colour-blind readers can tell apart; with other marks
#: and lines, too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C510A")

MARKS = ("s", "o", "^", "D", "v", "P", "X", "*")

LINES = ("--", "-", "-.", ":")

GREY = "#777777"

#: Panels in a row.
COLUMNS = 3

#: Names come from recordings and configurations, so nothing is parsed as mathematics.
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.hashsalt": "eeg_sgdr",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "figure.dpi": 100,
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of its own, unknown to pyplot; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(n: int, width: float, height: float, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    """A figure of n axes, `COLUMNS` in a row at most; the size of one in inches."""
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    figure = new_figure(width * columns, height * rows)
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs).ravel()
    for unused in axes[n:]:
        unused.remove()
    return figure, list(axes[:n])


def label_rows(axes: Sequence[Axes], label: str) -> None:
    """Label the vertical axis of the first panel of each row."""
    for panel in axes[::COLUMNS]:
        panel.set_ylabel(label)


def style(i: int) -> tuple[str, str, str]:
    """Colour, mark and line of the i-th series."""
    return COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)], LINES[i % len(LINES)]


def baseline_style(name: str) -> dict[str, Any]:
    """Line of a classical baseline, by its name."""
    dashes = {"baseline": "-", "recentred_causal": "--", "recentred_transductive": "-."}
    return {"color": "black", "linewidth": 1, "linestyle": dashes[name]}


def plain_numbers(axis: Any) -> None:
    """Label a logarithmic axis with plain decimals: 0.00001, 0.1, 30."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.9f}".rstrip("0").rstrip(".")))
    axis.set_minor_formatter(NullFormatter())


def ticks_apart(epochs: Sequence[int]) -> list[int]:
    """Ticks at epochs with results, spaced to be legible on a logarithmic axis."""
    kept: list[int] = []
    for epoch in reversed(epochs):
        if not kept or epoch <= 0.75 * kept[-1]:
            kept.append(epoch)
    return kept[::-1]


def wrapped(text: str) -> str:
    """A title broken into lines that fit its panel."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 34:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return "\n".join(lines)


def legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    """A legend below the axes, in as many columns as fit, four at most."""
    # matplotlib leaves out labels that begin with an underscore.
    labels = [f" {label}" if label.startswith("_") else label for label in handles]
    for n in range(min(len(labels), 4), 0, -1):
        made = figure.legend(
            list(handles.values()), labels, loc="outside lower center", ncols=n, fontsize=9.5
        )
        if n == 1 or made.get_window_extent().width <= figure.bbox.width:
            return
        made.remove()


def address(pages: Mapping[str, str] | None, label: str, title: str) -> str | None:
    """URL of a mark that leads to the page of ``label``, if it has one, and shows a title when pointed at."""
    if pages is None or label not in pages:
        return None
    # matplotlib has no titles: one travels as the fragment, and `encode` makes it an element.
    return f"{quote(pages[label])}#{quote(title)}"


_LINK = re.compile(rb'<a xlink:href="([^"#]+)#([^"]*)"[^>]*>')


@matplotlib.rc_context(STYLE)
def encode(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of an "svg" or "png" file; reproducible."""
    buffer = BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    if kind == "png":
        return buffer.getvalue()
    return _LINK.sub(_titled_link, buffer.getvalue())


def _titled_link(match: re.Match[bytes]) -> bytes:
    title = escape(unquote(match[2].decode())).encode()
    return b'<a xlink:href="' + match[1] + b'"><title>' + title + b"</title>"


def inline(figure: Figure) -> str:
    """A figure as an svg element, whose links work within a page."""
    text = encode(figure, "svg").decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # A page holds several pictures: what is referred to is named by its content, all else by its number.
    return re.sub(r'<g id="[^"]*">', "<g>", text)


@matplotlib.rc_context(STYLE)
def watermark(figure: Figure, text: str) -> None:
    """Write a warning above a figure."""
    figure.suptitle(text, color=COLOURS[1], fontsize=9, x=0.995, ha="right")
