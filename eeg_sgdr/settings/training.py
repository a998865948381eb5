"""Settings of the network, and of its training."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from eeg_sgdr.settings.types import (
    Count,
    Integer,
    Later,
    Model,
    Number,
    Rates,
    Seed,
    finite,
    unique,
)


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
    arguments: Annotated[dict[str, Any], AfterValidator(finite)] = Field(default_factory=dict)
    crop_samples: Count | None = None


def _device(name: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]?))?", name):
        raise ValueError(f"must be cpu, cuda, or cuda:0 to cuda:99, not {name!r}")
    return name


class Numerics(Model):
    """How a fit is computed, as far as rounding depends on it.

    Attributes
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``, N from 0 to 99.
    threads : int
        Threads of one fit on the CPU.
    precision : "float32" or "mixed"
        Mixed computes matrix products of numbers rounded to bfloat16: on the CPU by a compiled kernel
        (ShallowFBCSPNet with one thread, on processors that have AVX512-BF16), else under torch's autocast.
    """

    device: Annotated[str, AfterValidator(_device)] = "cpu"
    threads: Integer = Field(1, ge=1, le=1024)
    precision: Literal["float32", "mixed"] = "float32"


#: What of the training part validates; see `RateChoice`.
Validation = Literal["run", "session", "subject", "tail"]


class RateChoice(Model):
    """Choice of each arm's initial rate inside the training part, the same way for every arm.

    The training part of a subject or fold is split once more. With each rate of an arm's list a fit is made
    on its inner training part; the rate whose last snapshot errs least on the validation trials is chosen,
    for each budget of the arm (ties: by the lower negative log-likelihood, then the lower rate). No test
    trial is used.

    Attributes
    ----------
    validation : "run", "session", "subject" or "tail"
        What validates: the last run, or session, of each training subject; one fifth of the training
        subjects (across subjects: the first of five folds of them, drawn with ``split.seed``); or the last
        fifth of the trials of each training run.
    seeds : list of int
        Seeds of these fits, over which errors are averaged; not those of ``training``, so that more of
        those change no choice.
    outer : "chosen" or "all"
        Which fits are made on the whole training part: those at the chosen rates, or at all rates.
    """

    validation: Validation
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(unique)] = (0,)
    outer: Literal["chosen", "all"] = "chosen"


class Training(Model):
    """How every fit is trained.

    Attributes
    ----------
    initial_rates : list of float
        Rates that the schedules start from or, in one cycle and after a warm-up, rise to.
    seeds : list of int
        Seeds of initial weights, order and dropout; 64 bits, as torch takes them.
    seeding : "unit" or "shared"
        Whether every subject or fold derives seeds of its own from these, or all share them. All arms of a
        subject or fold share its seeds in any case.
    rate_choice : RateChoice, optional
        How one of the initial rates is chosen; null makes fits with all of them.
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

    initial_rates: Rates = (0.025, 0.05)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(unique)] = (0,)
    seeding: Annotated[Literal["unit", "shared"], Later("shared")] = "unit"
    rate_choice: Annotated[RateChoice | None, Later(None)] = None
    batch_size: Count = 60
    momentum: Number = Field(0.9, ge=0, lt=1)
    momentum_form: Literal["torch", "paper"] = "torch"
    weight_decay: Number = Field(0.0005, ge=0, le=1000)
    store: Literal["ends", "epochs"] = "ends"
    numerics: Numerics = Numerics()
