"""Parameters of a scikit-learn estimator, checked and put in the terms of a fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from pydantic import ValidationError

from eeg_sgdr import networks
from eeg_sgdr.inputs import BadInputError
from eeg_sgdr.networks import Network
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import Numerics, Training


def schedules(schedule: Schedule, rates: Sequence[float] | None, n_snapshots: int | None) -> list[Schedule]:
    """The schedule for each initial rate.

    Parameters
    ----------
    schedule : Schedule
        With its own initial rate.
    rates : sequence of float, optional
        Initial rates in its place.
    n_snapshots : int, optional
        How many snapshots of each are to be averaged.

    Returns
    -------
    schedules : list of Schedule

    Raises
    ------
    BadInputError
        If a rate does not serve, or there are fewer snapshots than asked for.
    """
    n_ends = len(schedule.ends)
    if n_snapshots is not None and not 1 <= n_snapshots <= n_ends:
        raise BadInputError(
            f"n_snapshots: {n_snapshots} must be from 1 to the number of the schedule's ends ({n_ends})."
        )
    if rates is None:
        return [schedule]
    try:
        return [replace(schedule, initial_rate=rate) for rate in rates]  # type: ignore[type-var]
    except (TypeError, ValueError) as error:
        raise BadInputError(f"rates: do not serve {schedule} ({error}); give others.") from error


def training(values: Mapping[str, Any], numerics: Mapping[str, Any]) -> Training:
    """The section ``training`` of a configuration.

    Parameters
    ----------
    values, numerics : mapping
        Its keys, and those of its ``numerics``.

    Returns
    -------
    training : Training

    Raises
    ------
    BadInputError
        If a value will not do: which, and why.
    """
    try:
        return Training(**values, numerics=Numerics(**numerics))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInputError(
            f"{first['loc'][0]}: {first['input']!r} will not do ({first['msg']}); give another."
        ) from error


def builder(
    network: str | torch.nn.Module,
    arguments: Mapping[str, Any] | None,
    shape: Mapping[str, Any],
    sfreq: float | None,
    seed: int,
) -> Callable[[], Network]:
    """What makes a network with its initial weights.

    Parameters
    ----------
    network : str or torch.nn.Module
        By its name in braindecode, or as its constructor made it.
    arguments : mapping, optional
        Further arguments of the constructor of one that is named.
    shape : mapping
        n_channels, n_samples (of a window), n_classes, crop_samples (or None).
    sfreq : float, optional
        Sampling rate in Hz.
    seed : int
        Of the initial weights of one that is named.

    Returns
    -------
    build : callable
        Without arguments; can be pickled.

    Raises
    ------
    BadInputError
        If there are arguments for a network that is made already.
    """
    if isinstance(network, str):
        return partial(networks.build, network, dict(arguments or {}), sfreq=sfreq, seed=seed, **shape)
    if arguments:
        raise BadInputError("arguments: go to the constructor of a network that is named; leave them out.")
    return partial(networks.of_module, network, **shape)
