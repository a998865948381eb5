"""A command: its options, help and examples, and how it ends."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass

from eeg_sgdr.errors import UserError, memory_errors
from eeg_sgdr.parallel import interrupts


@dataclass(frozen=True)
class Command:
    """A sub-command; ``execute`` returns its exit status, or raises `UserError`."""

    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]
    #: Lines as a user types them, with comments.
    examples: tuple[str, ...]
    #: What it says when it is interrupted.
    interrupted: str = interrupts.SENTENCE


def set_up(parser: argparse.ArgumentParser, command: Command) -> None:
    """Give a parser the options and the help of a command."""
    parser.description = command.description
    command.add_options(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n  ".join(("examples:", *command.examples))


def call(command: Command, options: argparse.Namespace) -> int:
    """Exit status: 0 when all that was asked is there, 2 when refused or some is not, 130 interrupted."""
    try:
        with memory_errors("eeg-sgdr", "close other programs, or run the same command where there is more"):
            return command.execute(options)
    except UserError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(command.interrupted, file=sys.stderr)
        return interrupts.STATUS


@contextmanager
def silence() -> Iterator[None]:
    """Say nothing on stderr in a block: neither progress nor notes; errors leave it."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield
