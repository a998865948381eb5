"""ShallowFBCSPNet's updates by the compiled kernel of shallow.c."""

import ctypes
import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import kept_bits
from eeg_sgdr.networks.fast.norm import update_running_statistics
from eeg_sgdr.networks.fast.shallow import ShallowForward
from eeg_sgdr.networks.kernels import Kernel, find

#: Time of a value and level of the fast transforms, in operations of matrix products.
TRANSFORM = 9


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
        kernel = _kernel(network, capability)
        if kernel is None:
            raise ValueError("there is no kernel for this processor")
        self.kernel, self.name = kernel, kernel.name
        self._n_channels = n_channels
        self._crops_per_unit = min((1, 2, 4), key=lambda n: self._n_lanes(n) / n)
        self._workspace = torch.empty(0, dtype=torch.uint8)

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the network is computed exactly, by a kernel for this processor."""
        return ShallowForward.supports(network) and _kernel(network) is not None

    def loss(self, prepared: Tensor, crops: Tensor, labels: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.loss`."""
        if not (self.module.training and self.norm.training):
            return super().loss(prepared, crops, labels, dropout_seed)
        weight, bias = self.first.filters()
        kept = self._kept(len(crops), dropout_seed)
        loss, mean, variance = _Loss.apply(
            weight,
            bias,
            self.norm.weight,
            self.norm.bias,
            self.classifier.weight,
            self.classifier.bias,
            prepared,
            crops,
            labels,
            kept,
            self,
        )
        update_running_statistics(self.norm, mean, variance, len(crops) * self.pool.n)
        return loss

    def dropout_masks(self, n: int, seed: int) -> list[Tensor]:
        """See `ShallowForward.dropout_masks`; the same masks as in `loss`."""
        n_units, n_filters = -(-n // self._crops_per_unit), self.first.n_filters
        bits = self._kept(n, seed)[:, None] >> torch.arange(8, dtype=torch.uint8) & 1
        lanes = bits.view(n_units, self.pool.n_windows, -1)[..., : self._crops_per_unit * n_filters]
        masks = lanes.unflatten(2, (-1, n_filters)).permute(0, 2, 3, 1).flatten(0, 1)[:n]
        return [masks.to(self.classifier.weight.dtype) * self._factor]

    @property
    def _factor(self) -> float:
        """What values that are kept are multiplied with."""
        return 1 / (1 - self.drop_prob) if self.drop_prob < 1 else 0.0

    def _n_lanes(self, crops_per_unit: int) -> int:
        lanes = self.kernel.lanes
        return -(-crops_per_unit * self.first.n_filters // lanes) * lanes

    def _kept(self, n: int, seed: int) -> Tensor:
        """Bits (n_units, n_windows, n_lanes) of features that are kept, as bytes."""
        n_units = -(-n // self._crops_per_unit)
        size = n_units * self.pool.n_windows * self._n_lanes(self._crops_per_unit)
        return kept_bits(size, self.drop_prob, torch.Generator().manual_seed(seed))

    def shape(self, n_crops: int, n_prepared: int) -> "Shape":
        """Sizes of a call."""
        n_classes, _, n_taps, _ = self.classifier.weight.shape
        dilation, lanes = self.classifier.dilation[0], self.kernel.lanes
        return Shape(
            n_crops=n_crops,
            n_prepared=n_prepared,
            n_channels=self._n_channels,
            n_filters=self.first.n_filters,
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
            n_columns=-(-2 * self.first.n_filters // lanes) * lanes,
            epsilon=self.epsilon,
            norm_epsilon=self.norm.eps,
            kept=self._factor,
        )

    def workspace(self, shape: "Shape") -> int:
        """Address of the kernel's workspace, a multiple of 128; reused by all updates of a size."""
        n_bytes = self.kernel.function("shallow_workspace", ctypes.c_int64)(ctypes.byref(shape)) + 128
        if len(self._workspace) < n_bytes:
            self._workspace = torch.empty(n_bytes, dtype=torch.uint8)
        return -(-self._workspace.data_ptr() // 128) * 128


class Shape(ctypes.Structure):
    """The kernel's Shape."""

    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in (
                "n_crops", "n_prepared", "n_channels", "n_filters", "n_classes", "n_tiles", "length", "size",
                "n_outputs", "window", "stride", "n_windows", "n_taps", "dilation", "n_positions",
                "crops_per_unit", "n_lanes", "n_columns",
            )
        ),
        *((name, ctypes.c_double) for name in ("epsilon", "norm_epsilon", "kept")),
    ]  # fmt: skip


class _Loss(torch.autograd.Function):
    """Mean cross entropy of crops, with all gradients made at once."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        classifier_weight: Tensor,
        classifier_bias: Tensor,
        prepared: Tensor,
        crops: Tensor,
        labels: Tensor,
        kept: Tensor,
        network: CompiledShallowForward,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, and mean and variance of batch norm's input."""
        shape = network.shape(len(crops), prepared.shape[1])
        filters = network.tiles.filters(weight)
        n_inputs, n_filters = 2 * shape.n_channels, shape.n_filters
        matrices = weight.new_zeros(len(filters), n_inputs, shape.n_columns)
        real, imaginary = filters.transpose(2, 3).unbind(1)
        upper, lower = matrices.split(shape.n_channels, 1)
        upper[..., :n_filters] = lower[..., n_filters : 2 * n_filters] = real
        upper[..., n_filters : 2 * n_filters] = imaginary
        torch.neg(imaginary, out=lower[..., :n_filters])
        readout = (classifier_weight[..., 0].permute(0, 2, 1) / shape.n_positions).contiguous()
        d_matrices, d_readout = torch.empty_like(matrices), torch.empty_like(readout)
        d_norm_weight, d_norm_bias, mean, variance, twice_scale = weight.new_empty(5, n_filters).unbind()
        d_classifier_bias = torch.empty_like(classifier_bias)
        logits = weight.new_empty(len(crops), shape.n_classes)
        loss = weight.new_empty((), dtype=torch.float64)
        arrays = [prepared, matrices, crops, labels, norm_weight, norm_bias, readout, classifier_bias, kept]
        results = [d_matrices, d_norm_weight, d_norm_bias, d_readout, d_classifier_bias, mean, variance,
                   twice_scale, logits, loss]  # fmt: skip
        arrays = [array.contiguous() for array in arrays]
        failed = network.kernel.function("shallow_loss", ctypes.c_int)(
            ctypes.byref(shape),
            *(ctypes.c_void_p(array.data_ptr()) for array in arrays),
            ctypes.c_void_p(network.workspace(shape)),
            *(ctypes.c_void_p(array.data_ptr()) for array in results),
        )
        if failed:
            raise IndexError("a crop or a label that does not exist")
        upper, lower = d_matrices.split(shape.n_channels, 1)
        d_filters = torch.stack(
            [
                upper[..., :n_filters] + lower[..., n_filters : 2 * n_filters],
                upper[..., n_filters : 2 * n_filters] - lower[..., :n_filters],
            ],
            1,
        )
        d_weight = network.tiles.filters_adjoint(d_filters.transpose(2, 3)) * twice_scale[:, None, None]
        d_classifier = (d_readout / shape.n_positions).permute(0, 2, 1)[..., None]
        ctx.save_for_backward(
            d_weight, torch.zeros_like(bias), d_norm_weight, d_norm_bias, d_classifier, d_classifier_bias
        )
        mean += bias
        ctx.mark_non_differentiable(mean, variance)
        return loss.to(weight.dtype), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Gradients by the first six."""
        return (*(value * gradient for value in ctx.saved_tensors), None, None, None, None, None)


def _kernel(network: Network, capability: str | None = None) -> Kernel | None:
    return find("shallow", next(network.module.parameters()).dtype, capability)


def _tile_length(n_outputs: int, n_taps: int, n_channels: int, n_filters: int) -> int:
    """The power of 2 of the least time, of which two arrays of points fit into the nearest cache."""

    def time(length: int) -> float:
        n_tiles = math.ceil(n_outputs / (length - n_taps + 1))
        products = 8 * n_channels * (length // 2 + 1)
        return n_tiles * n_filters * (products + TRANSFORM * length * math.log2(length))

    shortest = max(16, 1 << n_taps.bit_length())
    return min((length for length in (shortest, 32, 64, 128) if length >= shortest), key=time)
