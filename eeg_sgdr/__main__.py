# PYTHON_ARGCOMPLETE_OK
"""The command eeg-sgdr, which is python -m eeg_sgdr, too."""

import argparse
import os
import sys
from collections.abc import Sequence

from eeg_sgdr import __version__, run
from eeg_sgdr.commands.command import Command, call, set_up
from eeg_sgdr.commands.configs import CONFIGS
from eeg_sgdr.commands.folder import POWER, REPORT
from eeg_sgdr.commands.study import DATA, DRY_RUN, RUN, SCHEDULES

COMMANDS: dict[str, Command] = {
    "run": RUN,
    "report": REPORT,
    "data": DATA,
    "dry-run": DRY_RUN,
    "power": POWER,
    "schedules": SCHEDULES,
    "configs": CONFIGS,
}


def parser() -> argparse.ArgumentParser:
    """The command with its sub-commands."""
    whole = argparse.ArgumentParser(
        prog="eeg-sgdr",
        description="SGD with warm restarts and snapshot ensembles against a step schedule, on motor EEG.",
        epilog="Each has its own help (eeg-sgdr run --help). Options without a command are those of run.",
    )
    whole.add_argument("--version", action="version", version=f"eeg_sgdr {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        first = command.description.partition(";")[0].rstrip(".")
        set_up(commands.add_parser(name, help=first[0].lower() + first[1:]), command)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit status as `commands.command.call` gives it."""
    words = sys.argv[1:] if arguments is None else [*arguments]
    whole = parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(whole)
    if not words:
        whole.print_help()
        return 0
    if words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        return run.main(words, prog=whole.prog)
    options = whole.parse_args(words)
    return call(COMMANDS[options.command], options)


if __name__ == "__main__":
    sys.exit(main())
