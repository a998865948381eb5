"""ScheduleLR: the schedule's rate at every update, however training is resumed."""

import io

import pytest
import torch
from fits import rates, sgd
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from eeg_sgdr.interop.torch import ScheduleLR
from eeg_sgdr.schedules import Cyclic, Linear, OneCycle, Step, Trapezoid, WarmRestarts, Warmup

U = 3
RESTARTS = WarmRestarts(0.05, 31)
SCHEDULES = [
    Step(0.05, 31),
    RESTARTS,
    WarmRestarts(0.05, 40, t_mult=3),
    Cyclic(0.05, 30, period=20),
    Linear(0.05, 31),
    OneCycle(0.05, 31),
    Trapezoid(0.05, 31),
    Warmup(WarmRestarts(0.05, 62, t_0=2), 1.5, every_cycle=True),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_every_update_has_the_rate_of_the_schedule(schedule):
    optimizer, n = sgd(), schedule.budget * U
    expected = [schedule.lr(k / U) for k in range(n)]
    assert rates(optimizer, ScheduleLR(optimizer, schedule, U), n) == expected


def test_each_group_has_its_schedule():
    optimizer = sgd(n_groups=2)
    scheduler = ScheduleLR(optimizer, [Step(0.1, 3), WarmRestarts(0.05, 3)], U)
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, WarmRestarts(0.05, 3).lr(1 / U)]
    with pytest.raises(ValueError, match="3 schedules for 2 groups"):
        ScheduleLR(optimizer, [Step(0.1, 3)] * 3, U)
    with pytest.raises(ValueError, match="updates_per_epoch: 0"):
        ScheduleLR(optimizer, Step(0.1, 3), 0)


@pytest.mark.parametrize("n_done", [1, 5, 9, 20, 45])
def test_training_resumed_from_a_state_dict_or_by_last_epoch(n_done):
    expected = [RESTARTS.lr(k / U) for k in range(n_done, 31 * U)]
    optimizer = sgd()
    scheduler = ScheduleLR(optimizer, RESTARTS, U)
    rates(optimizer, scheduler, n_done)
    kept = io.BytesIO()
    torch.save((optimizer.state_dict(), scheduler.state_dict()), kept)
    kept.seek(0)
    of_optimizer, of_scheduler = torch.load(kept, weights_only=True)

    from_dict = sgd()
    resumed = ScheduleLR(from_dict, RESTARTS, U)
    from_dict.load_state_dict(of_optimizer)
    resumed.load_state_dict(of_scheduler)
    assert rates(from_dict, resumed, len(expected)) == expected

    by_last_epoch = sgd()
    by_last_epoch.load_state_dict(of_optimizer)
    resumed = ScheduleLR(by_last_epoch, RESTARTS, U, last_epoch=n_done - 1)
    assert rates(by_last_epoch, resumed, len(expected)) == expected


def test_torchs_own_scheduler_resumes_in_the_first_cycle():
    """The reason for ours: after 4 of the epochs 1, 3, 7 the third cycle's second quarter is due."""
    schedule = WarmRestarts(0.05, 7)
    optimizer = sgd(lr=0.05)
    whole = rates(optimizer, CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=2), 7)
    assert whole == pytest.approx([schedule.lr(k) for k in range(7)])

    optimizer = sgd(lr=0.05, initial_lr=0.05)
    theirs = CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=2, last_epoch=3)
    assert rates(optimizer, theirs, 3) != pytest.approx(whole[4:])

    optimizer = sgd(lr=0.05, initial_lr=0.05)
    assert rates(optimizer, ScheduleLR(optimizer, schedule, 1, last_epoch=3), 3) == pytest.approx(whole[4:])
