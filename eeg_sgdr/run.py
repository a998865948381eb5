"""The command that trains a study: python -m eeg_sgdr.run."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eeg_sgdr.commands.command import call, set_up
from eeg_sgdr.commands.options import add_assume_trials
from eeg_sgdr.commands.study import DATA, DRY_RUN, RUN, SCHEDULES
from eeg_sgdr.errors import UserError


def parser(prog: str = "python -m eeg_sgdr.run") -> argparse.ArgumentParser:
    """The options of ``eeg-sgdr run``, and those that stand for other sub-commands."""
    options = argparse.ArgumentParser(prog)
    set_up(options, RUN)
    options.add_argument(
        "--only", choices=["data"], help="instead, prepare and report recordings, as eeg-sgdr data"
    )
    options.add_argument(
        "--dry-run", action="store_true", help="instead, say what would be trained, as eeg-sgdr dry-run"
    )
    add_assume_trials(options)
    options.add_argument(
        "--schedule-figure",
        dest="figure",
        type=Path,
        metavar="PATH",
        help="instead, draw the schedules, as eeg-sgdr schedules",
    )
    return options


def main(arguments: Sequence[str] | None = None, prog: str = "python -m eeg_sgdr.run") -> int:
    """Run the command; exit status as `commands.command.call` gives it."""
    return call(replace(RUN, execute=_run), parser(prog).parse_args(arguments))


def _run(options: argparse.Namespace) -> int:
    if options.assume_trials and not options.dry_run:
        raise UserError("--assume-trials: is of no use without --dry-run; add that, or leave it out.")
    if options.figure:
        return SCHEDULES.execute(options)
    if options.dry_run:
        return DRY_RUN.execute(options)
    return (DATA if options.only else RUN).execute(options)


if __name__ == "__main__":
    sys.exit(main())
