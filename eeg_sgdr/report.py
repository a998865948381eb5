"""The command that makes all reports of a results folder again: python -m eeg_sgdr.report FOLDER."""

import argparse
import sys
from collections.abc import Sequence

from eeg_sgdr.commands.command import call, set_up
from eeg_sgdr.commands.folder import POWER, REPORT


def parser() -> argparse.ArgumentParser:
    """The options of ``eeg-sgdr report``, and that which stands for ``power``."""
    options = argparse.ArgumentParser("python -m eeg_sgdr.report")
    set_up(options, REPORT)
    options.add_argument(
        "--power",
        dest="points",
        type=float,
        metavar="POINTS",
        help="instead, tell how many subjects or folds, and seeds, a study like this one needs to find a "
        "true difference of so many percentage points (as power of eeg-sgdr)",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit status as `commands.command.call` gives it."""
    options = parser().parse_args(arguments)
    return call(REPORT if options.points is None else POWER, options)


if __name__ == "__main__":
    sys.exit(main())
