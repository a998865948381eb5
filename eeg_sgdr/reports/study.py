"""The study's page: results over all subjects or folds, every number from comparison.csv."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eeg_sgdr.evaluation.inference import pairs
from eeg_sgdr.evaluation.predictors import (
    Predictor,
    fit_keys,
    is_done,
    reference,
    seed_groups,
    side_predictors,
)
from eeg_sgdr.evaluation.stored import Facts, facts
from eeg_sgdr.evaluation.units import folds_of_subjects
from eeg_sgdr.reports import answers, folds, methods, rates, tables
from eeg_sgdr.reports.answers import Answer
from eeg_sgdr.reports.figures.curves import save, slopes
from eeg_sgdr.reports.figures.figure4 import MOST_BANDS, arms_drawn, figure4, reference_row
from eeg_sgdr.reports.figures.forest import Comparison, forest
from eeg_sgdr.reports.html import (
    Html,
    Image,
    assemble,
    image,
    interval,
    made,
    numbered_lines,
    phrase,
    points,
    render,
    whole,
)
from eeg_sgdr.reports.warnings import reservations, unfinished
from eeg_sgdr.reports.wording import versions
from eeg_sgdr.settings import Settings, Side
from eeg_sgdr.settings.types import joined, plain
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject, fit_seconds, trial_seconds


def publish(results: Results) -> list[Path]:
    """Write Figure 4 and the study's report, where two subjects, or folds, have the reference."""
    settings = results.settings
    references = [reference(settings, seed) for seed in settings.training.seeds]
    with_reference = [
        subject for subject in results.subjects if any(is_done(subject, one) for one in references)
    ]
    if len(with_reference) < 2:
        return []
    study = folders.Study(results.root)
    figure = figure4(results.comparison, settings, tables.pages_of_subjects(results))
    for path in study.figure4:
        save(figure, path)
    study_report(results)
    return [*study.figure4, study.report]


def study_report(results: Results) -> None:
    """Write report.html at the top of a results folder, which has comparison.csv."""
    files.write_text(folders.Study(results.root).report, page(results))


def page(results: Results) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    settings, comparison = results.settings, results.comparison
    found = answers.answers(comparison, settings)
    unit = settings.unit
    descriptive = numbered_lines(comparison, "descriptive")
    simulated = "simulated recordings, " if settings.recordings.simulated else ""
    return assemble(
        f"{settings.name}: {simulated}all {unit}s",
        {
            "Result": _result(results, found),
            "Figure 4: improvement against epochs": _figure4(results),
            "What was tested": _tested(results, found),
            f"{unit.capitalize()}s": _units(results, found),
            **(_across(results, found) if unit == "fold" else {}),
            **rates.of_study(comparison, settings),
            "How sure this is": _how_sure(settings),
            "How many networks are averaged": tables.averaged(comparison, settings),
            "Before the end": tables.anytime(comparison, unit),
            "Beside the tests": tables.descriptive(descriptive, unit),
            "Deviations from the paper, and what is not answered": _deviations(settings, found),
            "Configuration, versions, and this report again": _made(results),
        },
    )


def _result(results: Results, found: list[Answer]) -> Html:
    settings = results.settings
    return render(
        "study_result.html",
        unfinished=unfinished(results, found),
        reservations=reservations(results, found),
        complete=answers.complete(settings, found),
        simulated=settings.recordings.simulated,
        summary=answers.summary(settings, found),
        forest=_forest(results, found),
        unit=settings.unit,
        verdicts=tables.verdicts(found, settings.unit),
        notes=[methods.tuning(settings), *answers.as_planned(results), *methods.question(settings)],
    )


def _forest(results: Results, found: list[Answer]) -> Image | None:
    """The forest plot of all comparisons that have an answer."""
    errors = pairs(results.comparison, results.settings)
    rows = [
        Comparison(
            one.comparison.name,
            row["verdict"],
            100 * row["estimate"],
            (100 * row["low"], 100 * row["high"]),
            100 * one.rows["equivalence", ""]["estimate"],
            dict(zip(of_unit.errors.index, 100 * of_unit.difference, strict=True)),
            tuple(100 * one.rows["mean error", side]["estimate"] for side in "ab"),
        )
        for one in found
        if not one.left_out
        for row, of_unit in [(one.difference, errors[one.comparison.name])]
    ]
    if not rows:
        return None
    figure = forest(rows, results.settings.unit, tables.pages(results))
    return image(figure, "svg", results.settings.recordings.simulated)


def _how_sure(settings: Settings) -> Html:
    return render(
        "how_sure.html",
        unit=settings.unit,
        n_seeds=len(settings.training.seeds),
        margin=f"{settings.evaluation.margin:g} points",
        shared=settings.training.seeding == "shared",
    )


def _tested(results: Results, found: list[Answer]) -> Html:
    if not found:
        return render("nothing_tested.html")
    tested = tables.comparisons(found, results.settings.unit) + tables.likelihoods(results.comparison)
    return tested + render("left_out.html", comparisons=answers.left_out(found))


def _figure4(results: Results) -> Html:
    comparison, settings = results.comparison, results.settings
    reference = reference_row(numbered_lines(comparison, "curve"), settings)
    arms, left_out = arms_drawn(settings)
    return render(
        "figure4.html",
        # figure4 has its own watermark, since it is also a file of its own.
        image=image(figure4(comparison, settings, tables.pages_of_subjects(results)), "svg", simulated=False),
        reference=reference,
        epochs=whole(reference, "epochs_a"),
        error=points(reference),
        quartiles=interval(reference),
        n_units=whole(reference, "n_units"),
        n_seeds=whole(reference, "n_seeds"),
        most_bands=MOST_BANDS,
        across=settings.unit == "fold",
        n_arms=len(arms),
        left_out=left_out,
        numbers=tables.curves(comparison),
    )


def _units(results: Results, found: list[Answer]) -> Html:
    unit = results.settings.unit
    errors = pairs(results.comparison, results.settings)
    simulated = results.settings.recordings.simulated
    picture = image(slopes(errors, unit, tables.pages(results)), "svg", simulated) if errors else None
    return render("units.html", unit=unit, image=picture, numbers=tables.units(results, found))


def _across(results: Results, found: list[Answer]) -> dict[str, str]:
    """Sections of studies across subjects alone, by title."""
    labels = list(folds_of_subjects(results.settings))
    nothing = render("nothing_tested.html")
    subjects = folds.given_networks(found) + folds.subject_errors(found, labels) if found else nothing
    return {
        "Who trains and who tests": folds.membership(results.subjects),
        "Subjects, given these trained networks": subjects,
    }


def _deviations(settings: Settings, found: list[Answer]) -> Html:
    simulated = ", simulated" if settings.recordings.simulated else ""
    classes = joined(map(plain, settings.recordings.classes))
    answered = [answer for answer in found if not answer.left_out]
    sample = [part for answer in answered[:1] for part in _sample(answer)]
    texts = [
        phrase(f"{methods.PAPERS_RECORDINGS} Here it is ", *sample, f"{classes}{simulated}."),
        *(methods.across(settings) if settings.unit == "fold" else []),
        *methods.choices(settings),
    ]
    cited = methods.references([*texts, *methods.question(settings)], settings)
    return render("deviations.html", deviations=texts, references=cited)


def _sample(answer: Answer) -> list[str]:
    """Number of subjects behind a comparison; across subjects, of folds, too."""
    if answer.conditional:
        of_folds = whole(answer.difference, "n_units")
        return [whole(answer.conditional, "n_units"), " subjects in ", of_folds, " folds, "]
    return [whole(answer.difference, "n_units"), " subjects, "]


def _made(results: Results) -> Html:
    fits = [part.fits[key] for one in results.subjects for part in one.parts for key in part.done]
    kinds = sorted({f"{versions(fit)}." for fit in fits})
    return made(results, fits, kinds, "study_made.html", timings=timings(results))


def timings(results: Results) -> Html:
    """Times of training, of tuning, and of predicting a trial, of each comparison that has both sides."""
    settings = results.settings
    known = [(subject, facts(subject, settings)) for subject in results.subjects]
    rows = []
    for one in settings.evaluation.comparisons or ():
        sides = [_of_side(known, settings, side) for side in (one.a, one.b)]
        if all(side.training for side in sides):
            rows.append((one.name, sides))
    if not rows:
        return Html()
    columns: list[tables.Column] = [
        ("Comparison (a : b)", lambda row: row[0]),
        ("Training", lambda row: " : ".join(_seconds(side.training) for side in row[1])),
        ("Tuning", lambda row: _tuned(*row[1])),
        ("Predicting a trial", lambda row: " : ".join(_milliseconds(side.predicting) for side in row[1])),
    ]
    caption = (
        "What one predictor took, on average over those that are there: its trainings one after the other, "
        "and those by which its rate was chosen, scoring left out; a trial (from its window on, or its "
        "covariance for a baseline) predicted by one of its networks, given many trials at a time, times the "
        "number of networks averaged."
    )
    return tables.table(columns, rows, caption)


@dataclass(frozen=True)
class _Times:
    """Seconds of every predictor of a side in every subject; none of predicting where not measured."""

    training: list[float]
    tuning: list[float]
    predicting: list[float]


def _of_side(known: Sequence[tuple[Subject, Facts]], settings: Settings, side: Side) -> _Times:
    groups = seed_groups(settings, side.seeds)
    predictors = dict.fromkeys(one for group in groups for one in side_predictors(settings, side, group))
    done = [(*of, one) for of in known for one in predictors if is_done(of[0], one)]
    return _Times(
        [_training(*each) for each in done],
        [_tuning(subject, settings, one) for subject, _, one in done],
        [seconds for subject, _, one in done for seconds in _predicting(subject, one)],
    )


def _training(subject: Subject, known: Facts, predictor: Predictor) -> float:
    """Seconds of training of all fits of a predictor, or of a baseline's fit."""
    if predictor.baseline:
        return fit_seconds(subject.baselines[predictor.baseline])
    return float(sum(known.seconds[key] for key in predictor.fits))


def _tuning(subject: Subject, settings: Settings, predictor: Predictor) -> float:
    """Seconds of the fits by which the rate of a predictor was chosen; none if it was not."""
    choice = settings.training.rate_choice
    if choice is None or predictor.rates != "tuned":
        return 0.0
    (key, *_) = predictor.fits
    fits = fit_keys(key.schedule, key.budget, settings.initial_rates(key.schedule), choice.seeds)
    inner = [Subject(part.folder.rate_choice) for part in subject.parts]
    seconds = [fit_seconds(one.fits[fit]) for one in inner for fit in fits if fit in one.fits]
    return sum(seconds) / len(inner)


def _predicting(subject: Subject, predictor: Predictor) -> list[float]:
    """Seconds to predict one trial; empty where not measured."""
    if predictor.baseline:
        each = [trial_seconds(subject.baselines[predictor.baseline])]
    else:
        each = [
            trial_seconds(subject.fits[subject.trained(key)])
            for key in predictor.fits
            for _ in predictor.states
        ]
    known = [seconds for seconds in each if seconds is not None]
    return [sum(known)] if len(known) == len(each) else []


def _seconds(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    return f"{mean:.0f} s" if mean >= 100 else f"{mean:.2f} s"


def _tuned(*sides: _Times) -> str:
    tuned = any(sum(side.tuning) for side in sides)
    return " : ".join(_seconds(side.tuning) for side in sides) if tuned else "none"


def _milliseconds(values: Sequence[float]) -> str:
    return f"{1000 * float(np.mean(values)):.2f} ms" if values else "not measured"
