"""Forest plot of a study's comparisons: mean differences with intervals, and every subject or fold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eeg_sgdr.reports.figures.canvas import COLOURS, GREY, STYLE, address, legend, new_figure, wrapped

#: How far intervals reach, in multiples of the largest difference, before they leave the frame.
REACH = 3

#: Colour of a mean by its verdict.
VERDICTS = {"better": COLOURS[0], "worse": COLOURS[1], "equivalent": COLOURS[2]}


class Comparison(NamedTuple):
    """A row of the plot; all numbers in points, positive where a is better."""

    name: str
    verdict: str
    difference: float
    #: NaN where there is none.
    interval: tuple[float, float]
    margin: float
    #: Difference in every unit, by its label.
    of_unit: Mapping[str, float]
    #: Mean errors of a and b.
    errors: tuple[float, float]


@matplotlib.rc_context(STYLE)
def forest(comparisons: Sequence[Comparison], unit: str, pages: Mapping[str, str]) -> Figure:
    """One row per comparison: mean and interval in its verdict's colour, the margin, and below it all units.

    A unit's dot leads to its page, of ``pages`` by label. Intervals of few units may leave the frame.
    """
    n_rows = len(comparisons)
    figure = new_figure(9.6, 1.3 + 0.62 * n_rows)
    axes = figure.subplots()
    handles: dict[str, Line2D] = {}
    for i, one in enumerate(comparisons):
        y = n_rows - 1 - i
        axes.fill_betweenx([y - 0.45, y + 0.45], -one.margin, one.margin, color=GREY, alpha=0.15, linewidth=0)
        colour = VERDICTS.get(one.verdict, "black")
        axes.plot(one.interval, [y + 0.12] * 2, color=colour, linewidth=2.5)
        label = f"mean and 95 % interval: {one.verdict or 'not tested'}"
        (handles[label],) = axes.plot(
            one.difference, y + 0.12, color=colour, marker="s", markersize=7, linewidth=2.5
        )
        for name, difference in one.of_unit.items():
            url = address(pages, name, f"{unit} {name}: {difference:+.1f} points")
            (handles[f"one {unit}"],) = axes.plot(
                difference, y - 0.22, "o", color=GREY, alpha=0.7, markersize=5, markeredgewidth=0, url=url
            )
        errors = f"{one.errors[0]:.1f} : {one.errors[1]:.1f}"
        axes.text(1.01, y, errors, transform=axes.get_yaxis_transform(), va="center")
    axes.text(1.01, n_rows - 0.4, "errors (%), a : b", transform=axes.get_yaxis_transform(), va="bottom")
    axes.axvline(0, color=GREY, linewidth=0.8)
    shown = [x for one in comparisons for x in (*one.of_unit.values(), one.difference, one.margin)]
    frame = REACH * max(map(abs, shown))
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -frame), min(high, frame))
    axes.set_yticks(range(n_rows), [wrapped(one.name) for one in reversed(comparisons)])
    axes.set_ylim(-0.6, n_rows - 0.4)
    axes.set_xlabel("Error of b less that of a (points): to the right of zero, a is better")
    legend(figure, handles)
    return figure
