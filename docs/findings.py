"""Print what a study tested, and its means at each rate, as Markdown tables: the numbers of the pages here.

python docs/findings.py results/NAME [results/OTHER ...]
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from eeg_sgdr import Results, UserError, load_results

HEAD = (
    *("a", "b", "epochs", "rate", "units", "error of a", "error of b"),
    *("a better by, points (95 % interval)", "p (Holm)", "p of equivalence (Holm)", "verdict"),
    *("for one subject more", "better : equal : worse"),
)
HEAD_BY_RATE = ("predictor", "epochs", "rate", "error", "NLL", "trainings that ended above guessing")


def findings(comparison: pd.DataFrame) -> list[str]:
    """Lines of the table, one for each tested comparison of comparison.csv."""
    tested = comparison[comparison["family"] == "tested"].set_index("comparison")
    errors = tested[tested["quantity"] == "mean error"].pivot(columns="side", values="estimate")
    beside = [
        tested[tested["quantity"] == quantity].add_prefix(f"{quantity}: ")
        for quantity in ("equivalence", "corrected mean difference", "difference of a new subject")
    ]
    rows = tested[tested["quantity"] == "mean difference"].join([errors, *beside])
    return _table(HEAD, [_cells(row) for row in rows.to_dict("records")])


def by_rate(results: Results) -> list[str]:
    """Lines of a table of single trainings at each rate: means over units and seeds, nothing tested."""
    of_people = results.evaluation.query("fold == '' or subject == 'all'")
    ends = of_people.query("n_fits == 1 and epoch == budget and members in ('single', 'cycles')")
    means = ends.groupby(["schedule", "budget", "rates", "members"], sort=False)[["error", "nll"]].mean()
    diverged = results.comparison.query("quantity == 'diverged'")
    above = diverged.set_index(["arm_a", "budget_a", "rates_a"])["estimate"].rename("above")
    rows = means.reset_index().join(above, on=["schedule", "budget", "rates"], how="inner")
    cells = [
        (f"{arm} {members}", str(budget), rate, f"{100 * error:.1f} %", f"{nll:.2f}", f"{100 * share:.0f} %")
        for arm, budget, rate, members, error, nll, share in rows.itertuples(index=False)
    ]
    return _table(HEAD_BY_RATE, cells)


def _table(head: Sequence[str], cells: Iterable[Sequence[str]]) -> list[str]:
    first, *lines = (f"| {' | '.join(line)} |" for line in (head, *cells))
    return [first, "|---" * len(head) + "|", *lines]


def _cells(row: dict[str, Any]) -> list[str]:
    both = [row["label_a"], row["label_b"], _once(row, "epochs", ", "), _once(row, "rates", " : ")]
    if row["status"] == "left out" or not row["n_units"]:
        return [*both, f"{row['status']}: {row['missing']}", *[""] * 8]
    corrected, verdict = "", row["verdict"]
    if not pd.isna(row["corrected mean difference: estimate"]):  # across subjects
        corrected = f"; corrected {_interval(row, 'corrected mean difference: ')}"
        other = row["corrected mean difference: verdict"]
        verdict += f"; by the corrected t test {other}" if other != verdict else ""
    return [
        *both,
        str(row["n_units"]),
        *(f"{100 * row[side]:.1f} %" for side in "ab"),
        f"{100 * row['estimate']:+.1f} ({_interval(row)}{corrected})",
        *(f"{row[f'{of}p']:.3f} ({row[f'{of}p_holm']:.3f})" for of in ("", "equivalence: ")),
        verdict,
        _interval(row, "difference of a new subject: "),
        f"{row['better']} : {row['equal']} : {row['worse']}",
    ]


def _interval(row: dict[str, Any], of: str = "") -> str:
    """Ends of an interval in points, of the row's difference or of another quantity beside it."""
    ends = (row[f"{of}{name}"] for name in ("low", "high"))
    return " to ".join("?" if pd.isna(end) else f"{100 * end:+.1f}" for end in ends)


def _once(row: dict[str, Any], column: str, between: str) -> str:
    """Both sides' values, once where they are the same; the baseline has no rates."""
    values = (str(row[f"{column}_{side}"]) for side in "ab")
    return between.join(dict.fromkeys(value for value in values if value))


def main() -> None:
    """Print the tables of each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    for folder in parser.parse_args().results:
        try:
            results = load_results(folder)
            lines = [f"{folder.name}:", "", *findings(results.comparison), "", *by_rate(results), ""]
        except UserError as error:
            parser.exit(2, f"{error}\n")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
