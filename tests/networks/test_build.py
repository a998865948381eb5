"""Networks by name, and where their crops lie."""

import pytest
import torch

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.build import build_network, crop_starts

WINDOW = {"n_channels": 5, "n_samples": 1125, "n_classes": 4, "sfreq": 250.0, "seed": 0}


@pytest.mark.parametrize(("name", "n_positions"), [("ShallowFBCSPNet", 467), ("Deep4Net", 479)])
def test_dense_networks_have_the_paper_s_prediction_fields(name, n_positions):
    net = build_network(name, {}, crop_samples=1000, **WINDOW)
    assert (net.n_positions, net.starts, net.crop_samples, net.dense) == (n_positions, (0, 125), 1000, True)
    assert net.module(torch.zeros(2, 5, 1000)).shape == (2, 4, n_positions)


@pytest.mark.parametrize("name", ["ShallowFBCSPNet", "Deep4Net", "EEGNet", "EEGConformer"])
def test_any_network_sees_whole_trials(name):
    net = build_network(name, {}, crop_samples=None, **WINDOW)
    assert (net.n_positions, net.starts, net.crop_samples, net.dense) == (1, (0,), 1125, False)
    assert net.module.eval()(torch.zeros(2, 5, 1125)).shape == (2, 4)


def test_crop_starts_move_by_a_prediction_field_and_end_flush():
    assert crop_starts(1125, 1000, 467) == (0, 125)
    assert crop_starts(1000, 1000, 467) == (0,)
    assert crop_starts(2000, 1000, 400) == (0, 400, 800, 1000)
    assert crop_starts(1800, 1000, 400) == (0, 400, 800)


def test_seeds_give_weights_and_leave_torch_s_random_state_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    networks = [build_network("EEGNet", {}, crop_samples=None, **WINDOW | {"seed": i}) for i in (0, 0, 1)]
    states = [network.module.state_dict() for network in networks]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not torch.equal(states[0]["conv_temporal.weight"], states[2]["conv_temporal.weight"])


@pytest.mark.parametrize(
    ("name", "arguments", "crop_samples", "message"),
    [
        ("ShalowFBCSPNet", {}, None, "did you mean ShallowFBCSPNet"),
        ("EEGNet", {}, 1000, "no dense form"),
        ("ShallowFBCSPNet", {}, 1126, "longer than the window"),
        ("ShallowFBCSPNet", {}, 50, "cannot be built"),
        ("ShallowFBCSPNet", {"n_filters": 3}, None, "cannot be built"),
    ],
)
def test_refusals(name, arguments, crop_samples, message):
    with pytest.raises(UserError, match=message) as refusal:
        build_network(name, arguments, crop_samples=crop_samples, **WINDOW)
    assert "network" in str(refusal.value)
