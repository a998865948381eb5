"""braindecode's classification networks by name, cropped (dense) or trial-wise."""

import copy
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.errors import UserError

#: Networks that are trained on crops, with the length of the last convolution that the cropped
#: decoding of Schirrmeister et al. (2017) uses for them.
DENSE = {"ShallowFBCSPNet": 30, "Deep4Net": 2}


@dataclass(frozen=True)
class Network:
    """A braindecode module, and the stretches of a window that it sees at once.

    Attributes
    ----------
    name : str
        braindecode's name of the network.
    module : torch.nn.Module
        braindecode's own module; it owns the parameters. In dense form its output has the shape
        (batch, n_classes, n_positions), trial-wise (batch, n_classes).
    crop_samples : int
        Length of a crop in samples; the whole window when trial-wise.
    starts : tuple of int
        First sample of each crop within a window, ascending.
    n_positions : int
        Predictions per crop (the prediction field); 1 when trial-wise.
    dense : bool
        Whether the module was made dense.
    """

    name: str
    module: nn.Module
    crop_samples: int
    starts: tuple[int, ...]
    n_positions: int
    dense: bool


def build_network(
    name: str,
    arguments: dict[str, Any],
    *,
    n_channels: int,
    n_samples: int,
    n_classes: int,
    sfreq: float | None,
    crop_samples: int | None,
    seed: int,
) -> Network:
    """Build a network with the initial weights of a seed.

    Parameters
    ----------
    name : str
        A classification network of ``braindecode.models``.
    arguments : dict
        Further arguments of its constructor.
    n_channels, n_samples, n_classes : int
        Shape of a window, and the number of classes.
    sfreq : float, optional
        Sampling rate in Hz; None where it is not known, which not every network can do without.
    crop_samples : int | None
        Length of a crop; None trains trial-wise.
    seed : int
        Seed of the initial weights. torch's global random state is left as it was.

    Returns
    -------
    network : Network

    Raises
    ------
    UserError
        If there is no such network, if it cannot be built for such windows, or if a crop does not
        fit into the window.
    """
    network_class = _network_class(name)
    length = _length(name, n_samples, crop_samples)
    if crop_samples is not None:
        arguments = {"final_conv_length": DENSE[name], **arguments}

    def made() -> nn.Module:
        torch.manual_seed(seed)
        return network_class(
            n_chans=n_channels, n_outputs=n_classes, n_times=length, sfreq=sfreq, **arguments
        )

    try:
        return _network(name, made, n_channels, n_samples, n_classes, crop_samples)
    except Exception as error:  # whatever a foreign constructor or forward raises, it is the same advice
        rate = "an unknown rate" if sfreq is None else f"{sfreq:g} Hz"
        raise UserError(
            f"network: {name} cannot be built for {n_channels} sensors, {length} samples at "
            f"{rate} and {n_classes} classes with arguments {arguments}: "
            f"{type(error).__name__}: {error}; change network.arguments or the window."
        ) from error


def of_module(
    module: nn.Module, *, n_channels: int, n_samples: int, n_classes: int, crop_samples: int | None
) -> Network:
    """Take a copy of a module, with the weights that it has.

    Parameters
    ----------
    module : nn.Module
        As its constructor made it, for windows of ``n_samples``, or for crops.
    n_channels, n_samples, n_classes, crop_samples
        As for `build`.

    Returns
    -------
    network : Network

    Raises
    ------
    UserError
        If it is not made for such windows, or if a crop does not fit into the window.
    """
    import_braindecode()  # the fast forms look for its modules; this one may be of torch alone
    name = type(module).__name__
    length = _length(name, n_samples, crop_samples)
    try:
        return _network(name, lambda: copy.deepcopy(module), n_channels, n_samples, n_classes, crop_samples)
    except Exception as error:
        raise UserError(
            f"network: this {name} is not made for {n_channels} sensors, {length} samples and {n_classes} "
            f"classes: {type(error).__name__}: {error}; make it for these, or name the network instead."
        ) from error


def _length(name: str, n_samples: int, crop_samples: int | None) -> int:
    """Samples that the network sees at once, if it can and they are there."""
    if crop_samples is None:
        return n_samples
    if name not in DENSE:
        raise UserError(
            f"network.crop_samples: {name} has no dense form here; "
            f"set it to null to train on whole trials (dense: {', '.join(sorted(DENSE))})."
        )
    if crop_samples > n_samples:
        raise UserError(
            f"network.crop_samples: a crop of {crop_samples} samples is longer than the window of "
            f"{n_samples}; shorten it, or lengthen preprocessing.window_s."
        )
    return crop_samples


def _network(
    name: str,
    made: Callable[[], Any],
    n_channels: int,
    n_samples: int,
    n_classes: int,
    crop_samples: int | None,
) -> Network:
    """Make the module, dense where there are crops, and see where these lie."""
    dense = crop_samples is not None
    length = n_samples if crop_samples is None else crop_samples
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = made()
        if dense:
            module.to_dense_prediction_model()
        n_positions = _n_positions(module, n_channels, length, n_classes)
    return Network(name, module, length, crop_starts(n_samples, length, n_positions), n_positions, dense)


def crop_starts(n_samples: int, crop_samples: int, n_positions: int) -> tuple[int, ...]:
    """First samples of the crops of a window.

    They begin at 0 and move by one prediction field; the last one is flush with the window's end.

    Parameters
    ----------
    n_samples : int
        Length of the window.
    crop_samples : int
        Length of a crop, at most ``n_samples``.
    n_positions : int
        Predictions per crop.

    Returns
    -------
    starts : tuple of int
    """
    last = n_samples - crop_samples
    return (*range(0, last, n_positions), last)


def names() -> list[str]:
    """Names of braindecode's networks."""
    import_braindecode()
    from braindecode import models

    return sorted(
        name
        for name, value in vars(models).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and not name.startswith("_")
    )


def _network_class(name: str) -> type:
    import_braindecode()
    from braindecode import models

    if name not in names():
        import difflib

        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}."
        raise UserError(f"network.name: braindecode has no network {name!r}; {hint}")
    return getattr(models, name)


def _n_positions(module: nn.Module, n_channels: int, length: int, n_classes: int) -> int:
    """Number of predictions for one crop, found by a forward pass."""
    was_training = module.training
    module.eval()
    with torch.no_grad():
        output = module(torch.zeros(1, n_channels, length))
    module.train(was_training)
    if not isinstance(output, torch.Tensor) or output.ndim not in (2, 3) or output.shape[1] != n_classes:
        raise ValueError("its output is not one score per class")
    return output.shape[2] if output.ndim == 3 else 1


def open_device(name: str, threads: int) -> torch.device:
    """The device of a fit; on the CPU, the number of threads is set.

    Raises
    ------
    UserError
        If CUDA, or one device of it, is asked for, but absent.
    """
    device = torch.device(name)
    if device.type == "cpu":
        torch.set_num_threads(threads)
    elif not torch.cuda.is_available():
        raise UserError(
            f"training.numerics.device: {name} is asked for, but torch sees no CUDA here; "
            "set it to cpu, or install a torch for CUDA."
        )
    elif (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"training.numerics.device: there is no {name} here; torch sees "
            f"{torch.cuda.device_count()} devices, from cuda:0 on."
        )
    return device
