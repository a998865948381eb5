"""Fast forwards equal braindecode's own forward and backward."""

import copy

import pytest
import torch
from fits import drop_by
from torch import nn
from torch.autograd import gradcheck

from eeg_sgdr.networks.build import build_network
from eeg_sgdr.networks.dropout import dropout_mask
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.fast.blocks import Scratch
from eeg_sgdr.networks.fast.depthwise import DepthwiseConvolution
from eeg_sgdr.networks.fast.eegnet import _MixSensors
from eeg_sgdr.networks.fast.first import _cover
from eeg_sgdr.networks.fast.shallow import _ShallowLogits
from eeg_sgdr.networks.fast.stages import AnalysePhases, ConvolveNormalisePool, Readout
from eeg_sgdr.networks.fast.sums import WindowSums
from eeg_sgdr.networks.fast.tiles import Tiles
from eeg_sgdr.networks.forward import BraindecodeForward

SMALL_SHALLOW = {"n_filters_time": 6, "n_filters_spat": 5, "filter_time_length": 7, "pool_time_length": 11,
                 "pool_time_stride": 3}  # fmt: skip
ODD_EEGNET = {"kernel_length": 13, "F1": 3, "D": 3, "F2": 4, "depthwise_kernel_length": 5, "drop_prob": 0.5}
SMALL_DEEP4 = {"n_filters_time": 3, "n_filters_spat": 4, "n_filters_2": 3, "n_filters_3": 5, "n_filters_4": 4,
               "filter_time_length": 5, "filter_length_2": 4, "filter_length_3": 3, "filter_length_4": 2,
               }  # fmt: skip
OTHER_POOLING = {"pool_time_length": 4, "pool_time_stride": 2, "drop_prob": 0.25}
#: name, arguments, n_channels, n_samples, n_classes, crop_samples, number of crops in a batch
CASES = {
    "shallow dense": ("ShallowFBCSPNet", SMALL_SHALLOW | {"final_conv_length": 4}, 5, 130, 3, 101, 7),
    "shallow dense, one crop": ("ShallowFBCSPNet", SMALL_SHALLOW | {"final_conv_length": 5}, 3, 90, 2, 90, 4),
    "shallow dense, demo": ("ShallowFBCSPNet", {}, 44, 1125, 4, 1000, 4),
    "shallow trial-wise": ("ShallowFBCSPNet", SMALL_SHALLOW, 4, 88, 2, None, 6),
    "shallow trial-wise, no dropout": ("ShallowFBCSPNet", {"drop_prob": 0.0}, 6, 300, 2, None, 3),
    "shallow trial-wise, EEGMMIDB": ("ShallowFBCSPNet", {"drop_prob": 0.3}, 64, 720, 2, None, 5),
    "EEGNet": ("EEGNet", {}, 4, 130, 3, None, 5),
    "EEGNet, odd lengths": ("EEGNet", ODD_EEGNET, 3, 61, 2, None, 6),
    "EEGNet, EEGMMIDB": ("EEGNet", {}, 64, 720, 2, None, 5),
    "Deep4Net": ("Deep4Net", SMALL_DEEP4, 4, 290, 3, 241, 5),
    "Deep4Net, other pooling": ("Deep4Net", SMALL_DEEP4 | OTHER_POOLING, 2, 140, 2, 131, 4),
    "Deep4Net, no dropout": ("Deep4Net", SMALL_DEEP4 | {"drop_prob": 0.0}, 3, 250, 2, 250, 3),
    "Deep4Net, demo": ("Deep4Net", {}, 44, 1125, 4, 1000, 2),
}
N_TRIALS = 8


def build(name, arguments, n_channels=4, n_samples=450, n_classes=2, crop_samples=None):
    shape = {"n_channels": n_channels, "n_samples": n_samples, "n_classes": n_classes}
    return build_network(name, arguments, **shape, sfreq=160, crop_samples=crop_samples, seed=0)


def make(case, dtype, *, training):
    name, arguments, n_channels, n_samples, n_classes, crop_samples, n_crops = CASES[case]
    network = build(name, arguments, n_channels, n_samples, n_classes, crop_samples)
    torch.manual_seed(1)
    module = network.module.to(dtype).train(training)
    with torch.no_grad():  # away from the zeros and ones that weights and statistics begin with
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer += 0.3 * torch.rand_like(buffer)
    windows = torch.randn(N_TRIALS, n_channels, n_samples, dtype=dtype)
    windows = windows + windows.roll(1, 2) + 0.2
    forward = choose(network, threads=2)  # not the compiled one
    assert forward.name == "fast"
    crops = torch.randperm(N_TRIALS * len(network.starts))[:n_crops]
    return forward, windows, crops


def reference(forward, masks):
    """braindecode in float64, which drops out by given masks, in the order in which it meets them."""
    plain = BraindecodeForward(forward.network)
    plain.module = copy.deepcopy(forward.module).double()
    if masks:
        drop_by(plain.module, [mask.double() for mask in masks])
    return plain


def relative(ours, reference):
    return float((ours - reference).detach().abs().max() / reference.detach().abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_same_logits_gradients_and_statistics(case, training, dtype):
    """In float32 too against braindecode in float64, whose own rounding would hide ours."""
    forward, windows, crops = make(case, dtype, training=training)
    has_dropout = any(layer.p for layer in forward.module.modules() if isinstance(layer, nn.Dropout))
    plain = reference(forward, forward.dropout_masks(len(crops), 5) if training and has_dropout else [])
    logits = forward.logits(forward.prepare(windows), crops, 5)
    expected = plain.logits(windows.double(), crops, 5)
    gradient = torch.randn_like(logits)
    logits.backward(gradient)
    expected.backward(gradient.double())

    exact = dtype == torch.float64
    assert relative(logits, expected) < (1e-9 if exact else 1e-4)
    largest = max(float(parameter.grad.abs().max()) for parameter in plain.module.parameters())
    zero = (1e-12 if exact else 1e-5) * largest
    parameters = forward.module.named_parameters()
    for (name, parameter), other in zip(parameters, plain.module.parameters(), strict=True):
        if float(other.grad.abs().max()) < 1e-12 * largest:  # by construction, but for rounding
            assert float(parameter.grad.abs().max()) <= zero, name
        else:
            assert relative(parameter.grad, other.grad) < (1e-9 if exact else 1e-3), name
    rtol, atol = (1e-9, 1e-9) if exact else (1e-5, 1e-6)
    for (name, buffer), other in zip(forward.module.named_buffers(), plain.module.buffers(), strict=True):
        assert torch.allclose(buffer.to(other), other, rtol=rtol, atol=atol), name


@pytest.mark.parametrize("case", CASES)
def test_same_evaluation(case):
    forward, windows, _ = make(case, torch.float64, training=True)
    before = copy.deepcopy(forward.module.state_dict())
    plain = BraindecodeForward(forward.network)
    prepared = forward.prepare(windows)
    assert relative(forward.trial_logits(prepared), plain.trial_logits(windows)) < 1e-9
    ours, expected = forward.batch_norm_statistics(prepared), plain.batch_norm_statistics(windows)
    assert ours.keys() == expected.keys()
    for name in expected:
        assert relative(ours[name], expected[name]) < 1e-9, name
        assert ours[name].dtype == expected[name].dtype
    assert forward.module.training
    assert all(torch.equal(value, before[name]) for name, value in forward.module.state_dict().items())


@pytest.mark.parametrize("case", CASES)
def test_same_call_twice_is_bit_equal(case):
    results = []
    for _ in range(2):
        forward, windows, crops = make(case, torch.float32, training=True)
        logits = forward.logits(forward.prepare(windows), crops, 3)
        logits.sum().backward()
        results.append([logits, *[parameter.grad for parameter in forward.module.parameters()]])
        torch.rand(17)  # what ran before is of no effect, nor is torch's global random state
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", ["shallow dense", "shallow trial-wise"])
def test_gradcheck_shallow(case, training):
    forward, windows, _ = make(case, torch.float64, training=training)
    spectra = forward.first.spectra(forward.prepare(windows), torch.tensor([3, 0, 5]))
    (mask,) = forward.dropout_masks(3, 0)
    inputs = [*forward.first.filters(), forward.norm.weight, forward.norm.bias, forward._readout()]
    inputs = [value.detach().requires_grad_() for value in inputs]
    assert gradcheck(lambda *inputs: _ShallowLogits.apply(*inputs, spectra, mask, forward)[0], inputs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", ["Deep4Net", "Deep4Net, other pooling"])
def test_gradcheck_deep4(case, training):
    forward, windows, _ = make(case, torch.float64, training=training)
    first, second, norm = *forward.stages[:2], forward.module.bnorm
    spectra = forward.first.spectra(forward.prepare(windows), torch.tensor([3, 0]))
    inputs = [spectra, *forward.first.filters(), norm.weight, norm.bias]
    inputs = [value.detach().requires_grad_() for value in inputs]

    def counted_features(*inputs):
        features, *_ = ConvolveNormalisePool.apply(*inputs, norm, first)
        return features.flatten(2)[..., first.times.flatten() < first.n_pooled]

    assert gradcheck(counted_features, inputs, fast_mode=True)
    features = torch.randn(4, 2, *first.times.shape, dtype=torch.float64, requires_grad=True)
    mask = forward._masks(2, 0)[0]
    assert gradcheck(AnalysePhases.apply, [features, mask, first, second.tiles], fast_mode=True)
    readout = torch.randn(3, 4, first.times.numel(), dtype=torch.float64, requires_grad=True)
    assert gradcheck(Readout.apply, [features.detach().flatten(2).requires_grad_(), readout])


@pytest.mark.parametrize(("n_taps", "size"), [(5, 4), (5, 8), (1, 4), (4, 12)])
def test_gradcheck_depthwise_convolution(n_taps, size):
    signals = torch.randn(3, 2, 24, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, n_taps, dtype=torch.float64, requires_grad=True)

    def convolve(signals, weight):
        return DepthwiseConvolution.apply(signals, weight, size)[..., : 24 - n_taps + 1]

    expected = nn.functional.conv1d(signals.transpose(0, 1), weight[:, None], groups=3).transpose(0, 1)
    assert torch.allclose(convolve(signals, weight), expected, rtol=1e-12, atol=1e-12)
    assert gradcheck(convolve, [signals, weight])


def test_gradcheck_mixed_sensors():
    windows = torch.randn(5, 3, 7, dtype=torch.float64)
    spatial = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(_MixSensors.apply, [spatial, windows, torch.tensor([4, 0, 3]), 2, 12])


@pytest.mark.parametrize(
    ("name", "arguments", "crop_samples"),
    [
        ("ShallowFBCSPNet", {"pool_mode": "max"}, None),
        ("ShallowFBCSPNet", {"batch_norm": False}, None),
        ("ShallowFBCSPNet", {"conv_nonlin": nn.ELU}, None),
        ("ShallowFBCSPNet", {"activation_pool_nonlin": nn.ELU}, None),
        ("EEGNet", {"pool_mode": "max"}, None),
        ("EEGNet", {"activation": nn.GELU}, None),
        ("EEGNet", {"final_conv_length": 2}, None),
        ("EEGNet", {"final_layer_with_constraint": True}, None),
        ("Deep4Net", {}, None),
        ("EEGNeX", {}, None),
        ("Deep4Net", SMALL_DEEP4 | {"first_pool_mode": "mean"}, 800),
        ("Deep4Net", SMALL_DEEP4 | {"later_pool_mode": "mean"}, 800),
        ("Deep4Net", SMALL_DEEP4 | {"batch_norm": False}, 800),
        ("Deep4Net", SMALL_DEEP4 | {"activation_later_conv_nonlin": nn.ReLU}, 800),
        ("Deep4Net", SMALL_DEEP4 | {"later_pool_nonlin": nn.ELU}, 800),
        ("Deep4Net", SMALL_DEEP4 | {"stride_before_pool": True}, 800),
        ("Deep4Net", SMALL_DEEP4 | {"pool_time_stride": 4}, 800),
    ],
)
def test_other_functions_are_left_to_braindecode(name, arguments, crop_samples):
    network = build(name, arguments, n_samples=crop_samples or 450, crop_samples=crop_samples)
    assert choose(network).name == "braindecode"


def test_mixed_precision_is_left_to_braindecode():
    network = build("ShallowFBCSPNet", {}, n_samples=300)
    assert choose(network, threads=2).name == "fast"
    assert choose(network, "mixed", threads=2).name == "braindecode"


def test_a_clamped_power_has_no_gradient():
    forward, windows, crops = make("shallow dense", torch.float64, training=True)
    with torch.no_grad():  # some of the features lie below the logarithm's epsilon, others above
        forward.norm.weight.copy_(torch.tensor([1e-3, 1e-3, 1.0, 1.0, 0.0]))
        forward.norm.bias.zero_()
    plain = reference(forward, forward.dropout_masks(len(crops), 5))
    forward.logits(forward.prepare(windows), crops, 5).sum().backward()
    plain.logits(windows, crops, 5).sum().backward()
    for parameter, other in zip(forward.module.parameters(), plain.module.parameters(), strict=True):
        assert torch.allclose(parameter.grad, other.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("n_outputs", "n_taps"), [(50, 1), (50, 7), (13, 12), (1, 4), (97, 2)])
def test_tiles_convolve(n_outputs, n_taps):
    tiles = Tiles(n_outputs, n_taps, n_inputs=3, n_filters=2, analysed_once=False)
    signals = torch.randn(3, 4, n_outputs + n_taps - 1, dtype=torch.float64)
    weight = torch.randn(2, 3, n_taps, dtype=torch.float64)
    spectra = tiles.analyse(signals)
    ours = tiles.synthesise(tiles.products(weight, spectra), tiles.n_tiles)
    expected = nn.functional.conv1d(signals.transpose(0, 1), weight).transpose(0, 1)
    assert torch.allclose(ours[..., :n_outputs], expected, rtol=1e-12, atol=1e-12)
    gradient = torch.randn_like(spectra)
    assert torch.isclose((gradient * spectra).sum(), (tiles.analyse_adjoint(gradient) * signals).sum())


@pytest.mark.parametrize(
    ("window", "stride"),
    [(1, 1), (2, 1), (3, 1), (7, 1), (8, 1), (15, 1), (18, 1), (19, 1), (21, 1), (5, 3), (1, 4)],
)
def test_window_sums_and_their_adjoint(window, stride):
    pool = WindowSums(21, window, stride)
    values = torch.randn(2, 3, 24, dtype=torch.float64)
    expected = values[..., :21].unfold(2, window, stride).sum(3)
    sums = pool.sums(values, Scratch(values)).clone()
    assert sums.shape[2] == pool.n_windows
    assert torch.allclose(sums, expected)
    gradient = torch.randn_like(expected)
    adjoint = pool.adjoint(gradient, torch.ones_like(gradient), 24, Scratch(values))
    assert torch.isclose((gradient * sums).sum(), (adjoint * values).sum())
    assert torch.all(adjoint[..., 21:] == 0)


@pytest.mark.parametrize("drop_prob", [0.5, 0.25, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_masks_have_their_probability(drop_prob, dtype):
    mask = dropout_mask((1000, 301), drop_prob, torch.Generator().manual_seed(3), dtype)
    assert torch.all(mask[mask != 0] == torch.tensor(1 / (1 - drop_prob), dtype=dtype))
    centred, n = (mask != 0).double() - (1 - drop_prob), mask.numel()
    for part in (centred, centred.mean(0), centred[:, :32]):
        assert abs(float(part.mean())) < 0.015
    assert abs(float(centred.mean())) < 5 * (0.25 / n) ** 0.5
    neighbours = (centred[:, 1:] * centred[:, :-1]).mean() / centred.var()
    assert abs(float(neighbours)) < 5 / n**0.5


def test_cover_leaves_no_gap():
    assert _cover([(0, 4), (3, 7), (4, 6), (6, 9)]) == [(0, 0, 4), (1, 1, 4), (3, 1, 3)]
