"""The command that makes all reports of a results folder again: python -m eeg_sgdr.report FOLDER."""

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
        prog="python -m eeg_sgdr.report",
        description="Compute the evaluation again and write all reports, from a results folder alone; "
        "nothing is trained.",
    )
    options.add_argument("folder", type=Path, help="the results folder, as given to --out")
    options.add_argument(
        "--power",
        type=float,
        metavar="POINTS",
        help="instead, tell how many subjects or folds, and seeds, a study like this one needs to find a "
        "true difference of so many percentage points, and write power.csv and power.svg",
    )
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 when all reports are there, 2 when refused or some are missing, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        with memory_errors(
            "eeg_sgdr.report", "close other programs, or run the same command where there is more"
        ):
            return _run(options)
    except UserError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the same command makes the reports again.", file=sys.stderr)
        return interrupts.STATUS


def _run(options: argparse.Namespace) -> int:
    if options.power is not None:
        if not 0 < options.power <= 100:
            raise UserError(f"--power {options.power:g}: must be above 0 and at most 100 points.")
        from eeg_sgdr.reports.power import publish
        from eeg_sgdr.storage.results import load_results

        with interrupts.raise_on_signals():
            print(publish(load_results(options.folder), options.power / 100))
        return 0
    from eeg_sgdr.pipeline import report
    from eeg_sgdr.storage.folders import Study

    with interrupts.raise_on_signals():
        return 0 if report(Study(options.folder)) else 2


if __name__ == "__main__":
    sys.exit(main())
