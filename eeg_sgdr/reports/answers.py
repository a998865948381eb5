"""Sentences of the study's page: what is missing, the result of every comparison, and its limits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from eeg_sgdr.evaluation.departures import departures
from eeg_sgdr.evaluation.inference import ALPHA
from eeg_sgdr.evaluation.rate_choice import fits_asked_for
from eeg_sgdr.evaluation.statistics import least_p
from eeg_sgdr.evaluation.units import expected_units
from eeg_sgdr.reports import html
from eeg_sgdr.reports.html import Html, Row, phrase
from eeg_sgdr.reports.wording import counted, enumerated, mixed_versions, schedule_name
from eeg_sgdr.settings import BASELINES, Comparison, Settings, Side
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage.folders import Study
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.study_plan import digest

#: Folds below which their number limits what a study across subjects can find.
FEW_FOLDS = 10


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


def unfinished(results: Results, found: Sequence[Answer]) -> list[str]:
    """Warnings before any number: fits that are missing, failed, or made with mixed versions."""
    settings = results.settings
    by_label = {subject.label: subject for subject in results.subjects}
    expected = expected_units(settings) or by_label
    absent = [label for label in expected if label not in by_label or not by_label[label].done]
    texts: list[str] = []
    if absent:
        texts.append(f"Unfinished: no fit is done of {_units(settings, absent)}.")
    for label, subject in by_label.items():
        missing = [name for name, there in fits_asked_for(subject, settings).items() if not there]
        if missing and label not in absent:
            texts.append(f"Unfinished: of {subject.title}, these fits are missing: {', '.join(missing)}.")
        texts += [f"Failed: {subject.title}, {name} ({why})." for name, why in subject.failed.items()]
    by_missing: dict[str, list[Answer]] = {}
    for answer in found:
        if answer.difference["status"] in ("incomplete", "missing"):
            by_missing.setdefault(answer.difference["missing"], []).append(answer)
    for lacking, affected in by_missing.items():
        names = joined(f"“{answer.comparison.name}”" for answer in affected)
        row = affected[0].difference
        texts.append(phrase(f"Missing from {names}: {lacking}. It stands on ", *_basis(settings, row), "."))
    fits = (part.fits[key] for one in by_label.values() for part in one.parts for key in part.done)
    return [*texts, *mixed_versions(fits)]


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
    return [phrase(f"{text} (", *_basis(settings, answered[0]), ").") if answered else f"{text}."]


def _units(settings: Settings, labels: Sequence[str]) -> str:
    return f"{settings.unit}{'s' if len(labels) > 1 else ''} {joined(labels)}"


def _basis(settings: Settings, row: Row) -> tuple[str, ...]:
    """Numbers of units and seeds behind a row, with their nouns."""
    return (*_count(row, "n_units", settings.unit), " and ", *_count(row, "n_seeds", "seed"))


def _count(row: Row, column: str, thing: str) -> tuple[str, ...]:
    return html.whole(row, column), f" {thing}" if row[column] == 1 else f" {thing}s"


def summary(settings: Settings, found: Sequence[Answer]) -> list[Html]:
    """What was decided, and what could have been, in two sentences; none where nothing was compared."""
    answered = [answer for answer in found if not answer.left_out]
    if not answered:
        return []
    margin = html.margin(answered[0].rows["equivalence", ""])
    decided = [answer for answer in answered if answer.difference["verdict"] not in ("undecided", "")]
    answered = [answer for answer in answered if answer.difference["verdict"]]
    if not answered:
        return []
    if decided:
        words = "; ".join("{}" for _ in decided)
        each = [phrase(f"{_capital(one.comparison.name)}: ", *_short_verdict(one)) for one in decided]
        rest = len(answered) - len(decided)
        undecided = f"; {counted(rest, 'other comparison')} undecided." if rest else "."
        first = Html(words).format(*each) + undecided
    else:
        which = "The comparison is" if len(answered) == 1 else f"All {len(answered)} comparisons are"
        first = phrase(
            f"{which} undecided: neither a difference nor equivalence within ", margin, " is shown."
        )
    detectable = [answer.rows["detectable difference", ""] for answer in answered]
    known = sorted(
        (row for row in detectable if not pd.isna(row["estimate"])), key=lambda row: row["estimate"]
    )
    if not known:
        few = f"With so few {settings.unit}s, no test could have found any difference after correction."
        return [first, Html(few)]
    least, most = (pick(known, key=lambda row: row["estimate"]) for pick in (min, max))
    ends = [html.points(least)] if least is most else [html.points(least), html.points(most)]
    power = (" points would have been found four times in five, after correction.",)
    return [first, phrase("True differences of ", Html(" to ").join(ends), *power)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short_verdict(answer: Answer) -> list[str]:
    row = answer.difference
    if row["verdict"] == "equivalent":
        return ["equivalent within ", html.margin(answer.rows["equivalence", ""])]
    return [f"{row['verdict']} by ", html.absolute(row), " points (", html.interval(row), ")"]


def sentence(settings: Settings, answer: Answer) -> Html:
    """The result of a comparison, with its uncertainty and cost."""
    a, b = (side_words(settings, side) for side in (answer.comparison.a, answer.comparison.b))
    row = answer.difference
    name = f"{_capital(answer.comparison.name)}: "
    if answer.left_out:
        too_few = row["status"] == "left out"
        why = f"left out: {row['missing']}" if too_few else "nothing of it is there"
        return phrase(f"{name}not answered ({why}).")
    was = "was" if answer.comparison.a.schedule in BASELINES else "were"
    parts: list[str] = [f"{name}{a} {was} ", *_by_how_much(row), f" {b} ("]
    if not pd.isna(row["low"]):
        # Where a is worse, the interval's sign is not that of the sentence.
        of = "" if row["estimate"] > 0 else "of the improvement "
        parts += [f"95 % interval {of}", html.interval(row), "; "]
    parts += [html.p(row), ", corrected for the number of comparisons ", html.p(row, "p_holm"), "). "]
    parts += ["Of ", *_tally(row, settings.unit)]
    if answer.conditional:
        parts += [" (given these trained networks, of ", *_tally(answer.conditional, "subject"), ")"]
    parts += [". Verdict: ", *_verdict(answer), ". ", *_new_subject(answer)]
    parts += ["Mean errors: ", html.points(answer.rows["mean error", "a"]), " and "]
    parts += [html.points(answer.rows["mean error", "b"]), " %. Cost: ", *_cost(row, "a"), " against "]
    return phrase(*parts, *_cost(row, "b"), ".")


def _tally(row: Row, thing: str) -> tuple[str, ...]:
    """Number of units, and in how many a was better, equal and worse."""
    of = *_count(row, "n_units", thing), ", "
    better = html.whole(row, "better"), " better, "
    return *of, *better, html.whole(row, "equal"), " equal, ", html.whole(row, "worse"), " worse"


def _verdict(answer: Answer) -> list[str]:
    """What the tests say and, across subjects, whether it depends on which of them is taken."""
    row, equivalence = answer.difference, answer.rows["equivalence", ""]
    if not row["verdict"]:
        return ["none, as this comparison is described, not tested"]
    margin = html.margin(equivalence)
    if row["verdict"] == "equivalent":
        sign = "better" if row["estimate"] > 0 else "worse"
        by = html.p(equivalence, "p_holm")
        parts = ["equivalent within ", margin, " (corrected ", by, f"; if anything, the former is {sign})"]
    elif row["verdict"] == "undecided":
        parts = ["undecided (neither a difference nor equivalence within ", margin, " is shown)"]
    else:
        parts = [row["verdict"]]
    corrected = answer.rows.get(("corrected mean difference", ""))
    if corrected and corrected["verdict"] != row["verdict"]:
        parts += [f"; it depends on the test, as it is {corrected['verdict']} by the corrected resampled t "]
        parts += [
            "test (interval ",
            html.interval(corrected),
            ", corrected ",
            html.p(corrected, "p_holm"),
            ")",
        ]
    return parts


def _new_subject(answer: Answer) -> list[str]:
    """What one subject more can expect; empty where nothing is known of how subjects vary."""
    expected = answer.rows["difference of a new subject", ""]
    better = answer.rows["better for a new subject", ""]
    if pd.isna(expected["low"]):
        return []
    parts = ["For one subject more, expect a difference of ", html.interval(expected), " points, and with a "]
    parts += ["probability of ", html.points(better), " % (", html.interval(better), ") that the former is "]
    return [*parts, "better. "]


def _by_how_much(row: Row) -> tuple[str, ...]:
    better = "better than" if row["estimate"] > 0 else "worse than"
    if abs(row["estimate"]) < 0.0005:
        return "equal on average to a tenth of a point (", html.absolute(row), ") to"
    return html.absolute(row), f" points {better}"


def _cost(row: Row, letter: str) -> tuple[str, ...]:
    """Networks and epochs of one predictor of a side; a baseline has none."""
    if not row[f"n_networks_{letter}"]:
        return ("no network",)
    networks = _count(row, f"n_networks_{letter}", "network")
    tuning = (", and ", *_count(row, f"epochs_tuning_{letter}", "epoch"), " of tuning")
    training = (*_count(row, f"epochs_spent_{letter}", "epoch"), " of training")
    return (*networks, " from ", *training, *(tuning if row[f"epochs_tuning_{letter}"] else ()))


def side_words(settings: Settings, side: Side) -> str:
    """Name a side of a comparison in sentences."""
    if side.schedule in BASELINES:
        return f"the {BASELINES[side.schedule]}"
    schedule = schedule_name(settings, side.schedule)
    every = (["each rate"] if side.rates == "all" else []) + (
        [f"each of {side.seeds} seeds"] if side.seeds > 1 else []
    )
    if side.members == "averaged":
        averaged = f"networks with the averaged weights of the snapshots of {schedule}"
        return f"ensembles of {averaged}, one at {joined(every)}" if every else averaged
    if side.members == "cycles":
        return f"ensembles of the snapshots of {schedule}{f' at {joined(every)}' if every else ''}"
    if every:
        return f"ensembles of networks trained with {schedule}, one at {joined(every)}"
    return f"single networks trained with {schedule}"


def _trainings(answer: Answer) -> tuple[Html | None, Html | None]:
    """Standard deviation between the trainings of a unit, and the differences of every seed, if any."""
    row = answer.rows.get(("standard deviation between trainings", ""))
    spread = html.points(row) if row and not pd.isna(row["estimate"]) else None
    seeds = [
        phrase(f"{label}: ", html.points(row))
        for (kind, label, _), row in answer.errors.items()
        if kind == "seed"
    ]
    return spread, Html(", ").join(seeds) if seeds else None


def how_sure(
    settings: Settings, found: Iterable[Answer], descriptive: Sequence[Row], chosen: Sequence[Row]
) -> Html:
    """The limits of these results: units, seeds, power, and rates at the edge.

    ``descriptive`` and ``chosen`` are the rows of the families descriptive and rate choice.
    """
    n_folds = len(expected_units(settings)) if settings.unit == "fold" else 0
    comparisons = []
    answered = [answer for answer in found if not answer.left_out]
    for answer in answered:
        row = answer.rows["detectable difference", ""]
        detectable: Html | None = None if pd.isna(row["estimate"]) else html.points(row)
        is_small = least_p(answer.difference["n_units"]) > ALPHA / len(answered)
        comparisons.append((answer.comparison.name, detectable, is_small, *_trainings(answer)))
    edge = [row for row in descriptive if row["quantity"] == "best rate, at the edge of the list"]
    often = [row for row in chosen if row["quantity"].endswith("edge of the list") and row["estimate"] >= 0.5]
    return html.render(
        "how_sure.html",
        unit=settings.unit,
        n_seeds=len(settings.training.seeds),
        n_comparisons=len(answered),
        margin=settings.evaluation.margin,
        shared=settings.training.seeding == "shared",
        few_folds=n_folds if n_folds < FEW_FOLDS else 0,
        comparisons=comparisons,
        best_at_the_edge=[(row, html.points(row)) for row in edge],
        chosen_at_the_edge=[(row, html.points(row)) for row in often],
    )
