"""Tables of what a study describes and does not test: curves, moments before the end."""

from collections.abc import Mapping, Sequence

import pandas as pd

from eeg_sgdr.pages import numbers
from eeg_sgdr.pages.markup import Html, paragraphs, phrase, table
from eeg_sgdr.pages.numbers import Row


def curves(comparison: pd.DataFrame) -> Html:
    """The numbers of Figure 4."""
    improvement, error = "median improvement over the reference", "median error"
    of: dict[str, list[Row]] = {error: [], improvement: []}
    for row in numbers.lines(comparison, "curve"):
        of[row["quantity"]].append(row)
    rows = []
    for alone, against in zip(of[error], of[improvement], strict=True):
        classical = alone["a"] == "baseline"
        rows.append(
            [
                alone["a"],
                alone["rate"].replace("+", " + "),
                *(["none"] * 3 if classical else [numbers.whole(alone, name) for name in _SPENT]),
                numbers.median(alone),
                numbers.median(against),
                numbers.tally(against),
                *numbers.basis(against),
            ]
        )
    return Html(
        table(
            [
                *("Predictor", "Initial rate", "Epochs", "Networks", "Epochs spent", "Error (%)"),
                *(
                    "Improvement (points)",
                    "Better : equal : worse",
                    "Subjects",
                    "Seeds",
                    "Missing",
                ),
            ],
            rows,
            "Medians over subjects with quartiles, as Figure 4 draws them; described, not tested.",
        )
    )


_SPENT = ("epoch_a", "n_networks_a", "epochs_spent_a")


def anytime(comparison: pd.DataFrame, unit: str) -> Html:
    """How good the schedules are before the end."""
    rows = numbers.lines(comparison, "anytime")
    html = paragraphs(
        f"Of {row['a']} against {row['b']}: {row['missing']}."
        for row in rows
        if row["quantity"] == "left out"
    )
    pairs: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row["quantity"] != "left out":
            pairs.setdefault((row["a"], row["b"]), {})[row["quantity"]] = row
    return Html(html + _areas(pairs, unit) + _first_epochs(pairs, unit)) if pairs else Html(html)


def _areas(pairs: Mapping[tuple[str, str], Mapping[str, Row]], unit: str) -> str:
    rows = []
    for (a, b), of in pairs.items():
        difference = of["difference of areas"]
        rows.append(
            [
                f"{a} against {b}",
                numbers.whole(difference, "epoch_a"),
                *(numbers.decimal(of[f"area under the error of {letter}"]) for letter in "ab"),
                numbers.decimal(difference),
                numbers.interval(difference, factor=1, digits=2),
                numbers.tally(difference),
                *numbers.basis(difference),
            ]
        )
    return table(
        [
            *("Sides (a against b)", "Up to epoch", "Area of a", "Area of b", "Difference", "95 % interval"),
            *("Better : equal : worse", f"{unit.capitalize()}s", "Seeds", "Missing"),
        ],
        rows,
        f"Area under the error (a fraction) over doublings of the epochs, mean over {unit}s; described, not "
        "tested.",
    ) + paragraphs(
        [
            "At each epoch the solution is that of the last completed cycle, or of the largest completed "
            "budget, and chance before the first. Smaller areas are better. How to judge it: a schedule's "
            "area is large where no small budget of it was trained, so look at Figure 4 too, beyond the "
            "first budget."
        ]
    )


def _first_epochs(pairs: Mapping[tuple[str, str], Mapping[str, Row]], unit: str) -> str:
    start = "first epoch of a "
    rows = []
    for (a, b), of in pairs.items():
        for within in (name.removeprefix(start) for name in of if name.startswith(start)):
            ratio = of[f"ratio of epochs, b to a, {within}"]
            cells: list[str] = []
            for letter in "ab":
                epochs, reached = of[f"first epoch of {letter} {within}"], of[f"reached, {letter} {within}"]
                cells += [_epochs(epochs), numbers.points(reached)]
            sooner = phrase(numbers.decimal(ratio), " (", numbers.interval(ratio, factor=1, digits=2), ")")
            words = within.removesuffix(" of the reference")
            rows.append(
                [f"{a} against {b}", words, *cells, sooner, numbers.tally(ratio), *numbers.basis(ratio)]
            )
    return table(
        [
            *("Sides (a against b)", "Target", "First epoch of a", "Reached by a (%)", "First epoch of b"),
            *(
                "Reached by b (%)",
                "Ratio, b to a",
                "Sooner : same : later",
                f"{unit.capitalize()}s",
                "Seeds",
                "Missing",
            ),
        ],
        rows,
        "First epoch at which the error is within so many points, or one trial if that is more, of the "
        f"reference: medians over {unit}s (quartiles); described, not tested.",
    ) + paragraphs(
        [
            f"A ratio above one means that a was sooner. Reached is the percentage of {unit}s. What was not "
            f"reached stays so: it enters medians as later than everything, and {unit}s in which neither "
            "side reached it have no ratio."
        ]
    )


def _epochs(row: Row) -> Html:
    quartiles = [" (", numbers.whole(row, "low"), " to ", numbers.whole(row, "high"), ")"]
    return phrase(numbers.whole(row, "estimate"), *quartiles)


def descriptive(rows: Sequence[Row], unit: str) -> Html:
    """The last completed cycle beside other budgets, and the rates of step schedules."""
    shown = [
        [
            row["quantity"],
            f"{row['a']} against {row['b']}" if row["b"] else row["a"],
            row["rate"].replace("+", " + "),
            *((numbers.pair(row, name) if row["b"] else numbers.whole(row, f"{name}_a")) for name in _COSTS),
            numbers.points(row),
            numbers.interval(row),
            numbers.tally(row) if pd.notna(row["better"]) else "none",
            *numbers.basis(row),
        ]
        for row in rows
    ]
    header = ["Quantity", "Of", "Initial rate", "Epochs", "Networks", "Epochs spent", "Percent or points"]
    return Html(
        table(
            [*header, "95 % interval", "Better : equal : worse", f"{unit.capitalize()}s", "Seeds", "Missing"],
            shown,
            "Described, not tested: where epochs of a and b differ, or rates were not chosen in advance, a "
            "difference is no evidence. Differences are positive where a is better.",
        )
    )


_COSTS = ("epoch", "n_networks", "epochs_spent")
