"""Results of a study's comparisons, and sentences about them and about its plan."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from eeg_sgdr.evaluation.departures import departures
from eeg_sgdr.reports import html
from eeg_sgdr.reports.html import Html, Row, phrase
from eeg_sgdr.reports.wording import enumerated
from eeg_sgdr.settings import Comparison, Settings
from eeg_sgdr.storage.folders import Study
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.study_plan import digest


@dataclass(frozen=True)
class Answer:
    """A comparison of the configuration, with its rows of comparison.csv."""

    comparison: Comparison
    #: Rows over all units, by quantity and side.
    rows: dict[tuple[str, str], Row]
    #: Errors in each unit, and differences of each seed, by kind of unit, its label, and side.
    errors: dict[tuple[str, str, str], Row]

    @property
    def difference(self) -> Row:
        """Row of the mean difference, its interval, test and counts."""
        return self.rows["mean difference", ""]

    @property
    def conditional(self) -> Row | None:
        """Across subjects, row of the mean difference over subjects, given these trained networks."""
        return self.rows.get(("conditional mean difference", ""))

    @property
    def of_seeds(self) -> dict[str, Row]:
        """Rows of the mean difference with each seed, where units share them."""
        return {label: row for (kind, label, _), row in self.errors.items() if kind == "seed"}

    @property
    def left_out(self) -> bool:
        """Whether no unit has both sides."""
        return self.difference["n_units"] == 0


def answers(comparison: pd.DataFrame, settings: Settings) -> list[Answer]:
    """Comparisons of the configuration with their rows of comparison.csv."""
    found = {one.name: Answer(one, {}, {}) for one in settings.evaluation.comparisons or ()}
    for row in html.numbered_lines(comparison, "tested"):
        answer = found[row["comparison"]]
        if row["unit"]:
            answer.errors[row["unit_kind"], row["unit"], row["side"]] = row
        else:
            answer.rows[row["quantity"], row["side"]] = row
    return list(found.values())


def as_planned(results: Results) -> list[str]:
    """Whether the study is as it was planned, and what came later."""
    plan = results.plan
    if plan is None:
        return [
            "There is no plan (plan.yaml), so it is not known whether comparisons were chosen before there "
            "were results."
        ]
    found = departures(plan, results.settings)
    name = f"plan.yaml, written before the first fit, SHA-256 {digest(Study(results.root))[:16]}…"
    if not (found.added or found.changed):
        return [f"As planned ({name})."]
    texts = []
    if found.added:
        rates = (f"{enumerated('initial rate', more)} of {arm}" for arm, more in found.rates.items())
        parts = [
            *([enumerated("subject", found.subjects)] if found.subjects else []),
            *([enumerated("seed", found.seeds)] if found.seeds else []),
            *rates,
            *([enumerated("schedule", found.schedules)] if found.schedules else []),
            *(["the choice of rates"] if found.rate_choice else []),
        ]
        texts.append(f"Added to the plan ({name}), and tested with what was in it: {'; '.join(parts)}.")
    if found.changed:
        parts = [
            *(f"the comparison “{one}”" for one in found.comparisons),
            *(["the margin"] if found.margin else []),
            *(["the batch-norm statistics"] if found.metric else []),
        ]
        if parts:
            texts.append(f"Later than the plan ({name}), so described and not tested: {'; '.join(parts)}.")
        if found.dropped:
            names = "; ".join(f"“{one}”" for one in found.dropped)
            texts.append(f"Planned ({name}), but not in the configuration any more: {names}.")
    return texts


def complete(settings: Settings, found: Sequence[Answer]) -> list[str]:
    """First sentence of a study in which nothing is missing."""
    text = f"Complete: no fit is missing of any {settings.unit} or seed of the configuration"
    answered = [answer.difference for answer in found if not answer.left_out]
    return [phrase(f"{text} (", *basis(settings, answered[0]), ").") if answered else f"{text}."]


def basis(settings: Settings, row: Row) -> tuple[str, ...]:
    """Numbers of units and seeds behind a row, with their nouns."""
    return (*_count(row, "n_units", settings.unit), " and ", *_count(row, "n_seeds", "seed"))


def _count(row: Row, column: str, thing: str) -> tuple[str, ...]:
    return html.whole(row, column), f" {thing}" if row[column] == 1 else f" {thing}s"


def summary(settings: Settings, found: Sequence[Answer]) -> list[Html]:
    """The first comparison's result, what else was decided, and what could have been found."""
    answered = [answer for answer in found if not answer.left_out]
    if not answered:
        return []
    first, *others = answered
    row = first.difference
    sign = "better" if row["estimate"] >= 0 else "worse"
    parts = [f"{_capital(first.comparison.name)}: ", html.absolute(row), f" points {sign}"]
    if not pd.isna(row["low"]):
        parts += [" (95 % interval ", html.interval(row), ")"]
    texts = [phrase(*parts, "; verdict: ", *_verdict(first), ". Over ", *basis(settings, row), ".")]
    decided = [one for one in others if one.difference["verdict"] not in ("undecided", "")]
    undecided = [one for one in others if one.difference["verdict"] == "undecided"]
    rest = [f"{len(undecided)} undecided"] if undecided else []
    each = [phrase(f"{one.comparison.name}: ", *_decision(one)) for one in decided]
    if each or rest:
        texts.append(phrase("Others: ", Html("; ").join([*each, *rest]), "."))
    known = sorted(
        (one.rows["detectable difference", ""] for one in answered if not _without_power(one)),
        key=lambda detectable: detectable["estimate"],
    )
    if known:
        ends = [html.points(known[0]), html.points(known[-1])][: 1 if len(known) == 1 else 2]
        found_by = " points would have been found four times in five, depending on the comparison."
        texts.append(phrase("A true difference of ", Html(" to ").join(ends), found_by))
    return texts


def left_out(found: Sequence[Answer]) -> list[str]:
    """Comparisons that have no answer, and why."""
    return [
        f"{_capital(one.comparison.name)}: not answered ("
        f"{'left out: ' + row['missing'] if row['status'] == 'left out' else 'nothing of it is there'})."
        for one in found
        if one.left_out
        for row in [one.difference]
    ]


def _without_power(answer: Answer) -> bool:
    return not answer.difference["verdict"] or bool(
        pd.isna(answer.rows["detectable difference", ""]["estimate"])
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verdict(answer: Answer) -> list[str]:
    """The verdict and, across subjects, that of the corrected resampled t test where it is another."""
    verdict: str = answer.difference["verdict"]
    corrected = answer.rows.get(("corrected mean difference", ""), {"verdict": verdict})["verdict"]
    parts = {
        "": ["described, not tested"],
        "equivalent": ["equivalent within ", html.margin(answer.rows["equivalence", ""])],
    }.get(verdict, [verdict])
    return parts if corrected == verdict else [*parts, f" ({corrected} by the corrected resampled t test)"]


def _decision(answer: Answer) -> list[str]:
    row = answer.difference
    by = [] if row["verdict"] == "equivalent" else [html.absolute(row), " points (", html.interval(row), ") "]
    return [*by, *_verdict(answer)]
