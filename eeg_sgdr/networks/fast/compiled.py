"""Updates of ShallowFBCSPNet and EEGNet by compiled kernels."""

import ctypes
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import kept_bits
from eeg_sgdr.networks.fast.eegnet import EEGNetForward, LaggedWindows
from eeg_sgdr.networks.fast.first import FirstConvolution
from eeg_sgdr.networks.fast.norm import update_running_statistics
from eeg_sgdr.networks.fast.shallow import ShallowForward
from eeg_sgdr.networks.forward import CHUNK
from eeg_sgdr.networks.kernels import BFLOAT16, Kernel, find, find_bfloat16

#: Time of a value and level of the fast transforms, in operations of matrix products.
TRANSFORM = 9


class KernelLoss:
    """A kernel's loss of a network, and its workspace, which is reused: it serves one thread at a time."""

    def __init__(self, network: str, kernel: Kernel | None) -> None:
        if kernel is None:
            raise ValueError("there is no kernel for this processor")
        self.lanes, self.name = kernel.lanes, kernel.name
        self._size = kernel.function(f"{network}_workspace", ctypes.c_int64)
        self._loss = kernel.function(f"{network}_loss", ctypes.c_int)
        self.workspace = torch.empty(0, dtype=torch.uint8)

    def n_lanes(self, n: int) -> int:
        """The lanes of whole vectors for ``n`` numbers."""
        return -(-n // self.lanes) * self.lanes

    def __call__(self, shape: ctypes.Structure, *arrays: Tensor | Sequence[Tensor]) -> None:
        """Fill the results among arrays, and structures of them, in the order of the kernel's arguments.

        Raises IndexError where a crop or a label does not exist.
        """
        n_bytes = self._size(ctypes.byref(shape)) + 128
        if len(self.workspace) < n_bytes:
            self.workspace = torch.empty(n_bytes, dtype=torch.uint8)
        aligned = -(-self.workspace.data_ptr() // 128) * 128
        contiguous = [
            array.contiguous() if isinstance(array, Tensor) else [member.contiguous() for member in array]
            for array in arrays
        ]
        pointers = [
            ctypes.c_void_p(array.data_ptr())
            if isinstance(array, Tensor)
            else (ctypes.c_void_p * len(array))(*(member.data_ptr() for member in array))
            for array in contiguous
        ]
        if self._loss(ctypes.byref(shape), ctypes.c_void_p(aligned), *pointers):
            raise IndexError("a crop or a label that does not exist")


class _Loss(torch.autograd.Function):
    """A loss of parameters whose gradients are made with it."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[..., tuple[Tensor, list[Tensor]]], *parameters: Tensor) -> Tensor:
        """Loss, by a function that returns it and the gradients."""
        loss, gradients = compute(*parameters)
        ctx.save_for_backward(*gradients)
        return loss.to(parameters[0].dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by the parameters."""
        return (None, *(value * gradient for value in ctx.saved_tensors))


class CompiledShallowForward(ShallowForward):
    """Mean cross entropy and its gradients in one compiled function; all else as in `ShallowForward`.

    One call goes from prepared spectra to all gradients: products, fast Fourier transforms (so the length of
    tiles is a power of 2), batch norm, pooling, and the classifier as sums over its taps, crop by crop in the
    cache. Its dropout masks have an order of their own. It computes updates in training mode; everything
    else, and updates with frozen batch norm, are the torch form's. A forward serves one thread at a time.
    """

    def __init__(self, network: Network, capability: str | None = None) -> None:
        module: Any = network.module
        n_taps = module.conv_time_spat.conv_time.kernel_size[0]
        n_outputs = network.crop_samples - n_taps + 1
        n_filters, _, _, n_channels = module.conv_time_spat.conv_spat.weight.shape
        super().__init__(network, _tile_length(n_outputs, n_taps, n_channels, n_filters))
        self.kernel = KernelLoss("shallow", _kernel("shallow", network, capability))
        self.name = self.kernel.name
        self._n_channels = n_channels
        self._crops_per_unit = min((1, 2, 4), key=lambda n: self._n_lanes(n) / n)

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the network is computed exactly, by a kernel for this processor."""
        return ShallowForward.supports(network) and _kernel("shallow", network) is not None

    def loss(self, prepared: Tensor, crops: Tensor, labels: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.loss`."""
        if not (self.module.training and self.norm.training):
            return super().loss(prepared, crops, labels, dropout_seed)
        gradients = partial(self._gradients, prepared, crops, labels, self._kept(len(crops), dropout_seed))
        return _Loss.apply(gradients, *self.parameters())

    def parameters(self) -> list[Tensor]:
        """What the kernel's gradients are by."""
        return [*self.first.filters(), *_affine(self.norm), *_affine(self.classifier)]

    def dropout_masks(self, n: int, seed: int) -> list[Tensor]:
        """See `ShallowForward.dropout_masks`; the same masks as in `loss`."""
        n_units, n_filters = -(-n // self._crops_per_unit), self.first.n_filters
        bits = self._kept(n, seed)[:, None] >> torch.arange(8, dtype=torch.uint8) & 1
        lanes = bits.view(n_units, self.pool.n_windows, -1)[..., : self._crops_per_unit * n_filters]
        masks = lanes.unflatten(2, (-1, n_filters)).permute(0, 2, 3, 1).flatten(0, 1)[:n]
        return [masks.to(self.classifier.weight.dtype) * _factor(self.drop_prob)]

    def _n_lanes(self, crops_per_unit: int) -> int:
        return self.kernel.n_lanes(crops_per_unit * self.first.n_filters)

    def _kept(self, n: int, seed: int) -> Tensor:
        """Bits (n_units, n_windows, n_lanes) of features that are kept, as bytes."""
        n_units = -(-n // self._crops_per_unit)
        size = n_units * self.pool.n_windows * self._n_lanes(self._crops_per_unit)
        return kept_bits(size, self.drop_prob, torch.Generator().manual_seed(seed))

    def _shape(self, n_crops: int, n_prepared: int) -> "_ShallowShape":
        n_classes, _, n_taps, _ = self.classifier.weight.shape
        dilation = self.classifier.dilation[0]
        return _ShallowShape(
            n_crops=n_crops,
            n_prepared=n_prepared,
            n_channels=self._n_channels,
            n_filters=self.first.n_filters,
            n_filter_taps=self.tiles.n_taps,
            n_classes=n_classes,
            n_tiles=self.tiles.n_tiles,
            length=self.tiles.length,
            size=self.tiles.size,
            n_outputs=self.tiles.n_outputs,
            window=self.pool.window,
            stride=self.pool.stride,
            n_windows=self.pool.n_windows,
            n_taps=n_taps,
            dilation=dilation,
            n_positions=self.pool.n_windows - dilation * (n_taps - 1),
            crops_per_unit=self._crops_per_unit,
            n_lanes=self._n_lanes(self._crops_per_unit),
            n_columns=self.kernel.n_lanes(2 * self.first.n_filters),
            epsilon=self.epsilon,
            norm_epsilon=self.norm.eps,
            kept=_factor(self.drop_prob),
        )

    def _gradients(
        self,
        prepared: Tensor,
        crops: Tensor,
        labels: Tensor,
        kept: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        classifier_weight: Tensor,
        classifier_bias: Tensor,
    ) -> tuple[Tensor, list[Tensor]]:
        """Loss, and gradients by the last six; running statistics are updated."""
        shape = self._shape(len(crops), prepared.shape[1])
        filters = weight.permute(2, 1, 0).contiguous()
        readout = (classifier_weight[..., 0].permute(0, 2, 1) / shape.n_positions).contiguous()
        d_filters, d_readout = torch.empty_like(filters), torch.empty_like(readout)
        of_filters = weight.new_empty(5, shape.n_filters)
        d_norm_weight, d_norm_bias, mean, variance, twice_scale = of_filters.unbind()
        d_classifier_bias = torch.empty_like(classifier_bias)
        logits = weight.new_empty(len(crops), shape.n_classes)
        loss = weight.new_empty((), dtype=torch.float64)
        self.kernel(
            shape, prepared, filters, crops, labels, norm_weight, norm_bias, readout, classifier_bias, kept,
            d_filters, d_norm_weight, d_norm_bias, d_readout, d_classifier_bias, mean, variance, twice_scale,
            logits, loss,
        )  # fmt: skip
        d_weight = (d_filters * twice_scale).permute(2, 1, 0)
        d_classifier = (d_readout / shape.n_positions).permute(0, 2, 1)[..., None]
        update_running_statistics(self.norm, mean + bias, variance, len(crops) * self.pool.n)
        loss += (bias - bias).sum()  # without effect before batch norm, unless it is NaN or infinite
        return loss, [
            d_weight, torch.zeros_like(bias), d_norm_weight, d_norm_bias, d_classifier, d_classifier_bias
        ]  # fmt: skip


@dataclass(frozen=True)
class RoundedSpectra:
    """Windows, and the spectra of their crops in bfloat16, made when first asked for."""

    windows: Tensor
    analyse: Callable[[Tensor, torch.dtype], Tensor]

    @cached_property
    def spectra(self) -> Tensor:
        """Shape (n_frequencies, n_crops, n_tiles, 2 * n_channels)."""
        return self.analyse(self.windows, torch.bfloat16)


class RoundedFirstConvolution(FirstConvolution):
    """First convolution whose updates read spectra in bfloat16; what is scored is not rounded."""

    def prepare(self, windows: Tensor) -> RoundedSpectra:  # type: ignore[override]
        """Windows, and their spectra to come: of test trials none are needed."""
        return RoundedSpectra(windows, self.analyse)

    def spectra(self, prepared: RoundedSpectra, crops: Tensor) -> Tensor:  # type: ignore[override]
        """See `FirstConvolution.spectra`."""
        return super().spectra(prepared.spectra, crops).to(prepared.windows.dtype)

    def trial_outputs(self, prepared: RoundedSpectra) -> Iterator[Tensor]:  # type: ignore[override]
        """See `FirstConvolution.trial_outputs`."""
        for chunk in prepared.windows.split(CHUNK):
            yield from super().trial_outputs(self.analyse(chunk, chunk.dtype))


class BFloat16ShallowForward(CompiledShallowForward):
    """`CompiledShallowForward` with products of spectra and filters, and their adjoints, in bfloat16.

    Their factors are rounded to bfloat16, their sums are float32, as all else is. Scores are those of
    `ShallowForward`, so snapshots predict anywhere what they predicted here.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(network, BFLOAT16)
        self.first = RoundedFirstConvolution(network, self.tiles.length)

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether there is a kernel for the network, and a processor for the kernel."""
        dtype = next(network.module.parameters()).dtype
        return ShallowForward.supports(network) and find_bfloat16("shallow", dtype) is not None

    def loss(self, prepared: Any, crops: Tensor, labels: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.loss`; outside its products autocast would round, too."""
        with torch.autocast("cpu", enabled=False):
            return super().loss(prepared, crops, labels, dropout_seed)

    def _gradients(self, prepared: Any, *arguments: Any) -> tuple[Tensor, list[Tensor]]:
        return super()._gradients(prepared.spectra, *arguments)


class _ShallowShape(ctypes.Structure):
    """Shape of shallow.c."""

    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in (
                "n_crops", "n_prepared", "n_channels", "n_filters", "n_filter_taps", "n_classes", "n_tiles",
                "length", "size", "n_outputs", "window", "stride", "n_windows", "n_taps", "dilation",
                "n_positions", "crops_per_unit", "n_lanes", "n_columns",
            )
        ),
        *((name, ctypes.c_double) for name in ("epsilon", "norm_epsilon", "kept")),
    ]  # fmt: skip


class CompiledEEGNetForward(EEGNetForward):
    """Mean cross entropy and its gradients in one compiled function; all else as in `EEGNetForward`.

    One call goes from windows to all gradients, trial by trial in the cache. Windows lie with their sensors
    innermost, as their mixing reads them. Dropout masks have an order of their own. Updates in training mode
    are computed; everything else is the torch form's. A forward serves one thread at a time.
    """

    def __init__(self, network: Network, capability: str | None = None) -> None:
        super().__init__(network)
        self.kernel = KernelLoss("eegnet", _kernel("eegnet", network, capability))
        self.name = self.kernel.name

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the network is computed exactly, by a kernel for this processor."""
        return EEGNetForward.supports(network) and _kernel("eegnet", network) is not None

    def prepare(self, windows: Tensor) -> LaggedWindows:
        """See `Forward.prepare`; the windows are transposed in memory only."""
        prepared = super().prepare(windows)
        return replace(prepared, windows=prepared.windows.mT.contiguous().mT)

    def loss(self, prepared: LaggedWindows, crops: Tensor, labels: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.loss`."""
        module = self.module
        if not module.training:
            return super().loss(prepared, crops, labels, dropout_seed)
        gradients = partial(self._gradients, prepared, crops, labels, self._kept(len(crops), dropout_seed))
        return _Loss.apply(gradients, *self.parameters())

    def parameters(self) -> list[Tensor]:
        """What the kernel's gradients are by, in the order of its `Parameters`."""
        module = self.module
        return [
            module.conv_temporal.weight,
            *_affine(module.bnorm_temporal),
            module.conv_spatial.weight,
            *_affine(module.bnorm_1),
            module.conv_separable_depth.weight,
            module.conv_separable_point.weight,
            *_affine(module.bnorm_2),
            *_affine(module.final_layer.conv_classifier),
        ]

    def dropout_masks(self, n: int, seed: int) -> list[Tensor]:
        """See `EEGNetForward.dropout_masks`; the same masks as in `loss`."""
        module = self.module
        n_condensed, n_mixed = module.conv_separable_point.weight.shape[:2]
        sizes = ((n_mixed, self.n_pooled, module.drop_1.p), (n_condensed, self.n_features, module.drop_2.p))
        masks = []
        for bits, (n_signals, n_times, drop_prob) in zip(self._kept(n, seed), sizes, strict=True):
            lanes = (bits[:, None] >> torch.arange(8, dtype=torch.uint8) & 1).view(n, n_times, -1)
            kept = lanes[..., :n_signals].mT.to(module.conv_temporal.weight.dtype)
            masks.append(kept * _factor(drop_prob))
        return masks

    def _kept(self, n: int, seed: int) -> list[Tensor]:
        """Bits (n, n_pooled, n_lanes) and (n, n_features, n_lanes) of what is not dropped, as bytes."""
        module = self.module
        n_condensed, n_mixed = module.conv_separable_point.weight.shape[:2]
        generator = torch.Generator().manual_seed(seed)
        first = n * self.n_pooled * self.kernel.n_lanes(n_mixed)
        second = n * self.n_features * self.kernel.n_lanes(n_condensed)
        return [
            kept_bits(first, module.drop_1.p, generator),
            kept_bits(second, module.drop_2.p, generator),
        ]

    def _gradients(
        self, prepared: LaggedWindows, crops: Tensor, labels: Tensor, kept: list[Tensor], *parameters: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Loss, and gradients by the parameters; running statistics are updated."""
        module = self.module
        gradients = [torch.empty(parameter.shape, dtype=parameter.dtype) for parameter in parameters]
        norms = (module.bnorm_temporal, module.bnorm_1, module.bnorm_2)
        statistics = [torch.empty_like(norm.weight) for norm in norms for _ in range(2)]
        loss = torch.empty((), dtype=torch.float64)
        self.kernel(
            self._shape(len(crops), prepared.windows), prepared.windows.mT, prepared.sums, prepared.products,
            crops, labels, *kept, parameters, gradients, statistics, loss,
        )  # fmt: skip
        n_values = (prepared.windows.shape[1] * self.n_outputs, self.n_outputs, self.n_depth_outputs)
        for norm, mean, variance, n in zip(norms, statistics[::2], statistics[1::2], n_values, strict=True):
            update_running_statistics(norm, mean, variance, len(crops) * n)
        return loss, gradients

    def _shape(self, n_trials: int, windows: Tensor) -> "_EEGNetShape":
        module = self.module
        n_prepared, n_channels, n_samples = windows.shape
        n_condensed, n_mixed = module.conv_separable_point.weight.shape[:2]
        return _EEGNetShape(
            n_trials=n_trials,
            n_prepared=n_prepared,
            n_channels=n_channels,
            n_samples=n_samples,
            n_filters=len(module.conv_temporal.weight),
            n_mixed=n_mixed,
            n_condensed=n_condensed,
            n_classes=len(module.final_layer.conv_classifier.weight),
            n_taps=self.n_taps,
            margin=self.margin,
            width=module.pool_1.kernel_size[1],
            n_depth_taps=module.conv_separable_depth.kernel_size[1],
            depth_margin=self.depth_margin,
            second_width=module.pool_2.kernel_size[1],
            temporal_epsilon=module.bnorm_temporal.eps,
            epsilon=module.bnorm_1.eps,
            second_epsilon=module.bnorm_2.eps,
            kept=_factor(module.drop_1.p),
            second_kept=_factor(module.drop_2.p),
        )


class _EEGNetShape(ctypes.Structure):
    """Shape of eegnet.c."""

    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in (
                "n_trials", "n_prepared", "n_channels", "n_samples", "n_filters", "n_mixed", "n_condensed",
                "n_classes", "n_taps", "margin", "width", "n_depth_taps", "depth_margin", "second_width",
            )
        ),
        *(
            (name, ctypes.c_double)
            for name in ("temporal_epsilon", "epsilon", "second_epsilon", "kept", "second_kept")
        ),
    ]  # fmt: skip


def _affine(layer: Any) -> tuple[Tensor, Tensor]:
    return layer.weight, layer.bias


def _factor(drop_prob: float) -> float:
    """What values that are kept are multiplied with."""
    return 1 / (1 - drop_prob) if drop_prob < 1 else 0.0


def _kernel(name: str, network: Network, capability: str | None = None) -> Kernel | None:
    return find(name, next(network.module.parameters()).dtype, capability)


def _tile_length(n_outputs: int, n_taps: int, n_channels: int, n_filters: int) -> int:
    """The power of 2 of the least time, of which two arrays of points fit into the nearest cache."""

    def time(length: int) -> float:
        n_tiles = math.ceil(n_outputs / (length - n_taps + 1))
        products = 8 * n_channels * (length // 2 + 1)
        return n_tiles * n_filters * (products + TRANSFORM * length * math.log2(length))

    shortest = max(16, 1 << n_taps.bit_length())
    return min((length for length in (shortest, 32, 64, 128) if length >= shortest), key=time)
