"""Schedules against equation (5), torch, and lists written out by hand."""

import math
from fractions import Fraction

import pytest
from fits import rates, sgd
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from eeg_sgdr.schedules import Cyclic, Step, WarmRestarts, n_averaged
from eeg_sgdr.settings import CosineArm

BUDGETS = {(1, 2): 511, (10, 2): 630, (50, 1): 550, (2, 3): 728}


def equation_5(k, n_updates, t_0, t_mult, high, low):
    """The rate of update k, with T_cur and T_i as exact fractions."""
    epoch = Fraction(k, n_updates)
    start, length = Fraction(0), Fraction(t_0)
    while epoch - start >= length:
        start, length = start + length, length * t_mult
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * float((epoch - start) / length)))


@pytest.mark.parametrize(("t_0", "t_mult"), BUDGETS)
@pytest.mark.parametrize("n_updates", [1, 5, 7])
def test_warm_restarts_follow_equation_5(t_0, t_mult, n_updates):
    schedule = WarmRestarts(0.05, BUDGETS[t_0, t_mult], t_0, t_mult, eta_min=0.001)
    for k in range(511 * n_updates):
        expected = equation_5(k, n_updates, t_0, t_mult, 0.05, 0.001)
        assert abs(schedule.lr(k / n_updates) - expected) <= 1e-12


@pytest.mark.parametrize(("t_0", "t_mult"), BUDGETS)
def test_warm_restarts_equal_torch_stepped_in_updates(t_0, t_mult):
    """T_0 counted in updates, so that torch's own rounding of fractions of an epoch plays no part."""
    schedule, n = WarmRestarts(0.05, BUDGETS[t_0, t_mult], t_0, t_mult), 5 * 511
    optimizer = sgd(lr=0.05)
    theirs = rates(optimizer, lr_scheduler.CosineAnnealingWarmRestarts(optimizer, t_0 * 5, t_mult), n)
    assert [schedule.lr(k / 5) for k in range(n)] == pytest.approx(theirs, rel=0, abs=1e-12)


def test_the_last_update_of_a_cycle_is_one_update_before_its_end():
    schedule = WarmRestarts(0.05, 3)
    assert schedule.lr(1 - 1 / 5) == pytest.approx(0.025 * (1 + math.cos(0.8 * math.pi)), abs=1e-15)
    assert schedule.lr(1.0) == 0.05


def test_cycle_ends():
    assert WarmRestarts(0.05, 511).ends == (1, 3, 7, 15, 31, 63, 127, 255, 511)
    assert WarmRestarts(0.05, 30, 10, 2).ends == (10, 30)
    assert WarmRestarts(0.05, 242, 2, 3).ends == (2, 8, 26, 80, 242)


def test_a_restart_can_begin_lower():
    schedule = WarmRestarts(0.08, 7, eta_decay=0.5)
    assert [schedule.lr(epoch) for epoch in (0, 1, 3)] == [0.08, 0.04, 0.02]


@pytest.mark.parametrize(
    ("schedule", "arguments", "message"),
    [
        (WarmRestarts, {"budget": 30}, "nearest ends are 15 and 31"),
        (WarmRestarts, {"budget": 5, "t_0": 10}, "nearest ends are 10"),
        (WarmRestarts, {"budget": 31, "t_mult": 0}, "at least 1"),
        (WarmRestarts, {"budget": 31, "eta_min": 0.06}, "eta_min"),
        (Cyclic, {"budget": 31, "period": 20}, "nearest ends are 30 and 50"),
        (Cyclic, {"budget": 3, "period": 20}, "nearest ends are 10"),
        (Cyclic, {"budget": 20, "period": 20}, "nearest ends are 10 and 30"),
        (Cyclic, {"budget": 3, "period": 3}, "even"),
        (Cyclic, {"budget": 10, "period": 20, "low": 0.06}, "low must not be above"),
    ],
)
def test_refusals(schedule, arguments, message):
    with pytest.raises(ValueError, match=message):
        schedule(0.05, **arguments)


def test_step_of_30_drops_at_10_15_20():
    schedule = Step(0.025, 30)
    written_out = [0.025] * 10 + [0.0025] * 5 + [0.00025] * 5 + [0.000025] * 10
    assert [schedule.lr(epoch) for epoch in range(30)] == pytest.approx(written_out, rel=1e-12)
    assert schedule.ends == (30,)


def test_step_drops_inside_an_epoch():
    """31 / 3 = 10.33...: with five updates an epoch, the second update of epoch 11 is the first after it."""
    schedule = Step(0.025, 31)
    rates = [schedule.lr(k / 5) for k in range(50, 55)]
    assert rates == pytest.approx([0.025, 0.025, 0.0025, 0.0025, 0.0025], rel=1e-12)


@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 6), st.floats(0, 1, exclude_max=True))
def test_rates_stay_between_eta_min_and_the_initial_rate(t_0, t_mult, n_cycles, fraction):
    budget = sum(t_0 * t_mult**i for i in range(n_cycles))
    schedule = WarmRestarts(0.05, budget, t_0, t_mult, eta_min=0.001)
    assert len(schedule.ends) == n_cycles
    assert 0.001 - 1e-15 <= schedule.lr(fraction * budget) <= 0.05 + 1e-15


def test_cosine_falls_once():
    schedule = CosineArm(kind="cosine", budgets=[4], eta_min=0.02).schedule(0.08, 4)
    written_out = [0.05 + 0.03 * cosine for cosine in (1, math.sqrt(0.5), 0, -math.sqrt(0.5))]
    assert [schedule.lr(epoch) for epoch in range(4)] == pytest.approx(written_out, abs=1e-15)
    assert schedule.ends == (4,)


@pytest.mark.parametrize("budget", [1, 30, 31])
def test_cosine_equals_torch(budget):
    n, optimizer = 5 * budget, sgd(lr=0.05)
    schedule = CosineArm(kind="cosine", budgets=[budget], eta_min=0.001).schedule(0.05, budget)
    theirs = rates(optimizer, lr_scheduler.CosineAnnealingLR(optimizer, n, 0.001), n)
    assert [schedule.lr(k / 5) for k in range(n)] == pytest.approx(theirs, abs=1e-12)


def test_cyclic_goes_down_first_and_ends_low():
    schedule = Cyclic(0.05, 6, period=4, low=0.01)
    written_out = [0.05, 0.04, 0.03, 0.02, 0.01, 0.02, 0.03, 0.04, 0.05, 0.04, 0.03, 0.02]
    assert [schedule.lr(k / 2) for k in range(12)] == pytest.approx(written_out, abs=1e-15)
    assert schedule.ends == (6,)


def test_cyclic_equals_torch_half_a_period_later():
    """Torch begins at the low rate and goes up, as Smith does."""
    half, n, optimizer = 15, 33 * 5, sgd(lr=0.05)
    schedule = Cyclic(0.05, 33, period=6, low=0.001)
    theirs = lr_scheduler.CyclicLR(optimizer, 0.001, 0.05, half, cycle_momentum=False)
    expected = rates(optimizer, theirs, half + n)[half:]
    assert [schedule.lr(k / 5) for k in range(n)] == pytest.approx(expected, abs=1e-12)


def test_members_as_the_paper_counts_them():
    assert [n_averaged(n) for n in range(1, 10)] == [1, 1, 1, 2, 2, 3, 3, 4, 4]
