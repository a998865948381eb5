"""Error against how many trainings and snapshots are averaged: the picture above its numbers."""

from collections.abc import Sequence

import pandas as pd

from eeg_sgdr.figures.surface import surface, surface_points
from eeg_sgdr.pages import numbers
from eeg_sgdr.pages.markup import Html, paragraphs, phrase, picture, table
from eeg_sgdr.pages.numbers import Row
from eeg_sgdr.pages.wording import unit_name
from eeg_sgdr.settings import Settings


def averaged(comparison: pd.DataFrame, settings: Settings) -> str:
    """The paper's Figure 3 and Table 2; without a picture where none of it has a number."""
    unit = unit_name(settings)
    rows = numbers.lines(comparison, "ensemble")
    means = [row for row in rows if row["quantity"] == "mean error"]
    there = [row for row in means if row["n_units"]]
    html = _table(means, unit)
    if not there:
        return html
    (trials,) = (row for row in rows if row["quantity"] == "median test trials")
    caption = [
        "Mean test error when N trainings, and the last M snapshots of each, are averaged: the paper's "
        "Figure 3 and Table 2.",
        phrase("It stands on ", _basis(there, trials, unit), "."),
        "A line for each N: trainings with several seeds and, where rates are averaged, at each rate. Left "
        "of the upright line are the schedules that leave one snapshot of each training.",
        "How to judge it: to the right, snapshots are added at no further cost of training; from one line to "
        "the next, trainings are. The vertical axis does not begin at zero, so small differences look large: "
        "intervals are in comparison.csv, and nothing here is tested.",
    ]
    if (surface_points(comparison)["members"] == "consecutive").any():
        caption.insert(
            3,
            "Hollow marks on dotted lines are the paper's control: as many epochs before the end instead of "
            "ends of cycles, of the same trainings. If averaging any late networks were enough, both lines "
            "would fall alike.",
        )
    # surface says itself that recordings are simulated, as figure4 does.
    return picture(surface(comparison, settings), caption, "svg", simulated=False) + html


def _basis(means: Sequence[Row], trials: Row, unit: str) -> Html:
    """How many subjects, seeds and test trials the numbers of the ensembles stand on."""
    return phrase(
        *(_span(means, "n_units", unit), ", ", _span(means, "n_seeds", "seed"), ", "),
        *(numbers.whole(trials, "estimate"), f" test trials in a {unit} (median; quartiles "),
        *(numbers.whole(trials, "low"), " to ", numbers.whole(trials, "high"), ")"),
    )


def _span(rows: Sequence[Row], column: str, thing: str) -> Html:
    """How many of a thing rows stand on: one number, or the least and the most."""
    least, most = (pick(rows, key=lambda row: row[column]) for pick in (min, max))
    first = [] if least[column] == most[column] else [numbers.whole(least, column), " to "]
    return phrase(*first, numbers.whole(most, column), f" {thing}" if most[column] == 1 else f" {thing}s")


def _table(rows: Sequence[Row], unit: str) -> Html:
    """Error against how many trainings and snapshots are averaged: a row for each N, a column for each M."""
    grid: dict[tuple[str, str, int], dict[int, Row]] = {}
    for row in rows:
        n_fits = row["epochs_spent_a"] // row["epoch_a"]
        grid.setdefault((row["a"], row["rate"], n_fits), {})[row["n_networks_a"] // n_fits] = row
    most = max(max(cells) for cells in grid.values())
    lines = []
    for (name, rate, _), cells in grid.items():
        first = next(iter(cells.values()))
        lines.append(
            [
                name,
                rate.replace("+", " + "),
                numbers.whole(first, "epochs_spent_a"),
                *(numbers.points(cells[m]) if m in cells else "none" for m in range(1, most + 1)),
                *numbers.basis(first),
            ]
        )
    return Html(
        table(
            [
                *("Members", "Initial rate", "Epochs spent", *(f"M = {m}" for m in range(1, most + 1))),
                *(f"{unit.capitalize()}s", "Seeds", "Missing"),
            ],
            lines,
            f"Mean error over {unit}s (%) when the last M snapshots of each training are averaged, and with "
            "them several trainings; described, not tested. Intervals are in comparison.csv.",
        )
        + paragraphs(
            [
                "Trainings with several seeds, or at several rates (joined by a plus), are averaged where "
                "epochs spent are a multiple of one training's. How to judge it: to the right and downwards "
                "more networks are averaged, so the error should fall and then level off; snapshots of one "
                "training cost no further training, more trainings do. The best cell of such a table is best "
                "by luck as much as by merit."
            ]
        )
    )
