"""Deep4Net, dense: all convolutions as matrix products over frequencies."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import dropout_mask
from eeg_sgdr.networks.fast.blocks import Scratch
from eeg_sgdr.networks.fast.first import FirstConvolution, trial_readout
from eeg_sgdr.networks.fast.norm import Statistics, by_buffer, unbiased_moments, update_running_statistics
from eeg_sgdr.networks.fast.stages import AnalysePhases, ConvolveNormalisePool, Readout, Stage, running_maxima
from eeg_sgdr.networks.fast.sums import WindowSums
from eeg_sgdr.networks.forward import Forward

#: Names of the layers of each block, as they follow one another in the module.
LAYERS = [
    "conv_time_spat: CombinedConv",
    "bnorm: BatchNorm2d",
    "conv_nonlin: ELU",
    "pool: MaxPool2d",
    "pool_nonlin: Identity",
    *(
        f"{name}_{block}: {kind}"
        for block in (2, 3, 4)
        for name, kind in [
            ("drop", "Dropout"),
            ("conv", "Conv2d"),
            ("bnorm", "BatchNorm2d"),
            ("nonlin", "ELU"),
            ("pool", "MaxPool2d"),
            ("pool_nonlin", "Identity"),
        ]
    ),
    "final_layer: Sequential",
]

NORMS = ["bnorm", "bnorm_2", "bnorm_3", "bnorm_4"]


class Deep4Forward(Forward):
    """Deep4Net's mean logits, block by block in the order of phases (see `Stage`).

    Each block convolves, normalises, takes ELU and the maximum of neighbours, and drops out before the
    next. Convolutions are products over frequencies (see `Tiles`), for 10 taps with half to a third of the
    operations. ELU is monotonic, so it is applied to the maxima. As in `ShallowForward`, the classifier and
    the mean over positions are one readout. Windows are prepared by `FirstConvolution`.
    """

    name = "fast"
    module: Any

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        module: Any = network.module
        self.first = FirstConvolution(network)
        self.convolutions = [module.conv_2, module.conv_3, module.conv_4]
        self.norms = [module.get_submodule(name) for name in NORMS]
        tiles = self.first.tiles
        self.stages = self._stages(tiles.n_outputs, tiles.n_tiles * tiles.size)
        self.trial_stages = self._stages(self.first.n_trial_outputs, self.first.n_trial_outputs)

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the network is computed exactly."""
        from braindecode import models

        module: Any = network.module
        layers = [f"{name}: {type(layer).__name__}" for name, layer in module.named_children()]
        if type(module) is not models.Deep4Net or layers[2:] != LAYERS or not network.dense:
            return False
        stride, dilations = module.pool_time_stride, [1]
        for _ in range(4):
            dilations.append(stride * dilations[-1])
        pools = [module.pool, module.pool_2, module.pool_3, module.pool_4]
        convolutions = [module.conv_2, module.conv_3, module.conv_4, module.final_layer.conv_classifier]
        return (
            not module.stride_before_pool
            and stride <= module.pool.kernel_size[0]
            and [pool.dilation[0] for pool in pools] == dilations[:-1]
            and [convolution.dilation[0] for convolution in convolutions] == dilations[1:]
            and all(layer.alpha == 1 for layer in module.children() if isinstance(layer, torch.nn.ELU))
        )

    def prepare(self, windows: Tensor) -> Tensor:
        """See `Forward.prepare`."""
        return self.first.prepare(windows)

    def logits(self, prepared: Tensor, crops: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.logits`."""
        masks: Sequence[Tensor | None] = [None, None, None]
        if self.module.training and self.module.drop_2.p > 0:
            masks = self._masks(len(crops), dropout_seed)
        weight, bias = self.first.filters()
        spectra = self.first.spectra(prepared, crops)
        features = self._block(0, weight, bias, spectra)
        for i, (convolution, mask) in enumerate(zip(self.convolutions, masks, strict=True), 1):
            spectra = AnalysePhases.apply(features, mask, self.stages[i - 1], self.stages[i].tiles)
            weight = convolution.weight[..., 0]
            features = self._block(i, weight, weight.new_zeros(len(weight)), spectra)
        classifier = self.module.final_layer.conv_classifier
        readout = classifier.weight[..., 0] @ self.stages[-1].weights(self._smear())
        return Readout.apply(features.flatten(2), readout) + classifier.bias

    def dropout_masks(self, n: int, seed: int) -> list[Tensor]:
        """Masks of the three dropouts, shape (n, n_filters, n_times): zeros, and 1 / (1 - drop_prob)."""
        in_order = []
        for stage, mask in zip(self.stages, self._masks(n, seed), strict=False):
            times = stage.split(stage.times).flatten()
            inside = times < stage.n_pooled
            by_time = mask.new_empty(*mask.shape[:2], stage.n_pooled)
            by_time[..., times[inside]] = mask.flatten(2)[..., inside]
            in_order.append(by_time.transpose(0, 1))
        return in_order

    def trial_logits(self, prepared: Tensor) -> Tensor:
        """See `Forward.trial_logits`."""
        statistics = [(norm.running_mean, norm.running_var) for norm in self.norms]
        classifier = self.module.final_layer.conv_classifier
        with torch.no_grad():
            smear = self.trial_stages[-1].weights(trial_readout(self._smear(), self.network.starts))
            readout = (classifier.weight[..., 0] @ smear).flatten(1)
            logits = [
                self._pooled(3, outputs, statistics[3]).transpose(0, 1).flatten(1) @ readout.T
                for outputs in self._trial_outputs(3, prepared, statistics)
            ]
            return torch.cat(logits) + classifier.bias

    def batch_norm_statistics(self, prepared: Tensor) -> dict[str, Tensor]:
        """See `Forward.batch_norm_statistics`; each sample counts as often as crops contain it."""
        statistics: list[Statistics] = []
        starts = self.network.starts
        with torch.no_grad():
            for i, norm in enumerate(self.norms):
                ones = torch.ones(self.stages[i].n_times, dtype=torch.float64, device=prepared.device)
                counts = self.trial_stages[i].weights(len(starts) * trial_readout(ones, starts))
                outputs = self._trial_outputs(i, prepared, statistics)
                mean, variance = unbiased_moments((chunk.flatten(2) for chunk in outputs), counts)
                statistics.append((mean.to(norm.running_mean), variance.to(norm.running_var)))
        return by_buffer(dict(zip(NORMS, statistics, strict=True)))

    def _stages(self, n_outputs: int, n_steps: int) -> list[Stage]:
        """Stages of all blocks for ``n_outputs`` of the first convolution, in rows of ``n_steps``."""
        pool, stride = self.module.pool, self.module.pool_time_stride
        stages = [
            Stage(torch.arange(n_steps)[None], n_outputs, pool.kernel_size[0], stride, self.first.tiles)
        ]
        for layer in self.convolutions:
            stages.append(stages[-1].next(layer.kernel_size[0], layer.in_channels, layer.out_channels))
        return stages

    def _block(self, i: int, weight: Tensor, bias: Tensor, spectra: Tensor) -> Tensor:
        """Features of one block from spectra, shape (n_filters, n, n_phases, n_steps)."""
        norm, stage = self.norms[i], self.stages[i]
        features, mean, variance, n = ConvolveNormalisePool.apply(
            spectra, weight, bias, norm.weight, norm.bias, norm, stage
        )
        if norm.training:
            update_running_statistics(norm, mean, variance, n)
        return features

    def _masks(self, n: int, seed: int) -> list[Tensor]:
        """Masks of the three dropouts, shape (n_filters, n, n_phases, n_steps) of the next block."""
        weight = self.module.conv_2.weight
        generator = torch.Generator(weight.device).manual_seed(seed)
        shapes = [stage.split(stage.times).shape for stage in self.stages[:3]]
        return [
            dropout_mask((layer.in_channels, n, *shape), self.module.drop_2.p, generator, weight.dtype)
            for layer, shape in zip(self.convolutions, shapes, strict=True)
        ]

    def _smear(self) -> Tensor:
        """Weights of each time in the mean over positions, for each tap of the classifier."""
        classifier = self.module.final_layer.conv_classifier
        n_times = self.stages[-1].n_pooled
        sums = WindowSums(n_times, self.network.n_positions, classifier.dilation[0])
        return sums.matrix(classifier.weight).T / self.network.n_positions

    def _trial_outputs(self, i: int, prepared: Tensor, statistics: list[Statistics]) -> Iterator[Tensor]:
        """Input of block i's batch norm, without dropout: chunks (n_filters, n_trials, n_phases, n_steps)."""
        _, bias = self.first.filters()
        for y in self.first.trial_outputs(prepared):
            outputs = y.add_(bias[:, None, None])[:, :, None]
            for k in range(i):
                stage, tiles = self.trial_stages[k], self.trial_stages[k + 1].tiles
                features = stage.split(self._pooled(k, outputs, statistics[k]))
                spectra = tiles.analyse(features.flatten(1, 2))
                products = tiles.products(self.convolutions[k].weight[..., 0], spectra)
                outputs = tiles.synthesise(products, tiles.n_tiles).unflatten(1, features.shape[1:3])
            yield outputs

    def _pooled(self, i: int, outputs: Tensor, statistics: Statistics) -> Tensor:
        """Features of block i from the input of its batch norm, in evaluation mode."""
        norm = self.norms[i]
        mean, variance = (value[:, None, None, None] for value in statistics)
        scale = norm.weight[:, None, None, None] / (variance + norm.eps).sqrt()
        normal = (outputs - mean) * scale + norm.bias[:, None, None, None]
        window = self.module.pool.kernel_size[0]
        *_, pooled = running_maxima(normal.flatten(), window, Scratch(normal))
        return torch.nn.functional.elu_(pooled).view(normal.shape)
