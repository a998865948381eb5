"""How the mean logits of crops are computed: the contract, and braindecode's own forward."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import dropout_mask

#: Crops per forward pass where nothing is trained. It bounds memory, and has no effect on results
#: beyond rounding.
CHUNK = 60


class Forward(ABC):
    """One way to compute what a network computes, on the parameters of its module.

    Crops are numbered trial by trial: crop ``i`` is the stretch ``i % len(starts)`` of trial
    ``i // len(starts)``. The module stays the owner of parameters and buffers: a form reads them at
    every call, and in training mode updates batch norm's running statistics as the module would.

    Parameters
    ----------
    network : Network
        The network whose module is computed.
    """

    #: What reports call this form.
    name: ClassVar[str]

    def __init__(self, network: Network) -> None:
        self.network = network
        self.module = network.module

    @abstractmethod
    def prepare(self, windows: Tensor) -> Any:
        """Bring windows into the shape that the form reads.

        Depends on the windows alone, not on parameters, so that all fits of a subject can share it.

        Parameters
        ----------
        windows : Tensor, shape (n_trials, n_channels, n_samples)
            On the module's device, of its floating point type.

        Returns
        -------
        prepared : object
            To be handed to the other methods, and never changed.
        """

    @abstractmethod
    def logits(self, prepared: Any, crops: Tensor, dropout_seed: int) -> Tensor:
        """Mean logits of some crops, differentiable in the module's parameters.

        Parameters
        ----------
        prepared : object
            What `prepare` returned.
        crops : Tensor of int64, shape (n,)
            Numbers of the crops.
        dropout_seed : int
            Determines the dropout masks (in training mode).

        Returns
        -------
        logits : Tensor, shape (n, n_classes)
            Averaged over the positions of each crop.
        """

    @abstractmethod
    def trial_logits(self, prepared: Any) -> Tensor:
        """Logits of all trials, each the mean over its crops' mean logits, without gradient.

        In evaluation mode, whatever mode the module is in: no dropout, running statistics.

        Returns
        -------
        logits : Tensor, shape (n_trials, n_classes)
        """

    @abstractmethod
    def batch_norm_statistics(self, prepared: Any) -> dict[str, Tensor]:
        """Batch-norm statistics over all crops, one layer after the other.

        Each layer's mean and (as torch's) unbiased variance are those of its input over all crops,
        without dropout, with the layers before it already at their recomputed statistics. The
        division into batches does not matter.

        Returns
        -------
        statistics : dict of Tensor
            ``running_mean`` and ``running_var`` of every batch-norm layer, under the names they have
            in the module's state dict. The module is unchanged.
        """


class BraindecodeForward(Forward):
    """braindecode's own forward; works for every network.

    Layers of the type ``nn.Dropout`` get their masks from a generator of their own, so that they are
    the same wherever a fit is computed, alone or beside others; any other randomness of a network comes
    from torch's global state.
    """

    name = "braindecode"

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.dropouts = [layer for layer in self.module.modules() if type(layer) is nn.Dropout]

    def prepare(self, windows: Tensor) -> Tensor:
        """Views of the windows, shape (n_trials, n_channels, n_samples)."""
        return windows

    def logits(self, prepared: Tensor, crops: Tensor, dropout_seed: int) -> Tensor:
        """See `Form.logits`; torch's global random state is seeded with ``dropout_seed``, too."""
        torch.manual_seed(dropout_seed)
        x = self.crops(prepared, crops)
        if not self.module.training:
            return mean_logits(self.module, x)
        generator = torch.Generator(x.device).manual_seed(dropout_seed)
        with masked(
            self.dropouts,
            lambda layer, output: dropout_mask(tuple(output.shape), layer.p, generator, output.dtype),
        ):
            return mean_logits(self.module, x)

    def trial_logits(self, prepared: Tensor) -> Tensor:
        """See `Form.trial_logits`."""
        module = copy.deepcopy(self.module).eval()
        with torch.no_grad():
            logits = torch.cat([mean_logits(module, crops) for crops in self._chunks(prepared)])
        return logits.view(len(prepared), len(self.network.starts), -1).mean(1)

    def batch_norm_statistics(self, prepared: Tensor) -> dict[str, Tensor]:
        """See `Form.batch_norm_statistics`; one pass over the crops for every layer."""
        module = copy.deepcopy(self.module).eval()
        statistics: dict[str, Tensor] = {}
        with torch.no_grad():
            for name in self._batch_norm_order(module, prepared):
                layer = module.get_submodule(name)
                moments = self._moments(module, layer, prepared)
                for buffer, value in zip(("running_mean", "running_var"), moments, strict=True):
                    layer.get_buffer(buffer).copy_(value)
                    statistics[f"{name}.{buffer}"] = layer.get_buffer(buffer).clone()
        return statistics

    def crops(self, windows: Tensor, crops: Tensor) -> Tensor:
        """Crops by their numbers; shape (n, n_channels, crop_samples)."""
        starts = self.network.starts
        length = self.network.crop_samples
        if len(starts) == 1:
            return windows[crops, :, starts[0] : starts[0] + length]
        return torch.stack(
            [
                windows[i // len(starts), :, starts[i % len(starts)] : starts[i % len(starts)] + length]
                for i in crops.tolist()
            ]
        )

    def _chunks(self, windows: Tensor) -> Iterator[Tensor]:
        n_crops = len(windows) * len(self.network.starts)
        for crops in torch.arange(n_crops, device=windows.device).split(CHUNK):
            yield self.crops(windows, crops)

    def _batch_norm_order(self, module: nn.Module, windows: Tensor) -> list[str]:
        """Names of the batch-norm layers in the order in which a forward pass meets them."""
        order: list[str] = []
        handles = [
            layer.register_forward_pre_hook(lambda _layer, _inputs, name=name: order.append(name))
            for name, layer in module.named_modules()
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats
        ]
        module(self.crops(windows, torch.zeros(1, dtype=torch.int64, device=windows.device)))
        for handle in handles:
            handle.remove()
        return list(dict.fromkeys(order))

    def _moments(self, module: nn.Module, layer: nn.Module, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance of what reaches a layer, over all crops."""
        count = 0
        total: Any = 0.0
        squares: Any = 0.0

        def stop_at_layer(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            nonlocal count, total, squares
            values = inputs[0].transpose(0, 1).flatten(1).double()
            count += values.shape[1]
            total = total + values.sum(1)
            squares = squares + values.square().sum(1)
            raise _ReachedLayer

        handle = layer.register_forward_pre_hook(stop_at_layer)
        for crops in self._chunks(windows):
            with suppress(_ReachedLayer):
                module(crops)
        handle.remove()
        mean = total / count
        return mean, (squares - count * mean.square()) / (count - 1)


class _ReachedLayer(Exception):  # noqa: N818 (a signal, not an error)
    """The forward pass has come to the layer of interest; the rest need not be computed."""


@contextmanager
def masked(layers: Sequence[nn.Dropout], mask_of: Callable[[Any, Tensor], Tensor]) -> Iterator[None]:
    """Let dropout layers multiply by masks that are given.

    Parameters
    ----------
    layers : sequence of nn.Dropout
        In training mode before and after.
    mask_of : callable
        Takes a layer and what reaches it, returns the mask; called in the order of the forward pass.
    """
    handles = [
        layer.register_forward_hook(lambda layer, _inputs, output: output * mask_of(layer, output))
        for layer in layers
    ]
    for layer in layers:
        layer.eval()  # in which it hands on what it is given
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for layer in layers:
            layer.train()


def mean_logits(module: Callable[[Tensor], Tensor], crops: Tensor) -> Tensor:
    """Logits of crops, averaged over positions; shape (n_crops, n_classes)."""
    output = module(crops)
    return output.mean(2) if output.ndim == 3 else output
