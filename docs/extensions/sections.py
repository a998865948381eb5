"""The directive ``section``: the keys of a section of the configuration, from its class.

A key that its class does not document ends the build.
"""

from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt
from docutils import nodes
from numpydoc.docscrape import NumpyDocString
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from eeg_sgdr import settings
from eeg_sgdr.settings.types import Model


def documented(model: type[Model]) -> list[tuple[list[str], str, str]]:
    """The documented keys of a class: names explained together, their type and meaning."""
    attributes = NumpyDocString(model.__doc__ or "")["Attributes"]
    return [(names.split(", "), kind, " ".join(lines)) for names, kind, lines in attributes]


def undocumented(model: type[Model]) -> set[str]:
    """Keys that neither a class nor its bases document."""
    bases = [base for base in model.__mro__ if issubclass(base, Model)]
    known = {name for base in bases for names, _, _ in documented(base) for name in names}
    fields = model.model_fields
    tags = {
        name
        for name in fields
        if fields[name].is_required() and get_origin(fields[name].annotation) is Literal
    }
    return set(fields) - known - tags


def default(model: type[Model], name: str) -> str:
    """A key's default as YAML; empty if it is required or itself a section."""
    value = model.model_fields[name].get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, Model):
        return ""
    text = yaml.safe_dump(plain(value), default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`"


def plain(value: Any) -> Any:
    """Tuples, fractions and sections in lists as YAML has them."""
    if isinstance(value, Model):
        return plain(value.model_dump())
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return str(value) if isinstance(value, Fraction | Enum) else value


def bounds(model: type[Model], name: str) -> str:
    """Bounds of a key's numbers, such as "≥ 1, ≤ 1024"; empty if it holds none."""
    field = model.model_fields[name]
    marks = list(metadata(Annotated[field.annotation, *field.metadata, None]))
    limits = {
        sign: [getattr(mark, key) for mark in marks if isinstance(mark, kind)]
        for sign, key, kind in (("≥", "ge", Ge), (">", "gt", Gt), ("≤", "le", Le), ("<", "lt", Lt))
    }
    strictest = {sign: (max if sign in "≥>" else min)(found) for sign, found in limits.items() if found}
    return ", ".join(f"{sign} {value:.7g}" for sign, value in strictest.items())


def metadata(annotation: Any) -> Iterator[Any]:
    """Metadata of an annotation and of its parts."""
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from (single for mark in parts[1:] for single in getattr(mark, "metadata", [mark]))
        parts = parts[:1]
    for part in parts:
        yield from metadata(part)


def markdown(model: type[Model]) -> Iterator[str]:
    """The description of a section, and a table of its keys."""
    text = NumpyDocString(model.__doc__ or "")
    yield from (*text["Summary"], "", *text["Extended Summary"], "")
    yield from ("| key | type | bounds | default | |", "|---|---|---|---|---|")
    for names, kind, meaning in documented(model):
        shown = "section" if kind.removesuffix(", optional") in settings.__all__ else kind
        cells = (
            ", ".join(f"`{name}`" for name in names),
            shown.removesuffix(", optional"),
            "; ".join(filter(None, dict.fromkeys(bounds(model, name) for name in names))),
            ", ".join(filter(None, (default(model, name) for name in names))),
            meaning.replace("``", "`"),
        )
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


class Section(SphinxDirective):
    """The keys of the class of `eeg_sgdr.settings` that is named."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        name = self.arguments[0]
        model = getattr(settings, name)
        if missing := undocumented(model):
            raise self.error(f"{name} does not document {', '.join(sorted(missing))}")
        full = f"eeg_sgdr.settings.{name}"
        target = nodes.target("", "", ids=[full])
        self.env.domains["py"].note_object(full, "class", full, location=target)
        return [target, *self.parse_text_to_nodes("\n".join(markdown(model)))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("section", Section)
    return {"parallel_read_safe": True}
