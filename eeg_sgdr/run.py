"""The command that trains a study: python -m eeg_sgdr.run."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eeg_sgdr.errors import UserError, memory_errors

if TYPE_CHECKING:
    from eeg_sgdr.data.sources import Source
    from eeg_sgdr.data.splits import Fold
    from eeg_sgdr.settings import Settings


# Nothing heavy is imported before it is needed, so that --help and refusals come at once.


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="python -m eeg_sgdr.run",
        description="Train every fit of a configuration that is missing, evaluate, and write the reports.",
    )
    options.add_argument(
        "--config",
        default="demo",
        metavar="PATH|NAME",
        help="a configuration file, or the name of a shipped one (default: demo)",
    )
    options.add_argument(
        "--subject",
        nargs="+",
        metavar="LABEL",
        help="subjects: labels, ranges such as 5-9, or all (default: those of the configuration)",
    )
    options.add_argument(
        "--fold",
        nargs="+",
        metavar="NUMBER",
        help="folds, where split.by is subject: numbers, ranges, or all (default: all)",
    )
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, as in training.batch_size=30; may be repeated",
    )
    options.add_argument("--out", type=Path, metavar="FOLDER", help="results folder (default: results/NAME)")
    options.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="fits at a time (default: one per core; on GPUs one stack of fits per card)",
    )
    options.add_argument(
        "--backend",
        choices=["local", "dask"],
        help="workers: of this machine, or of a cluster (default: local)",
    )
    options.add_argument(
        "--dask-address", metavar="ADDRESS", help="of the cluster's scheduler, as in tcp://HOST:PORT"
    )
    options.add_argument(
        "--schedule-figure", type=Path, metavar="PATH", help="draw the schedules and train nothing"
    )
    options.add_argument(
        "--only",
        choices=["data"],
        help="prepare, check and report the recordings; train nothing",
    )
    options.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be trained, and how long it would take here; write nothing",
    )
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line; the process's own by default.

    Returns
    -------
    status : int
        0: all that was asked is there. 2: refused, or some of it is missing. 130: interrupted.
    """
    options = parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        # Clusters and systems that shut down send it; it is answered as Ctrl-C is.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with memory_errors("eeg_sgdr.run", "close other programs and run the same command"):
            return _run(options)
    except UserError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on where this one was.", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    from eeg_sgdr import settings as config

    if options.jobs is not None and options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: must be at least 1.")
    overrides = [
        f"compute.{name}={value}"
        for name, value in (("backend", options.backend), ("dask_address", options.dask_address))
        if value
    ]
    settings = config.load(options.config, [*options.set, *overrides])
    if options.schedule_figure:
        from eeg_sgdr.reports.figures.curves import save, schedules

        save(schedules(settings), options.schedule_figure)
        return 0
    if options.dry_run:
        return _tell(options, settings)
    return _look(options, settings) if options.only else _train(options, settings)


def _tell(options: argparse.Namespace, settings: "Settings") -> int:
    """Answer --dry-run."""
    from eeg_sgdr import dry_run
    from eeg_sgdr.data.sources import open_source
    from eeg_sgdr.dry_run import Unit
    from eeg_sgdr.pipeline import grown_settings
    from eeg_sgdr.storage import folders

    source = open_source(settings.recordings, Path(settings.compute.data_dir))
    study = folders.Study(options.out or Path("results") / settings.name)
    subjects, chosen = _chosen(options, settings, source)
    units = [
        Unit(label, study.fold(label) if fold else study.subject(label), fold)
        for label, fold in chosen.items()
    ]
    for line in dry_run.answer(units, source, grown_settings(settings, subjects, study), options.jobs):
        print(line, flush=True)
    return 0


def _look(options: argparse.Namespace, settings: "Settings") -> int:
    """Answer --only data."""
    from eeg_sgdr.data.sources import open_source
    from eeg_sgdr.jobs.submit import check_sameness, describe
    from eeg_sgdr.pipeline import grown_settings, record_settings, told_at_the_end, warn_of_rejections
    from eeg_sgdr.reports.data import data_report
    from eeg_sgdr.storage import folders
    from eeg_sgdr.storage.results import Results

    source = open_source(settings.recordings, Path(settings.compute.data_dir))
    study = folders.Study(options.out or Path("results") / settings.name)
    subjects, units = _selected(options, settings, source)
    settings = grown_settings(settings, subjects, study)
    problems: list[str] = []
    for label, prepare in units.items():
        with told_at_the_end(problems, options.debug):
            prepared = prepare(settings)
            folder = study.fold(label) if settings.split.by == "subject" else study.subject(label)
            check_sameness(prepared, folder, settings)
            settings = record_settings(settings, subjects, study)
            subject = describe(prepared, folder)
            warn_of_rejections(prepared)
            if not subject.done:  # a report of fits says all of this, too
                data_report(Results(study.root), subject)
            print(folder.report)
    for problem in dict.fromkeys(problems):
        print(problem, file=sys.stderr)
    return 2 if problems else 0


def _train(options: argparse.Namespace, settings: "Settings") -> int:
    from eeg_sgdr.parallel import workers
    from eeg_sgdr.storage import folders

    workers.warm_up()
    from eeg_sgdr.data.sources import open_source
    from eeg_sgdr.pipeline import train

    out = options.out or Path("results") / settings.name
    if settings.compute.backend == "dask":
        # Its workers run in other folders.
        out = out.resolve()
        here = {"data_dir": str(Path(settings.compute.data_dir).resolve())}
        settings = settings.model_copy(update={"compute": settings.compute.model_copy(update=here)})
    source = open_source(settings.recordings, Path(settings.compute.data_dir))
    study = folders.Study(out)
    subjects, units = _selected(options, settings, source)
    problems = train(units, subjects, settings, study, options.jobs, options.debug)
    for problem in dict.fromkeys(problems):
        print(problem, file=sys.stderr)
    return 2 if problems else 0


def _selected(
    options: argparse.Namespace, settings: "Settings", source: "Source"
) -> tuple[list[str], dict[str, Callable[["Settings"], Any]]]:
    """Subjects of the study, and by its label what prepares each subject or fold that is done now."""
    from eeg_sgdr.data.cache import prepare, prepare_fold

    data_dir = Path(settings.compute.data_dir)
    subjects, chosen = _chosen(options, settings, source)
    return subjects, {
        label: partial(prepare_fold, fold, source, data_dir=data_dir)
        if fold
        else partial(prepare, source, label, data_dir=data_dir)
        for label, fold in chosen.items()
    }


def _chosen(
    options: argparse.Namespace, settings: "Settings", source: "Source"
) -> tuple[list[str], dict[str, "Fold | None"]]:
    """Subjects of the study, and the labels of the subjects or folds that are done now with their folds."""
    from eeg_sgdr.data.splits import folds
    from eeg_sgdr.settings import SubjectSplit

    if not isinstance(settings.split, SubjectSplit):
        if options.fold:
            raise UserError("--fold: there are folds only with split.by subject; choose with --subject.")
        subjects = select(options.subject, settings.recordings.subjects, source.subjects())
        return subjects, dict.fromkeys(subjects)
    if options.subject:
        raise UserError(
            "--subject: with split.by subject, networks belong to folds; choose these with --fold, and "
            "subjects with recordings.subjects."
        )
    subjects = select(None, settings.recordings.subjects, source.subjects())
    of_label = {fold.label: fold for fold in folds(settings.split, subjects)}
    labels = select(options.fold, "all", list(of_label), "fold")
    return subjects, {label: of_label[label] for label in labels}


def select(
    asked: list[str] | None, configured: str | Sequence[str], available: list[str], what: str = "subject"
) -> list[str]:
    """Labels of the subjects, or folds, to be done now.

    Parameters
    ----------
    asked : list of str | None
        Words of the option: labels, ranges, or "all"; None means all.
    configured : "all" or sequence of str
        What the configuration says "all" is: labels and ranges.
    available : list of str
        What there is.
    what : str
        What messages call it, and the option.

    Returns
    -------
    labels : list of str
        Without repetition, in the order asked for.

    Raises
    ------
    UserError
        If one is not there.
    """
    from eeg_sgdr.data.sources import find_label

    words: list[str] = []
    for word in asked or ["all"]:
        everything = available if configured == "all" else configured
        words += everything if word == "all" else [word]
    labels = [label for word in words for label in _range(word, available)]
    if not labels:
        raise UserError(f"--{what} {' '.join(words)}: names nobody; a range goes from low to high.")
    return list(dict.fromkeys(find_label(label, available, what) for label in labels))


def _range(word: str, available: list[str]) -> list[str]:
    """The labels that a word such as 5-9 stands for; itself where it is a label."""
    first, dash, last = word.partition("-")
    if dash and first.isdigit() and last.isdigit() and word not in available:
        return [str(number) for number in range(int(first), int(last) + 1)]
    return [word]


if __name__ == "__main__":
    sys.exit(main())
