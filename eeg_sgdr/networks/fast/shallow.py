"""ShallowFBCSPNet, dense or trial-wise: one pass from spectra of tiles to mean logits, and one back."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.dropout import dropout_mask
from eeg_sgdr.networks.fast.blocks import Scratch, blocks
from eeg_sgdr.networks.fast.first import FirstConvolution, trial_readout
from eeg_sgdr.networks.fast.norm import unbiased_moments, update_running_statistics
from eeg_sgdr.networks.fast.sums import WindowSums
from eeg_sgdr.networks.forward import Forward


class ShallowForward(Forward):
    """ShallowFBCSPNet's mean logits as one function of few large matrix products.

    The network convolves over time and sensors, normalises, squares, averages over windows of time,
    takes the logarithm, drops out, and convolves to class scores, whose mean over positions is
    wanted. Nothing stands between the dropout and that mean but linear functions, so they are one:
    with d[f, t] the features of a crop, V the classifier's weights and D its dilation, the mean over
    positions u = 0 ... U - 1 is

        b[c] + sum over f, k of V[c, f, k] / U * (sum over u of d[f, u + D k])
        = b[c] + sum over f, t of R[c, f, t] d[f, t],    R[c, f, t] = sum over k of V[c, f, k] S[k, t],

    where S[k, t] = 1 / U if D k <= t < D k + U, and 0 otherwise. The readout R has as many entries as
    the features of one crop, so that 467 positions cost no more than one.

    Windows are prepared by `FirstConvolution`.
    """

    name = "fast"

    def __init__(self, network: Network, tile_length: int | None = None) -> None:
        super().__init__(network)
        module: Any = network.module
        self.norm: Any = module.bnorm
        self.classifier: Any = module.final_layer.conv_classifier
        self.epsilon: float = module.pool_nonlin_exp.epsilon
        self.drop_prob: float = module.drop.p
        self.first = FirstConvolution(network, tile_length)
        self.tiles = self.first.tiles
        self.pool = WindowSums(self.tiles.n_outputs, module.pool.kernel_size[0], module.pool.stride[0])

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the network is computed exactly."""
        from braindecode import models, modules

        module: Any = network.module
        layers = [type(layer) for layer in module.children()][2:]
        return type(module) is models.ShallowFBCSPNet and layers == [
            modules.CombinedConv,
            nn.BatchNorm2d,
            modules.Square,
            nn.AvgPool2d,
            modules.SafeLog,
            nn.Dropout,
            nn.Sequential,
        ]

    def prepare(self, windows: Tensor) -> Tensor:
        """See `Forward.prepare`."""
        return self.first.prepare(windows)

    def logits(self, prepared: Tensor, crops: Tensor, dropout_seed: int) -> Tensor:
        """See `Forward.logits`."""
        spectra = self.first.spectra(prepared, crops)
        mask = None
        if self.module.training and self.drop_prob > 0:
            (mask,) = self.dropout_masks(len(crops), dropout_seed)
        weight, bias = self.first.filters()
        logits, mean, variance = _ShallowLogits.apply(
            weight, bias, self.norm.weight, self.norm.bias, self._readout(), spectra, mask, self
        )
        if self.norm.training:
            update_running_statistics(self.norm, mean, variance, len(crops) * self.pool.n)
        return logits + self.classifier.bias

    def dropout_masks(self, n: int, seed: int) -> list[Tensor]:
        """Mask of the features, shape (n, n_filters, n_windows): zeros, and 1 / (1 - drop_prob)."""
        weight = self.classifier.weight
        generator = torch.Generator(weight.device).manual_seed(seed)
        shape = (self.first.n_filters, n, self.pool.n_windows)
        return [dropout_mask(shape, self.drop_prob, generator, weight.dtype).transpose(0, 1)]

    def _readout(self) -> Tensor:
        """The classifier for the mean over positions, shape (n_classes, n_filters, n_windows)."""
        weight = self.classifier.weight[..., 0]
        n_taps, dilation = weight.shape[2], self.classifier.dilation[0]
        n_positions = self.pool.n_windows - dilation * (n_taps - 1)
        smear = WindowSums(self.pool.n_windows, n_positions, dilation)
        return weight @ smear.matrix(weight).T / n_positions

    def trial_logits(self, prepared: Tensor) -> Tensor:
        """See `Forward.trial_logits`."""
        norm = self.norm
        with torch.no_grad():
            _, bias = self.first.filters()
            scale = norm.weight / ((norm.running_var + norm.eps) * self.pool.window).sqrt()
            shift = norm.bias / self.pool.window**0.5 + (bias - norm.running_mean) * scale
            scale, shift = scale[:, None, None], shift[:, None, None]
            pool = WindowSums(self.first.n_trial_outputs, self.pool.window, self.pool.stride)
            readout = trial_readout(self._readout(), self.network.starts)
            logits, scratch = [], Scratch(bias)
            for y in self.first.trial_outputs(prepared):
                power = pool.sums((y * scale).add_(shift).square_(), scratch)
                features = power.clamp(min=self.epsilon).log_()
                logits.append(torch.einsum("ftp,cfp->tc", features, readout))
            return torch.cat(logits) + self.classifier.bias

    def batch_norm_statistics(self, prepared: Tensor) -> dict[str, Tensor]:
        """See `Forward.batch_norm_statistics`; each sample counts as often as crops contain it."""
        with torch.no_grad():
            _, bias = self.first.filters()
            counts = trial_readout(bias.new_ones(self.pool.n, dtype=torch.float64), self.network.starts)
            mean, variance = unbiased_moments(
                self.first.trial_outputs(prepared), counts * len(self.network.starts)
            )
            return {"bnorm.running_mean": (mean + bias).to(bias), "bnorm.running_var": variance.to(bias)}


class _ShallowLogits(torch.autograd.Function):
    """From spectra to mean logits (less the classifier's bias), a block of filters at a time.

    Between the convolution and the readout filters have nothing to do with each other, batch norm
    included. So all steps are done for a few filters before the next few, on arrays that stay in the
    cache, laid out as (filters, crops, time).

    With y the convolution, n its number of values for a filter, m and s their mean and deviation
    (square root of variance + eps), w the length of the pooling windows, r = 1 / sqrt(w) and P the sum
    over windows, the forward pass is

        u = (y - m) g r / s + h r,    p = P u^2,    d = mask log(max(p, eps)),    logits = sum of R d,

    g and h being batch norm's weight and bias (the factor r makes sums means). Backward, with G the
    gradient by the logits,

        dR = G' d,    dp = (R G) mask / p where p > eps else 0,    dq = P' dp,    e = u dq,
        dh = 2 r sum of e,    dg = 2 r / s * sum of (y - m) e,
        dy = 2 g r / s * (e - mean of e - (y - m) / s^2 * mean of (y - m) e),

    where both means come from the dependence of m and s on y, and are left out in evaluation mode. The
    convolution's bias moves y and m alike, so its gradient is zero in training mode.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        readout: Tensor,
        spectra: Tensor,
        mask: Tensor | None,
        network: ShallowForward,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tiles, pool, norm = network.tiles, network.pool, network.norm
        n_crops, n_filters = spectra.shape[2] // tiles.n_tiles, len(weight)
        n = n_crops * tiles.n_outputs
        products = tiles.products(weight, spectra)
        centred = weight.new_empty(n_filters, n_crops, tiles.n_tiles * tiles.size)
        features = weight.new_empty(n_filters, n_crops, pool.n_windows)
        slopes = torch.empty_like(features)
        logits = weight.new_zeros(len(readout), n_crops)
        by_filter = (n_filters, 1, 1)
        if norm.training:
            mean, variance = weight.new_empty(by_filter), weight.new_empty(by_filter)
        else:
            mean = (norm.running_mean - bias).view(by_filter)
            variance = norm.running_var.clone().view(by_filter)
        gain, shift = (value.view(by_filter) / pool.window**0.5 for value in (norm_weight, norm_bias))
        scratch = Scratch(weight)
        for block in blocks(n_filters, centred[0].nbytes):
            y = tiles.synthesise(products[:, :, block], tiles.n_tiles, out=centred[block])
            u = scratch.array("u", y.shape)
            if norm.training:
                valid = y[..., : tiles.n_outputs]
                torch.sum(valid, (1, 2), keepdim=True, out=mean[block]).div_(n)
                y -= mean[block]
                y[..., tiles.n_outputs :] = 0
                _inner_products(y, y, out=variance[block]).div_(n)
            else:
                y -= mean[block]
            scale = gain[block] / (variance[block] + norm.eps).sqrt_()
            power = pool.sums(torch.mul(y, scale, out=u).add_(shift[block]).square_(), scratch)
            torch.clamp(power, min=network.epsilon, out=features[block]).log_()
            torch.threshold_(power, network.epsilon, torch.inf)
            if mask is None:
                torch.reciprocal(power, out=slopes[block])
            else:
                block_mask = mask.transpose(0, 1)[block]
                torch.div(block_mask, power, out=slopes[block])
                features[block] *= block_mask
            # A product for each filter is faster than one of all, and than its transpose.
            logits += torch.bmm(readout[:, block].transpose(0, 1), features[block].mT).sum(0)
        ctx.save_for_backward(norm_weight, norm_bias, readout, spectra, centred, features, slopes, variance)
        ctx.network, ctx.training = network, norm.training
        mean, variance = mean.flatten() + bias, variance.flatten()
        ctx.mark_non_differentiable(mean, variance)
        return logits.T, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Gradients by weight, bias, batch norm's weight and bias, and readout."""
        norm_weight, norm_bias, readout, spectra, centred, features, slopes, variance = ctx.saved_tensors
        tiles, pool = ctx.network.tiles, ctx.network.pool
        n_filters, n_crops, _ = centred.shape
        n = n_crops * tiles.n_outputs
        spread = variance + ctx.network.norm.eps
        root = pool.window**-0.5
        scale = norm_weight.view(spread.shape) * root / spread.sqrt()
        shift = norm_bias.view(spread.shape) * root
        total, moment, d_readout = (torch.empty_like(like) for like in (spread, spread, readout))
        d_products = centred.new_empty(tiles.n_frequencies, 2, n_filters, n_crops * tiles.n_tiles)
        scratch = Scratch(centred)
        for block in blocks(n_filters, centred[0].nbytes):
            for i in range(block.start, block.stop):
                torch.mm(gradient.T, features[i], out=d_readout[:, i])
            y, slope = centred[block], slopes[block]
            d_power = scratch.array("d_power", slope.shape)
            torch.bmm(gradient.expand(len(y), -1, -1), readout[:, block].transpose(0, 1), out=d_power)
            d_squares = pool.adjoint(d_power, slope, y.shape[2], scratch)
            e = torch.mul(y, scale[block], out=scratch.array("e", y.shape)).add_(shift[block])
            e *= d_squares
            torch.sum(e, (1, 2), keepdim=True, out=total[block])
            _inner_products(e, y, out=moment[block])
            if ctx.training:
                e.addcmul_(y, moment[block] / (n * spread[block]), value=-1).sub_(total[block] / n)
                e[..., tiles.n_outputs :] = 0
            tiles.synthesise_adjoint(e, out=d_products[:, :, block])
        d_weight = tiles.products_adjoint(d_products, spectra) * (2 * scale)
        d_bias = torch.zeros_like(norm_bias) if ctx.training else 2 * (scale * total).flatten()
        d_norm_weight = 2 * root * (moment / spread.sqrt()).flatten()
        return d_weight, d_bias, d_norm_weight, 2 * root * total.flatten(), d_readout, None, None, None


def _inner_products(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Sum of a b for each of the first axis in one reading, without an array of products."""
    # The other pairs are few, and cost less than a call for each pair that is wanted.
    return out.copy_((a.flatten(1) @ b.flatten(1).T).diagonal().reshape(out.shape))
