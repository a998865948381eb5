"""Options and arguments that several commands share, and their completion in a shell."""

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser, *names: str, **how: object) -> None:
    """An argument or option that takes a configuration."""
    taken = parser.add_argument(*names, metavar="PATH|NAME", **how)  # type: ignore[arg-type]
    taken.completer = _configurations  # type: ignore[attr-defined]


def _configurations(prefix: str, **_: object) -> list[str]:
    """Names of shipped configurations, and YAML files that begin so."""
    from argcomplete.completers import FilesCompleter

    from eeg_sgdr.settings import shipped

    return [*shipped(), *FilesCompleter(("yaml", "yml"))(prefix)]


def add_set(parser: argparse.ArgumentParser) -> None:
    """The option that changes a setting."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, as in training.batch_size=30; may be repeated",
    )


def add_study(parser: argparse.ArgumentParser) -> None:
    """Options that say by which settings, of whom, and where results are."""
    add_config(
        parser,
        "--config",
        default="demo",
        help="a configuration file, or the name of a shipped one (default: demo)",
    )
    parser.add_argument(
        "--subject",
        nargs="+",
        metavar="LABEL",
        help="subjects: labels, ranges such as 5-9, or all (default: those of the configuration)",
    )
    parser.add_argument(
        "--fold",
        nargs="+",
        metavar="NUMBER",
        help="folds, across subjects or of each subject: numbers, ranges, or all (default: all)",
    )
    add_set(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="results folder (default: results/NAME)")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """The option that says how many fits are trained at a time."""
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="fits at a time (default: one per core; on GPUs one stack of fits per card)",
    )


def add_assume_trials(parser: argparse.ArgumentParser) -> None:
    """The option of a dry run that makes up for recordings that are not here."""
    parser.add_argument(
        "--assume-trials",
        nargs=2,
        type=int,
        metavar=("TRAIN", "TEST"),
        help="in a dry run: a subject's numbers of trials where its recordings are not here yet",
    )


def add_folder(parser: argparse.ArgumentParser) -> None:
    """The argument that names results."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the results folder, as given to --out")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """The option of commands that end with an answer."""
    parser.add_argument("--quiet", action="store_true", help="print the paths of reports, and errors, alone")
