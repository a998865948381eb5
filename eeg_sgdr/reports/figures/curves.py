"""Figures of rates, losses, errors and probabilities."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation.inference import Pairs
from eeg_sgdr.evaluation.metrics import reliability as reliability_bins
from eeg_sgdr.evaluation.statistics import binomial_interval
from eeg_sgdr.reports.figures.canvas import (
    COLOURS,
    GREY,
    STYLE,
    address,
    baseline_style,
    encode,
    label_rows,
    legend,
    new_figure,
    panels,
    plain_numbers,
    style,
    ticks_apart,
    wrapped,
)
from eeg_sgdr.reports.wording import rates_title
from eeg_sgdr.settings import BASELINES, Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files

Curves = Mapping[FitKey, tuple[np.ndarray, np.ndarray]]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as svg or png, as the path ends; the same figure gives the same bytes.

    Raises `UserError` if the ending is another, or it cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise UserError(f"{path}: a figure can be written as .svg or .png; name it so.")
    files.write(path, lambda file: file.write(encode(figure, kind)))


@matplotlib.rc_context(STYLE)
def schedules(settings: Settings) -> Figure:
    """Learning rate against epoch of every schedule of a configuration, one panel for each arm."""
    curves = {}
    for key in plan.fits(settings):
        if key.seed == settings.training.seeds[0]:
            schedule = plan.schedule_of(key, settings)
            per_epoch = max(4, 2000 // key.budget)
            epochs = np.arange(key.budget * per_epoch) / per_epoch
            curves[key] = (epochs, np.array([schedule.lr(epoch) for epoch in epochs]))
    return _rates(curves)


@matplotlib.rc_context(STYLE)
def executed(histories: Mapping[FitKey, pd.DataFrame], n_updates: Mapping[FitKey, int]) -> Figure:
    """Learning rate against epoch as executed, at the first and last update of every epoch."""
    curves = {}
    for key, history in histories.items():
        first = history["epoch"].to_numpy() - 1.0
        last = first + (n_updates[key] - 1) / n_updates[key]
        epochs = np.column_stack([first, last]).ravel()
        curves[key] = (epochs, history[["first_rate", "last_rate"]].to_numpy().ravel())
    return _rates(curves)


def _rates(curves: Curves) -> Figure:
    figure, axes, handles = _by_arm(curves, "Learning rate")
    rates = np.concatenate([y for _, y in curves.values()])
    # Annealing to zero has no lowest rate on a logarithmic axis.
    axes[0].set_ylim(bottom=max(rates.max() * 1e-4, rates.min() / 2))
    legend(figure, handles)
    return figure


@matplotlib.rc_context(STYLE)
def losses(histories: Mapping[FitKey, pd.DataFrame], n_classes: int) -> Figure:
    """Mean training loss of every epoch; a dotted line where all classes are equally probable."""
    curves = {
        key: (history["epoch"].to_numpy(), history["loss"].to_numpy()) for key, history in histories.items()
    }
    figure, axes, handles = _by_arm(curves, "Training loss (nats)")
    for panel in axes:
        handles["all classes equally probable"] = panel.axhline(np.log(n_classes), color=GREY, linestyle=":")
    legend(figure, handles)
    return figure


def _by_arm(curves: Curves, y_label: str) -> tuple[Figure, list[Axes], dict[str, Any]]:
    """A panel for each arm, lines marked at their budget, and the handles of a legend."""
    arms = list(dict.fromkeys(key.schedule for key in curves))
    rates = sorted({key.rate for key in curves})
    figure, axes = panels(len(arms), 4.2, 3.0, sharex=True, sharey=True)
    handles: dict[str, Any] = {}
    for arm, panel in zip(arms, axes, strict=True):
        for key, (x, y) in curves.items():
            if key.schedule == arm:
                colour, mark, line = style(rates.index(key.rate))
                label = f"initial rate {key.rate:g}"
                (handles[label],) = panel.plot(
                    x,
                    y,
                    color=colour,
                    linestyle=line,
                    marker=mark,
                    markevery=[-1],
                    markersize=5,
                    linewidth=1.3,
                )
        panel.set(title=arm, xlabel="Epoch", yscale="log")
        panel.tick_params(labelbottom=True)
        plain_numbers(panel.yaxis)
    label_rows(axes, y_label)
    return figure, axes, handles


@matplotlib.rc_context(STYLE)
def errors(evaluation: pd.DataFrame, chance: float) -> Figure:
    """Test error of evaluation.csv against epochs, on a logarithmic axis as in the paper.

    One panel for each initial rate and one for all rates averaged. With several seeds, lines are means over
    them and small points the seeds. Classical baselines, which have no epochs, are level lines.
    """
    classical = evaluation[evaluation["members"] == "baseline"]
    evaluation = evaluation[evaluation["members"] != "baseline"]
    groups = list(dict.fromkeys(evaluation["rates"]))
    series = list(dict.fromkeys(zip(evaluation["schedule"], evaluation["members"], strict=True)))
    figure, axes = panels(len(groups), 3.6, 4.0, sharey=True)
    handles: dict[str, Any] = {}
    for group, panel in zip(groups, axes, strict=True):
        chance_line = panel.axhline(100 * chance, color=GREY, linestyle=":")
        for name, error in zip(classical["schedule"], classical["error"], strict=True):
            handles[BASELINES[name]] = panel.axhline(100 * error, **baseline_style(name))
        of_group = evaluation[evaluation["rates"] == group]
        for i, (schedule, members) in enumerate(series):
            rows = of_group[(of_group["schedule"] == schedule) & (of_group["members"] == members)]
            if rows.empty:
                continue
            colour, mark, line = style(i)
            means = rows.groupby("epoch")["error"].mean() * 100
            (handles[series_name(evaluation, schedule, members)],) = panel.plot(
                means.index, means, color=colour, marker=mark, linestyle=line, markersize=6, linewidth=1.5
            )
            if rows["seeds"].nunique() > 1:
                panel.plot(rows["epoch"], rows["error"] * 100, ".", color=colour, markersize=4, alpha=0.5)
        panel.set(title=rates_title(group), xlabel="Epochs trained", xscale="log")
        panel.set_xticks(ticks_apart(sorted(set(of_group["epoch"]))))
        panel.xaxis.set_minor_locator(NullLocator())
        plain_numbers(panel.xaxis)
    high = axes[0].get_ylim()[1]
    axes[0].set_ylim(-0.03 * high, high)  # a line at zero must not lie on the axis
    label_rows(axes, "Test error (%)")
    handles["commonest class always"] = chance_line
    legend(figure, handles)
    return figure


def series_name(evaluation: pd.DataFrame, schedule: str, members: str) -> str:
    """Label of a schedule's line; the schedule alone if it has no ensembles."""
    of_schedule = evaluation[evaluation["schedule"] == schedule]
    if set(of_schedule["members"]) == {"single"}:
        return schedule
    words = {"single": "last snapshot", "cycles": "ensemble of snapshots", "averaged": "averaged weights"}
    return f"{schedule}, {words[members]}"


@matplotlib.rc_context(STYLE)
def confusion(y: np.ndarray, probabilities: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Confusion matrices, by name of the predictor whose probabilities (n_trials, n_classes) they show."""
    k = len(classes)
    figure, axes = panels(len(probabilities), 3.0 + 0.35 * k, 2.4 + 0.35 * k, sharey=True)
    for panel, (name, values) in zip(axes, probabilities.items(), strict=True):
        counts = np.zeros((k, k), int)
        np.add.at(counts, (y, values.argmax(axis=1)), 1)
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for (i, j), count in np.ndenumerate(counts):
            colour = "white" if shares[i, j] > 55 else "black"
            panel.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=12)
        panel.set(title=name, xlabel="Predicted class")
        panel.set_xticks(range(k), classes, rotation=30, ha="right", rotation_mode="anchor")
        panel.set_yticks(range(k), classes)
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
    axes[0].set_ylabel("True class")
    figure.colorbar(image, ax=axes, label="Share of the true class (%)", shrink=0.8)
    return figure


@matplotlib.rc_context(STYLE)
def reliability(y: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> Figure:
    """Fraction of correct trials against the probability given to the predicted class."""
    figure = new_figure(3.9 * len(probabilities), 4.2)
    grid = figure.subplots(
        2, len(probabilities), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1)
    )
    for (above, below), (name, values) in zip(grid.T, probabilities.items(), strict=True):
        bins = reliability_bins(y, values)
        above.plot([0, 100], [0, 100], color=GREY, linestyle=":")
        for count, correct, confidence in bins:
            low, high = binomial_interval(round(correct * count), count)
            above.plot([100 * confidence] * 2, [100 * low, 100 * high], color=GREY, alpha=0.5, linewidth=2)
            above.plot(100 * confidence, 100 * correct, "o", color="black", markersize=5)
            below.bar(100 * confidence, count, width=3, color=GREY)
        above.set(title=name, xlim=(100 / values.shape[1] - 3, 103), ylim=(-3, 103))
        below.set(xlabel="Probability of the predicted class (%)")
    grid[0, 0].set_ylabel("Correct trials (%)")
    grid[1, 0].set_ylabel("Trials")
    return figure


@matplotlib.rc_context(STYLE)
def slopes(
    pairs: Mapping[str, Pairs], unit: str = "subject", pages: Mapping[str, str] | None = None
) -> Figure:
    """One panel per comparison: b at the left, a at the right, a line per unit, the mean in black.

    A unit's line leads to its page, of ``pages`` by label.
    """
    figure, axes = panels(len(pairs), 3.6, 3.8, sharey=True)
    handles = {}
    for panel, (name, pair) in zip(axes, pairs.items(), strict=True):
        for label, (b, a) in zip(pair.errors.index, pair.errors[["b", "a"]].to_numpy(), strict=True):
            colour, line, words = _slope_style(a - b)
            url = address(pages, str(label), f"{unit} {label}: {100 * b:.1f} to {100 * a:.1f} %")
            (handles[f"{unit} in which {words}"],) = panel.plot(
                [0, 1],
                [100 * b, 100 * a],
                color=colour,
                linestyle=line,
                marker="o",
                markersize=4,
                alpha=0.8,
                url=url,
            )
        means = 100 * pair.errors[["b", "a"]].mean()
        (handles[f"mean over {unit}s"],) = panel.plot(
            [0, 1], means, color="black", linewidth=2.5, marker="s", markersize=6
        )
        panel.set_xticks([0, 1], [pair.b, pair.a])
        panel.set(xlim=(-0.4, 1.4), title=wrapped(name))
    axes[0].set_ylim(bottom=0)
    label_rows(axes, "Test error (%)")
    legend(figure, handles)
    return figure


def _slope_style(difference: float) -> tuple[str, str, str]:
    if abs(difference) < 1e-9:
        return GREY, ":", "both are equal"
    return (
        (COLOURS[0], "-", "the right is better")
        if difference < 0
        else (COLOURS[1], "--", "the right is worse")
    )
