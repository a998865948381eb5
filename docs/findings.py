"""Print what a study tested, as a Markdown table: the numbers of the pages here.

python docs/findings.py results/NAME [results/OTHER ...]
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from eeg_sgdr import load_results

HEAD = (
    *("a", "b", "epochs", "rate", "units", "error of a", "error of b"),
    *("a better by, points (95 % interval)", "p (Holm)", "better : equal : worse"),
)


def findings(comparison: pd.DataFrame) -> list[str]:
    """Lines of the table, one for each tested comparison of comparison.csv."""
    tested = comparison[comparison["family"] == "tested"].set_index("comparison")
    errors = tested[tested["quantity"] == "mean error"].pivot(columns="side", values="estimate")
    rows = tested[tested["quantity"] == "mean difference"].join(errors)
    cells = [_cells(row) for row in rows.to_dict("records")]
    head, *lines = (f"| {' | '.join(line)} |" for line in (HEAD, *cells))
    return [head, "|---" * len(HEAD) + "|", *lines]


def _cells(row: dict[str, Any]) -> list[str]:
    both = [row["label_a"], row["label_b"], _once(row, "epochs", ", "), _once(row, "rates", " : ")]
    if row["status"] == "left out" or not row["n_units"]:
        return [*both, f"{row['status']}: {row['missing']}", *[""] * 5]
    low, high = ("?" if pd.isna(row[name]) else f"{100 * row[name]:+.1f}" for name in ("low", "high"))
    return [
        *both,
        str(row["n_units"]),
        *(f"{100 * row[side]:.1f} %" for side in "ab"),
        f"{100 * row['estimate']:+.1f} ({low} to {high})",
        f"{row['p']:.3f} ({row['p_holm']:.3f})",
        f"{row['better']} : {row['equal']} : {row['worse']}",
    ]


def _once(row: dict[str, Any], column: str, between: str) -> str:
    """Both sides' values, once where they are the same; the baseline has no rates."""
    values = (str(row[f"{column}_{side}"]) for side in "ab")
    return between.join(dict.fromkeys(value for value in values if value))


def main() -> None:
    """Print the table of each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    for folder in parser.parse_args().results:
        print(f"{folder.name}:\n")
        print("\n".join(findings(load_results(folder).comparison)), end="\n\n")


if __name__ == "__main__":
    main()
