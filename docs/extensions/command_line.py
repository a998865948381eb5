"""The directive ``command``: the --help of a command."""

import argparse
from functools import partial
from importlib import import_module
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx


class Command(Directive):
    """The help of the module that is named, from its ``parser()``."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Read the help."""
        parser = import_module(self.arguments[0]).parser()
        parser.formatter_class = partial(argparse.HelpFormatter, width=80)
        return [nodes.literal_block("", parser.format_help(), language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True}
