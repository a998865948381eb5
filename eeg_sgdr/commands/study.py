"""Commands of a configuration: run, data, dry-run and schedules."""

import argparse
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from eeg_sgdr.commands.command import Command, silence
from eeg_sgdr.commands.options import add_assume_trials, add_config, add_jobs, add_quiet, add_set, add_study
from eeg_sgdr.errors import UserError
from eeg_sgdr.parallel import interrupts

# Nothing heavy is imported before it is needed, so that --help and refusals come at once.
if TYPE_CHECKING:
    from eeg_sgdr.jobs.units import Unit
    from eeg_sgdr.settings import Settings
    from eeg_sgdr.storage.folders import Study


def _add_run(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    add_jobs(parser)
    for key, metavar, words in (
        ("backend", "{local,dask}", "workers: of this machine, or of a cluster (default: local)"),
        ("dask_address", "ADDRESS", "of the cluster's scheduler, as in tcp://HOST:PORT"),
    ):
        # Short for --set compute.backend=dask.
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            action="append",
            dest="set",
            type=f"compute.{key}={{}}".format,
            metavar=metavar,
            help=words,
        )
    add_quiet(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    add_quiet(parser)


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    add_jobs(parser)
    add_assume_trials(parser)


def _add_schedules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("figure", type=Path, metavar="PATH", help="the figure to write, as svg, png or pdf")
    add_config(parser, "--config", default="demo", help="the configuration (default: demo)")
    add_set(parser)


def _run(options: argparse.Namespace) -> int:
    settings = _settings(options)
    # Before anything else is imported: the server of the workers imports beside it.
    from eeg_sgdr.parallel import workers

    workers.warm_up()
    units, study = _open(settings, options)
    from eeg_sgdr import pipeline

    with silence() if options.quiet else nullcontext(), interrupts.raise_on_signals():
        problems = pipeline.train(units, study, options.jobs, options.debug)
    return _status(problems)


def _data(options: argparse.Namespace) -> int:
    units, study = _open(_settings(options), options)
    from eeg_sgdr import pipeline

    with silence() if options.quiet else nullcontext(), interrupts.raise_on_signals():
        problems = pipeline.describe_recordings(units, study, options.debug)
    return _status(problems)


def _dry_run(options: argparse.Namespace) -> int:
    if options.assume_trials and min(options.assume_trials) < 1:
        raise UserError("--assume-trials: takes two numbers of at least 1.")
    units, _ = _open(_settings(options), options, offline=True)
    from eeg_sgdr.dry_run import forecast

    with interrupts.raise_on_signals():
        for line in forecast(units, options.jobs, options.assume_trials):
            print(line, flush=True)
    return 0


def _schedules(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from eeg_sgdr.reports.figures.curves import save, schedules

    with interrupts.raise_on_signals():
        save(schedules(settings), options.figure)
    return 0


def _settings(options: argparse.Namespace) -> "Settings":
    from eeg_sgdr import settings as config

    jobs = vars(options).get("jobs")
    if jobs is not None and not 1 <= jobs <= config.MAX_JOBS:
        raise UserError(f"--jobs {jobs}: must be at least 1 and at most {config.MAX_JOBS}.")
    return config.load(options.config, options.set)


def _open(
    settings: "Settings", options: argparse.Namespace, offline: bool = False
) -> "tuple[list[Unit], Study]":
    """The units of work that are asked for, and the study that they belong to."""
    from eeg_sgdr.jobs.units import open_units
    from eeg_sgdr.storage.folders import Study

    study = Study(options.out or Path("results") / settings.name)
    if settings.compute.backend == "dask":
        # Its workers run in other folders.
        study = Study(study.root.resolve())
        here = {"data_dir": str(settings.compute.data_folder.resolve())}
        settings = settings.model_copy(update={"compute": settings.compute.model_copy(update=here)})
    return open_units(settings, study, options.subject, options.fold, offline), study


def _status(problems: Iterable[str]) -> int:
    """Print problems, each once; 2 if there are any."""
    problems = dict.fromkeys(problems)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2 if problems else 0


RUN = Command(
    "Train every fit of a configuration that is missing, evaluate, and write the reports.",
    _add_run,
    _run,
    (
        "eeg-sgdr run --subject 1          # simulated recordings, by configs/demo.yaml",
        "eeg-sgdr run --config high_gamma --subject all --jobs 8",
        "eeg-sgdr run --config mine.yaml --subject 1 3 5-9 --set training.batch_size=30 --out results/mine",
    ),
)

DATA = Command(
    "Prepare, check and report the recordings; train nothing.",
    _add_data,
    _data,
    (
        "eeg-sgdr data --subject 1",
        "eeg-sgdr data --config mine.yaml --set preprocessing.reject_uv=200 --out results/strict",
    ),
)

DRY_RUN = Command(
    "Say what a run would train, and how long it would take here at the present load; write nothing.",
    _add_dry_run,
    _dry_run,
    (
        "eeg-sgdr dry-run --subject 1-14 --set 'training.seeds=[0, 1]'",
        "eeg-sgdr dry-run --config high_gamma --assume-trials 880 160",
    ),
)

SCHEDULES = Command(
    "Draw the schedules of a configuration; train nothing.",
    _add_schedules,
    _schedules,
    (
        "eeg-sgdr schedules rates.svg",
        "eeg-sgdr schedules cosine.png --set 'schedules.cosine={kind: cosine, budgets: [31]}'",
    ),
)
