"""Build braindecode's networks, dense for crops or trial-wise, and open their device."""

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
    """A braindecode module and the crops of a window that it reads."""

    name: str  # braindecode's name of the network
    #: owns the parameters; dense output (batch, n_classes, n_positions), trial-wise (batch, n_classes)
    module: nn.Module
    crop_samples: int  # the whole window when trial-wise
    starts: tuple[int, ...]  # first sample of each crop within a window, ascending
    n_positions: int  # predictions per crop (the prediction field); 1 when trial-wise
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
    """Build a network of ``braindecode.models`` with the initial weights of a seed.

    ``crop_samples`` None builds it trial-wise, ``sfreq`` None is an unknown rate in Hz, which not every
    network can do without. torch's global random state is left as it was. Raises UserError if there is no
    such network, it cannot be built for such windows, or a crop does not fit into the window.
    """
    network_class = _network_class(name)
    length = _input_samples(name, n_samples, crop_samples)
    if crop_samples is not None:
        arguments = {"final_conv_length": DENSE[name], **arguments}

    def make() -> nn.Module:
        torch.manual_seed(seed)
        return network_class(
            n_chans=n_channels, n_outputs=n_classes, n_times=length, sfreq=sfreq, **arguments
        )

    try:
        return _network(name, make, n_channels, n_samples, n_classes, crop_samples)
    except Exception as error:  # a foreign constructor or forward may raise anything
        rate = "an unknown rate" if sfreq is None else f"{sfreq:g} Hz"
        raise UserError(
            f"network: {name} cannot be built for {n_channels} sensors, {length} samples at "
            f"{rate} and {n_classes} classes with arguments {arguments}: "
            f"{type(error).__name__}: {error}; change network.arguments or the window."
        ) from error


def copy_network(
    module: nn.Module, *, n_channels: int, n_samples: int, n_classes: int, crop_samples: int | None
) -> Network:
    """Copy a module, with its weights, made for windows of ``n_samples`` or for crops.

    Raises UserError if it is not made for such windows, or if a crop does not fit into the window.
    """
    import_braindecode()  # fast forwards are chosen by its classes; this module may be of torch alone
    name = type(module).__name__
    length = _input_samples(name, n_samples, crop_samples)
    try:
        return _network(name, lambda: copy.deepcopy(module), n_channels, n_samples, n_classes, crop_samples)
    except Exception as error:
        raise UserError(
            f"network: this {name} is not made for {n_channels} sensors, {length} samples and {n_classes} "
            f"classes: {type(error).__name__}: {error}; make it for these, or name the network instead."
        ) from error


def _input_samples(name: str, n_samples: int, crop_samples: int | None) -> int:
    """Samples of the network's input; UserError without a dense network, or where the window is shorter."""
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
    make: Callable[[], Any],
    n_channels: int,
    n_samples: int,
    n_classes: int,
    crop_samples: int | None,
) -> Network:
    """Make the module, dense where there are crops, and find their starts."""
    dense = crop_samples is not None
    length = n_samples if crop_samples is None else crop_samples
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = make()
        if dense:
            module.to_dense_prediction_model()
        n_positions = _n_positions(module, n_channels, length, n_classes)
    return Network(name, module, length, crop_starts(n_samples, length, n_positions), n_positions, dense)


def crop_starts(n_samples: int, crop_samples: int, n_positions: int) -> tuple[int, ...]:
    """First samples of a window's crops: every ``n_positions`` from 0, the last one flush with its end."""
    last = n_samples - crop_samples
    return (*range(0, last, n_positions), last)


def network_names() -> list[str]:
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

    if name not in network_names():
        import difflib

        near = difflib.get_close_matches(name, network_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(network_names())}."
        raise UserError(f"network.name: braindecode has no network {name!r}; {hint}")
    return getattr(models, name)


def _n_positions(module: nn.Module, n_channels: int, length: int, n_classes: int) -> int:
    """Number of predictions for one crop, from a forward pass."""
    was_training = module.training
    module.eval()
    with torch.no_grad():
        output = module(torch.zeros(1, n_channels, length))
    module.train(was_training)
    if not isinstance(output, torch.Tensor) or output.ndim not in (2, 3) or output.shape[1] != n_classes:
        raise ValueError("its output is not one score per class")
    return output.shape[2] if output.ndim == 3 else 1


def open_device(name: str, threads: int) -> torch.device:
    """The device of a fit, with the CPU's number of threads set; UserError if a CUDA device is absent."""
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
