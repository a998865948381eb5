"""Tables and arrays in, pictures of rates, losses, errors and probabilities out."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from eeg_sgdr import plan, store
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey
from eeg_sgdr.scoring import reliability as reliability_bins
from eeg_sgdr.settings import Settings
from eeg_sgdr.statistics import binomial_interval

#: Okabe and Ito's colours, which colour-blind readers can tell apart; with other marks and lines too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("s", "o", "^", "D", "v", "P", "X")
LINES = ("--", "-", "-.", ":")
GREY = "#777777"

#: Names come from recordings and configurations: nothing in them is mathematics.
STYLE = {
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

Curves = Mapping[FitKey, tuple[np.ndarray, np.ndarray]]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of its own, unknown to pyplot; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(n: int, width: float, height: float, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    """A figure of n axes, three in a row at most; the size of one in inches."""
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = new_figure(width * columns, height * rows)
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs).ravel()
    for unused in axes[n:]:
        unused.remove()
    return figure, list(axes[:n])


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
        What.
    path : Path
        Where; the ending says in which format.

    Raises
    ------
    UserError
        If the ending is none of svg and png, or it cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise UserError(f"{path}: a figure can be written as .svg or .png; name it so.")
    store.write(path, lambda file: file.write(encode(figure, kind)))


@matplotlib.rc_context(STYLE)
def encode(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a file, the same whenever they are made.

    Parameters
    ----------
    figure : Figure
        What.
    kind : "svg" or "png"
        Format.

    Returns
    -------
    content : bytes
    """
    buffer = BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    return buffer.getvalue()


@matplotlib.rc_context(STYLE)
def stamp(figure: Figure, text: str) -> None:
    """Write a remark above a figure that must not be overlooked."""
    figure.suptitle(text, color=COLOURS[1], fontsize=9, x=0.995, ha="right")


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
    """Learning rate against epoch as it was: of the first and of the last update of every epoch.

    Parameters
    ----------
    histories : mapping of FitKey to DataFrame
        history.csv of each fit.
    n_updates : mapping of FitKey to int
        Updates in an epoch of each fit.

    Returns
    -------
    figure : Figure
    """
    curves = {}
    for key, history in histories.items():
        first = history["epoch"].to_numpy() - 1.0
        last = first + (n_updates[key] - 1) / n_updates[key]
        epochs = np.column_stack([first, last]).ravel()
        curves[key] = (epochs, history[["first_rate", "last_rate"]].to_numpy().ravel())
    return _rates(curves)


def _rates(curves: Curves) -> Figure:
    figure = _by_arm(curves, "Learning rate")
    highest = max(y.max() for _, y in curves.values())
    for axes in figure.axes:
        # Annealing to zero has no lowest rate on a logarithmic axis.
        axes.set_ylim(bottom=max(highest * 1e-4, min(y.min() for _, y in curves.values()) / 2))
    return figure


@matplotlib.rc_context(STYLE)
def losses(histories: Mapping[FitKey, pd.DataFrame], n_classes: int) -> Figure:
    """Mean training loss of every epoch; a dotted line where all classes are equally probable.

    Parameters
    ----------
    histories : mapping of FitKey to DataFrame
        history.csv of each fit.
    n_classes : int
        Number of classes.

    Returns
    -------
    figure : Figure
    """
    curves = {
        key: (history["epoch"].to_numpy(), history["loss"].to_numpy()) for key, history in histories.items()
    }
    figure = _by_arm(curves, "Training loss (nats)")
    for axes in figure.axes:
        axes.axhline(np.log(n_classes), color=GREY, linestyle=":")
        axes.annotate(
            "no knowledge",
            (1, np.log(n_classes)),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            color=GREY,
            fontsize=9,
        )
    return figure


def _by_arm(curves: Curves, y_label: str) -> Figure:
    """One panel for each arm; a line ends, with a mark, at its budget."""
    arms = list(dict.fromkeys(key.schedule for key in curves))
    rates = sorted({key.rate for key in curves})
    figure, axes = panels(len(arms), 4.2, 3.0, sharey=True)
    handles: dict[str, Any] = {}
    for arm, panel in zip(arms, axes, strict=True):
        for key, (x, y) in curves.items():
            if key.schedule == arm:
                colour, mark, line = _look(rates.index(key.rate))
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
        _plain_numbers(panel.yaxis)
    axes[0].set_ylabel(y_label)
    legend(figure, handles)
    return figure


def _look(i: int) -> tuple[str, str, str]:
    return COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)], LINES[i % len(LINES)]


def _plain_numbers(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    """A legend below the axes."""
    # matplotlib leaves out labels that begin with an underscore.
    labels = [f" {label}" if label.startswith("_") else label for label in handles]
    figure.legend(
        list(handles.values()), labels, loc="outside lower center", ncols=min(len(labels), 4), fontsize=9.5
    )


@matplotlib.rc_context(STYLE)
def errors(evaluation: pd.DataFrame, chance: float) -> Figure:
    """Test error against epochs, on a logarithmic axis as in the paper.

    One panel for each initial rate and one for all rates averaged. With several seeds, lines are means
    over them and small points the seeds.

    Parameters
    ----------
    evaluation : DataFrame
        evaluation.csv of a subject.
    chance : float
        Error of naming the commonest class always.

    Returns
    -------
    figure : Figure
    """
    groups = list(dict.fromkeys(evaluation["rates"]))
    series = list(dict.fromkeys(zip(evaluation["schedule"], evaluation["members"], strict=True)))
    figure, axes = panels(len(groups), 3.6, 3.6, sharey=True)
    handles: dict[str, Any] = {}
    for group, panel in zip(groups, axes, strict=True):
        panel.axhline(100 * chance, color=GREY, linestyle=":")
        of_group = evaluation[evaluation["rates"] == group]
        for i, (schedule, members) in enumerate(series):
            rows = of_group[(of_group["schedule"] == schedule) & (of_group["members"] == members)]
            if rows.empty:
                continue
            colour, mark, line = _look(i)
            means = rows.groupby("epoch")["error"].mean() * 100
            (handles[series_name(evaluation, schedule, members)],) = panel.plot(
                means.index, means, color=colour, marker=mark, linestyle=line, markersize=6, linewidth=1.5
            )
            if rows["seeds"].nunique() > 1:
                panel.plot(rows["epoch"], rows["error"] * 100, ".", color=colour, markersize=4, alpha=0.5)
        panel.set(title=_rates_title(group), xlabel="Epochs trained", xscale="log")
        panel.set_xticks(_apart(sorted(set(of_group["epoch"]))))
        panel.xaxis.set_minor_locator(NullLocator())
        _plain_numbers(panel.xaxis)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("Test error (%)")
    axes[0].annotate(
        "commonest class always",
        (1, 100 * chance),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color=GREY,
        fontsize=9,
    )
    legend(figure, handles)
    return figure


def series_name(evaluation: pd.DataFrame, schedule: str, members: str) -> str:
    """What a schedule's line is called; alone where it has no ensembles."""
    of_schedule = evaluation[evaluation["schedule"] == schedule]
    if set(of_schedule["members"]) == {"single"}:
        return schedule
    return f"{schedule}, " + ("last snapshot" if members == "single" else "ensemble of snapshots")


def _rates_title(rates: str) -> str:
    return f"initial rate {rates}" if "+" not in rates else f"rates {rates.replace('+', ' and ')} averaged"


def _apart(epochs: Sequence[int]) -> list[int]:
    """Ticks at epochs where results are, not closer than a reader can tell apart."""
    kept: list[int] = []
    for epoch in reversed(epochs):
        if not kept or epoch <= 0.75 * kept[-1]:
            kept.append(epoch)
    return kept[::-1]


@matplotlib.rc_context(STYLE)
def confusion(y: np.ndarray, probabilities: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Confusion matrices: trials by true and by predicted class.

    Parameters
    ----------
    y : ndarray of int, shape (n_trials,)
        Classes.
    probabilities : mapping of str to ndarray, shape (n_trials, n_classes)
        Of each predictor, by name.
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    figure : Figure
    """
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
    axes[0].set_ylabel("True class")
    figure.colorbar(image, ax=axes, label="Share of the true class (%)", shrink=0.8)
    return figure


@matplotlib.rc_context(STYLE)
def reliability(y: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> Figure:
    """Fraction of correct trials against the probability given to the predicted class.

    Parameters
    ----------
    y : ndarray of int, shape (n_trials,)
        Classes.
    probabilities : mapping of str to ndarray, shape (n_trials, n_classes)
        Of each predictor, by name.

    Returns
    -------
    figure : Figure
    """
    figure = new_figure(3.9 * len(probabilities), 4.2)
    grid = figure.subplots(
        2, len(probabilities), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1)
    )
    for i, (name, values) in enumerate(probabilities.items()):
        colour, mark, _ = _look(i)
        above, below = grid[:, i]
        bins = reliability_bins(y, values)
        above.plot([0, 100], [0, 100], color=GREY, linestyle=":")
        for count, correct, confidence in bins:
            low, high = binomial_interval(round(correct * count), count)
            above.plot([100 * confidence] * 2, [100 * low, 100 * high], color=colour, alpha=0.35, linewidth=2)
            above.plot(100 * confidence, 100 * correct, mark, color=colour, markersize=6)
            below.bar(100 * confidence, count, width=4, color=colour)
        above.set(title=name, xlim=(100 / values.shape[1] - 3, 103), ylim=(-3, 103))
        below.set(xlabel="Probability of the predicted class (%)")
    grid[0, 0].set_ylabel("Correct trials (%)")
    grid[1, 0].set_ylabel("Trials")
    return figure
