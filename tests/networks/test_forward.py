"""braindecode's own forward: crops, test logits and recomputed batch-norm statistics."""

import copy

import pytest
import torch

from eeg_sgdr.networks.build import build_network
from eeg_sgdr.networks.forward import BraindecodeForward

CASES = [("ShallowFBCSPNet", 200, 30), ("ShallowFBCSPNet", None, None), ("EEGNet", None, None)]


def make_forward(name, crop_samples, final_conv_length, n_samples=230):
    arguments = {} if final_conv_length is None else {"final_conv_length": 3}
    net = build_network(
        name, arguments, n_channels=3, n_samples=n_samples, n_classes=2, sfreq=100.0,
        crop_samples=crop_samples, seed=0,
    )  # fmt: skip
    net.module.double()
    return BraindecodeForward(net)


def all_crops(forward, windows):
    """Crop by crop, in the order of their numbers."""
    length = forward.network.crop_samples
    return torch.stack([w[:, start : start + length] for w in windows for start in forward.network.starts])


def windows_like_eeg(n_trials=13, n_samples=230):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n_trials, 3, n_samples, dtype=torch.float64, generator=generator) + 0.3


@pytest.mark.parametrize("case", CASES)
def test_logits_are_the_module_s_own(case):
    forward = make_forward(*case)
    windows = windows_like_eeg()
    crops = torch.tensor([3, 0, 7])
    forward.module.eval()
    output = forward.module(all_crops(forward, windows)[crops])
    expected = output.mean(2) if output.ndim == 3 else output
    assert torch.equal(forward.logits(forward.prepare(windows), crops, dropout_seed=9), expected)


@pytest.mark.parametrize("case", CASES)
def test_dropout_masks_follow_from_their_seed_alone(case):
    forward = make_forward(*case)
    prepared = forward.prepare(windows_like_eeg())
    crops = torch.arange(5)
    first = forward.logits(prepared, crops, dropout_seed=1)
    torch.rand(10)
    assert torch.equal(forward.logits(prepared, crops, dropout_seed=1), first)
    assert not torch.equal(forward.logits(prepared, crops, dropout_seed=2), first)
    assert all(layer.training for layer in forward.dropouts)


def test_masks_keep_what_is_expected_on_average():
    """Zeros with the layer's probability, the rest scaled up, for whatever reaches the layer."""
    forward = make_forward("EEGNet", None, None)
    before, after = [], []
    for layer in forward.dropouts:
        layer.register_forward_pre_hook(lambda layer, inputs: before.append(inputs[0]))
    for layer in (forward.module.conv_separable_depth, forward.module.final_layer):
        layer.register_forward_pre_hook(lambda layer, inputs: after.append(inputs[0]))
    forward.logits(forward.prepare(windows_like_eeg()), torch.arange(13), 0)
    for x, y in zip(before, after, strict=True):
        ratio = (y / x)[x != 0]
        assert set(ratio.round(decimals=6).tolist()) == {0.0, round(4 / 3, 6)}
        assert abs((ratio == 0).double().mean() - 0.25) < 0.02


@pytest.mark.parametrize("case", CASES)
def test_trial_logits_are_means_over_crops_in_evaluation_mode(case):
    forward = make_forward(*case)
    windows = windows_like_eeg()
    module = copy.deepcopy(forward.module).eval()
    with torch.no_grad():
        output = module(all_crops(forward, windows))
    crops = output.mean(2) if output.ndim == 3 else output
    expected = torch.stack([part.mean(0) for part in crops.split(len(forward.network.starts))])
    torch.testing.assert_close(
        forward.trial_logits(forward.prepare(windows)), expected, rtol=1e-12, atol=1e-12
    )
    assert forward.module.training


@pytest.mark.parametrize("case", CASES)
def test_batch_norm_statistics_layer_by_layer(case, monkeypatch):
    """Against a reference that sends all crops at once through the layers, one by one."""
    forward = make_forward(*case)
    windows = windows_like_eeg()
    # A few training steps, so that weights and running statistics are not the initial ones.
    for step in range(3):
        forward.logits(forward.prepare(windows), torch.arange(8), step).sum().backward()
    expected = {}
    x = all_crops(forward, windows)
    for name, layer in copy.deepcopy(forward.module).eval().named_children():
        if isinstance(layer, torch.nn.BatchNorm2d):
            values = x.transpose(0, 1).flatten(1)
            layer.running_mean = values.mean(1)
            layer.running_var = values.var(1, unbiased=True)
            expected[f"{name}.running_mean"] = layer.running_mean
            expected[f"{name}.running_var"] = layer.running_var
        with torch.no_grad():
            x = layer(x)
    before = copy.deepcopy(forward.module.state_dict())
    for chunk in (60, 7):  # the division into batches does not matter
        monkeypatch.setattr("eeg_sgdr.networks.forward.CHUNK", chunk)
        statistics = forward.batch_norm_statistics(forward.prepare(windows))
        assert set(statistics) == set(expected)
        for name, value in statistics.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-12)
    after = forward.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
