"""Validation error, by which rates are chosen, against the initial rate."""

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from eeg_sgdr.reports.figures.canvas import (
    COLOURS,
    STYLE,
    label_rows,
    legend,
    panels,
    plain_numbers,
    style,
)


@matplotlib.rc_context(STYLE)
def rate_choice(points: pd.DataFrame) -> Figure:
    """Validation error against the initial rate, a panel for each budget and a line for each arm.

    ``points`` has the columns schedule, budget, rate, error (a fraction) and chosen: how often the rate was,
    from 0 to 1, by which the filled marks grow; and test (a fraction), NaN where no fit was tested.
    """
    budgets = list(dict.fromkeys(points["budget"]))
    arms = list(dict.fromkeys(points["schedule"]))
    figure, axes = panels(len(budgets), 5.2 if len(budgets) == 1 else 4.2, 3.9, sharey=True)
    handles = {}
    for budget, panel in zip(budgets, axes, strict=True):
        for i, arm in enumerate(arms):
            rows = points[(points["schedule"] == arm) & (points["budget"] == budget)].sort_values("rate")
            if rows.empty:
                continue
            colour, mark, line = style(i)
            (handles[arm],) = panel.plot(
                rows["rate"], 100 * rows["error"], color=colour, marker=mark, markersize=5, linestyle=line,
                markerfacecolor="white", linewidth=1.5,
            )  # fmt: skip
            taken = rows[rows["chosen"] > 0]
            sizes = 25 + 110 * taken["chosen"]
            panel.scatter(taken["rate"], 100 * taken["error"], s=sizes, color=colour, marker=mark, zorder=3)
            if rows["test"].notna().any():
                panel.plot(rows["rate"], 100 * rows["test"], color=colour, linestyle=":", linewidth=1)
        panel.set(title=f"{budget} epochs", xlabel="Initial rate", xscale="log")
        panel.set_xticks(sorted(set(points.loc[points["budget"] == budget, "rate"])))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.tick_params(axis="x", labelrotation=90)
        plain_numbers(panel.xaxis)
    label_rows(axes, "Validation error (%)")
    handles["chosen, the larger the more often"] = Line2D(
        [], [], color="black", marker="o", linestyle="none", markersize=8
    )
    if points["test"].notna().any():
        handles["test error"] = Line2D([], [], color=COLOURS[-1], linestyle=":")
    legend(figure, handles)
    return figure
