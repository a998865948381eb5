"""EEGNet, trial-wise: sensors are mixed before time is filtered."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import dropout_mask
from eeg_sgdr.networks.fast.depthwise import DepthwiseConvolution, tile_size
from eeg_sgdr.networks.fast.norm import Statistics, by_buffer, unbiased_moments, update_running_statistics
from eeg_sgdr.networks.forward import CHUNK, Forward

#: Layers, after those that only rearrange axes.
LAYERS = [
    "conv_temporal: Conv2d",
    "bnorm_temporal: BatchNorm2d",
    "conv_spatial: ParametrizedConv2dWithConstraint",
    "bnorm_1: BatchNorm2d",
    "elu_1: ELU",
    "pool_1: AvgPool2d",
    "drop_1: Dropout",
    "conv_separable_depth: Conv2d",
    "conv_separable_point: Conv2d",
    "bnorm_2: BatchNorm2d",
    "elu_2: ELU",
    "pool_2: AvgPool2d",
    "drop_2: Dropout",
    "final_layer: Sequential",
]

Masks = list[Tensor] | None


@dataclass(frozen=True)
class LaggedWindows:
    """Windows, and their sums at each lag of a temporal filter, from which its statistics follow.

    With x the windows padded with zeros for the temporal convolution, which has T outputs,

        sums[i, l] = sum over c, t < T of x[i, c, t + l],
        products[i, l, k] = sum over c, t < T of x[i, c, t + l] x[i, c, t + k].
    """

    windows: Tensor  # (n_trials, n_channels, n_samples)
    sums: Tensor  # float64, (n_trials, n_taps)
    products: Tensor  # float64, (n_trials, n_taps, n_taps)


class EEGNetForward(Forward):
    """EEGNet's logits with the spatial filters applied first.

    The network convolves every sensor with the temporal filters w[f], normalises these signals
    (batch norm), and mixes the sensors of each by spatial filters s[o]. All that is linear in the
    windows once batch norm's mean m[f] and variance v[f] are known, and filters over time and weights
    over sensors commute: mixing the sensors first leaves 16 signals to be filtered instead of 512.
    And m and v can be known beforehand. Over trials, sensors and time the convolution has the mean
    and the mean square

        m[f] = sum over l of w[f, l] M[l],    v[f] + m[f]^2 = sum over l, k of w[f, l] Q[l, k] w[f, k],

    where M and Q are the batch's mean of x at each lag, and of products of x at pairs of lags (see
    `LaggedWindows`): sums over trials of what is computed once for each trial, in float64, since v is
    a difference.

    With g, h batch norm's weight and bias and a = g / sqrt(v + eps), the mixed signals are
    a (s x) * w + (h - a m) sum(s), and the rest of the network works on these.
    """

    name = "fast"
    module: Any

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        module: Any = network.module
        temporal, depth = module.conv_temporal, module.conv_separable_depth
        self.n_taps = temporal.kernel_size[1]
        self.margin, self.depth_margin = temporal.padding[1], depth.padding[1]
        self.n_padded = network.crop_samples + 2 * self.margin
        self.n_outputs = self.n_padded - self.n_taps + 1
        self.n_pooled = self.n_outputs // module.pool_1.kernel_size[1]
        self.n_depth_outputs = self.n_pooled + 2 * self.depth_margin - depth.kernel_size[1] + 1
        self.n_features = self.n_depth_outputs // module.pool_2.kernel_size[1]

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the network is computed exactly."""
        from braindecode import models

        module: Any = network.module
        layers = [f"{name}: {type(layer).__name__}" for name, layer in module.named_children()]
        return (
            type(module) is models.EEGNet
            and layers[2:] == LAYERS
            and "conv_classifier" in dict(module.final_layer.named_children())
            and module.elu_1.alpha == module.elu_2.alpha == 1
            and module.batch_norm_affine
            and network.n_positions == 1
        )

    def prepare(self, windows: Tensor) -> LaggedWindows:
        """See `Forward.prepare`; windows are copied only if torch would have aligned them otherwise.

        How a matrix product rounds may depend on where in a cache line its factors begin.
        """
        if windows.data_ptr() % 64:
            windows = windows.clone()
        return _lagged(windows, self.n_taps, self.margin)

    def logits(self, prepared: LaggedWindows, crops: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.logits`."""
        if self.module.training:
            statistics: dict[str, Statistics] = {}
            masks = [mask.transpose(0, 1) for mask in self.dropout_masks(len(crops), dropout_seed)]
        else:
            statistics, masks = self._running_statistics(), None
        return self._classify(self._condensed(prepared, crops, statistics, masks), statistics, masks)

    def dropout_masks(self, n: int, seed: int) -> list[Tensor]:
        """Masks of both dropouts, (n, n_mixed, n_pooled) and (n, n_condensed, n_features)."""
        module = self.module
        weight = module.conv_separable_point.weight
        n_condensed, n_mixed = weight.shape[:2]
        generator = torch.Generator(weight.device).manual_seed(seed)
        first = dropout_mask((n_mixed, n, self.n_pooled), module.drop_1.p, generator, weight.dtype)
        second = dropout_mask((n_condensed, n, self.n_features), module.drop_2.p, generator, weight.dtype)
        return [first.transpose(0, 1), second.transpose(0, 1)]

    def trial_logits(self, prepared: LaggedWindows) -> Tensor:
        """See `Forward.trial_logits`."""
        statistics = self._running_statistics()
        with torch.no_grad():
            condensed = (
                self._condensed(prepared, chunk, statistics, None) for chunk in self._chunks(prepared)
            )
            return torch.cat([self._classify(values, statistics, None) for values in condensed])

    def batch_norm_statistics(self, prepared: LaggedWindows) -> dict[str, Tensor]:
        """See `Forward.batch_norm_statistics`."""
        statistics = self._running_statistics()
        ones = partial(torch.ones, dtype=torch.float64, device=prepared.sums.device)
        with torch.no_grad():
            n = len(prepared.windows) * prepared.windows.shape[1] * self.n_outputs
            mean, variance = self._temporal_statistics(prepared, slice(None))
            self._put(statistics, "bnorm_temporal", mean, variance * (n / (n - 1)))
            scale, shift = self._temporal_affine(statistics["bnorm_temporal"])
            mixed = (
                self._mixed(prepared.windows, trials)[..., : self.n_outputs] * scale[:, None, None]
                + shift[:, None, None]
                for trials in self._chunks(prepared)
            )
            self._put(statistics, "bnorm_1", *unbiased_moments(mixed, ones(self.n_outputs)))
            condensed = (
                self._condensed(prepared, trials, statistics, None)[..., : self.n_depth_outputs]
                for trials in self._chunks(prepared)
            )
            self._put(statistics, "bnorm_2", *unbiased_moments(condensed, ones(self.n_depth_outputs)))
        return by_buffer(statistics)

    def _running_statistics(self) -> dict[str, Statistics]:
        layers = {name: self.module.get_submodule(name) for name in ("bnorm_temporal", "bnorm_1", "bnorm_2")}
        return {name: (layer.running_mean, layer.running_var) for name, layer in layers.items()}

    def _put(self, statistics: dict[str, Statistics], name: str, mean: Tensor, variance: Tensor) -> None:
        """Replace a layer's statistics, keeping their type."""
        like = statistics[name][0]
        statistics[name] = mean.to(like), variance.to(like)

    def _chunks(self, prepared: LaggedWindows) -> Iterable[Tensor]:
        return torch.arange(len(prepared.windows)).split(CHUNK)

    def _mixed(self, windows: Tensor, trials: Tensor) -> Tensor:
        """Windows after both first filters, less the affine map of the batch norm between them.

        Shape (n_mixed, n, at least n_outputs), meaningless beyond n_outputs.
        """
        spatial = self.module.conv_spatial.weight[:, 0, :, 0]
        temporal = self.module.conv_temporal.weight[:, 0, 0]
        size = tile_size(self.n_padded, self.n_taps)
        length = -(-self.n_padded // size) * size
        mixed = _MixSensors.apply(spatial, windows, trials, self.margin, length)
        by_filter = mixed.view(len(temporal), -1, length)
        return DepthwiseConvolution.apply(by_filter, temporal, size).view(mixed.shape)

    def _temporal_statistics(self, prepared: LaggedWindows, trials: Tensor | slice) -> Statistics:
        """Mean and variance of the temporal convolution over trials, sensors and time."""
        weight = self.module.conv_temporal.weight[:, 0, 0]
        sums, products = prepared.sums[trials], prepared.products[trials]
        n = len(sums) * prepared.windows.shape[1] * self.n_outputs
        filters = weight.double()
        mean = filters @ (sums.sum(0) / n)
        square = ((filters @ (products.sum(0) / n)) * filters).sum(1)
        return mean.to(weight), (square - mean.square()).to(weight)

    def _temporal_affine(self, statistics: Statistics) -> tuple[Tensor, Tensor]:
        """Scale and shift (n_mixed,) of the mixed signals by the first batch norm."""
        norm, spatial = self.module.bnorm_temporal, self.module.conv_spatial.weight
        mean, variance = statistics
        gain = norm.weight / (variance + norm.eps).sqrt()
        n_each = len(spatial) // len(gain)
        scale = gain.repeat_interleave(n_each)
        return scale, (norm.bias - mean * gain).repeat_interleave(n_each) * spatial.sum((1, 2, 3))

    def _condensed(
        self, prepared: LaggedWindows, trials: Tensor, statistics: dict[str, Statistics], masks: Masks
    ) -> Tensor:
        """Input of the last batch norm, shape (n_condensed, n, at least n_depth_outputs)."""
        module = self.module
        temporal = statistics.get("bnorm_temporal")
        if temporal is None:
            temporal = self._temporal_statistics(prepared, trials)
            n = len(trials) * prepared.windows.shape[1] * self.n_outputs
            update_running_statistics(module.bnorm_temporal, *temporal, n)
        scale, shift = self._temporal_affine(temporal)
        mixed = self._mixed(prepared.windows, trials)
        normal = _normalise(module.bnorm_1, mixed, self.n_outputs, statistics.get("bnorm_1"), scale, shift)
        pooled = _elu_and_pool(normal, self.n_pooled, module.pool_1.kernel_size[1])
        if masks is not None:
            pooled = pooled * masks[0]
        weight = module.conv_separable_depth.weight[:, 0, 0]
        n_padded = self.n_pooled + 2 * self.depth_margin
        size = tile_size(n_padded, weight.shape[1])
        beyond = -(-n_padded // size) * size - n_padded
        padded = functional.pad(pooled, (self.depth_margin, self.depth_margin + beyond))
        filtered = DepthwiseConvolution.apply(padded, weight, size)
        point = module.conv_separable_point.weight[:, :, 0, 0]
        return (point @ filtered.flatten(1)).unflatten(1, filtered.shape[1:])

    def _classify(self, condensed: Tensor, statistics: dict[str, Statistics], masks: Masks) -> Tensor:
        module = self.module
        one = condensed.new_ones(len(condensed))
        normal = _normalise(
            module.bnorm_2, condensed, self.n_depth_outputs, statistics.get("bnorm_2"), one, 0 * one
        )
        features = _elu_and_pool(normal, self.n_features, module.pool_2.kernel_size[1])
        if masks is not None:
            features = features * masks[1]
        classifier = module.final_layer.conv_classifier
        return torch.einsum("ftp,cfp->tc", features, classifier.weight[:, :, 0]) + classifier.bias


class _MixSensors(torch.autograd.Function):
    """Spatial filters applied to numbered trials, with zeros around them.

    A product for each trial, on the windows where they are: copying them first costs as much again.
    """

    @staticmethod
    def forward(
        ctx: Any, spatial: Tensor, windows: Tensor, trials: Tensor, margin: int, length: int
    ) -> Tensor:
        """Mix; shape (n_mixed, n, length)."""
        end = margin + windows.shape[2]
        mixed = spatial.new_empty(len(spatial), len(trials), length)
        mixed[..., :margin] = 0
        mixed[..., end:] = 0
        ctx.windows, ctx.trials, ctx.stretch = windows, trials.tolist(), slice(margin, end)
        for row, trial in enumerate(ctx.trials):
            torch.mm(spatial, windows[trial], out=mixed[:, row, ctx.stretch])
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient by the spatial filters."""
        d_spatial = gradient.new_zeros(len(gradient), ctx.windows.shape[1])
        for row, trial in enumerate(ctx.trials):
            d_spatial.addmm_(gradient[:, row, ctx.stretch], ctx.windows[trial].T)
        return d_spatial, None, None, None, None


def _elu_and_pool(values: Tensor, n: int, width: int) -> Tensor:
    """Means of ELU over ``n`` stretches of a width, shape (n_filters, n_crops, n)."""
    return functional.elu(values[..., : n * width]).unflatten(2, (n, width)).mean(3)


def _lagged(windows: Tensor, n_taps: int, margin: int) -> LaggedWindows:
    """Sums and products of windows, not copied, in float64; ``margin`` is the convolution's zero padding."""
    moments = [_moments(chunk, n_taps, margin) for chunk in windows.split(CHUNK)]
    sums, products = (torch.cat(parts) for parts in zip(*moments, strict=True))
    return LaggedWindows(windows, sums, products)


def _moments(windows: Tensor, n_taps: int, margin: int) -> tuple[Tensor, Tensor]:
    """Sums and products of a chunk of windows (see `LaggedWindows`).

    From one pair of lags to the next, (l, k) to (l + 1, k + 1), the product only loses its first term and
    gains one: with G[t, u] = sum over c of x[c, t] x[c, u],

        products[l + 1, k + 1] = products[l, k] - G[l, k] + G[T + l, T + k].

    So only those with l = 0 are summed over time: with time t < T cut into stretches of n_taps they are
    sums over diagonals of the product of these with the stretches twice as long that begin with them.
    """
    x = functional.pad(windows.double(), (margin, margin))
    T = x.shape[2] - n_taps + 1
    sums = x.sum(1).unfold(1, T, 1).sum(2)
    beyond = -T % n_taps
    stretches = functional.pad(x[..., :T], (0, beyond)).unfold(2, n_taps, n_taps)
    longer = functional.pad(x, (0, beyond)).unfold(2, 2 * n_taps - 1, n_taps)
    gram = stretches.flatten(1, 2).mT @ longer.flatten(1, 2)
    strides = (gram.stride(0), 1, 2 * n_taps)
    products = torch.zeros(len(x), n_taps, n_taps, dtype=x.dtype, device=x.device)
    products[:, 0] = products[:, :, 0] = gram.as_strided((len(x), n_taps, n_taps), strides).sum(2)
    first, last = x[..., : n_taps - 1], x[..., T:]
    change = last.mT @ last - first.mT @ first
    for lag in range(n_taps - 1):
        products[:, lag + 1, 1:] = products[:, lag, :-1] + change[:, lag]
    return sums, products


def _normalise(
    layer: Any, values: Tensor, n: int, statistics: Statistics | None, scale: Tensor, shift: Tensor
) -> Tensor:
    """Batch norm of ``scale * values + shift``, which is not itself computed, shape of ``values``.

    ``values`` (n_filters, n_crops, at least n) have no effect on the statistics beyond ``n``. Without
    ``statistics`` those of the batch are taken, and the running ones updated; then shift (n_filters,) is
    without effect (its gradient is zero), and scale nearly so.
    """
    if statistics is None:
        centre = values[..., :n].mean((1, 2))
    else:
        (mean, variance), centre = statistics, torch.zeros_like(scale)
    centred = values - centre[:, None, None]
    if statistics is None:
        variance = centred[..., :n].square().mean((1, 2))
        mean, variance = scale * centre + shift, scale.square() * variance
        update_running_statistics(layer, mean, variance, values.shape[1] * n)
    gain = layer.weight / (variance + layer.eps).sqrt()
    offset = layer.bias + (scale * centre + shift - mean) * gain
    return centred * (scale * gain)[:, None, None] + offset[:, None, None]
