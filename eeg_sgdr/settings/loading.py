"""Reading, overriding, validating and writing configurations (YAML)."""

import difflib
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, get_args

import yaml
from pydantic import ValidationError

from eeg_sgdr.errors import UserError, in_words, is_unicode
from eeg_sgdr.settings.preprocessing import BASELINES
from eeg_sgdr.settings.study import Settings
from eeg_sgdr.settings.types import FOLDER, Model, kinds, tags

#: Quotation mark of names in messages of pydantic.
QUOTE = "'"

_NOTHING = object()

#: Most bytes of a configuration, and most values and levels in it, aliases expanded: far more than studies
#: need, and read within seconds.
MAX_BYTES, MAX_VALUES, MAX_LEVELS = 500_000, 30_000, 30


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core reading: yes and 010 are texts, 1e-3 is a number."""

    yaml_implicit_resolvers: ClassVar[dict[str, list]] = {}  # type: ignore[misc]
    yaml_constructors: ClassVar[dict] = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if str(tag).rpartition(":")[2] not in ("binary", "omap", "pairs", "set", "timestamp")
    }

    n_values = level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node and those below it, aliases not expanded."""
        self.n_values += 1
        self.level += 1
        if self.n_values > MAX_VALUES or self.level > MAX_LEVELS:
            raise yaml.YAMLError(f"more than {MAX_VALUES} values or {MAX_LEVELS} levels")
        node = super().compose_node(parent, index)
        self.level -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        text = super().construct_scalar(node)
        if "\0" in text or not is_unicode(text):
            raise _unfit(node, "holds a null byte, or is no text in Unicode")
        return text

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, ValueError) as error:
            raise _unfit(node, f"is no {node.tag.rpartition(':')[2]} that can be read") from error


def _unfit(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(
        None, None, f"{str(node.value)[:50]!r} {problem}", node.start_mark
    )


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


def parse_yaml(text: str, where: str = "configuration") -> Any:
    """Parse YAML 1.2 (core schema) safely; ``where`` names the text in messages."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        # Before anything is made of nodes, which aliases share: expanded they may be without end.
        if root is not None:
            _check_extent(root, where)
            return loader.construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not readable as YAML ({in_words(error)}); correct it there.") from error
    return None


def _check_extent(root: yaml.Node, where: str) -> None:
    """Refuse YAML that has too many levels or values when its aliases are expanded."""
    level, n_values = [root], 0
    for _ in range(MAX_LEVELS):
        below = itertools.chain.from_iterable(map(_children, level))
        level = list(itertools.islice(below, MAX_VALUES - n_values + 1))
        n_values += len(level)
        if n_values > MAX_VALUES:
            raise UserError(f"{where}: holds more than {MAX_VALUES} values, aliases expanded; shorten it.")
        if not level:
            return
    raise UserError(
        f"{where}: nests more than {MAX_LEVELS} levels, or a value within itself (an alias); flatten it."
    )


def _children(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return itertools.chain.from_iterable(node.value)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def shipped() -> dict[str, Path]:
    """Paths of the shipped configurations, by name."""
    packaged = Path(str(resources.files("eeg_sgdr") / "configs"))
    # In a clone that is installed editable, the configurations are where they are edited.
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load(config: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a configuration, given by its path or the name of a shipped one.

    ``overrides`` are texts such as ``training.batch_size=30``, the value in YAML.
    """
    path = Path(config)
    if not os.path.isfile(path):  # False for a path that cannot be, too
        known = shipped()
        if str(config) not in known:
            raise UserError(
                f"--config {config}: neither a file nor a shipped configuration "
                f"(these are {', '.join(known)})."
            )
        path = known[str(config)]
    data = _table(path)
    for text in overrides:
        _override(data, text)
    # Reports suggest commands with the folder's own configuration.
    of_folder = path.name == "config.yaml" and (path.parent / "environment.json").is_file()
    return validate(data, str(path), FOLDER if of_folder else None)


def read(path: Path) -> Settings:
    """Read the configuration that a results folder was made with."""
    return validate(_table(path), str(path), FOLDER)


def _table(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: is no file (but a folder, a pipe or a device); give a file of YAML.")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(
                f"{path}: is larger than {MAX_BYTES} bytes, which no configuration needs; shorten it."
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({in_words(error)}); correct or replace it.") from error
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise UserError(f"{path}: holds no table of settings; see the shipped configurations.")
    return data


def validate(data: dict[str, Any], where: str, context: str | None = None) -> Settings:
    """Turn plain data into settings; `UserError`: where, the first problem, and the number of others."""
    data = _with_list_of_baselines(data, where)
    try:
        return Settings.model_validate(data, context=context)
    except ValidationError as error:
        problems = error.errors()
        more = f" ({len(problems) - 1} more like this)" if len(problems) > 1 else ""
        # Of a union's members, the one of the deepest problem is meant.
        deepest = max(problems, key=lambda problem: len(problem["loc"]))
        raise UserError(f"{where}: {_sentence(deepest, data)}{more}.") from error


def _with_list_of_baselines(data: dict[str, Any], where: str) -> dict[str, Any]:
    """Plain data with the key ``baseline``, the tangent space alone or null, as a list ``baselines``."""
    if "baseline" not in data:
        return data
    if "baselines" in data:
        raise UserError(
            f"{where}: baseline and baselines name the same; remove baseline, and put what it holds into the "
            "list baselines (an empty one for none)."
        )
    one = data["baseline"]
    if isinstance(one, dict):
        one = {"kind": "tangent_space", **one}
    others = {name: value for name, value in data.items() if name != "baseline"}
    return {**others, "baselines": [] if one is None else [one]}


def _sentence(problem: Any, data: dict[str, Any]) -> str:
    """Sentence of one validation problem, with the nearest valid name of an unknown key."""
    location = list(problem["loc"])
    # pydantic's path includes the chosen member of a union, which users do not know.
    keys: list[Any] = []
    node: Any = data
    for key in location:
        below = node.get(key, _NOTHING) if isinstance(node, dict) else _item(node, key)
        if below is not _NOTHING or (problem["type"] == "missing" and key == location[-1]):
            keys.append(key)
            node = below
    name = ".".join(map(str, keys))
    if problem["type"] == "extra_forbidden":
        return f"{name} is no setting{_nearest(keys[-1], _keys_at(location[:-1], data)) or '; remove it'}"
    if problem["type"] == "union_tag_invalid":
        tag, expected = problem["ctx"]["tag"], problem["ctx"]["expected_tags"]
        where = f"{name}.{problem['ctx']['discriminator'].strip(QUOTE)}"
        return f"{where}: there is no {tag!r}, only {expected}{_nearest(tag, _quoted(expected))}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "int_parsing_size":
        message = "Input is too large"
    for limit in (problem["ctx"][key] for key in ("ge", "gt", "le", "lt") if key in problem.get("ctx", {})):
        # pydantic rounds large integers, and writes 1e-30 out.
        message = f"{message.rpartition(' ')[0]} {limit if isinstance(limit, int) else f'{limit:g}'}"
    if problem["type"] == "missing":
        return f"{name} is missing; add it"
    if problem["type"] == "value_error":
        return f"{name}: {message}" if name else message
    given = problem["input"]
    shown = "" if isinstance(given, dict | list) else f", not {_shortened(repr(given))}"
    if problem["type"] == "literal_error":
        shown += _nearest(given, _quoted(problem["ctx"]["expected"]))
    return f"{name}: {message[0].lower()}{message[1:]}{shown}"


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:50]}..."


def _nearest(wrong: Any, right: list[str]) -> str:
    """Hint at the valid name most like a wrong one; empty where none is similar."""
    near = difflib.get_close_matches(str(wrong), right, n=1, cutoff=0.5)
    return f"; the nearest is {near[0]}" if near else ""


def _quoted(text: str) -> list[str]:
    """Quoted names in a message of pydantic."""
    return re.findall(f"{QUOTE}([^{QUOTE}]*){QUOTE}", text)


def _item(node: Any, key: Any) -> Any:
    inside = isinstance(node, list | tuple) and isinstance(key, int) and key < len(node)
    return node[key] if inside else _NOTHING


def _keys_at(location: list[Any], data: Any) -> list[str]:
    """Keys of the section at a location."""
    models: set[type[Model]] = {Settings}
    for key in location:
        below = {
            section
            for model in models
            if key in model.model_fields
            for section in _models(model.model_fields[key].annotation)
        }
        # Names of arms and indices are no fields; of several kinds, the tag that is given selects one.
        models = below or models
        data = data.get(key, data) if isinstance(data, dict) else _item(data, key)
        given = (
            {value for value in data.values() if isinstance(value, str)} if isinstance(data, dict) else set()
        )
        models = {model for model in models if given & {*tags(model)}} or models
    return sorted({name for model in models for name in model.model_fields})


def _models(annotation: Any) -> set[type[Model]]:
    """The sections that a setting may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return {annotation, *kinds(annotation)}
    return {model for part in get_args(annotation) for model in _models(part)}


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
    node[last] = parse_yaml(value, f"--set {key}")


def json_schema() -> dict[str, Any]:
    """JSON schema of configurations, for editors: pydantic's, and the short forms that it does not know."""
    schema = Settings.model_json_schema()
    sections, cue = schema["$defs"], {"type": ["string", "integer"]}
    for source in sections["Recordings"]["anyOf"]:
        classes = source["properties"]["classes"]
        classes["additionalProperties"] = {"anyOf": [cue, {"type": "array", "items": cue}]}
        if "execution" in source["properties"]:  # classes follow from the task
            source["required"].remove("classes")
    sections["Side"] = {"anyOf": [{"enum": list(BASELINES)}, sections["Side"]]}
    schema["properties"]["baseline"] = {"type": ["object", "null"]}
    return schema


def to_yaml(settings: Settings) -> str:
    """All settings but ``compute`` as YAML, defaults included."""
    data = settings.model_dump(mode="json", exclude={"compute"})
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
