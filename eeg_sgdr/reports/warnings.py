"""Warnings of a study: what is missing, and what makes its comparisons say little."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from eeg_sgdr.data.quality import mains_warning
from eeg_sgdr.evaluation.inference import ALPHA
from eeg_sgdr.evaluation.rate_choice import fits_asked_for
from eeg_sgdr.evaluation.statistics import least_p
from eeg_sgdr.evaluation.units import expected_units
from eeg_sgdr.reports import html
from eeg_sgdr.reports.answers import Answer, answers, basis
from eeg_sgdr.reports.html import Html, Row, numbered_lines, phrase, points
from eeg_sgdr.reports.wording import CAUSES, FAR_ABOVE, counted, enumerated, mixed_versions
from eeg_sgdr.settings import BASELINES, Settings
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage.results import Results

#: Folds below which their number limits what a study across subjects can find.
FEW_FOLDS = 10


def study_warnings(results: Results) -> list[str]:
    """All warnings of a study; numbers are marked as on its page."""
    found = answers(results.comparison, results.settings)
    return [*unfinished(results, found), *reservations(results, found)]


def reservations(results: Results, found: Sequence[Answer]) -> list[str]:
    """What makes comparisons say little, though nothing is missing."""
    settings, comparison = results.settings, results.comparison
    return [
        *_mains(results),
        *_diverged(numbered_lines(comparison, "training")),
        *_not_learned(numbered_lines(comparison, "learned"), settings),
        *_few_units(settings, found),
        *_at_the_edge(
            numbered_lines(comparison, "descriptive"), numbered_lines(comparison, "rate choice"), settings
        ),
    ]


def unfinished(results: Results, found: Sequence[Answer]) -> list[str]:
    """Fits that are missing, failed, or made with mixed versions."""
    settings = results.settings
    by_label = {subject.label: subject for subject in results.subjects}
    expected = expected_units(settings) or by_label
    absent = [label for label in expected if label not in by_label or not by_label[label].done]
    texts: list[str] = []
    if absent:
        texts.append(f"Unfinished: no fit is done of {enumerated(settings.unit, absent)}.")
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
        texts.append(phrase(f"Missing from {names}: {lacking}. It stands on ", *basis(settings, row), "."))
    fits = (part.fits[key] for one in by_label.values() for part in one.parts for key in part.done)
    return [*texts, *mixed_versions(fits)]


def _mains(results: Results) -> list[str]:
    """Units whose filtered EEG is mostly mains."""
    labels = [subject.label for subject in results.subjects if mains_warning(subject.summary)]
    if not labels:
        return []
    named = enumerated(results.settings.unit, labels)
    return [
        f"Most of the power of the filtered EEG is that of the mains in {named}, of "
        f"{len(results.subjects)}: networks see little else. Take it away by preprocessing.notch_hz and "
        "lowpass_hz."
    ]


def _diverged(training: Iterable[Row]) -> list[str]:
    """Rates at which trainings ended above the loss of guessing."""
    above = [row for row in training if row["estimate"] > 0]
    if not above:
        return []
    each = [phrase(f"{row['arm_a']} at rate {row['rates_a']} (", points(row), " %)") for row in above]
    return [
        phrase(
            "Trainings ended with a loss above that of guessing: ",
            Html(", ").join(each),
            ". Such a rate is too high for this network on these recordings; comparisons that include it say "
            "which schedule bears it, not which is better. Lower rates (training.initial_rates) add to this "
            "study.",
        )
    ]


def _not_learned(learned: Sequence[Row], settings: Settings) -> list[str]:
    """Arms whose networks err like guessing in most units, or far more than the baseline, at every rate."""
    unit = settings.unit
    guessing = _best(learned, "better than guessing")
    behind = _best(learned, "mean difference")
    texts: list[str] = []
    like_guessing = [row for row in guessing.values() if row["estimate"] < 0.5]
    if like_guessing:
        each = [phrase(f"{row['arm_a']} ", points(row), " %") for row in like_guessing]
        texts.append(
            phrase(
                f"In most {unit}s, networks are not told apart from guessing; {unit}s in which they are: ",
                Html(", ").join(each),
                f". Their comparisons say nothing of schedules that learn. {CAUSES}",
            )
        )
    far = [row for row in behind.values() if row["estimate"] <= -FAR_ABOVE]
    if far:
        each = [phrase(f"{row['arm_a']} by ", html.absolute(row)) for row in far]
        name = BASELINES[far[0]["arm_b"]]
        texts.append(
            phrase(
                f"Networks err far more than the {name}: ",
                Html(", ").join(each),
                f" points. They are not at their best here. {'' if like_guessing else CAUSES}".rstrip(),
            )
        )
    return texts


def _best(learned: Iterable[Row], quantity: str) -> Mapping[str, Row]:
    """By arm, the row of the rate at which its networks do best."""
    found: dict[str, Row] = {}
    for row in learned:
        if row["quantity"] == quantity and not pd.isna(row["estimate"]):
            best = found.setdefault(row["arm_a"], row)
            if row["estimate"] > best["estimate"]:
                found[row["arm_a"]] = row
    return found


def _few_units(settings: Settings, found: Sequence[Answer]) -> list[str]:
    """Too few units, folds or seeds for what is asked."""
    unit = settings.unit
    answered = [answer for answer in found if not answer.left_out]
    texts: list[str] = []
    small = [one for one in answered if least_p(one.difference["n_units"]) > ALPHA / len(answered)]
    if small:
        which = f" of {joined(f'“{one.comparison.name}”' for one in small)}" if small != answered else ""
        texts.append(
            f"With so few {unit}s no test{which} can reach 5 % after correction for "
            f"{counted(len(answered), 'comparison')}, whatever they show."
        )
    n_folds = len(expected_units(settings)) if unit == "fold" else 0
    if 0 < n_folds < FEW_FOLDS:
        texts.append(
            f"The configuration has {n_folds} folds; with fewer than ten, only large differences can be "
            "found, however many people are tested. More folds (split.folds) help."
        )
    if len(settings.training.seeds) == 1:
        texts.append("With one seed, variation between trainings was not measured.")
    return texts


def _at_the_edge(descriptive: Iterable[Row], chosen: Iterable[Row], settings: Settings) -> list[str]:
    """Rates at the edge of their lists: that schedule may not be at its best."""
    edge = [row for row in descriptive if row["quantity"] == "best rate, at the edge of the list"]
    often = [row for row in chosen if row["quantity"].endswith("edge of the list") and row["estimate"] >= 0.5]
    each = [
        phrase(f"{row['arm_a']} ({row['rates_a']} was best on the test trials, ", points(row), " %)")
        for row in edge
    ] + [
        phrase(
            f"{row['arm_a']}, {row['budget_a']} epochs (chosen for ", points(row), f" % of {settings.unit}s)"
        )
        for row in often
    ]
    if not each:
        return []
    return [
        phrase(
            "The best rate lies at the edge of its list: ",
            Html("; ").join(each),
            ". A better one may lie outside, so these schedules may not be at their best.",
        )
    ]
