"""One block of a dense network, in the order of phases: convolution, batch norm, ELU and maxima."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eeg_sgdr.networks.fast.blocks import Scratch, blocks
from eeg_sgdr.networks.fast.tiles import Tiles


class Stage:
    """Times of one block's values, and the tiles of its convolution.

    In the dense network, block i (counted from 0) looks at every s^i-th of the values before it, s
    being the pooling's stride before the network was made dense. So these s^i interleaved sequences,
    phases, have nothing to do with each other, and values are kept as (..., phase, step): then
    convolution and pooling with a dilation of s^i over time are ones without dilation over steps.
    From one block to the next each phase splits into s. They are never put in order again: only the
    readout of the last features has to know their times.

    Phases differ in length by one at most, and all are kept as long as the longest, or longer. What is
    beyond the last time has no meaning, no weight in batch norm and in the readout, and no gradient.

    ``times`` (n_phases, n_steps) are those of the convolution's outputs, and of the pooling windows that
    begin there; ``n_times`` and ``n_pooled`` count the times after convolution and pooling, ``n_kept`` the
    steps after the pooling that the next block splits.
    """

    def __init__(self, times: Tensor, n_times: int, window: int, stride: int, tiles: Tiles) -> None:
        n_phases = len(times)
        self.n_times = n_times
        self.n_pooled = n_times - (window - 1) * n_phases
        self.times = times
        self.n_kept = stride * -(-self.n_pooled // (n_phases * stride))
        self.window, self.stride = window, stride
        self.tiles = tiles

    def next(self, n_taps: int, n_inputs: int, n_filters: int) -> "Stage":
        """The stage of the next block."""
        n_phases = self.stride * len(self.times)
        tiles = Tiles(
            self.n_kept // self.stride - n_taps + 1, n_taps, n_inputs, n_filters, analysed_once=False
        )
        first = self.split(self.times)[:, :1]
        times = first + n_phases * torch.arange(tiles.n_tiles * tiles.size)
        return Stage(times, self.n_pooled - (n_taps - 1) * n_phases, self.window, self.stride, tiles)

    def split(self, values: Tensor) -> Tensor:
        """Values after the pooling, (..., n_phases, n_steps), as the next block sees them."""
        return values[..., : self.n_kept].unflatten(-1, (-1, self.stride)).mT.flatten(-3, -2)

    def weights(self, by_time: Tensor) -> Tensor:
        """Weights (..., n) of times 0 to n - 1 in the order of phases (..., n_phases * n_steps), else 0."""
        times = self.times.flatten().to(by_time.device)
        inside = times < by_time.shape[-1]
        return by_time[..., times.where(inside, 0)] * inside


class ConvolveNormalisePool(torch.autograd.Function):
    """One block: convolution, batch norm, maximum of neighbours, ELU; a block of filters at a time.

    As in `_ShallowLogits`, whose notation this is: with v the weights (0 or 1) of times, n their sum
    over crops,

        m = sum of v y / n,    s^2 = sum of v (y - m)^2 / n + eps,    z = (y - m) g / s + h,

    and with e the gradient by z that comes through ELU and the maximum,

        dh = sum of v e,    dg = sum of v (y - m) e / s,
        dy = v g / s * (e - sum of v e / n - (y - m) / s^2 * sum of v (y - m) e / n).
    """

    @staticmethod
    def forward(
        ctx: Any,
        spectra: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        norm: Any,
        stage: Stage,
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Features, and mean, variance and number of values of batch norm's input."""
        tiles, n_filters = stage.tiles, len(weight)
        products = tiles.products(weight, spectra)
        n_crops = products.shape[3] // (tiles.n_tiles * len(stage.times))
        counted = stage.weights(weight.new_ones(stage.n_times))
        n = n_crops * stage.n_times
        centred = weight.new_empty(n_filters, n_crops, stage.times.numel())
        features = torch.empty_like(centred)
        mean = torch.empty_like(bias) if norm.training else norm.running_mean - bias
        variance = torch.empty_like(bias) if norm.training else norm.running_var.clone()
        scratch = Scratch(weight)
        for block in blocks(n_filters, centred[0].nbytes):
            y = centred[block]
            rows = y.view(len(y), -1, tiles.n_tiles * tiles.size)
            tiles.synthesise(products[:, :, block], tiles.n_tiles, out=rows)
            z = scratch.array("z", y.shape)
            if norm.training:
                mean[block] = (y @ counted).sum(1) / n
                y -= mean[block, None, None]
                variance[block] = (torch.square(y, out=z) @ counted).sum(1) / n
            else:
                y -= mean[block, None, None]
            scale = norm_weight[block] / (variance[block] + norm.eps).sqrt()
            torch.mul(y, scale[:, None, None], out=z).add_(norm_bias[block, None, None])
            *_, maxima = running_maxima(z.flatten(), stage.window, scratch)
            features[block] = maxima.view(y.shape)
            torch.nn.functional.elu_(features[block])
        ctx.save_for_backward(spectra, weight, norm_weight, norm_bias, centred, features, variance, counted)
        ctx.norm, ctx.stage, ctx.n, ctx.training = norm, stage, n, norm.training
        mean = mean + bias
        ctx.mark_non_differentiable(mean, variance)
        return features.unflatten(2, stage.times.shape), mean, variance, n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Gradients by spectra, weight, bias, and batch norm's weight and bias."""
        spectra, weight, norm_weight, norm_bias, centred, features, variance, counted = ctx.saved_tensors
        stage, tiles, n = ctx.stage, ctx.stage.tiles, ctx.n
        gradient = gradient.flatten(2)
        spread = variance + ctx.norm.eps
        scale = norm_weight / spread.sqrt()
        total, moment = torch.empty_like(norm_bias), torch.empty_like(norm_bias)
        n_columns = spectra.shape[2]
        d_products = centred.new_empty(tiles.n_frequencies, 2, len(weight), n_columns)
        scratch = Scratch(centred)
        for block in blocks(len(weight), centred[0].nbytes):
            y = centred[block]
            z = torch.mul(y, scale[block, None, None], out=scratch.array("z", y.shape))
            z += norm_bias[block, None, None]
            d_maxima = torch.ops.aten.elu_backward(gradient[block], 1, 1, 1, True, features[block])
            e = _maxima_adjoint(d_maxima.flatten(), z.flatten(), stage.window, scratch).view(y.shape)
            total[block] = (e @ counted).sum(1)
            product = torch.mul(e, y, out=z)
            moment[block] = (product @ counted).sum(1)
            if ctx.training:
                torch.mul(y, (moment / (n * spread))[block, None, None], out=product)
                e -= product.add_((total / n)[block, None, None])
            e *= counted
            rows = e.view(len(y), -1, tiles.n_tiles * tiles.size)
            tiles.synthesise_adjoint(rows, out=d_products[:, :, block])
        d_bias = torch.zeros_like(norm_bias) if ctx.training else scale * total
        scale = scale[:, None, None]
        d_weight = tiles.products_adjoint(d_products, spectra) * scale
        d_spectra = None
        if ctx.needs_input_grad[0]:
            d_spectra = tiles.products_adjoint_to_spectra(d_products, weight * scale)
        return d_spectra, d_weight, d_bias, moment / spread.sqrt(), total, None, None


class AnalysePhases(torch.autograd.Function):
    """Features of one block, dropped out, as the spectra that the next block's convolution needs."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, mask: Tensor | None, stage: Stage, tiles: Tiles) -> Tensor:
        """Spectra, shape (n_frequencies, 2 * n_inputs, n * n_phases * n_tiles)."""
        ctx.save_for_backward(mask)
        ctx.shape, ctx.stage, ctx.tiles = features.shape, stage, tiles
        phases = stage.split(features)
        if mask is not None:
            phases = phases * mask
        return tiles.analyse(phases.flatten(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient by the features."""
        (mask,) = ctx.saved_tensors
        stage = ctx.stage
        d_phases = ctx.tiles.analyse_adjoint(gradient).unflatten(1, (ctx.shape[1], -1))
        if mask is not None:
            d_phases = d_phases * mask
        d_features = gradient.new_zeros(ctx.shape)
        kept = d_features[..., : stage.n_kept].unflatten(-1, (-1, stage.stride)).mT
        kept.copy_(d_phases.unflatten(2, (-1, stage.stride)))
        return d_features, None, None, None


class Readout(torch.autograd.Function):
    """logits[i, c] = sum over f, t of readout[c, f, t] features[f, i, t], a product for each filter."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, readout: Tensor) -> Tensor:
        """Logits, shape (n, n_classes)."""
        ctx.save_for_backward(features, readout)
        logits = features.new_zeros(features.shape[1], len(readout))
        for of_filter, weights in zip(features, readout.unbind(1), strict=True):
            logits += of_filter @ weights.T
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients by features and readout."""
        features, readout = ctx.saved_tensors
        d_readout = torch.empty_like(readout)
        for i, of_filter in enumerate(features):
            torch.mm(gradient.T, of_filter, out=d_readout[:, i])
        return torch.bmm(gradient.expand(len(features), -1, -1), readout.transpose(0, 1)), d_readout


def running_maxima(values: Tensor, window: int, scratch: Scratch) -> list[Tensor]:
    """Maxima of 1, 2, ... ``window`` neighbours, the last ones of each without meaning."""
    maxima = [values]
    for offset in range(1, window):
        wider = scratch.array(f"maxima {offset}", values.shape)
        torch.maximum(maxima[-1][:-offset], values[offset:], out=wider[:-offset])
        wider[-offset:] = 0
        maxima.append(wider)
    return maxima


def _maxima_adjoint(gradient: Tensor, values: Tensor, window: int, scratch: Scratch) -> Tensor:
    """Gradient by the values from that by the maxima of ``window`` neighbours, in its place.

    From the last neighbour to the first, each takes the gradient where it exceeds all before it: of
    equal ones the first takes it all, as in torch.
    """
    maxima = running_maxima(values, window, scratch)
    shares = {}
    for offset in range(window - 1, 0, -1):
        share = scratch.array(f"share {offset}", values.shape)[:-offset]
        torch.sub(values[offset:], maxima[offset - 1][:-offset], out=share)
        torch.ops.aten.threshold_backward.grad_input(gradient[:-offset], share, 0, grad_input=share)
        gradient[:-offset] -= share
        shares[offset] = share
    for offset, share in shares.items():
        gradient[offset:] += share
    return gradient
