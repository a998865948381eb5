"""Tables of the study's report."""

from collections.abc import Mapping, Sequence

import pandas as pd

from eeg_sgdr.evaluation.units import expected_units
from eeg_sgdr.reports import html
from eeg_sgdr.reports.answers import Answer
from eeg_sgdr.reports.figures.surface import surface, surface_points
from eeg_sgdr.reports.html import (
    Html,
    Row,
    basis,
    decimal,
    interval,
    link,
    median,
    numbered_lines,
    pair,
    paragraphs,
    phrase,
    picture,
    points,
    table,
    tally,
    whole,
)
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.results import Results


def tested(found: Sequence[Answer], unit: str) -> Html:
    """Differences, intervals and tests of every comparison, and what its sides cost."""
    results, costs = [], []
    # What is left out has no numbers; the sentences say why.
    for answer in (answer for answer in found if not answer.left_out):
        rows, row = answer.rows, answer.difference
        results.append(
            [
                answer.comparison.name,
                html.points(row),
                html.interval(row),
                html.interval(rows["bootstrap mean difference", ""]),
                html.median(rows["median difference", ""]),
                html.p(row),
                html.p(row, "p_holm"),
                html.p(rows["signed-rank test", ""]),
                html.decimal(rows["effect size", ""]),
                html.points(rows["detectable difference", ""]),
                html.tally(row),
            ]
        )
        costs.append(
            [
                answer.comparison.name,
                _both(rows, "mean error"),
                _both(rows, "median error"),
                _rates(row),
                html.pair(row, "epochs"),
                html.pair(row, "n_networks"),
                html.pair(row, "epochs_spent"),
                Html(" : ".join(html.whole(rows["updates", letter], "estimate") for letter in "ab")),
                *html.basis(row),
            ]
        )
    return Html(
        table(
            [
                *("Comparison (a against b)", "Mean difference (points)", "95 % interval, t"),
                *(
                    "95 % interval, bootstrap",
                    "Median (quartiles)",
                    "Sign-flip test",
                    "Holm",
                    "Wilcoxon test",
                ),
                *("dz", "Detectable (points)", "Better : equal : worse"),
            ],
            results,
            "What was tested: errors of b less those of a, positive where a is better. The test that counts "
            "is the sign-flip test after Holm's correction; all else stands beside it.",
        )
        + table(
            [
                *("Comparison (a : b)", "Mean errors (%)", "Median errors (%)", "Initial rates", "Epochs"),
                *(
                    "Networks averaged",
                    "Epochs spent",
                    "Updates, mean",
                    f"{unit.capitalize()}s",
                    "Seeds",
                    "Missing",
                ),
            ],
            costs,
            "What the sides of each comparison are and cost: epochs spent and updates are those of one "
            "predictor's trainings together.",
        )
    )


def _both(rows: Mapping[tuple[str, str], Row], quantity: str) -> Html:
    return Html(" : ".join(html.points(rows[quantity, letter]) for letter in "ab"))


def _rates(row: Row) -> str:
    """Initial rates of both sides, once where they are the same; the baseline has none."""
    both = (row["rates_a"], row["rates_b"])
    return " : ".join(dict.fromkeys(rates for rates in both if rates)).replace("+", " + ")


def units(results: Results, found: Sequence[Answer]) -> Html:
    """Both sides' error in every subject or fold, with links to their reports."""
    there = {subject.label: subject for subject in results.subjects if subject.done}
    unit = results.settings.unit
    rows = []
    for label in expected_units(results.settings) or there:
        name: str = label
        if label in there:
            name = link(there[label].folder.report.relative_to(results.root).as_posix(), label)
        rows.append([name, *(unit_pair(answer, unit, label) for answer in found if not answer.left_out)])
    header = [unit.capitalize(), *(answer.comparison.name for answer in found if not answer.left_out)]
    return Html(
        table(
            header,
            rows,
            f"Mean error of each {unit} over seeds (and rates, where a comparison goes rate by rate), in "
            f"percent, as a : b. A {unit}'s name leads to its report.",
        )
    )


def unit_pair(answer: Answer, kind: str, label: str) -> str:
    """Both sides' error in one subject or fold of a comparison."""
    rows = [answer.errors.get((kind, label, letter)) for letter in "ab"]
    return Html(" : ".join(html.points(row) for row in rows if row)) if all(rows) else "missing"


def curves(comparison: pd.DataFrame) -> Html:
    """The numbers of Figure 4."""
    improvement, error = "median improvement", "median error"
    of: dict[str, list[Row]] = {error: [], improvement: []}
    for row in numbered_lines(comparison, "curve"):
        of[row["quantity"]].append(row)
    rows = []
    for alone, against in zip(of[error], of[improvement], strict=True):
        classical = alone["arm_a"] == "baseline"
        rows.append(
            [
                alone["label_a"],
                _rates(alone),
                *(["none"] * 3 if classical else [whole(alone, name) for name in _SPENT]),
                median(alone),
                median(against),
                tally(against),
                *basis(against),
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


_SPENT = ("epochs_a", "n_networks_a", "epochs_spent_a")


#: Rows of two sides, by quantity, side and, where there is a target, points.
SideBySide = Mapping[tuple[str, str, int | None], Row]


def anytime(comparison: pd.DataFrame, unit: str) -> Html:
    """How good the schedules are before the end."""
    rows = numbered_lines(comparison, "anytime")
    left_out = [row for row in rows if row["status"] == "left out"]
    html = paragraphs(f"Of {_against(row)}: left out: {row['missing']}." for row in left_out)
    pairs: dict[tuple[str, ...], dict[tuple[str, str, int | None], Row]] = {}
    for row in rows:
        if row["status"] != "left out":
            sides = (row["arm_a"], row["snapshots_a"], row["arm_b"])
            target: int | None = None if pd.isna(row["points"]) else row["points"]
            pairs.setdefault(sides, {})[row["quantity"], row["side"], target] = row
    found = list(pairs.values())
    return Html(html + _areas(found, unit) + _first_epochs(found, unit)) if found else Html(html)


def _against(row: Row) -> str:
    return f"{row['label_a']} against {row['label_b']}"


def _areas(pairs: Sequence[SideBySide], unit: str) -> str:
    rows = []
    for by_quantity in pairs:
        difference = by_quantity["difference of areas", "", None]
        rows.append(
            [
                _against(difference),
                whole(difference, "epochs_a"),
                *(decimal(by_quantity["area", letter, None]) for letter in "ab"),
                decimal(difference),
                interval(difference, factor=1, digits=2),
                tally(difference),
                *basis(difference),
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


def _first_epochs(pairs: Sequence[SideBySide], unit: str) -> str:
    rows = []
    for by_quantity in pairs:
        for quantity, _, within in by_quantity:
            if quantity != "ratio of epochs":
                continue
            ratio = by_quantity[quantity, "", within]
            cells: list[str] = []
            for letter in "ab":
                cells.append(_epochs(by_quantity["first epoch", letter, within]))
                cells.append(points(by_quantity["reached", letter, within]))
            sooner = phrase(decimal(ratio), " (", interval(ratio, factor=1, digits=2), ")")
            words = f"within {within} point{'s' if within != 1 else ''}"
            rows.append([_against(ratio), words, *cells, sooner, tally(ratio), *basis(ratio)])
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
    quartiles = [" (", whole(row, "low"), " to ", whole(row, "high"), ")"]
    return phrase(whole(row, "estimate"), *quartiles)


def descriptive(rows: Sequence[Row], unit: str) -> Html:
    """The last completed cycle beside other budgets, and the rates of step schedules."""
    shown = [
        [
            row["quantity"],
            _against(row) if row["arm_b"] else row["label_a"],
            _rates(row),
            *((pair(row, name) if row["arm_b"] else whole(row, f"{name}_a")) for name in _COSTS),
            points(row),
            interval(row),
            tally(row) if pd.notna(row["better"]) else "none",
            *basis(row),
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


_COSTS = ("epochs", "n_networks", "epochs_spent")


def averaged(comparison: pd.DataFrame, settings: Settings) -> str:
    """The paper's Figure 3 and Table 2; without a picture where none of it has a number."""
    unit = settings.unit
    rows = numbered_lines(comparison, "ensemble")
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
    if (surface_points(comparison)["snapshots_a"] == "consecutive").any():
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
        *(whole(trials, "estimate"), f" test trials in a {unit} (median; quartiles "),
        *(whole(trials, "low"), " to ", whole(trials, "high"), ")"),
    )


def _span(rows: Sequence[Row], column: str, thing: str) -> Html:
    """How many of a thing rows stand on: one number, or the least and the most."""
    least, most = (pick(rows, key=lambda row: row[column]) for pick in (min, max))
    first = [] if least[column] == most[column] else [whole(least, column), " to "]
    return phrase(*first, whole(most, column), f" {thing}" if most[column] == 1 else f" {thing}s")


def _table(rows: Sequence[Row], unit: str) -> Html:
    """Error against how many trainings and snapshots are averaged: a row for each N, a column for each M."""
    grid: dict[tuple[object, ...], dict[int, Row]] = {}
    for row in rows:
        line = tuple(row[name] for name in ("arm_a", "snapshots_a", "rates_a", "n_fits_a"))
        grid.setdefault(line, {})[row["n_snapshots_a"]] = row
    most = max(max(cells) for cells in grid.values())
    lines = []
    for cells in grid.values():
        first = next(iter(cells.values()))
        lines.append(
            [
                first["label_a"],
                _rates(first),
                whole(first, "epochs_spent_a"),
                *(points(cells[m]) if m in cells else "none" for m in range(1, most + 1)),
                *basis(first),
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
