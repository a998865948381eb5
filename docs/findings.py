"""The page of findings from its studies: findings.md from findings.md.jinja and the tables in docs/studies.

The answer with which it begins stands on the first screens of README.md and index.md, too.

python docs/findings.py                          write findings.md, and the answer
python docs/findings.py --check                  compute all again, and fail on the first that differs
python docs/findings.py --archive results/NAME   keep a study's tables in docs/studies/NAME
python docs/findings.py results/NAME             print a study's tables
"""

import argparse
import re
import shutil
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eeg_sgdr import Results, UserError, load_results
from eeg_sgdr.data.splits import folds
from eeg_sgdr.evaluation.inference import hypothesis_tests
from eeg_sgdr.evaluation.power import sample_sizes
from eeg_sgdr.evaluation.statistics import mean_interval
from eeg_sgdr.evaluation.units import read_errors, read_subject_errors
from eeg_sgdr.settings import SubjectSplit
from eeg_sgdr.storage.columns import EVALUATION

DOCS = Path(__file__).parent
STUDIES = DOCS / "studies"
PAGE = DOCS / "findings.md"

#: Pages that repeat the answer, and the comments between which it stands on all of them.
FIRST_SCREENS = (DOCS.parent / "README.md", DOCS / "index.md")
ANSWER = re.compile("(?<=<!-- answer -->\n).*(?=<!-- end of answer -->\n)", re.DOTALL)

#: What an archived study keeps beside the evaluation.csv of all its subjects or folds.
KEPT = ("config.yaml", "plan.yaml", "environment.json", "comparison.csv", "comparison.json")

HEAD = (
    *("a", "b", "epochs", "rate", "units", "error of a", "error of b"),
    *("a better by, points (95 % interval)", "p (Holm)", "p of equivalence (Holm)", "verdict"),
    *("for one subject more", "better : equal : worse"),
)
HEAD_BY_RATE = ("predictor", "epochs", "rate", "error", "NLL", "trainings that ended above guessing")


class Study:
    """The tables of an archived study."""

    def __init__(self, name: str) -> None:
        self.folder = STUDIES / name
        self.results = load_results(self.folder)
        self.comparison = self.results.comparison
        # Those of all subjects are in one file here.
        vars(self.results)["evaluation"] = self.evaluation

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """evaluation.csv of all subjects or folds."""
        table = pd.read_csv(self.folder / "evaluation.csv", dtype=EVALUATION)
        texts = [name for name, kind in EVALUATION.items() if kind is str]
        return table.fillna(dict.fromkeys(texts, ""))

    def row(self, comparison: str, quantity: str = "mean difference", side: str = "") -> dict[str, Any]:
        """A row of comparison.csv about all units."""
        likelihood = "nll" in quantity or "temperature" in quantity
        found = self.comparison[
            self.comparison["family"].eq("likelihood" if likelihood else "tested")
            & self.comparison["comparison"].eq(comparison)
            & self.comparison["quantity"].eq(quantity)
            & self.comparison["side"].eq(side)
            & self.comparison["unit"].eq("")
        ]
        (row,) = found.to_dict("records")
        return row

    def rows(self, family: str, quantity: str, **values: object) -> list[dict[str, Any]]:
        """Rows of a family of comparison.csv with these values."""
        wanted = {"family": family, "quantity": quantity, **values}
        columns = pd.Series(wanted)
        return self.comparison[self.comparison[list(wanted)].eq(columns).all(axis=1)].to_dict("records")

    def verdict(self, comparison: str) -> str:
        """Verdict, difference and interval: "undecided: 1.2 points better (-0.7 to 3.0)"."""
        return f"{self.row(comparison)['verdict']}: {self.by(comparison)}"

    def by(self, comparison: str) -> str:
        """Difference and interval: "1.2 points better (-0.7 to 3.0)"."""
        return by(self.row(comparison))

    def units_needed(self, comparison: str, points: float) -> dict[int, int]:
        """By number of seeds, the units that would find a true difference four times in five."""
        with warnings.catch_warnings():
            # Folders of subjects are not kept, so how many of them are in a fold is not known.
            warnings.simplefilter("ignore", RuntimeWarning)
            sizes = sample_sizes(self.results, points / 100).query("comparison == @comparison")
        return dict(zip(sizes["n_seeds"], sizes["n_units"], strict=True))

    def lines(self, *comparisons: str) -> str:
        """Lines of the table of all studies."""
        return "\n".join(f"| {' | '.join(_short_cells(self, one))} |" for one in comparisons)

    @property
    def tested(self) -> str:
        """The table of what was tested."""
        return "\n".join(findings(self.comparison))

    @property
    def by_rate(self) -> str:
        """The table of means at each rate."""
        return "\n".join(by_rate(self.evaluation, self.comparison))

    def check(self) -> None:
        """Compute the tests anew from evaluation.csv; `UserError` for the first that differs."""
        settings = self.results.settings
        ratio = 0.0
        if isinstance(settings.split, SubjectSplit):
            divided = folds(settings.split, settings.recordings.subjects)
            ratio = float(np.mean([len(fold.test) / len(fold.train) for fold in divided]))
        errors = read_errors(self.evaluation, settings)
        of_subjects = read_subject_errors(self.evaluation, settings)
        # Numbers of updates are not in evaluation.csv.
        again = hypothesis_tests(settings, errors, of_subjects, defaultdict(int), ratio, self.results.plan)
        stored = self.comparison[self.comparison["family"] == "tested"].to_dict("records")
        for before, now in zip(stored, again, strict=True):
            for name in ("estimate", "low", "high", "p", "p_holm"):
                if now["quantity"] != "updates" and not np.isclose(
                    before[name], now.get(name, np.nan), rtol=1e-6, atol=1e-9, equal_nan=True
                ):
                    raise UserError(
                        f"{self.folder}: {before['comparison']}, {before['quantity']}, {name}: is "
                        f"{before[name]} in comparison.csv, and {now.get(name)} by evaluation.csv."
                    )


def difference(a: Study, b: Study) -> dict[str, Any]:
    """Error of b less that of a over the same units and trainings, as a row: mean and Student's interval."""
    of_both = []
    for study in (a, b):
        trainings = at_ends(study.evaluation).query("members == 'single'")
        unit = "fold" if trainings["fold"].any() else "subject"
        of_both.append(trainings.groupby([unit, "schedule", "budget", "rates", "seeds"])["error"].mean())
    of_a, of_b = of_both
    if set(of_a.index) != set(of_b.index):
        raise UserError(f"{a.folder} and {b.folder}: are of different units or trainings.")
    of_units = (of_b - of_a).groupby(level=0).mean().to_numpy()
    low, high = mean_interval(of_units)
    return {"estimate": of_units.mean(), "low": low, "high": high, "n_units": len(of_units)}


def by(row: dict[str, Any]) -> str:
    """Difference and interval of a row: "1.2 points better (-0.7 to 3.0)"."""
    return f"{direction(row['estimate'])} ({ends(row)})"


def direction(difference: float) -> str:
    """A difference in words: 1.2 points better."""
    return f"{abs(100 * difference):.1f} points {'better' if difference >= 0 else 'worse'}"


def ends(row: dict[str, Any], factor: float = 100, digits: int = 1) -> str:
    """Ends of an interval: -0.7 to 3.0."""
    return " to ".join(f"{round(factor * row[name], digits) + 0.0:.{digits}f}" for name in ("low", "high"))


def number(value: float, factor: float = 100, digits: int = 1) -> str:
    """A fraction in points or percent, without its sign."""
    return f"{abs(factor * value):.{digits}f}"


def render() -> str:
    """findings.md from its template."""
    environment = Environment(  # noqa: S701 (Markdown)
        loader=FileSystemLoader(DOCS), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.globals |= {"study": Study, "difference": difference}
    environment.filters |= {"by": by, "direction": direction, "ends": ends, "number": number}
    return environment.get_template("findings.md.jinja").render()


def pages() -> dict[Path, str]:
    """Every page that is made from the studies, as they say it now."""
    findings_page = render()
    (answer,) = ANSWER.findall(findings_page)
    texts = {path: path.read_text(encoding="utf-8") for path in FIRST_SCREENS}
    return {PAGE: findings_page, **{path: ANSWER.sub(lambda _: answer, text) for path, text in texts.items()}}


def archive(source: Path) -> Path:
    """Copy the tables of a results folder into docs/studies."""
    results = load_results(source)
    target = STUDIES / source.resolve().name
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (source / name).is_file():
            shutil.copy(source / name, target / name)
    results.evaluation.to_csv(target / "evaluation.csv", index=False)
    return target


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


def at_ends(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Rows of single trainings at their ends, last snapshots and ensembles; of folds, over all trials."""
    of_people = evaluation.query("fold == '' or subject == 'all'")
    return of_people.query("n_fits == 1 and epoch == budget and members in ('single', 'cycles')")


def by_rate(evaluation: pd.DataFrame, comparison: pd.DataFrame) -> list[str]:
    """Lines of a table of single trainings at each rate: means over units and seeds, nothing tested."""
    trainings = at_ends(evaluation)
    means = trainings.groupby(["schedule", "budget", "rates", "members"], sort=False)[["error", "nll"]].mean()
    diverged = comparison.query("quantity == 'diverged'")
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


def _short_cells(study: Study, comparison: str) -> list[str]:
    row = study.row(comparison)
    better = f"{100 * row['estimate']:+.1f} ({_interval(row)})"
    return [study.folder.name, comparison, better, f"{row['p_holm']:.3f}", str(row["verdict"])]


def _interval(row: dict[str, Any], of: str = "") -> str:
    """Ends of an interval in points, of the row's difference or of another quantity beside it."""
    both = (row[f"{of}{name}"] for name in ("low", "high"))
    return " to ".join("?" if pd.isna(end) else f"{100 * end:+.1f}" for end in both)


def _once(row: dict[str, Any], column: str, between: str) -> str:
    """Both sides' values, once where they are the same; the baseline has no rates."""
    values = (str(row[f"{column}_{side}"]) for side in "ab")
    return between.join(dict.fromkeys(value for value in values if value))


def _print_tables(results: Results) -> None:
    lines = [*findings(results.comparison), "", *by_rate(results.evaluation, results.comparison)]
    print(f"{results.root.name}:", "", *lines, "", sep="\n")


def _check() -> None:
    for folder in sorted(path.parent for path in STUDIES.glob("*/comparison.csv")):
        Study(folder.name).check()
    for page, text in pages().items():
        pairs = zip_longest(page.read_text(encoding="utf-8").splitlines(), text.splitlines())
        for i, (there, now) in enumerate(pairs, start=1):
            if there != now:
                raise UserError(
                    f"{page}, line {i}: is not what the studies say; run python docs/findings.py.\n{now}"
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, check them, or print or keep the tables of results folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="fail where the page is not what studies say")
    parser.add_argument("--archive", action="store_true", help="keep the tables of these folders")
    options = parser.parse_args(arguments)
    try:
        for folder in options.results:
            if options.archive:
                print(archive(folder))
            else:
                _print_tables(load_results(folder))
        if options.check:
            _check()
        elif not options.results:
            for page, text in pages().items():
                page.write_text(text, encoding="utf-8")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
