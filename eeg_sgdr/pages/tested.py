"""Tables of what a study tested: differences, costs, and the subjects behind them."""

from collections.abc import Sequence

from eeg_sgdr.comparison.units import expected_units
from eeg_sgdr.pages import numbers
from eeg_sgdr.pages.answers import Answer
from eeg_sgdr.pages.markup import Html, link, table
from eeg_sgdr.pages.numbers import Row
from eeg_sgdr.pages.wording import unit_name
from eeg_sgdr.results import Results


def tested(found: Sequence[Answer], unit: str) -> Html:
    """Differences, intervals and tests of every comparison, and what its sides cost."""
    results, costs = [], []
    # What is left out has no numbers; the sentences say why.
    for answer in (answer for answer in found if not answer.left_out):
        rows, row = answer.rows, answer.difference
        results.append(
            [
                answer.comparison.name,
                numbers.points(row),
                numbers.interval(row),
                numbers.interval(rows["mean difference, bootstrap"]),
                numbers.median(rows["median difference"]),
                numbers.p(row),
                numbers.p(row, "p_holm"),
                numbers.p(rows["Wilcoxon signed-rank"]),
                numbers.decimal(rows["effect size dz"]),
                numbers.points(rows["detectable difference"]),
                numbers.tally(row),
            ]
        )
        costs.append(
            [
                answer.comparison.name,
                _both(rows, "mean error"),
                _both(rows, "median error"),
                row["rate"].replace("+", " + "),
                numbers.pair(row, "epoch"),
                numbers.pair(row, "n_networks"),
                numbers.pair(row, "epochs_spent"),
                Html(" : ".join(numbers.whole(rows[f"updates of {letter}"], "estimate") for letter in "ab")),
                *numbers.basis(row),
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


def _both(rows: dict[str, Row], quantity: str) -> Html:
    return Html(" : ".join(numbers.points(rows[f"{quantity} of {letter}"]) for letter in "ab"))


def units(results: Results, found: Sequence[Answer]) -> Html:
    """Both sides' error in every subject or fold, with links to their reports."""
    there = {subject.label: subject for subject in results.subjects if subject.done}
    unit = unit_name(results.settings)
    rows = []
    for label in expected_units(results.settings) or there:
        name: str = label
        if label in there:
            name = link(there[label].folder.report.relative_to(results.root).as_posix(), label)
        rows.append([name, *(pair(answer, f"{unit} {label}") for answer in found if not answer.left_out)])
    header = [unit.capitalize(), *(answer.comparison.name for answer in found if not answer.left_out)]
    return Html(
        table(
            header,
            rows,
            f"Mean error of each {unit} over seeds (and rates, where a comparison goes rate by rate), in "
            f"percent, as a : b. A {unit}'s name leads to its report.",
        )
    )


def pair(answer: Answer, name: str) -> str:
    """Both sides' error in one unit of a comparison."""
    rows = [answer.rows.get(f"error of {letter}, {name}") for letter in "ab"]
    return Html(" : ".join(numbers.points(row) for row in rows if row)) if all(rows) else "missing"
