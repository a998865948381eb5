"""The directive ``command``: the --help of a command."""

import argparse
from functools import partial
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from eeg_sgdr.__main__ import COMMANDS, parser
from eeg_sgdr.commands.command import set_up


class Command(Directive):
    """The help of eeg-sgdr, or of the sub-command that is named."""

    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Read the help."""
        found = parser()
        if self.arguments:
            (name,) = self.arguments
            found = argparse.ArgumentParser(f"eeg-sgdr {name}")
            set_up(found, COMMANDS[name])
        found.formatter_class = partial(argparse.RawDescriptionHelpFormatter, width=80)
        return [nodes.literal_block("", found.format_help(), language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True}
