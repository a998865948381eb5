"""Errors of every subject in, one line per subject from one side of a comparison to the other out."""

from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure

from eeg_sgdr.comparison import Pairs
from eeg_sgdr.figures.canvas import COLOURS, GREY, STYLE, label_rows, legend, panels


@matplotlib.rc_context(STYLE)
def slopes(pairs: Mapping[str, Pairs], unit: str = "subject") -> Figure:
    """One panel per comparison: b at the left, a at the right, a line per subject, the mean in black.

    Parameters
    ----------
    pairs : mapping of str to Pairs
        Errors of both sides, by name of the comparison; at least one.
    unit : str
        What a line is: a subject, or a fold.

    Returns
    -------
    figure : Figure
    """
    figure, axes = panels(len(pairs), 3.6, 3.8, sharey=True)
    handles = {}
    for panel, (name, pair) in zip(axes, pairs.items(), strict=True):
        for b, a in pair.errors[["b", "a"]].to_numpy():
            colour, line, words = _look(a - b)
            (handles[f"{unit} in which {words}"],) = panel.plot(
                [0, 1], [100 * b, 100 * a], color=colour, linestyle=line, marker="o", markersize=4, alpha=0.8
            )
        means = 100 * pair.errors[["b", "a"]].mean()
        (handles[f"mean over {unit}s"],) = panel.plot(
            [0, 1], means, color="black", linewidth=2.5, marker="s", markersize=6
        )
        panel.set_xticks([0, 1], [pair.b, pair.a])
        panel.set(xlim=(-0.4, 1.4), title=_wrapped(name))
    axes[0].set_ylim(bottom=0)
    label_rows(axes, "Test error (%)")
    legend(figure, handles)
    return figure


def _look(difference: float) -> tuple[str, str, str]:
    if abs(difference) < 1e-9:
        return GREY, ":", "both are equal"
    return (
        (COLOURS[0], "-", "the right is better")
        if difference < 0
        else (COLOURS[1], "--", "the right is worse")
    )


def _wrapped(text: str) -> str:
    """A title in lines that its panel has room for."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 34:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return "\n".join(lines)
