"""Mean logits of crops: the interface of forward computations, and braindecode's own."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import dropout_mask

#: Crops per forward pass where nothing is trained. It bounds memory, and has no effect on results
#: beyond rounding.
CHUNK = 60


class Forward(ABC):
    """One way to compute what a network computes, on the parameters of its module.

    Crop ``i`` is crop ``i % len(starts)`` of trial ``i // len(starts)``. The module stays the owner of
    parameters and buffers: they are read at every call, and in training mode batch norm's running
    statistics are updated as the module would.
    """

    #: Name in reports, and what checkpoints are bound to.
    name: str

    def __init__(self, network: Network) -> None:
        self.network = network
        self.module = network.module

    @abstractmethod
    def prepare(self, windows: Tensor) -> Any:
        """Input of the other methods from windows (n_trials, n_channels, n_samples); never changed.

        Windows are on the module's device, of its floating point type. The result depends on them alone,
        not on parameters, so that all fits of a subject can share it.
        """

    @abstractmethod
    def logits(self, prepared: Any, crops: Tensor, dropout_seed: int) -> Tensor:
        """Mean logits of each crop over its positions, shape (n, n_classes), with gradients.

        ``crops`` are their numbers (int64); in training mode ``dropout_seed`` determines the dropout masks.
        """

    def loss(self, prepared: Any, crops: Tensor, labels: Tensor, dropout_seed: int) -> Tensor:
        """Mean cross entropy of crops' `logits`, with gradients; in the module's precision."""
        logits = self.logits(prepared, crops, dropout_seed)
        dtype = next(self.module.parameters()).dtype
        with torch.autocast(logits.device.type, enabled=False):
            return nn.functional.cross_entropy(logits.to(dtype), labels)

    @abstractmethod
    def trial_logits(self, prepared: Any) -> Tensor:
        """Mean of each trial's crops' mean logits, shape (n_trials, n_classes), without gradient.

        In evaluation mode, whatever mode the module is in: no dropout, running statistics.
        """

    @abstractmethod
    def batch_norm_statistics(self, prepared: Any) -> dict[str, Tensor]:
        """``running_mean`` and ``running_var`` over all crops, by name in the module's state dict.

        Mean and (as in torch) unbiased variance of each layer's input, without dropout, with the layers
        before it already at their recomputed statistics. The division into batches does not matter, and the
        module is unchanged.
        """


class BraindecodeForward(Forward):
    """braindecode's own forward; works for every network.

    Layers of the type ``nn.Dropout`` get their masks from a generator of their own, so that they are the
    same wherever a fit is computed, alone or in a stack; any other randomness of a network comes from
    torch's global state.
    """

    name = "braindecode"

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.dropouts = [layer for layer in self.module.modules() if type(layer) is nn.Dropout]

    def prepare(self, windows: Tensor) -> Tensor:
        """The windows themselves."""
        return windows

    def logits(self, prepared: Tensor, crops: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.logits`; torch's global random state is seeded with ``dropout_seed``, too."""
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
        """See `Forward.trial_logits`."""
        module = copy.deepcopy(self.module).eval()
        with torch.no_grad():
            logits = torch.cat([mean_logits(module, crops) for crops in self._chunks(prepared)])
        return logits.view(len(prepared), len(self.network.starts), -1).mean(1)

    def batch_norm_statistics(self, prepared: Tensor) -> dict[str, Tensor]:
        """See `Forward.batch_norm_statistics`; one pass over the crops for every layer."""
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
        """Names of the batch-norm layers in the order of the forward pass."""
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
        """Mean and unbiased variance of a layer's input over all crops."""
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
    """Stop the forward pass: it has reached the layer of interest."""


@contextmanager
def masked(layers: Sequence[nn.Dropout], mask_of: Callable[[Any, Tensor], Tensor]) -> Iterator[None]:
    """Multiply the outputs of dropout layers, in training mode before and after, by given masks.

    ``mask_of(layer, output)`` is called in the order of the forward pass.
    """
    handles = [
        layer.register_forward_hook(lambda layer, _inputs, output: output * mask_of(layer, output))
        for layer in layers
    ]
    for layer in layers:
        layer.eval()  # the identity
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
