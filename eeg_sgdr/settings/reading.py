"""Configurations as text: read, overridden, refused in words, written."""

import difflib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings.root import Settings
from eeg_sgdr.settings.types import Model


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core reading: yes and 010 are texts, 1e-3 is a number."""

    yaml_implicit_resolvers: ClassVar[dict[str, list]] = {}  # type: ignore[misc]


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def parse_yaml(text: str) -> Any:
    """Read YAML safely, as YAML 1.2's core schema has it.

    Raises
    ------
    UserError
        If the text is no YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"configuration: not readable as YAML ({problem}); correct it there.") from error


def shipped() -> dict[str, Path]:
    """Paths of the configurations that come with the program, by name."""
    packaged = Path(str(resources.files("eeg_sgdr") / "configs"))
    # In a clone that is installed editable, the configurations are where they are edited.
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load(config: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a configuration.

    Parameters
    ----------
    config : str or Path
        A path, or the name of a shipped configuration.
    overrides : sequence of str
        ``key.of.section=value`` each, the value in YAML.

    Returns
    -------
    settings : Settings

    Raises
    ------
    UserError
        If there is no such configuration, or it is not valid.
    """
    path = Path(config)
    if not path.is_file():
        known = shipped()
        if str(config) not in known:
            raise UserError(
                f"--config {config}: neither a file nor a shipped configuration "
                f"(these are {', '.join(known)})."
            )
        path = known[str(config)]
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: cannot be read ({error}); give another file.") from error
    if not isinstance(data, dict):
        raise UserError(f"--config {path}: holds no table of settings; see the shipped configurations.")
    for text in overrides:
        _override(data, text)
    return validate(data, str(path))


def validate(data: dict[str, Any], where: str) -> Settings:
    """Turn plain data into settings.

    Parameters
    ----------
    data : dict
        As read from YAML.
    where : str
        What messages call it.

    Returns
    -------
    settings : Settings

    Raises
    ------
    UserError
        If anything in it is wrong; one sentence for the first problem, and the number of others.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problems = [_sentence(problem, data) for problem in error.errors()]
        more = f" ({len(problems) - 1} more like this)" if len(problems) > 1 else ""
        raise UserError(f"{where}: {_printable(problems[0])}{more}.") from error


def _sentence(problem: Any, data: dict[str, Any]) -> str:
    """One validation problem in words, with the nearest right name of an unknown key."""
    location = list(problem["loc"])
    # pydantic names the chosen member of a union within the path; users do not know of it.
    keys: list[Any] = []
    node: Any = data
    for key in location:
        if isinstance(node, dict) and key not in node and problem["type"] != "missing":
            continue
        if isinstance(node, dict) and key not in node and key != location[-1]:
            continue
        keys.append(key)
        node = node.get(key) if isinstance(node, dict) else _item(node, key)
    name = ".".join(map(str, keys))
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(keys[-1]), _known_keys(), n=1, cutoff=0.5)
        hint = f"; the nearest is {near[0]}" if near else "; remove it"
        return f"{name} is no setting{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{name} is missing; add it"
    if problem["type"] == "value_error":
        return f"{name}: {message}" if name else message
    given = problem["input"]
    shown = "" if isinstance(given, dict | list) else f", not {given!r}"
    return f"{name}: {message[0].lower()}{message[1:]}{shown}"


def _printable(text: str) -> str:
    """The same on one line: keys may hold anything, line ends included."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _item(node: Any, key: Any) -> Any:
    return node[key] if isinstance(node, list | tuple) and isinstance(key, int) and key < len(node) else None


def _known_keys() -> list[str]:
    known = set()
    queue = list(Model.__subclasses__())
    while queue:
        model = queue.pop()
        known |= set(model.model_fields)
        queue += model.__subclasses__()
    return sorted(known)


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: write it as key.of.section=value.")
    node = data
    *sections, last = key.split(".")
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            raise UserError(f"--set {text}: {section} is a value, not a section.")
    node[last] = parse_yaml(value)


def to_yaml(settings: Settings) -> str:
    """All settings that enter a fingerprint or a list, defaults included; ``compute`` left out."""
    data = settings.model_dump(mode="json", exclude={"compute"})
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
