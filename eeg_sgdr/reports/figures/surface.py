"""The paper's Figure 3 from comparison.csv: error against trainings and snapshots averaged."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.reports.figures.canvas import GREY, MARKS, STYLE, legend, new_figure, watermark
from eeg_sgdr.reports.wording import rates_title
from eeg_sgdr.settings import Settings

#: Colours from few to many trainings, up to the lightest that is visible on white.
SHADES = matplotlib.colormaps["viridis"]

LIGHTEST = 0.85

#: Line style, and whether marks are hollow, by the snapshots averaged. Weights are averaged for one M alone.
MEMBERS: dict[str, tuple[Any, bool]] = {
    "cycles": ("-", False),
    "averaged": ("none", True),
    "consecutive": (":", True),
}

#: What the legend calls them.
WORDS = {
    "cycles": "ends of the last M cycles",
    "averaged": "the same, weights averaged",
    "consecutive": "last M epochs (control)",
}

#: Most ticks of numbers of snapshots below a panel.
TICKS = 9

#: Most arms whose names fit side by side; more are written vertically.
MOST_LEVEL = 2


def surface_points(comparison: pd.DataFrame) -> pd.DataFrame:
    """Rows of comparison.csv that the figure draws, in percent."""
    drawn = (comparison["family"] == "ensemble") & (comparison["quantity"] == "mean error")
    points = comparison[drawn & comparison["estimate"].notna()].copy()
    points["estimate"] *= 100
    return points


@matplotlib.rc_context(STYLE)
def surface(comparison: pd.DataFrame, settings: Settings) -> Figure:
    """Mean test error against N trainings and M snapshots: the paper's Figure 3, cut along M.

    A row of panels for every arm that leaves snapshots, in which trainings have one initial rate or all; a
    line for each N. The other arms are left of the lines. With a watermark if recordings were simulated.
    """
    points = surface_points(comparison)
    rivals = [name for name, arm in settings.schedules.items() if not arm.leaves_snapshots]
    restarts = [name for name in settings.schedules if name not in rivals] or [""]
    groups = list(dict.fromkeys(points["rates_a"]))
    styles = _styles(points)
    height = 3.7 if len(rivals) <= MOST_LEVEL else 4.9
    figure = new_figure(max(4.4 * len(groups), 6.0), height * len(restarts) + 0.7)
    grid = figure.subplots(len(restarts), len(groups), squeeze=False, sharex="row", sharey=True)
    for row, arm in zip(grid, restarts, strict=True):
        for panel, group in zip(row, groups, strict=True):
            of_group = points[points["rates_a"] == group]
            most = _lines(panel, of_group[of_group["arm_a"] == arm], styles)
            places = _rivals(panel, of_group, rivals, styles)
            _axes(panel, places, most)
            if most:
                epochs = settings.schedules[arm].budgets[-1]
                panel.set_xlabel(f"M, snapshots of each training of {epochs} epochs")
            title = "each initial rate alone" if group == "each" else rates_title(group)
            panel.set_title(f"{arm}, {title}" if arm else title)
        row[0].set_ylabel("Mean test error (%)")
    legend(figure, _handles(points, styles))
    if settings.recordings.simulated:
        watermark(figure, "simulated recordings")
    return figure


def _styles(points: pd.DataFrame) -> dict[int, tuple[Any, str]]:
    """Colour and mark of each number of trainings."""
    sizes = sorted(set(points["n_fits_a"]))
    shades = np.linspace(0, LIGHTEST, len(sizes))
    return {
        n: (SHADES(shade), MARKS[i % len(MARKS)])
        for i, (n, shade) in enumerate(zip(sizes, shades, strict=True))
    }


def _lines(panel: Axes, points: pd.DataFrame, styles: Mapping[int, tuple[Any, str]]) -> int:
    """Draw a line for each N and kind of members; returns the largest M."""
    for n_fits, members in itertools.product(styles, MEMBERS):
        rows = points[(points["n_fits_a"] == n_fits) & (points["snapshots_a"] == members)]
        rows = rows.sort_values("n_snapshots_a")
        colour, mark = styles[n_fits]
        line, hollow = MEMBERS[members]
        panel.plot(
            rows["n_snapshots_a"].to_numpy(float),
            rows["estimate"],
            color=colour,
            marker=mark,
            markerfacecolor="white" if hollow else colour,
            linestyle=line,
            # Equal errors look like a ring around the filled mark.
            markersize=9 if members == "averaged" else 6,
            linewidth=1.6,
            # One snapshot is the same for both: the filled mark lies above.
            zorder=2 if hollow else 3,
        )
    return int(points["n_snapshots_a"].max()) if len(points) else 0


def _rivals(
    panel: Axes, points: pd.DataFrame, rivals: Sequence[str], styles: Mapping[int, tuple[Any, str]]
) -> dict[float, str]:
    """Draw marks of the arms that leave one snapshot; returns their labels by position."""
    places = {}
    for place, arm in zip(range(-len(rivals), 0), rivals, strict=True):
        for row in records(points[points["arm_a"] == arm]):
            colour, mark = styles[row["n_fits_a"]]
            panel.plot(
                place + 0.5, row["estimate"], marker=mark, color=colour, linestyle="none", markersize=6
            )
            places[place + 0.5] = f"{arm},\n{row['epochs_a']} epochs"
    return places


def _axes(panel: Axes, places: Mapping[float, str], most: int) -> None:
    """Set ticks: arms, a dividing line, numbers of snapshots."""
    snapshots = range(1, most + 1, max(1, -(-most // TICKS)))
    upright = len(places) > MOST_LEVEL
    names = [name.replace("\n", " ") if upright else name for name in places.values()]
    panel.set_xticks([*places, *snapshots], [*names, *map(str, snapshots)])
    for text in panel.get_xticklabels()[: len(places) if upright else 0]:
        text.set_rotation(90)
    panel.set_xlim(min(places, default=1) - 0.5, max(most, 0 if places else 1) + 0.5)
    if places and most:
        panel.axvline(0.25, color=GREY, linewidth=0.8)


def _handles(points: pd.DataFrame, styles: Mapping[int, tuple[Any, str]]) -> dict[str, Line2D]:
    handles = {}
    for n_fits, (colour, mark) in styles.items():
        name = f"N = {n_fits} training{'s' if n_fits > 1 else ''}"
        handles[name] = Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=6)
    drawn = [members for members in MEMBERS if (points["snapshots_a"] == members).any()]
    for members in drawn if len(drawn) > 1 else ():
        line, hollow = MEMBERS[members]
        face = "white" if hollow else "black"
        handles[WORDS[members]] = Line2D(
            [], [], color="black", marker="s", markerfacecolor=face, linestyle=line
        )
    return handles
