"""Settings of the network and of its training."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from eeg_sgdr.settings.types import Model, Rate, unique


class NetworkSettings(Model):
    """The ConvNet.

    Attributes
    ----------
    name : str
        A classification network of braindecode.
    arguments : dict
        Further arguments of its constructor.
    crop_samples : int, optional
        Length of the crops (dense training); null trains on whole windows.
    """

    name: str = "ShallowFBCSPNet"
    arguments: dict[str, Any] = Field(default_factory=dict)
    crop_samples: Annotated[int, Field(ge=1)] | None = None


class Numerics(Model):
    """How a fit is computed, as far as rounding depends on it.

    Attributes
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int
        Threads of one fit on the CPU.
    precision : "float32" or "mixed"
        Mixed computes matrix products in bfloat16.
    """

    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    threads: int = Field(1, ge=1)
    precision: Literal["float32", "mixed"] = "float32"


class Training(Model):
    """How every fit is trained.

    Attributes
    ----------
    initial_rates : list of float
        Rates that the schedules start from.
    seeds : list of int
        Seeds of initial weights, order and dropout.
    batch_size : int
        Crops per update; an epoch's incomplete last batch is dropped.
    momentum : float
        Classical momentum, not Nesterov's.
    momentum_form : "torch" or "paper"
        Whether the rate multiplies the velocity (torch) or the gradient inside it (paper).
    weight_decay : float
        Added to all gradients, as torch's SGD does.
    store : "ends" or "epochs"
        When test probabilities are stored: at a fit's ends, or at every epoch.
    numerics : Numerics
        How it is computed, as far as rounding depends on it.
    """

    initial_rates: Annotated[tuple[Rate, ...], AfterValidator(unique), Field(min_length=1)] = (0.025, 0.05)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(unique), Field(min_length=1)] = (
        0,
    )
    batch_size: int = Field(60, ge=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    momentum_form: Literal["torch", "paper"] = "torch"
    weight_decay: float = Field(0.0005, ge=0)
    store: Literal["ends", "epochs"] = "ends"
    numerics: Numerics = Numerics()
