"""The subject's report: one page made from the results folder alone."""

import time

from threadpoolctl import threadpool_limits

from eeg_sgdr import settings as config
from eeg_sgdr import store, times
from eeg_sgdr.pages import prose, sections
from eeg_sgdr.pages.headline import Headline, headline, side_by_side
from eeg_sgdr.pages.markup import bullets, code, folded, heading, paragraphs, table
from eeg_sgdr.pages.methods import methods, references
from eeg_sgdr.pages.page import assemble
from eeg_sgdr.pages.wording import counted, joined, versions
from eeg_sgdr.predictors import Predictor
from eeg_sgdr.results import Results
from eeg_sgdr.settings import Settings
from eeg_sgdr.subjects import Subject


def subject_report(results: Results, subject: Subject) -> None:
    """Write a subject's report.html.

    Parameters
    ----------
    results : Results
        The results folder.
    subject : Subject
        With evaluation.csv, and at least one fit that is done.

    Raises
    ------
    UserError
        If what is on disk cannot be read, or the report cannot be written.
    """
    store.write_text(subject.folder.report, page(results, subject))


# Maps need linear algebra on tiny matrices: on a busy machine, threads that wait for each other make them
# ten times slower.
@threadpool_limits.wrap(limits=1)
def page(results: Results, subject: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    found = headline(subject, results.settings)
    return assemble(title(results, subject), content(results, subject, found))


def title(results: Results, subject: Subject) -> str:
    """What the page of a subject or fold is called."""
    simulated = "simulated recordings, " if subject.data["simulated"] else ""
    return f"{results.settings.name}: {simulated}{subject.title}"


def content(results: Results, subject: Subject, found: Headline) -> dict[str, str]:
    """HTML of each section, by title; true of a subject and of a fold."""
    settings = results.settings
    return {
        "Result": _result(subject, settings, found),
        "Test error against epochs": sections.errors(subject, found),
        "All predictors": sections.predictors(subject, found),
        "Confusions, and how far probabilities can be believed": sections.judgements(
            subject, settings, found
        ),
        "Recordings": sections.recordings(subject),
        "Training": sections.training(subject, settings),
        "What the network learned": sections.learned(subject, settings, found),
        "Deviations from the paper, and what is not answered": bullets(prose.deviations(settings, subject)),
        "Methods": _methods(subject, settings),
        "Configuration, versions, and this report again": _origin(results, subject, settings),
    }


def _result(subject: Subject, settings: Settings, found: Headline) -> str:
    alarms = prose.warnings(subject, settings)
    first, *others = prose.result(subject, settings, found)
    return (
        paragraphs(alarms, "warning")
        + paragraphs([first], "result")
        + paragraphs([*others, *prose.question(settings)])
        + _comparisons(subject, settings, found)
    )


def _comparisons(subject: Subject, settings: Settings, found: Headline) -> str:
    rows = [
        [name, _rates(a, b), *errors, *_cost(a, b)] for name, a, b, errors in side_by_side(subject, settings)
    ]
    if not rows:
        return ""
    seeds = [f"Errors, seed {seed}" for seed in settings.training.seeds]
    return table(
        ["Comparison (a against b)", "Initial rates", *seeds, "Networks", "Epochs spent"],
        rows,
        "Every comparison of the configuration that goes seed by seed, as a : b: errors on "
        f"{counted(len(found.y), 'test trial')}, networks averaged, epochs spent on their "
        "training. The sentences above are about the first at the reference's rate; all others are "
        "described, not tested.",
    )


def _rates(a: Predictor, b: Predictor) -> str:
    return " against ".join(dict.fromkeys(one.rates.replace("+", " + ") for one in (a, b)))


def _cost(a: Predictor, b: Predictor) -> list[str]:
    networks = [len(one.fits) * len(one.epochs) for one in (a, b)]
    epochs = [len(one.fits) * one.epoch for one in (a, b)]
    return [f"{networks[0]} : {networks[1]}", f"{epochs[0]} : {epochs[1]}"]


def _methods(subject: Subject, settings: Settings) -> str:
    texts = methods(settings, subject)
    return (
        paragraphs(texts)
        + heading("References")
        + bullets(references([*texts, *prose.deviations(settings, subject)]))
    )


def _origin(results: Results, subject: Subject, settings: Settings) -> str:
    contents = [subject.fits[key] for key in subject.done]
    capabilities = joined(sorted({content["cpu_capability"] for content in contents}))
    seconds = sum(map(times.of_fit, contents))
    made = (
        f"Training {counted(len(contents), 'fit')} took {seconds:.0f} s of processes in all; this page was "
        f"made on {time.strftime('%Y-%m-%d at %H:%M:%S %z')}."
    )
    return (
        heading("This report again")
        + paragraphs(["From the results folder alone, with nothing trained:"])
        + code(f"python -m eeg_sgdr.report results/{results.root.resolve().name}")
        + f'<p id="made">{made}</p>\n'
        + heading("Versions")
        + paragraphs([f"{versions(contents[0])}; CPU capability {capabilities}."])
        + folded("Configuration (config.yaml)", code(config.to_yaml(settings)))
    )
