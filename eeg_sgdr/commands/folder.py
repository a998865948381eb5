"""Commands of a results folder: report and power."""

import argparse
from contextlib import nullcontext

from eeg_sgdr.commands.command import Command, silence
from eeg_sgdr.commands.options import add_folder, add_quiet
from eeg_sgdr.errors import UserError
from eeg_sgdr.parallel import interrupts

# Nothing heavy is imported before it is needed, so that --help and refusals come at once.


def _add_report(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    add_quiet(parser)


def _add_power(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    parser.add_argument(
        "--points",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="true difference to be found, in percentage points (default: 1)",
    )


def _report(options: argparse.Namespace) -> int:
    from eeg_sgdr.pipeline import report
    from eeg_sgdr.storage.folders import Study

    with silence() if options.quiet else nullcontext(), interrupts.raise_on_signals():
        return 0 if report(Study(options.folder)) else 2


def _power(options: argparse.Namespace) -> int:
    if not 0 < options.points <= 100:
        raise UserError(f"A difference of {options.points:g} points: must be above 0 and at most 100.")
    from eeg_sgdr.reports.power import publish
    from eeg_sgdr.storage.results import load_results

    with interrupts.raise_on_signals():
        print(publish(load_results(options.folder), options.points / 100))
    return 0


REPORT = Command(
    "Evaluate again and write all reports, from a results folder alone; train nothing.",
    _add_report,
    _report,
    ("eeg-sgdr report results/demo", "eeg-sgdr report --quiet results/demo > paths.txt"),
    "Interrupted; the same command makes the reports again.",
)

POWER = Command(
    "Tell how many subjects or folds, and seeds, a study to come needs; from the differences in a finished "
    "one, beside whose report power.csv and power.svg are written.",
    _add_power,
    _power,
    ("eeg-sgdr power results/demo14", "eeg-sgdr power results/demo14 --points 2"),
    "Interrupted; the same command begins again.",
)
