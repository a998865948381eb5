"""Types that the sections of a configuration share."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError


def label(value: object) -> object:
    """Convert a number to a label: ``[1, 2]`` and ``["1", "2"]`` name the same runs."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def fraction(value: object) -> Fraction:
    """Parse a fraction such as 1/3 exactly."""
    if isinstance(value, Fraction | int | float | str) and not isinstance(value, bool):
        text = str(value)
        try:
            # Of a decimal between 0 and 1 alone: that of 1e-999999999 would take for ever.
            if "/" in text or 0 < float(text) < 1:
                return Fraction(text)
        except (ValueError, ZeroDivisionError):
            pass
    raise ValueError("must be a number or a fraction such as 1/3, between 0 and 1")


def no_bool(value: object) -> object:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def unique(values: tuple) -> tuple:
    """Refuse a list with duplicates."""
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


def finite(value: Any) -> Any:
    """Refuse numbers that no library's arguments are meant to be: infinite ones, and beyond 64 bits."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            finite(item)
    elif isinstance(value, int | float) and not abs(value) < 2**63:
        raise ValueError("holds a number that is not finite, or beyond 64 bits")
    return value


Label = Annotated[str, BeforeValidator(label, json_schema_input_type=str | int), Field(min_length=1)]

Labels = Annotated[tuple[Label, ...], Field(min_length=1), AfterValidator(unique)]

Drop = Annotated[Fraction, BeforeValidator(fraction), PlainSerializer(str)]

Integer = Annotated[int, BeforeValidator(no_bool)]

Number = Annotated[float, BeforeValidator(no_bool), Field(allow_inf_nan=False)]

#: Of crops, samples, seeds and the like: what no machine could hold is a slip of the pen.
Count = Annotated[Integer, Field(ge=1, le=1_000_000)]

Epochs = Annotated[Integer, Field(ge=1, le=100_000)]

#: What torch takes.
Seed = Annotated[Integer, Field(ge=0, lt=2**64)]

#: Training is computed in float32, of 1e-38 to 3e38.
Rate = Annotated[Number, Field(ge=1e-30, le=1e30)]

Rates = Annotated[tuple[Rate, ...], Field(min_length=1, max_length=1000), AfterValidator(unique)]

#: An initial rate, or the one that is chosen in each subject or fold.
AnyRate = float | Literal["tuned"]

#: What a rate falls to.
LowRate = Annotated[Number, Field(ge=0, le=1e30)]

#: From one cycle in 17 minutes to the rates of the fastest amplifiers.
Hertz = Annotated[Number, Field(ge=0.001, le=100_000)]

Microvolts = Annotated[Number, Field(gt=0, le=1e9)]

#: Within a day of the cue.
Seconds = Annotated[Number, Field(ge=-86_400, le=86_400)]

ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


@dataclass(frozen=True)
class Later:
    """Metadata of a field added after folders had been made without it: the value that these were made with.

    As in `Annotated[str, Later("shared")] = "own"`: a value as in config.yaml, not necessarily the default.
    A field of this value enters no fingerprint, so that those folders remain valid.
    """

    before: Any


Section = TypeVar("Section", bound="Model")

#: Validation context of a results folder's configuration: fields that it lacks take the value of `Later`.
FOLDER = "results folder"


class Model(BaseModel):
    """A section of the configuration: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """JSON schema of the section or, where it has kinds (`of_kind`), of any of them."""
        of_kinds = [] if tags(cls) else [handler(kind.__pydantic_core_schema__) for kind in kinds(cls)]
        return {"anyOf": of_kinds} if of_kinds else handler(core)

    @model_validator(mode="before")
    @classmethod
    def _complete_folder(cls, data: Any, info: ValidationInfo) -> Any:
        return {**_later(cls), **data} if info.context == FOLDER and isinstance(data, dict) else data


def _later(model: type[Model]) -> dict[str, Any]:
    """Names of a section's later fields, and the values that folders without them were made with."""
    return {
        name: mark.before
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Later)
    }


def with_earlier(asked: Section, stored: Model) -> Section:
    """Settings with the `Later` fields that they do not name as in a folder made without these fields."""
    plain_stored, later = stored.model_dump(mode="json"), _later(type(asked))
    kept = {
        name: getattr(stored, name)
        for name, before in later.items()
        if name not in asked.model_fields_set and plain_stored[name] == before
    }
    within = {name: _with_earlier(value, getattr(stored, name)) for name, value in asked if name not in kept}
    return asked.model_copy(update={**within, **kept})


def _with_earlier(asked: Any, stored: Any) -> Any:
    if isinstance(asked, Mapping) and isinstance(stored, Mapping):
        return {name: _with_earlier(value, stored.get(name)) for name, value in asked.items()}
    alike = isinstance(asked, Model) and type(asked) is type(stored)
    return with_earlier(asked, stored) if alike else asked


def identifying(section: Model, exclude: Collection[str] = ()) -> dict[str, Any]:
    """A section as plain data, as it enters fingerprints; without `Later` fields of their earlier value."""
    return _identifying(section, section.model_dump(mode="json", exclude=set(exclude)))


def _identifying(value: Any, data: Any) -> Any:
    if isinstance(value, Model):
        later = _later(type(value))
        kept = {name: field for name, field in data.items() if name not in later or field != later[name]}
        return {name: _identifying(getattr(value, name), field) for name, field in kept.items()}
    if isinstance(value, Mapping):
        # Names of arms and classes are strings in both.
        return {name: _identifying(value[name], item) for name, item in data.items()}
    if isinstance(value, tuple):
        return [_identifying(*pair) for pair in zip(value, data, strict=True)]
    return data


def tags(model: type[Model]) -> tuple[str, ...]:
    """Values of a section's tag, such as ``step`` of ``kind: step``; none for a section without a tag."""
    required = [field.annotation for field in model.model_fields.values() if field.is_required()]
    return tuple(tag for kind in required if get_origin(kind) is Literal for tag in get_args(kind))


def kinds(base: type[Section]) -> Iterator[type[Section]]:
    """All tagged subclasses of a section, wherever they are defined."""
    for model in base.__subclasses__():
        if tags(model):
            yield model
        yield from kinds(model)


def of_kind(base: type[Section], tag: str) -> BeforeValidator:
    """Validate a section as the subclass of a base class that its tag names.

    Unlike pydantic's own union it is open to subclasses that are defined later, or elsewhere.
    """

    def pick(value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        known = {name: model for model in kinds(base) for name in tags(model)}
        context = {"discriminator": f"'{tag}'", "expected_tags": ", ".join(f"'{name}'" for name in known)}
        if tag not in value:
            raise PydanticCustomError("union_tag_not_found", f"{tag} is missing; add it", context)
        if value[tag] not in known:
            problem = {**context, "tag": str(value[tag])}
            raise PydanticCustomError("union_tag_invalid", "there is no such section", problem)
        return known[value[tag]].model_validate(value, context=info.context)

    return BeforeValidator(pick)


def is_number(label: str) -> bool:
    """Whether a label is a whole number in the digits 0 to 9; others, such as ², have no value."""
    return label.isascii() and label.isdigit()


def label_order(label: str) -> tuple[str, str]:
    """Sort key of subjects' labels, on which the draw of folds depends: shorter ones first."""
    return label.zfill(9), label


def label_value(label: str) -> str:
    """What a label stands for: the same for "1" and "01"."""
    return (label.lstrip("0") or "0") if is_number(label) else label


def joined(words: Iterable[object]) -> str:
    """Words as a list in a sentence: one, two and three."""
    *front, last = map(str, words)
    return f"{', '.join(front)} and {last}" if front else last


def plain(name: str) -> str:
    """A name of the configuration with spaces for underscores."""
    return name.replace("_", " ")
