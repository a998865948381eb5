"""The paper's Figure 4 from comparison.csv: improvement over the reference error against epochs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.reports.figures.canvas import (
    COLOURS,
    GREY,
    STYLE,
    address,
    baseline_style,
    legend,
    new_figure,
    plain_numbers,
    style,
    ticks_apart,
    watermark,
)
from eeg_sgdr.reports.wording import rates_title
from eeg_sgdr.settings import BASELINES, Settings

#: Most arms that colours tell apart.
MOST_ARMS = len(COLOURS)

#: Most bands in a panel; more hide one another.
MOST_BANDS = 3

#: Points up to which the axis is linear: first epochs lie tens of points below the reference.
LINEAR = 5

TICKS = (-80, -40, -20, -10, -5, -2, 0, 2, 5, 10, 20, 40, 80)


class Series(NamedTuple):
    """One line of a panel."""

    arm: str
    snapshots: str
    rates: str
    #: "alone", "snapshots", "weights" or "all rates".
    kind: str


def curve_points(comparison: pd.DataFrame, quantity: str = "median improvement") -> pd.DataFrame:
    """Rows of comparison.csv that Figure 4 draws, in points."""
    drawn = (comparison["family"] == "curve") & (comparison["quantity"] == quantity)
    points = comparison[drawn & comparison["estimate"].notna()].copy()
    points[["estimate", "low", "high"]] *= 100
    return points


def arms_drawn(settings: Settings) -> tuple[list[str], list[str]]:
    """Arms that Figure 4 draws, and those beyond `MOST_ARMS`."""
    arms = list(settings.schedules)
    return arms[:MOST_ARMS], arms[MOST_ARMS:]


@matplotlib.rc_context(STYLE)
def figure4(comparison: pd.DataFrame, settings: Settings, pages: Mapping[str, str] | None = None) -> Figure:
    """Median improvement over the reference against epochs; quartiles over subjects as bands.

    Above, every schedule at each rate; below, warm restarts alone, with the snapshots of the last half of
    the cycles, with their averaged weights, and with the snapshots of all rates. Right of a line's end, its
    subjects, whose dots lead to their pages, of ``pages`` by label. With a watermark if recordings were
    simulated.
    """
    points, people = (curve_points(comparison, name) for name in ("median improvement", "improvement"))
    arms, left_out = arms_drawn(settings)
    numbers = {rate for arm in arms for rate in settings.rates_alone(arm)} - {"tuned"}
    rates = [*map(str, sorted(numbers)), *(["tuned"] if settings.training.rate_choice else [])]
    restarts = [arm for arm in arms if ((points["arm_a"] == arm) & (points["snapshots_a"] == "cycles")).any()]
    styles = _styles(arms, restarts)
    n_rows = 2 if restarts else 1
    figure = new_figure(max(4.3 * len(rates), 6.0), 3.9 * n_rows + 0.6)
    grid = figure.subplots(n_rows, len(rates), squeeze=False, sharex=True, sharey=True)
    handles: dict[str, Any] = {}
    for column, rate in zip(grid.T, rates, strict=True):
        above = [Series(arm, "single", rate, "alone") for arm in arms]
        handles |= _lines(column[0], points, above, styles) | _people(column[0], people, above, styles, pages)
        column[0].set_title(rates_title(rate))
        if restarts:
            kinds = [("single", rate, "alone"), ("cycles", rate, "snapshots"), ("averaged", rate, "weights")]
            together = "+".join(one for one in rates if one != "tuned")
            kinds += [("cycles", together, "all rates")] if "+" in together else []
            below = [Series(arm, *kind) for arm in restarts for kind in kinds]
            handles |= _lines(column[1], points, below, styles)
            _people(column[1], people, below, styles, pages)
            column[1].set_title(f"snapshots, {rates_title(rate)}")
        column[-1].set_xlabel("Epochs of each training")
    handles |= _levels(list(grid.ravel()), points, comparison, settings)
    _axes(grid[0, 0], points, settings)
    figure.supylabel(
        f"Improvement over {_reference_name(settings)}\n"
        f"(points, median over subjects; compressed beyond {LINEAR})",
        fontsize=10,
        multialignment="center",
    )
    if left_out:
        handles[f"not drawn: {', '.join(left_out)}"] = Line2D([], [], linestyle="none")
    legend(figure, handles)
    if settings.recordings.simulated:
        watermark(figure, "simulated recordings")
    return figure


def _styles(arms: Sequence[str], restarts: Sequence[str]) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Colour, mark and line by arm and kind of line, shared by all panels."""
    kinds = [(arm, "alone") for arm in arms]
    kinds += [(arm, kind) for arm in restarts for kind in ("snapshots", "all rates")]
    kinds += [(arm, "weights") for arm in restarts]
    return {kind: style(i) for i, kind in enumerate(kinds)}


#: What the legend adds to an arm's name.
WORDS = {
    "alone": "",
    "snapshots": ", ensemble of snapshots",
    "weights": ", averaged weights",
    "all rates": ", ensemble of all rates' snapshots",
}


def _lines(
    panel: Axes,
    points: pd.DataFrame,
    wanted: Sequence[Series],
    styles: dict[tuple[str, str], tuple[str, str, str]],
) -> dict[str, Line2D]:
    """Draw medians, and bands if few."""
    handles = {}
    # Averaged weights lie near the other lines: their band would hide them.
    banded = [series for series in wanted if series.kind != "weights"]
    for series in wanted:
        rows = _of(points, series)
        if rows.empty:
            continue
        x = rows["epochs_a"].to_numpy(float)
        colour, mark, line = styles[series.arm, series.kind]
        if series in banded and len(banded) <= MOST_BANDS:
            panel.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.13, linewidth=0)
        (handles[series.arm + WORDS[series.kind]],) = panel.plot(
            x,
            rows["estimate"],
            color=colour,
            marker=mark,
            # Colours repeat with many arms: hollow marks are ensembles.
            markerfacecolor=colour if series.snapshots == "single" else "white",
            linestyle=line,
            markersize=5,
            linewidth=1.6,
        )
    return handles


def _of(points: pd.DataFrame, series: Series) -> pd.DataFrame:
    """Rows of a series; an ensemble of one network is none."""
    is_drawn = points[["arm_a", "snapshots_a", "rates_a"]].eq(series[:3]).all(axis=1)
    if series.snapshots == "cycles":
        is_drawn &= points["n_networks_a"] > 1
    return points[is_drawn].sort_values("epochs_a")


def _people(
    panel: Axes,
    people: pd.DataFrame,
    wanted: Sequence[Series],
    styles: dict[tuple[str, str], tuple[str, str, str]],
    pages: Mapping[str, str] | None,
) -> dict[str, Line2D]:
    """Draw every subject beyond the end of each line, side by side."""
    handles = {}
    for i, series in enumerate(wanted):
        for row in records(_of(people, series)):
            title = f"subject {row['unit']}: {row['estimate']:+.1f} points"
            colour = styles[series.arm, series.kind][0]
            (handles["one subject, at the end"],) = panel.plot(
                row["epochs_a"] * 1.12 ** (i + 1),
                row["estimate"],
                marker="o",
                markersize=3.5,
                markeredgewidth=0,
                linestyle="none",
                color=colour,
                alpha=0.6,
                url=address(pages, row["unit"], title),
            )
    return handles


def _levels(
    panels: Sequence[Axes], points: pd.DataFrame, comparison: pd.DataFrame, settings: Settings
) -> dict[str, Line2D]:
    """Draw the reference, chance and, if present, classical baselines."""
    handles = {}
    classical = points[points["snapshots_a"] == "baseline"]
    reference = reference_row(records(comparison), settings)["estimate"]
    chance = 1 - 1 / len(settings.recordings.classes)
    for panel in panels:
        panel.axhline(0, color=GREY, linewidth=0.8)
        for name, level in zip(classical["arm_a"], classical["estimate"], strict=True):
            handles[BASELINES[name]] = panel.axhline(level, **baseline_style(name))
        handles["chance"] = panel.axhline(100 * (reference - chance), color=GREY, linestyle=":")
    return handles


def reference_row(rows: Iterable[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    """The row of comparison.csv with the reference's own median error."""
    named = settings.evaluation.reference
    assert named is not None
    expected = {
        "family": "curve",
        "quantity": "median error",
        "arm_a": named.schedule,
        "snapshots_a": "single",
        "epochs_a": named.budget,
        "rates_a": str(named.rate),
    }
    (found,) = (row for row in rows if expected.items() <= row.items())
    return found


def _reference_name(settings: Settings) -> str:
    named = settings.evaluation.reference
    assert named is not None
    rate = "chosen rates" if named.rate == "tuned" else f"rate {named.rate}"
    return f"{named.schedule}, {named.budget} epochs, {rate}"


def _axes(panel: Axes, points: pd.DataFrame, settings: Settings) -> None:
    """Set the scales, which all panels share."""
    trained = points[points["snapshots_a"] != "baseline"]
    panel.set_xscale("log")
    panel.set_xticks(ticks_apart(sorted(set(trained["epochs_a"].astype(int)))))
    panel.xaxis.set_minor_locator(NullLocator())
    plain_numbers(panel.xaxis)
    panel.set_yscale("symlog", linthresh=LINEAR, linscale=2)
    low, high = panel.get_ylim()
    # Chance is the lowest line: it must not lie on the frame.
    panel.set_ylim(1.2 * low if low < -LINEAR else low - 1, high)
    panel.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    panel.yaxis.set_minor_locator(NullLocator())
    plain_numbers(panel.yaxis)
