"""Tables of the study's page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

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
    image,
    interval,
    link,
    numbered_lines,
    pair,
    phrase,
    points,
    render,
    tally,
    whole,
    with_ends,
)
from eeg_sgdr.reports.wording import counted
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject

#: A header, and the function that makes a cell of an item.
Column = tuple[str, Callable[[Any], str]]


def table(columns: Sequence[Column], items: Iterable[object], caption: str) -> Html:
    """A table with a row for each item."""
    rows = [[cell(item) for _, cell in columns] for item in items]
    return render("table.html", header=[header for header, _ in columns], rows=rows, caption=caption)


def basis_columns(unit: str, row_of: Callable[[Any], Row] = lambda row: row) -> list[Column]:
    """Columns of the units and seeds behind an item's row, and of those that are missing."""

    def cell(i: int, item: object) -> str:
        return basis(row_of(item))[i]

    headers = (f"{unit.capitalize()}s", "Seeds", "Missing")
    return [(header, partial(cell, i)) for i, header in enumerate(headers)]


def verdicts(found: Sequence[Answer], unit: str) -> Html:
    """Of every comparison: by how much, how sure, for whom, and at what cost."""
    # The others have no numbers; the sentences say why.
    answered = [answer for answer in found if not answer.left_out]
    if not answered:
        return Html()
    corrected: list[Column] = [
        ("By corrected t", lambda one: one.rows["corrected mean difference", ""]["verdict"])
    ]
    tuning: list[Column] = [("Tuning (epochs)", lambda one: pair(one.difference, "epochs_tuning"))]
    columns: list[Column] = [
        ("Comparison (a against b)", lambda one: one.comparison.name),
        ("Verdict on a", lambda one: Html("<strong>{}</strong>").format(one.difference["verdict"])),
        *(corrected if unit == "fold" else []),
        ("Errors (%)", lambda one: _both(one.rows, "mean error", points)),
        ("Better by (points)", lambda one: with_ends(one.difference)),
        ("Corrected p", lambda one: html.p(one.difference, "p_holm")),
        ("Of equivalence", lambda one: html.p(one.rows["equivalence", ""], "p_holm")),
        ("One subject more (points)", lambda one: interval(one.rows["difference of a new subject", ""])),
        ("a better (%)", lambda one: points(one.rows["better for a new subject", ""])),
        ("Training (epochs)", lambda one: pair(one.difference, "epochs_spent")),
        *(tuning if any(one.difference["epochs_tuning_a"] for one in answered) else []),
        ("Predicting (networks)", lambda one: pair(one.difference, "n_networks")),
    ]
    (margin,) = {html.margin(one.rows["equivalence", ""]).striptags() for one in answered}
    return table(
        columns,
        answered,
        f"Verdicts: equivalent is within {margin}; differences (95 % interval) are positive where a is "
        f"better; p-values are corrected for {counted(len(answered), 'comparison')}. One subject more: 95 % "
        "prediction interval of the difference, and probability that a is better. Costs: a : b.",
    )


def comparisons(found: Sequence[Answer], unit: str) -> Html:
    """Differences, intervals, tests and costs of every comparison."""
    answered = [answer for answer in found if not answer.left_out]
    resampled: list[Column] = [
        ("95 % interval, corrected t", lambda one: interval(one.rows["corrected mean difference", ""])),
        ("Corrected t test, Holm", lambda one: html.p(one.rows["corrected mean difference", ""], "p_holm")),
    ]
    seeds: list[Column] = [("Difference by seed", _by_seed)] if any(one.of_seeds for one in answered) else []
    results: list[Column] = [
        ("Comparison (a against b)", lambda one: one.comparison.name),
        ("Mean difference (points)", lambda one: points(one.difference)),
        ("95 % interval, t", lambda one: interval(one.difference)),
        *(resampled if unit == "fold" else []),
        ("95 % interval, bootstrap", lambda one: interval(one.rows["bootstrap mean difference", ""])),
        ("Median (quartiles)", lambda one: with_ends(one.rows["median difference", ""])),
        ("Sign-flip test", lambda one: html.p(one.difference)),
        ("Holm", lambda one: html.p(one.difference, "p_holm")),
        ("Wilcoxon test", lambda one: html.p(one.rows["signed-rank test", ""])),
        ("dz", lambda one: decimal(one.rows["effect size", ""])),
        ("Detectable (points)", lambda one: points(one.rows["detectable difference", ""])),
        ("Between trainings (points)", _between_trainings),
        *seeds,
        ("Better : equal : worse", lambda one: tally(one.difference)),
    ]
    costs: list[Column] = [
        ("Comparison (a : b)", lambda one: one.comparison.name),
        ("Mean errors (%)", lambda one: _both(one.rows, "mean error", points)),
        ("Median errors (%)", lambda one: _both(one.rows, "median error", points)),
        ("Initial rates", lambda one: _rates(one.difference)),
        ("Epochs", lambda one: pair(one.difference, "epochs")),
        ("Networks averaged", lambda one: pair(one.difference, "n_networks")),
        ("Epochs spent", lambda one: pair(one.difference, "epochs_spent")),
        ("Epochs of tuning", lambda one: pair(one.difference, "epochs_tuning")),
        ("Updates, mean", lambda one: _both(one.rows, "updates", partial(whole, column="estimate"))),
        *basis_columns(unit, lambda one: one.difference),
    ]
    return table(
        results,
        answered,
        "What was tested: errors of b less those of a, positive where a is better. The test that counts is "
        "the sign-flip test after Holm's correction; all else stands beside it. Detectable: a true "
        f"difference that would have been found four times in five, {unit}s varying as they did. Between "
        "trainings: standard deviation of the difference between trainings with different seeds.",
    ) + table(
        costs,
        answered,
        "What the sides of each comparison are and cost: epochs spent and updates are those of one "
        "predictor's trainings together, without those of tuning, by which its rate was chosen.",
    )


def _between_trainings(answer: Answer) -> Html:
    row = answer.rows.get(("standard deviation between trainings", ""))
    return points(row) if row else html.NONE


def _by_seed(answer: Answer) -> Html:
    return Html(", ").join(phrase(f"{seed}: ", points(row)) for seed, row in answer.of_seeds.items())


def likelihoods(comparison: pd.DataFrame) -> Html:
    """Negative log-likelihoods of both sides of every comparison, and after temperature scaling."""
    rows: dict[str, dict[tuple[str, str], Row]] = {}
    for row in numbered_lines(comparison, "likelihood"):
        rows.setdefault(row["comparison"], {})[row["quantity"], row["side"]] = row
    answered = [of for of in rows.values() if of["mean nll difference", ""]["n_units"]]
    columns: list[Column] = [
        ("Comparison (a : b)", lambda of: of["mean nll difference", ""]["comparison"]),
        ("Negative log-likelihood (nats)", lambda of: _both(of, "mean nll", decimal)),
        ("Difference", lambda of: decimal(of["mean nll difference", ""])),
        ("95 % interval", lambda of: interval(of["mean nll difference", ""], factor=1, digits=2)),
        ("Better : equal : worse", lambda of: tally(of["mean nll difference", ""])),
    ]
    if any(quantity == "mean temperature" for of in answered for quantity, _ in of):
        columns += [
            ("Temperature", lambda of: _both(of, "mean temperature", decimal)),
            ("Scaled by it (nats)", lambda of: _both(of, "mean scaled nll", decimal)),
        ]
    return table(
        columns,
        answered,
        "Likelihood, which also counts how sure each prediction was: differences are positive where a is "
        "better; described, not tested.",
    )


def equivalents(comparison: pd.DataFrame) -> Html:
    """How many independently seeded networks do as well as the snapshots of one fit."""
    by_error, by_likelihood = (
        [row for row in numbered_lines(comparison, "ensemble") if row["quantity"] == quantity]
        for quantity in ("independent networks by error", "independent networks by likelihood")
    )
    columns: list[Column] = [
        ("Snapshots", lambda both: both[0]["label_a"]),
        ("Initial rate", lambda both: _rates(both[0])),
        ("Networks, by error", lambda both: _with_interval(both[0])),
        ("Networks, by likelihood", lambda both: _with_interval(both[1])),
    ]
    caption = (
        "How many networks of other seeds, averaged, do as well as the snapshots of one training (interval: "
        "bootstrap over units; infinite: more than there are seeds); described, not tested."
    )
    return table(columns, zip(by_error, by_likelihood, strict=True), caption) if by_error else Html()


def _with_interval(row: Row) -> Html:
    return phrase(decimal(row, digits=1), " (", interval(row, factor=1, digits=1), ")")


def _both(rows: Mapping[tuple[str, str], Row], quantity: str, shown: Callable[[Row], Html]) -> Html:
    sides = (rows.get((quantity, letter)) for letter in "ab")
    return Html(" : ").join(shown(row) if row else html.NONE for row in sides)


def _rates(row: Row) -> str:
    """Initial rates of both sides, once if equal; a baseline has none."""
    both = (row["rates_a"], row["rates_b"])
    return " : ".join(dict.fromkeys(rates for rates in both if rates)).replace("+", " + ")


def pages(results: Results) -> dict[str, str]:
    """Address of the page of every unit that has one, by the unit's label."""
    return {unit.label: _page(results, unit) for unit in results.subjects if unit.done}


def pages_of_subjects(results: Results) -> dict[str, str]:
    """Address of every subject's page or, across subjects, of the page of the fold that it tests in."""
    done = [unit for unit in results.subjects if unit.done]
    return {label: _page(results, unit) for unit in done for label in unit.test_subjects}


def _page(results: Results, unit: Subject) -> str:
    return unit.folder.report.relative_to(results.root).as_posix()


def units(results: Results, found: Sequence[Answer]) -> Html:
    """Both sides' error in every subject or fold, with links to their reports."""
    address = pages(results)
    unit = results.settings.unit

    def name(label: str) -> str:
        return link(address[label], label) if label in address else label

    columns: list[Column] = [
        (unit.capitalize(), name),
        *(
            (answer.comparison.name, partial(unit_pair, answer, unit))
            for answer in found
            if not answer.left_out
        ),
    ]
    return table(
        columns,
        expected_units(results.settings) or address,
        f"Mean error of each {unit} over seeds (and rates, where a comparison goes rate by rate), in "
        f"percent, as a : b. A {unit}'s name leads to its report.",
    )


def unit_pair(answer: Answer, kind: str, label: str) -> str:
    """Both sides' error of a comparison in one subject or fold."""
    rows = [answer.errors.get((kind, label, letter)) for letter in "ab"]
    return Html(" : ".join(html.points(row) for row in rows if row)) if all(rows) else "missing"


def curves(comparison: pd.DataFrame) -> Html:
    """The numbers of Figure 4."""
    improvement, error = "median improvement", "median error"
    of: dict[str, list[Row]] = {error: [], improvement: []}
    for row in numbered_lines(comparison, "curve"):
        if row["quantity"] in of:
            of[row["quantity"]].append(row)
    columns: list[Column] = [
        ("Predictor", lambda both: both[0]["label_a"]),
        ("Initial rate", lambda both: _rates(both[0])),
        ("Epochs", lambda both: _spent(both[0], "epochs_a")),
        ("Networks", lambda both: _spent(both[0], "n_networks_a")),
        ("Epochs spent", lambda both: _spent(both[0], "epochs_spent_a")),
        ("Error (%)", lambda both: with_ends(both[0])),
        ("Improvement (points)", lambda both: with_ends(both[1])),
        ("Better : equal : worse", lambda both: tally(both[1])),
        *basis_columns("subject", lambda both: both[1]),
    ]
    caption = "Medians over subjects with quartiles, as Figure 4 draws them; described, not tested."
    return table(columns, zip(of[error], of[improvement], strict=True), caption)


def _spent(row: Row, column: str) -> str:
    return "none" if row["snapshots_a"] == "baseline" else whole(row, column)


#: Rows of two sides, by quantity and side.
SideBySide = Mapping[tuple[str, str], Row]


def anytime(comparison: pd.DataFrame, unit: str) -> Html:
    """How good the schedules are before the end."""
    left_out: list[Row] = []
    areas: dict[tuple[str, ...], dict[tuple[str, str], Row]] = {}
    targets: dict[tuple[str, ...], dict[tuple[str, str], Row]] = {}
    for row in numbered_lines(comparison, "anytime"):
        sides = (row["arm_a"], row["snapshots_a"], row["arm_b"])
        if row["status"] == "left out":
            left_out.append(row)
        elif pd.isna(row["points"]):
            areas.setdefault(sides, {})[row["quantity"], row["side"]] = row
        else:
            targets.setdefault((*sides, row["points"]), {})[row["quantity"], row["side"]] = row
    return render(
        "anytime.html",
        left_out=left_out,
        areas=_areas(areas.values(), unit) if areas else "",
        first_epochs=_first_epochs(targets.values(), unit) if targets else "",
        unit=unit,
    )


def _against(row: Row) -> str:
    return f"{row['label_a']} against {row['label_b']}"


def _areas(pairs: Iterable[SideBySide], unit: str) -> Html:
    columns: list[Column] = [
        ("Sides (a against b)", lambda rows: _against(rows["difference of areas", ""])),
        ("Up to epoch", lambda rows: whole(rows["difference of areas", ""], "epochs_a")),
        ("Area of a", lambda rows: decimal(rows["area", "a"])),
        ("Area of b", lambda rows: decimal(rows["area", "b"])),
        ("Difference", lambda rows: decimal(rows["difference of areas", ""])),
        ("95 % interval", lambda rows: interval(rows["difference of areas", ""], factor=1, digits=2)),
        ("Better : equal : worse", lambda rows: tally(rows["difference of areas", ""])),
        *basis_columns(unit, lambda rows: rows["difference of areas", ""]),
    ]
    return table(
        columns,
        pairs,
        f"Area under the error (a fraction) over doublings of the epochs, mean over {unit}s; described, not "
        "tested.",
    )


def _first_epochs(pairs: Iterable[SideBySide], unit: str) -> Html:
    columns: list[Column] = [
        ("Sides (a against b)", lambda rows: _against(rows["ratio of epochs", ""])),
        ("Target", lambda rows: f"within {counted(rows['ratio of epochs', '']['points'], 'point')}"),
        ("First epoch of a", lambda rows: _epochs(rows["first epoch", "a"])),
        ("Reached by a (%)", lambda rows: points(rows["reached", "a"])),
        ("First epoch of b", lambda rows: _epochs(rows["first epoch", "b"])),
        ("Reached by b (%)", lambda rows: points(rows["reached", "b"])),
        ("Ratio, b to a", lambda rows: _ratio(rows["ratio of epochs", ""])),
        ("Sooner : same : later", lambda rows: tally(rows["ratio of epochs", ""])),
        *basis_columns(unit, lambda rows: rows["ratio of epochs", ""]),
    ]
    return table(
        columns,
        pairs,
        "First epoch at which the error is within so many points, or one trial if that is more, of the "
        f"reference: medians over {unit}s (quartiles); described, not tested.",
    )


def _epochs(row: Row) -> Html:
    return phrase(whole(row, "estimate"), " (", whole(row, "low"), " to ", whole(row, "high"), ")")


def _ratio(row: Row) -> Html:
    return phrase(decimal(row), " (", interval(row, factor=1, digits=2), ")")


def descriptive(rows: Sequence[Row], unit: str) -> Html:
    """The last completed cycle beside other budgets, and the rates of conventional schedules."""
    columns: list[Column] = [
        ("Quantity", lambda row: row["quantity"]),
        ("Of", lambda row: _against(row) if row["arm_b"] else row["label_a"]),
        ("Initial rate", _rates),
        ("Epochs", lambda row: _cost(row, "epochs")),
        ("Networks", lambda row: _cost(row, "n_networks")),
        ("Epochs spent", lambda row: _cost(row, "epochs_spent")),
        ("Percent or points", points),
        ("95 % interval", interval),
        ("Better : equal : worse", lambda row: tally(row) if row["arm_b"] else "none"),
        *basis_columns(unit),
    ]
    return table(
        columns,
        rows,
        "Described, not tested: where epochs of a and b differ, or rates were not chosen in advance, a "
        "difference is no evidence. Differences are positive where a is better.",
    )


def _cost(row: Row, column: str) -> Html:
    return pair(row, column) if row["arm_b"] else whole(row, f"{column}_a")


def averaged(comparison: pd.DataFrame, settings: Settings) -> Html:
    """The paper's Figure 3 and Table 2; without the figure if no cell has a number."""
    unit = settings.unit
    rows = numbered_lines(comparison, "ensemble")
    means = [row for row in rows if row["quantity"] == "mean error"]
    shown = [row for row in means if row["n_units"]]
    (trials,) = (row for row in rows if row["quantity"] == "median test trials")
    return render(
        "ensembles.html",
        # Like figure4, surface has its own watermark.
        image=image(surface(comparison, settings), "svg", simulated=False) if shown else None,
        sample=_sample(shown, trials, unit) if shown else "",
        control=(surface_points(comparison)["snapshots_a"] == "consecutive").any(),
        weights=(surface_points(comparison)["snapshots_a"] == "averaged").any(),
        numbers=_grid(means, unit),
        equivalents=equivalents(comparison),
    )


def _sample(means: Sequence[Row], trials: Row, unit: str) -> Html:
    """Numbers of subjects, seeds and test trials behind the errors of ensembles."""
    return phrase(
        *(_span(means, "n_units", unit), ", ", _span(means, "n_seeds", "seed"), ", "),
        *(whole(trials, "estimate"), f" test trials in a {unit} (median; quartiles "),
        *(whole(trials, "low"), " to ", whole(trials, "high"), ")"),
    )


def _span(rows: Sequence[Row], column: str, thing: str) -> Html:
    """A count and its noun: one number, or the range over rows."""
    least, most = (pick(rows, key=lambda row: row[column]) for pick in (min, max))
    first = [] if least[column] == most[column] else [whole(least, column), " to "]
    return phrase(*first, whole(most, column), f" {thing}" if most[column] == 1 else f" {thing}s")


def _grid(rows: Sequence[Row], unit: str) -> Html:
    """Error against the number of trainings (N, rows) and of snapshots (M, columns) averaged."""
    lines: dict[tuple[object, ...], dict[int, Row]] = {}
    for row in rows:
        line = tuple(row[name] for name in ("arm_a", "snapshots_a", "rates_a", "n_fits_a"))
        lines.setdefault(line, {})[row["n_snapshots_a"]] = row
    sizes = range(1, max(map(max, lines.values())) + 1)

    def first(line: dict[int, Row]) -> Row:
        return next(iter(line.values()))

    columns: list[Column] = [
        ("Members", lambda line: first(line)["label_a"]),
        ("Initial rate", lambda line: _rates(first(line))),
        ("Epochs spent", lambda line: whole(first(line), "epochs_spent_a")),
        *((f"M = {m}", lambda line, m=m: points(line[m]) if m in line else "none") for m in sizes),
        *basis_columns(unit, first),
    ]
    return table(
        columns,
        lines.values(),
        f"Mean error over {unit}s (%) when the last M snapshots of each training are averaged, and with them "
        "several trainings; described, not tested. Intervals are in comparison.csv.",
    )
