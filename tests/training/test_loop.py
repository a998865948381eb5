"""The training loop against a plain reference, and what a fit's result may depend on."""

from dataclasses import replace
from functools import partial
from itertools import chain, count

import numpy as np
import pytest
import torch
from fits import DENSE, EEGNET, EPOCHS, TRAINING, WHOLE, drop_by, make_data, same

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.forward import BraindecodeForward
from eeg_sgdr.schedules import Step, WarmRestarts
from eeg_sgdr.settings import Training
from eeg_sgdr.settings.optimizers import AdamWSettings
from eeg_sgdr.training import engines, loop
from eeg_sgdr.training.loop import fit, updates_per_epoch
from eeg_sgdr.training.seeds import crop_order, dropout_seed

import_braindecode()
from braindecode.models import EEGNet, ShallowFBCSPNet  # noqa: E402
from braindecode.training import CroppedLoss  # noqa: E402

DATA = make_data()
NO_DROPOUT = DENSE.model_copy(update={"arguments": {"final_conv_length": 4, "drop_prob": 0.0}})


def torch_sgd(parameters):
    return torch.optim.SGD(parameters, lr=1.0, momentum=0.9, weight_decay=0.01)


def torch_adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1.0, weight_decay=0.3)


def plain_shallow(data, drop_prob=0.5):
    """ShallowFBCSPNet of braindecode, dense: network, crops, their labels, and loss."""
    module = ShallowFBCSPNet(
        n_chans=5, n_outputs=3, n_times=200, sfreq=100.0, final_conv_length=4, drop_prob=drop_prob
    )
    module.to_dense_prediction_model()
    crops = np.stack([window[:, start : start + 200] for window in data.x_train for start in (0, 30)])
    loss_of = CroppedLoss(torch.nn.functional.cross_entropy)
    return module, torch.from_numpy(crops), torch.tensor(data.y_train.repeat(2)), loss_of


def plain_eegnet(data):
    """EEGNet of braindecode: network, windows, their labels, and loss."""
    module = EEGNet(n_chans=5, n_outputs=3, n_times=230, sfreq=100.0)
    return module, torch.from_numpy(data.x_train), torch.tensor(data.y_train), torch.nn.CrossEntropyLoss()


def reference(data, schedule, seed, plain=plain_shallow, masks_of=None, make_optimizer=torch_sgd):
    """Plain braindecode: its network, its loss, an optimizer of torch's, and loops over crops."""
    torch.manual_seed(seed)
    module, crops, labels, loss_of = plain(data)
    module.to(crops.dtype)
    optimizer = make_optimizer(module.parameters())
    if masks_of:
        drop_by(module, chain.from_iterable(masks_of(dropout_seed(seed, k)) for k in count()))
    k, n_updates = 0, len(crops) // 8
    for epoch in range(schedule.budget):
        order = crop_order(seed, epoch, len(crops))
        for i in range(n_updates):
            batch = order[i * 8 : (i + 1) * 8]
            optimizer.param_groups[0]["lr"] = schedule.lr(k / n_updates)
            optimizer.zero_grad()
            loss_of(module(crops[batch]), labels[batch]).backward()
            optimizer.step()
            k += 1
    assert k >= 20
    return module.state_dict()


no_dropout = partial(plain_shallow, drop_prob=0.0)


def distance(state, expected):
    names = [name for name in expected if "running" not in name and "tracked" not in name]
    difference = sum(float((state[name] - expected[name]).double().square().sum()) for name in names)
    return (difference / sum(float(expected[name].double().square().sum()) for name in names)) ** 0.5


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_training_equals_plain_braindecode_without_dropout(dtype, tolerance):
    data, schedule = make_data(dtype), Step(0.02, 4)
    state = fit(data, NO_DROPOUT, TRAINING, schedule, seed=3).scores[4].state
    assert distance(state, reference(data, schedule, seed=3, plain=no_dropout)) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
@pytest.mark.parametrize(("settings", "plain"), [(DENSE, plain_shallow), (EEGNET, plain_eegnet)])
def test_training_equals_plain_braindecode_with_the_same_masks(settings, plain, dtype, tolerance):
    data, schedule = make_data(dtype), WarmRestarts(0.02, 7)
    network = engines.build_for(data, settings, 3)
    network.module.to(torch.from_numpy(data.x_train).dtype)
    forward = choose(network)
    state = fit(data, settings, TRAINING, schedule, seed=3).scores[7].state
    expected = reference(data, schedule, 3, plain, masks_of=lambda seed: forward.dropout_masks(8, seed))
    assert distance(state, expected) <= tolerance


def test_adamw_equals_torch_s_across_a_restart_for_fifty_updates():
    data, schedule = make_data(np.float64), WarmRestarts(0.002, 9, t_0=3)
    adamw = AdamWSettings(kind="adamw", weight_decay=0.3)
    state = fit(data, NO_DROPOUT, TRAINING, schedule, seed=3, optimizer=adamw).scores[9].state
    expected = reference(data, schedule, seed=3, plain=no_dropout, make_optimizer=torch_adamw)
    assert distance(state, expected) <= 1e-10


def test_braindecode_s_forward_trains_to_the_same_weights_as_the_fast_one(monkeypatch):
    data = make_data(np.float64)
    fast = fit(data, NO_DROPOUT, TRAINING, Step(0.02, 4), seed=0)
    monkeypatch.setattr(engines, "choose", lambda network, *_: BraindecodeForward(network))
    plain = fit(data, NO_DROPOUT, TRAINING, Step(0.02, 4), seed=0)
    assert fast.form != plain.form == "braindecode"
    assert distance(fast.scores[4].state, plain.scores[4].state) <= 1e-10
    np.testing.assert_allclose(fast.scores[4].probabilities, plain.scores[4].probabilities, rtol=1e-6)


@pytest.mark.parametrize("network", [DENSE, WHOLE, EEGNET], ids=["dense", "whole", "EEGNet"])
def test_a_fit_depends_on_nothing_that_ran_before(network):
    first = fit(DATA, network, TRAINING, WarmRestarts(0.05, 3), seed=1)
    torch.manual_seed(77)
    torch.rand(1000)
    fit(make_data(seed=1), network, TRAINING, Step(0.1, 1), seed=2)
    assert same(first, fit(DATA, network, TRAINING, WarmRestarts(0.05, 3), seed=1))
    assert not same(first, fit(DATA, network, TRAINING, WarmRestarts(0.05, 3), seed=2))


def test_fits_of_a_seed_see_the_same_until_their_rates_part():
    """Same initial weights, order and dropout: one constant rate is the same training in two schedules."""
    long = fit(DATA, DENSE, EPOCHS, Step(0.05, 6), seed=0)
    short = fit(DATA, DENSE, TRAINING, Step(0.05, 2, drops=()), seed=0)
    assert torch.equal(long.scores[2].state["bnorm.weight"], short.scores[2].state["bnorm.weight"])


def test_storing_every_epoch_changes_no_result():
    ends = fit(DATA, DENSE, TRAINING, WarmRestarts(0.05, 3), seed=0)
    epochs = fit(DATA, DENSE, EPOCHS, WarmRestarts(0.05, 3), seed=0)
    assert (list(ends.scores), list(epochs.scores)) == ([1, 3], [1, 2, 3])
    assert same(ends, replace(epochs, scores={epoch: epochs.scores[epoch] for epoch in ends.scores}))


def test_poisoned_test_trials_change_no_weight():
    nan = replace(DATA, x_test=np.full_like(DATA.x_test, np.nan))
    clean, poisoned = (
        fit(data, DENSE, TRAINING, Step(0.05, 2), seed=0).scores[2].state for data in (DATA, nan)
    )
    assert all(torch.equal(clean[name], poisoned[name]) for name in clean)


def test_the_history_has_the_rates_of_the_schedule():
    schedule = WarmRestarts(0.05, 3)
    history = fit(DATA, DENSE, TRAINING, schedule, seed=0).history
    assert [(e.epoch, e.first_rate, e.last_rate) for e in history] == [
        (i + 1, schedule.lr(i), schedule.lr((6 * i + 5) / 6)) for i in range(3)
    ]


def test_an_infinite_loss_ends_a_fit():
    poisoned = replace(DATA, x_train=np.full_like(DATA.x_train, np.inf))
    with pytest.raises(loop.FitFailed, match=r"epoch 1, at a rate of 0\.05"):
        fit(poisoned, DENSE, TRAINING, Step(0.05, 2), seed=0)


def test_a_last_update_that_overflows_is_a_failure():
    """The loss of the one update is finite, as it is that of the initial weights."""
    whole_epoch = TRAINING.model_copy(update={"batch_size": 24})
    with pytest.raises(loop.FitFailed, match="epoch 1, at a rate of 1e\\+20"):
        fit(DATA, WHOLE, whole_epoch, Step(1e20, 1), seed=0)


def test_fewer_crops_than_a_batch_are_refused():
    with pytest.raises(UserError, match="more than the 48 training crops"):
        fit(DATA, DENSE, Training(batch_size=49), Step(0.05, 1), seed=0)


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_precisions_train(precision):
    training = Training(batch_size=8, numerics={"precision": precision})
    history = fit(DATA, WHOLE, training, Step(0.02, 8), seed=0).history
    assert history[-1].loss < history[0].loss


def test_cuda_that_is_absent_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    training = Training(batch_size=8, numerics={"device": "cuda"})
    with pytest.raises(UserError, match="torch sees no CUDA here"):
        fit(DATA, DENSE, training, Step(0.02, 1), seed=0)


def test_an_epoch_s_order_is_drawn_from_seed_and_epoch():
    assert sorted(crop_order(0, 0, 50)) == list(range(50))
    orders = [tuple(crop_order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert tuple(crop_order(0, 0, 50)) == orders[0]


def test_dropout_seeds_do_not_repeat():
    assert len({dropout_seed(seed, update) for seed in range(5) for update in range(200)}) == 1000


def test_an_epoch_has_full_batches_only():
    assert [updates_per_epoch(n, 8) for n in (8, 15, 16)] == [1, 1, 2]
    with pytest.raises(UserError, match="8 is more than the 7 training crops"):
        updates_per_epoch(7, 8)
