"""The command configs: configurations that come with the program, and those of a user."""

import argparse
import json
import re
import sys
from collections.abc import Callable

from eeg_sgdr.commands.command import Command
from eeg_sgdr.commands.options import add_config, add_set
from eeg_sgdr.errors import UserError

# Nothing heavy is imported before it is needed, so that --help and refusals come at once.


def _add_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="names of those that come with the program, and what they are for")
    show = actions.add_parser("show", help="print one with all that it leaves to defaults, as YAML")
    validate = actions.add_parser("validate", help="say whether they can be used")
    actions.add_parser("schema", help="print their JSON schema, by which editors complete and check them")
    add_config(show, "config", help="a file, or the name of a shipped one")
    add_config(validate, "configs", nargs="+", help="files, or names of shipped ones")
    for takes_changes in (show, validate):
        add_set(takes_changes)


def _list(options: argparse.Namespace) -> int:
    from eeg_sgdr.settings import shipped

    paths = shipped()
    width = max(map(len, paths))
    for name, path in paths.items():
        (comment,) = re.findall(r"\A((?:#.*\n)+)", path.read_text(encoding="utf-8"))
        words = comment.replace("#", "").split()
        purpose = re.split(r"[.:] |(?<=\?) ", f"{' '.join(words)} ", maxsplit=1)[0]
        print(f"{name:<{width}}  {purpose}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from eeg_sgdr.settings import load, to_yaml

    print(to_yaml(load(options.config, options.set)), end="")
    return 0


def _validate(options: argparse.Namespace) -> int:
    from eeg_sgdr.settings import load

    status = 0
    for config in options.configs:
        try:
            load(config, options.set)
        except UserError as error:
            print(error, file=sys.stderr)
            status = 2
        else:
            print(f"{config}: valid")
    return status


def _schema(options: argparse.Namespace) -> int:
    from eeg_sgdr.settings import json_schema

    print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "validate": _validate,
    "schema": _schema,
}

CONFIGS = Command(
    "List, show and check configurations.",
    _add_actions,
    lambda options: _ACTIONS[options.action](options),
    (
        "eeg-sgdr configs list",
        "eeg-sgdr configs show demo --set training.batch_size=30 > mine.yaml",
        "eeg-sgdr configs validate mine.yaml",
        "eeg-sgdr configs schema > eeg_sgdr.schema.json",
    ),
)
