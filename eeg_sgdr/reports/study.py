"""The study's page: results over all subjects or folds, every number from comparison.csv."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.inference import pairs
from eeg_sgdr.evaluation.predictors import (
    Predictor,
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
from eeg_sgdr.reports.html import (
    Html,
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
from eeg_sgdr.reports.wording import versions
from eeg_sgdr.settings import Settings, Side
from eeg_sgdr.settings.types import joined, plain
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results, Subject, fit_seconds, trial_seconds


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
    figure = figure4(results.comparison, settings)
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
    chosen = numbered_lines(comparison, "rate choice")
    simulated = "simulated recordings, " if settings.recordings.simulated else ""
    return assemble(
        f"{settings.name}: {simulated}all {unit}s",
        {
            "Result": _result(results, found),
            "Figure 4: improvement against epochs": _figure4(comparison, settings),
            "What was tested": tables.comparisons(found, unit) if found else render("nothing_tested.html"),
            f"{unit.capitalize()}s": _units(results, found),
            **(_across(results, found) if unit == "fold" else {}),
            **rates.of_study(comparison, settings),
            "How sure this is": answers.how_sure(settings, found, descriptive, chosen),
            "How many networks are averaged": tables.averaged(comparison, settings),
            "Before the end": tables.anytime(comparison, unit),
            "Beside the tests": tables.descriptive(descriptive, unit),
            "Deviations from the paper, and what is not answered": _deviations(settings, found),
            "Configuration, versions, and this report again": _made(results),
        },
    )


def _result(results: Results, found: list[Answer]) -> Html:
    settings = results.settings
    training = numbered_lines(results.comparison, "training")
    return render(
        "study_result.html",
        unfinished=answers.unfinished(results, found),
        complete=answers.complete(settings, found),
        simulated=settings.recordings.simulated,
        diverged=[(row, points(row)) for row in training if row["estimate"] > 0],
        answers=[answers.sentence(settings, answer) for answer in found],
        question=methods.question(settings),
    )


def _figure4(comparison: pd.DataFrame, settings: Settings) -> Html:
    reference = reference_row(numbered_lines(comparison, "curve"), settings)
    arms, left_out = arms_drawn(settings)
    return render(
        "figure4.html",
        # figure4 has its own watermark, since it is also a file of its own.
        image=image(figure4(comparison, settings), "svg", simulated=False),
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
    picture = image(slopes(errors, unit), "svg", simulated) if errors else None
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
    fits = [subject.fits[key] for subject in results.subjects for key in subject.done]
    kinds = sorted({f"{versions(fit)}." for fit in fits})
    return made(results, fits, kinds, "study_made.html", timings=timings(results))


def timings(results: Results) -> list[str]:
    """Training and prediction times of each comparison that has both sides, in sentences."""
    settings = results.settings
    known = [(subject, facts(subject, settings)) for subject in results.subjects]
    sentences = []
    for one in settings.evaluation.comparisons or ():
        sides = [_of_side(known, settings, side) for side in (one.a, one.b)]
        if all(training for training, _ in sides):
            seconds, predicting = zip(*sides, strict=True)
            sentences.append(
                f"{one.name}: {' against '.join(map(_seconds, seconds))} of training, "
                f"{' against '.join(map(_milliseconds, predicting))} to predict a trial."
            )
    if not sentences:
        return []
    return [
        "What one predictor took, on average over those that are there: its trainings one after the other, "
        "scoring left out; a trial (from its window on, or its covariance for a baseline) predicted by one "
        "of its networks, given many trials at a time, times the number of networks averaged.",
        *sentences,
    ]


def _of_side(
    known: Sequence[tuple[Subject, Facts]], settings: Settings, side: Side
) -> tuple[list[float], list[float]]:
    """Seconds of training, and of predicting one trial, of every predictor of a side in every subject."""
    groups = seed_groups(settings, side.seeds)
    predictors = dict.fromkeys(one for group in groups for one in side_predictors(settings, side, group))
    done = [(*of, one) for of in known for one in predictors if is_done(of[0], one)]
    return [_training(*each) for each in done], [s for each in done for s in _predicting(each[0], each[2])]


def _training(subject: Subject, known: Facts, predictor: Predictor) -> float:
    """Seconds of training of all fits of a predictor, or of a baseline's fit."""
    if predictor.baseline:
        return fit_seconds(subject.baselines[predictor.baseline])
    return float(sum(known.seconds[key] for key in predictor.fits))


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


def _milliseconds(values: Sequence[float]) -> str:
    return f"{1000 * float(np.mean(values)):.2f} ms" if values else "not measured"
