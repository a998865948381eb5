"""The command that makes all reports of a results folder again: python -m eeg_sgdr.report FOLDER."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eeg_sgdr.errors import UserError, memory_errors

# Nothing heavy is imported before it is needed, so that --help and refusals come at once.


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="python -m eeg_sgdr.report",
        description="Compute the evaluation again and write all reports, from a results folder alone; "
        "nothing is trained.",
    )
    options.add_argument("folder", type=Path, help="the results folder, as given to --out")
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
        0: all reports are there. 2: refused, or some of them are missing. 130: interrupted.
    """
    options = parser().parse_args(arguments)
    try:
        with memory_errors(
            "eeg_sgdr.report", "close other programs, or run the same command where there is more"
        ):
            return _report(options.folder)
    except UserError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the same command makes the reports again.", file=sys.stderr)
        return 130


def _report(folder: Path) -> int:
    from eeg_sgdr.evaluation import tables
    from eeg_sgdr.evaluation.comparison import update
    from eeg_sgdr.reports.data import data_report
    from eeg_sgdr.reports.folds import fold_report
    from eeg_sgdr.reports.study import publish
    from eeg_sgdr.reports.subject import subject_report
    from eeg_sgdr.storage import files
    from eeg_sgdr.storage.results import Subject, load_results

    results = load_results(folder)
    if not results.subjects:
        raise UserError(f"{folder}: holds no subjects yet; run eeg_sgdr.run with --out {folder}.")
    status = 0
    for subject in results.subjects:
        if not subject.fits:
            data_report(results, subject)
            print(subject.folder.report)
            continue
        if not subject.done:
            print(f"{subject.title}: no fit is done; run it again.", file=sys.stderr)
            status = 2
            continue
        files.write_csv(subject.folder.evaluation, tables.evaluation(subject, results.settings))
        write = fold_report if subject.fold else subject_report
        # Read anew: what was read before may be what has just been replaced.
        write(results, Subject(subject.folder))
        print(subject.folder.report)
    compared = update(folder, evaluated=[subject.label for subject in results.subjects])
    if compared:
        print(compared, *publish(load_results(folder)), sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
