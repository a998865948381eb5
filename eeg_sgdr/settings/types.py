"""What all sections of a configuration are made of."""

from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def label(value: object) -> object:
    """A number is a label too: ``[1, 2]`` and ``["1", "2"]`` name the same runs."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def fraction(value: object) -> Fraction:
    """Read 1/3 as it is meant, which no float can say."""
    if isinstance(value, Fraction | int | float | str) and not isinstance(value, bool):
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            pass
    raise ValueError("must be a number or a fraction such as 1/3")


def unique(values: tuple) -> tuple:
    """Refuse a list that names something twice."""
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


Label = Annotated[str, BeforeValidator(label), Field(min_length=1)]

Labels = Annotated[tuple[Label, ...], AfterValidator(unique), Field(min_length=1)]

Drop = Annotated[Fraction, BeforeValidator(fraction), PlainSerializer(str)]

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Hertz = Annotated[float, Field(gt=0, allow_inf_nan=False)]

ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Model(BaseModel):
    """A section of the configuration: unknown keys are refused, nothing is changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
