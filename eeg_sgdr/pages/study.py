"""The study's report: what all subjects together say, every number from comparison.csv."""

import time
from html import escape
from pathlib import Path

import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr import store, times
from eeg_sgdr.comparison import pairs
from eeg_sgdr.comparison.curves import reference
from eeg_sgdr.comparison.units import tested_in
from eeg_sgdr.figures.curves import save
from eeg_sgdr.figures.figure4 import MOST_BANDS, arms_drawn, figure4, reference_row
from eeg_sgdr.figures.slopes import slopes
from eeg_sgdr.pages import across, answers, averaged, described, numbers, prose, tested
from eeg_sgdr.pages.answers import Answer
from eeg_sgdr.pages.markup import Html, bullets, code, folded, heading, paragraphs, phrase, picture
from eeg_sgdr.pages.methods import references
from eeg_sgdr.pages.page import assemble
from eeg_sgdr.pages.took import took
from eeg_sgdr.pages.wording import counted, joined, plain, unit_name, versions
from eeg_sgdr.results import Results
from eeg_sgdr.settings import Settings


def publish(results: Results) -> list[Path]:
    """Write Figure 4 and the study's report, where two subjects, or folds, have the reference.

    Parameters
    ----------
    results : Results
        A results folder with comparison.csv.

    Returns
    -------
    paths : list of Path
        What was written.
    """
    settings = results.settings
    wanted = {key for seed in settings.training.seeds for key in reference(settings, seed).fits}
    if sum(not wanted.isdisjoint(subject.done) for subject in results.subjects) < 2:
        return []
    study = store.Study(results.root)
    figure = figure4(results.comparison, settings)
    for path in study.figure4:
        save(figure, path)
    study_report(results)
    return [*study.figure4, study.report]


def study_report(results: Results) -> None:
    """Write report.html at the top of a results folder.

    Parameters
    ----------
    results : Results
        A results folder with comparison.csv, in which the reference is there.

    Raises
    ------
    UserError
        If what is on disk cannot be read, or the report cannot be written.
    """
    store.write_text(store.Study(results.root).report, page(results))


def page(results: Results) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    settings, comparison = results.settings, results.comparison
    found = answers.answers(comparison, settings)
    unit = unit_name(settings)
    descriptive = numbers.lines(comparison, "descriptive")
    simulated = "simulated recordings, " if _is_simulated(settings) else ""
    return assemble(
        f"{settings.name}: {simulated}all {unit}s",
        {
            "Result": _result(results, found),
            "Figure 4: improvement against epochs": _figure4(comparison, settings),
            "What was tested": tested.tested(found, unit) if found else paragraphs([_NOTHING]),
            f"{unit.capitalize()}s": _units(results, found),
            **(_across(results, found) if unit == "fold" else {}),
            "How sure this is": bullets(answers.how_sure(settings, found, descriptive)),
            "How many networks are averaged": averaged.averaged(comparison, settings),
            "Before the end": described.anytime(comparison, unit),
            "Beside the tests": described.descriptive(descriptive, unit),
            "Deviations from the paper, and what is not answered": _deviations(settings, found),
            "Configuration, versions, and this report again": _origin(results),
        },
    )


_NOTHING = "The configuration names no comparison, so nothing was tested."


def _is_simulated(settings: Settings) -> bool:
    return settings.recordings.source == "simulated"


def _result(results: Results, found: list[Answer]) -> str:
    settings = results.settings
    alarms = answers.unfinished(results, found)
    first = paragraphs(alarms, "warning") if alarms else paragraphs(answers.complete(settings, found))
    if _is_simulated(settings):
        first += paragraphs(
            ["Simulated recordings: nothing on this page says anything of people's EEG."], "warning"
        )
    first += paragraphs(answers.diverged(numbers.lines(results.comparison, "training")), "warning")
    sentences: list[str] = [answers.sentence(settings, answer) for answer in found]
    return (
        first
        + f'<div class="answers">{bullets(sentences or [_NOTHING])}</div>\n'
        + paragraphs(
            [
                *prose.question(settings),
                "Every number is one of comparison.csv: pointing at it tells line and column.",
            ]
        )
    )


def _figure4(comparison: pd.DataFrame, settings: Settings) -> str:
    line = int(reference_row(comparison, settings).name) + 2  # type: ignore[call-overload]
    (named,) = (row for row in numbers.lines(comparison, "curve") if row["line"] == line)
    arms, left_out = arms_drawn(settings)
    caption = [
        "Improvement over the reference error against the epochs of each training, on a logarithmic axis: "
        "the paper's Figure 4.",
        phrase(
            f"The reference is {named['a']} after ",
            numbers.whole(named, "epoch_a"),
            f" epochs with initial rate {named['rate']}: median error ",
            numbers.points(named),
            " % (quartiles ",
            numbers.interval(named),
            " %), over ",
            numbers.whole(named, "n_units"),
            " subjects and ",
            numbers.whole(named, "n_seeds"),
            " seeds." if named["n_seeds"] != 1 else " seed.",
        ),
        "Above: every schedule, at each rate. Below: warm restarts alone, the ensemble of the snapshots of "
        "the last half of the cycles (from two snapshots on), and the same over all rates together. Lines "
        f"are medians over subjects, bands (where a panel has {MOST_BANDS} lines at most) their quartiles; "
        "the dotted line is chance. The axis is linear near zero and compressed beyond, since early networks "
        "are far from the reference.",
        "How to judge it: what lies above zero was better than the reference in half of the subjects or "
        "more. A point of warm restarts is a moment of one training; one of any other schedule is a training "
        "of its own. Medians and bands are no test: that is the table below.",
    ]
    if unit_name(settings) == "fold":
        caption.append(
            "Each of these subjects is tested by the networks of the fold that it tests in. Subjects of a "
            "fold share these, so bands show how people differ, not how sure the medians are."
        )
    if left_out:
        caption.append(
            f"Not drawn, since more than {counted(len(arms), 'arm')} hide each other: {joined(left_out)}."
        )
    # figure4 says itself that recordings are simulated, since it is also a file of its own.
    return picture(figure4(comparison, settings), caption, "svg", simulated=False) + folded(
        "The numbers of this figure", described.curves(comparison)
    )


def _units(results: Results, found: list[Answer]) -> str:
    tested_pairs = pairs(results.comparison, results.settings)
    unit = unit_name(results.settings)
    html = tested.units(results, found)
    if not tested_pairs:
        return html
    caption = [
        f"Error of every {unit} on both sides of each comparison; each line is a {unit} of the table above.",
        "How to judge it: lines that nearly all fall to the right are a finding that does not hang on one "
        f"{unit}; lines that cross are none.",
    ]
    return html + picture(slopes(tested_pairs, unit), caption, "svg", _is_simulated(results.settings))


def _across(results: Results, found: list[Answer]) -> dict[str, str]:
    """What is said only across subjects, by title."""
    labels = list(tested_in(results.settings))
    people = across.people(found) + across.errors(found, labels) if found else paragraphs([_NOTHING])
    return {
        "Who trains and who tests": across.membership(results.subjects),
        "Subjects, given these trained networks": people,
    }


def _deviations(settings: Settings, found: list[Answer]) -> str:
    simulated = ", simulated" if _is_simulated(settings) else ""
    classes = joined(map(plain, settings.recordings.classes))
    stands = [answer for answer in found if not answer.left_out]
    people = [part for answer in stands[:1] for part in _people(answer)]
    texts = [
        phrase(f"{prose.PAPERS_RECORDINGS} Here it is ", *people, f"{classes}{simulated}."),
        *(prose.across(settings) if unit_name(settings) == "fold" else []),
        *prose.choices(settings),
    ]
    return bullets(texts) + heading("References") + bullets(references([*texts, *prose.question(settings)]))


def _people(answer: Answer) -> list[str]:
    """How many subjects a comparison stands on, across subjects in how many folds."""
    if answer.people:
        of_folds = numbers.whole(answer.difference, "n_units")
        return [numbers.whole(answer.people, "n_units"), " subjects in ", of_folds, " folds, "]
    return [numbers.whole(answer.difference, "n_units"), " subjects, "]


def _origin(results: Results) -> str:
    contents = [subject.fits[key] for subject in results.subjects for key in subject.done]
    seconds = sum(map(times.of_fit, contents))
    folder = f"results/{results.root.resolve().name}"
    made = (
        f"Training {counted(len(contents), 'fit')} took {seconds:.0f} s of processes in all; this page was "
        f"made on {time.strftime('%Y-%m-%d at %H:%M:%S %z')}."
    )
    return (
        heading("This report again")
        + paragraphs(["From the results folder alone, with nothing trained:"])
        + code(f"python -m eeg_sgdr.report {folder}")
        + paragraphs(["What is missing, trained, and then all reports again:"])
        + code(f"python -m eeg_sgdr.run --config {folder}/config.yaml --out {folder}")
        + Html(f'<p id="made">{"<br>".join(map(escape, [made, *took(results)]))}</p>\n')
        + heading("Versions")
        + bullets(sorted({f"{versions(content)}." for content in contents}))
        + folded("Configuration (config.yaml)", code(config.to_yaml(results.settings)))
    )
