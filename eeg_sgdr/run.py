"""The command that trains a study: python -m eeg_sgdr.run."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eeg_sgdr.errors import UserError, memory_errors
from eeg_sgdr.parallel import interrupts

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
        help="folds, across subjects or of each subject: numbers, ranges, or all (default: all)",
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
    options.add_argument(
        "--assume-trials",
        nargs=2,
        type=int,
        metavar=("TRAIN", "TEST"),
        help="with --dry-run: a subject's numbers of trials where its recordings are not here yet",
    )
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 when all that was asked is there, 2 when refused or some is not, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        with memory_errors("eeg_sgdr.run", "close other programs and run the same command"):
            return _run(options)
    except UserError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(interrupts.SENTENCE, file=sys.stderr)
        return interrupts.STATUS


def _run(options: argparse.Namespace) -> int:
    from eeg_sgdr import settings as config

    if options.jobs is not None and not 1 <= options.jobs <= config.MAX_JOBS:
        raise UserError(f"--jobs {options.jobs}: must be at least 1 and at most {config.MAX_JOBS}.")
    if options.assume_trials and (not options.dry_run or min(options.assume_trials) < 1):
        raise UserError("--assume-trials: takes two numbers of at least 1, beside --dry-run.")
    overrides = [
        f"compute.{name}={value}"
        for name, value in (("backend", options.backend), ("dask_address", options.dask_address))
        if value
    ]
    settings = config.load(options.config, [*options.set, *overrides])
    if options.schedule_figure:
        from eeg_sgdr.reports.figures.curves import save, schedules

        with interrupts.raise_on_signals():
            save(schedules(settings), options.schedule_figure)
        return 0
    if not (options.dry_run or options.only):
        # Before anything else is imported: the server of the workers imports beside it.
        from eeg_sgdr.parallel import workers

        workers.warm_up()
    from eeg_sgdr.jobs.units import open_units
    from eeg_sgdr.storage.folders import Study

    study = Study(options.out or Path("results") / settings.name)
    if settings.compute.backend == "dask":
        # Its workers run in other folders.
        study = Study(study.root.resolve())
        here = {"data_dir": str(settings.compute.data_folder.resolve())}
        settings = settings.model_copy(update={"compute": settings.compute.model_copy(update=here)})
    units = open_units(settings, study, options.subject, options.fold, offline=options.dry_run)
    if options.dry_run:
        from eeg_sgdr.dry_run import forecast

        with interrupts.raise_on_signals():
            for line in forecast(units, options.jobs, options.assume_trials):
                print(line, flush=True)
        return 0
    from eeg_sgdr import pipeline

    with interrupts.raise_on_signals():
        if options.only:
            problems = pipeline.describe_recordings(units, study, options.debug)
        else:
            problems = pipeline.train(units, study, options.jobs, options.debug)
    for problem in dict.fromkeys(problems):
        print(problem, file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
