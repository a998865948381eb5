"""braindecode's own forward: crops, test logits and recomputed batch-norm statistics."""

import copy

import pytest
import torch
from fits import small_network

from eeg_sgdr.networks.forward import BraindecodeForward

WINDOWS = torch.randn(13, 3, 230, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.3
CASES = [("ShallowFBCSPNet", 200), ("ShallowFBCSPNet", None), ("EEGNet", None)]


def make_forward(name, crop_samples):
    net = small_network(name, crop_samples, **({"final_conv_length": 3} if crop_samples else {}))
    net.module.double()
    return BraindecodeForward(net)


def all_crops(forward):
    length = forward.network.crop_samples
    return torch.stack([w[:, start : start + length] for w in WINDOWS for start in forward.network.starts])


@pytest.fixture(params=CASES, ids=str)
def forward(request):
    return make_forward(*request.param)


def plain_logits(module, crops):
    output = module(crops)
    return output.mean(2) if output.ndim == 3 else output


def test_logits_are_the_module_s_own(forward):
    crops = torch.tensor([3, 0, 7])
    expected = plain_logits(forward.module.eval(), all_crops(forward)[crops])
    assert torch.equal(forward.logits(forward.prepare(WINDOWS), crops, dropout_seed=9), expected)


def test_dropout_masks_follow_from_their_seed_alone(forward):
    prepared, crops = forward.prepare(WINDOWS), torch.arange(5)
    first = forward.logits(prepared, crops, dropout_seed=1)
    torch.rand(10)
    assert torch.equal(forward.logits(prepared, crops, dropout_seed=1), first)
    assert not torch.equal(forward.logits(prepared, crops, dropout_seed=2), first)
    assert all(layer.training for layer in forward.dropouts)


def test_masks_keep_what_is_expected_on_average():
    """Zeros with the layer's probability, the rest scaled up, for whatever reaches the layer."""
    forward = make_forward("EEGNet", None)
    before, after = [], []
    for layer in forward.dropouts:
        layer.register_forward_pre_hook(lambda layer, inputs: before.append(inputs[0]))
    for layer in (forward.module.conv_separable_depth, forward.module.final_layer):
        layer.register_forward_pre_hook(lambda layer, inputs: after.append(inputs[0]))
    forward.logits(forward.prepare(WINDOWS), torch.arange(13), 0)
    for x, y in zip(before, after, strict=True):
        ratio = (y / x)[x != 0]
        assert set(ratio.round(decimals=6).tolist()) == {0.0, round(4 / 3, 6)}
        assert abs((ratio == 0).double().mean() - 0.25) < 0.02


def test_trial_logits_are_means_over_crops_in_evaluation_mode(forward):
    with torch.no_grad():
        crops = plain_logits(copy.deepcopy(forward.module).eval(), all_crops(forward))
    expected = torch.stack([part.mean(0) for part in crops.split(len(forward.network.starts))])
    ours = forward.trial_logits(forward.prepare(WINDOWS))
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    assert forward.module.training


def test_batch_norm_statistics_layer_by_layer(forward, monkeypatch):
    """Against a reference that sends all crops at once through the layers, one by one."""
    # A few training steps, so that weights and running statistics are not the initial ones.
    for step in range(3):
        forward.logits(forward.prepare(WINDOWS), torch.arange(8), step).sum().backward()
    expected = {}
    x = all_crops(forward)
    for name, layer in copy.deepcopy(forward.module).eval().named_children():
        if isinstance(layer, torch.nn.BatchNorm2d):
            values = x.transpose(0, 1).flatten(1)
            expected[f"{name}.running_mean"] = layer.running_mean = values.mean(1)
            expected[f"{name}.running_var"] = layer.running_var = values.var(1, unbiased=True)
        with torch.no_grad():
            x = layer(x)
    before = copy.deepcopy(forward.module.state_dict())
    for chunk in (60, 7):  # the division into batches does not matter
        monkeypatch.setattr("eeg_sgdr.networks.forward.CHUNK", chunk)
        statistics = forward.batch_norm_statistics(forward.prepare(WINDOWS))
        assert set(statistics) == set(expected)
        for name, value in statistics.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in forward.module.state_dict().items())
