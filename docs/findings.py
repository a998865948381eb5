"""Print what a study tested, as a Markdown table: the numbers of the pages here.

python docs/findings.py results/NAME [results/OTHER ...]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

HEAD = (
    *("a", "b", "epochs", "rate", "units", "error of a", "error of b"),
    *("a better by, points (95 % interval)", "p (Holm)", "better : equal : worse"),
)
SIDES = ["a", "b", "epoch_a", "epoch_b", "rate"]


def read(folder: Path) -> pd.DataFrame:
    """comparison.csv of a results folder, every cell as it stands there."""
    return pd.read_csv(folder / "comparison.csv", dtype=str, keep_default_na=False)


def findings(comparison: pd.DataFrame) -> list[str]:
    """Lines of the table, one for each tested comparison.

    Parameters
    ----------
    comparison : DataFrame
        As `read` gives it.

    Returns
    -------
    lines : list of str
    """
    tested = comparison[comparison["family"] == "tested"]
    lines = [_row(HEAD), "|---" * len(HEAD) + "|"]
    for sides, rows in tested.groupby(SIDES, sort=False):
        of = {row["quantity"]: row for row in rows.to_dict("records")}
        a, b, epoch_a, epoch_b, rate = sides
        difference = of["mean difference"]
        if not difference["estimate"]:
            why = [difference["missing"], *[""] * 5]
            lines.append(_row([a, b, _either(epoch_a, epoch_b), rate, *why]))
            continue
        interval = f"{_points(difference['low'])} to {_points(difference['high'])}"
        cells = [
            a,
            b,
            _either(epoch_a, epoch_b),
            rate,
            difference["n_units"],
            f"{100 * float(of['mean error of a']['estimate']):.1f} %",
            f"{100 * float(of['mean error of b']['estimate']):.1f} %",
            f"{_points(difference['estimate'])} ({interval})",
            f"{float(difference['p']):.3f} ({float(difference['p_holm']):.3f})",
            f"{difference['better']} : {difference['equal']} : {difference['worse']}",
        ]
        lines.append(_row(cells))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _either(a: str, b: str) -> str:
    return a if a == b else f"{a}, {b}"


def _points(fraction: str) -> str:
    return f"{100 * float(fraction):+.1f}" if fraction else "?"


def main() -> None:
    """Print the table of each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    for folder in parser.parse_args().results:
        print(f"{folder.name}:\n")
        print("\n".join(findings(read(folder))), end="\n\n")


if __name__ == "__main__":
    main()
