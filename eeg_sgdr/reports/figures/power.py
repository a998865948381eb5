"""Power against the number of units."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from eeg_sgdr.evaluation.power import MOST_UNITS, power
from eeg_sgdr.evaluation.statistics import least_p
from eeg_sgdr.reports.figures.canvas import (
    GREY,
    STYLE,
    label_rows,
    legend,
    panels,
    plain_numbers,
    style,
    wrapped,
)


@matplotlib.rc_context(STYLE)
def power_curves(sizes: pd.DataFrame) -> Figure:
    """Power against the number of units, a panel for each comparison and a line for each number of seeds.

    ``sizes`` has the columns of power.csv.
    """
    comparisons = sizes.groupby("comparison", sort=False)
    seeds = sorted(set(sizes["n_seeds"]))
    figure, axes = panels(len(comparisons), 3.9, 3.4, sharey=True)
    handles = {}
    for (name, rows), panel in zip(comparisons, axes, strict=True):
        first = rows.iloc[0]
        unit = first["unit_kind"]
        most = min(MOST_UNITS, 2 * rows["n_units"].fillna(MOST_UNITS).max())
        numbers = np.unique(np.geomspace(2, most, 60).round().astype(int))
        units = [n for n in numbers if least_p(n) <= first["alpha"]]
        for n_seeds, sd in zip(rows["n_seeds"], rows["sd"], strict=True):
            found = [power(first["difference"], sd, n, unit, first["alpha"]) for n in units]
            colour, _, line = style(seeds.index(n_seeds))
            label = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds"
            (handles[label],) = panel.plot(units, found, color=colour, linestyle=line, linewidth=1.5)
        panel.axhline(first["power"], color=GREY, linestyle=":")
        here = f"{unit}s of the finished study"
        handles[here] = panel.axvline(first["known_units"], color=GREY, linewidth=1)
        panel.set(title=wrapped(str(name)), xlabel=f"{unit.capitalize()}s", xscale="log", ylim=(0, 1))
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        plain_numbers(panel.xaxis)
    label_rows(axes, "Power")
    legend(figure, handles)
    return figure
