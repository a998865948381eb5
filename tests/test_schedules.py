"""Schedules against equation (5), torch, and lists written out by hand."""

import math
from fractions import Fraction

import pytest
from fits import rates, sgd
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from eeg_sgdr.schedules import (
    Cyclic,
    Linear,
    OneCycle,
    Step,
    Trapezoid,
    WarmRestarts,
    Warmup,
    at_rate,
    n_averaged,
)
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
        (OneCycle, {"budget": 10, "pct_start": 1}, "pct_start must be between"),
        (OneCycle, {"budget": 10, "div_factor": 0.5}, "at least 1"),
        (Trapezoid, {"budget": 10, "cooldown": 1}, "cooldown must be between"),
        (Trapezoid, {"budget": 10, "shape": "cosine"}, "shape must be linear or 1-sqrt"),
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


def test_linear_falls_to_zero():
    schedule = Linear(0.05, 4)
    assert [schedule.lr(k / 2) for k in range(8)] == pytest.approx(
        [0.05, 0.04375, 0.0375, 0.03125, 0.025, 0.01875, 0.0125, 0.00625], abs=1e-15
    )
    assert schedule.ends == (4,)


@pytest.mark.parametrize("budget", [1, 30, 31])
def test_linear_equals_torch(budget):
    n, optimizer = 5 * budget, sgd(lr=0.05)
    theirs = rates(optimizer, lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n), n)
    assert [Linear(0.05, budget).lr(k / 5) for k in range(n)] == pytest.approx(theirs, abs=1e-12)


def test_one_cycle_rises_to_the_initial_rate_and_falls_far_below_its_start():
    """A peak of 0.16 after 4 of 8 epochs, from an eighth of it, 0.02, to a tenth of that, 0.002."""
    schedule = OneCycle(0.16, 8, pct_start=0.5, div_factor=8, final_div_factor=10)
    half = math.sqrt(0.5)
    rise = [0.09 + 0.07 * cosine for cosine in (-1, -half, 0, half)]
    fall = [0.081 + 0.079 * cosine for cosine in (1, half, 0, -half)]
    assert [schedule.lr(epoch) for epoch in range(8)] == pytest.approx(rise + fall, abs=1e-15)
    assert schedule.lr(8) == pytest.approx(0.002, abs=1e-15)
    assert schedule.ends == (8,)


@pytest.mark.parametrize(("budget", "n_updates"), [(1, 1), (1, 2), (3, 1), (31, 5), (40, 7), (511, 3)])
@pytest.mark.parametrize("pct_start", [0.3, 0.05, 0.9])
def test_one_cycle_equals_the_first_n_of_torchs_n_and_1_steps(budget, n_updates, pct_start):
    n, optimizer = budget * n_updates, sgd(lr=0.05)
    theirs = lr_scheduler.OneCycleLR(
        optimizer, 0.05, n + 1, pct_start=(pct_start * n + 1) / (n + 1), cycle_momentum=False
    )
    schedule = OneCycle(0.05, budget, pct_start)
    ours = [schedule.lr(k / n_updates) for k in range(n)]
    assert ours == pytest.approx(rates(optimizer, theirs, n), rel=1e-12, abs=1e-12)


def test_trapezoid_is_constant_until_its_cooldown():
    constant = [0.05] * 5
    straight, root = Trapezoid(0.05, 9, Fraction(4, 9)), Trapezoid(0.05, 9, Fraction(4, 9), "1-sqrt")
    fall = [0.05, 0.0375, 0.025, 0.0125]
    assert [straight.lr(epoch) for epoch in range(9)] == pytest.approx(constant + fall, abs=1e-15)
    fall = [0.05 * (1 - x) for x in (0, 0.5, math.sqrt(0.5), math.sqrt(0.75))]
    assert [root.lr(epoch) for epoch in range(9)] == pytest.approx(constant + fall, abs=1e-15)
    assert straight.ends == root.ends == (9,)


def test_a_cooldown_may_begin_inside_an_epoch():
    """After 24.8 of 31 epochs: of five updates in epoch 25 the last is the first of the cooldown."""
    rates = [Trapezoid(0.05, 31).lr(k / 5) for k in range(120, 126)]
    assert rates == pytest.approx([0.05] * 5 + [0.05 * 30 / 31], abs=1e-15)


@pytest.mark.parametrize("budget", [5, 30, 35])
def test_a_trapezoid_equals_torchs_constant_rate_and_line_in_a_row(budget):
    start, n, optimizer = 4 * budget, 5 * budget, sgd(lr=0.05)
    constant = lr_scheduler.ConstantLR(optimizer, 1.0)
    line = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n - start)
    theirs = rates(optimizer, lr_scheduler.SequentialLR(optimizer, [constant, line], [start]), n)
    assert [Trapezoid(0.05, budget).lr(k / 5) for k in range(n)] == pytest.approx(theirs, abs=1e-12)


def test_a_warm_up_rises_from_a_hundredth():
    schedule = Warmup(Step(0.1, 6, (Fraction(1, 2),)), 2)
    written_out = [0.001, 0.02575, 0.0505, 0.07525, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]
    assert [schedule.lr(k / 2) for k in range(12)] == pytest.approx(written_out, abs=1e-15)
    assert (schedule.initial_rate, schedule.budget, schedule.ends) == (0.1, 6, (6,))


def test_a_warm_up_equals_torchs_line_chained_with_a_cosine():
    n, optimizer = 5 * 30, sgd(lr=0.05)
    line = lr_scheduler.LinearLR(optimizer, 0.01, 1.0, 5 * 2)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, n)
    theirs = rates(optimizer, lr_scheduler.ChainedScheduler([line, cosine]), n)
    ours = CosineArm(kind="cosine", budgets=[30], warmup=2).warmed_up(0.05, 30)
    assert [ours.lr(k / 5) for k in range(n)] == pytest.approx(theirs, abs=1e-12)


def test_every_cycle_can_be_warmed_up():
    restarts = WarmRestarts(0.05, 14, t_0=2)
    once, every = Warmup(restarts, 1), Warmup(restarts, 1, every_cycle=True)
    factors = {0: 0.01, 0.5: 0.505, 1: 1, 2: 0.01, 2.5: 0.505, 3: 1, 5: 1, 6: 0.01, 6.5: 0.505, 13: 1}
    for epoch, factor in factors.items():
        assert every.lr(epoch) == pytest.approx(factor * restarts.lr(epoch), abs=1e-15)
        assert once.lr(epoch) == pytest.approx((factor if epoch < 1 else 1) * restarts.lr(epoch), abs=1e-15)


@pytest.mark.parametrize("epochs", [0, 2, 2.5, math.nan])
def test_a_warm_up_is_shorter_than_the_shortest_cycle(epochs):
    with pytest.raises(ValueError, match=r"must be above 0 and below the shortest cycle or budget \(2\)"):
        Warmup(WarmRestarts(0.05, 14, t_0=2), epochs)


def test_another_rate_leaves_everything_else():
    assert at_rate(OneCycle(0.05, 3, 0.4), 0.1) == OneCycle(0.1, 3, 0.4)
    assert at_rate(Warmup(Linear(0.05, 3), 1), 0.1) == Warmup(Linear(0.1, 3), 1)


@pytest.mark.parametrize(
    ("schedule", "joint"),
    [
        (OneCycle(0.05, 31), 0.3 * 31),
        (Trapezoid(0.05, 31), 24.8),
        (Trapezoid(0.05, 31, shape="1-sqrt"), 24.8),
        (Warmup(Linear(0.05, 31), 1.7), 1.7),
    ],
)
def test_rates_do_not_jump_where_phases_meet(schedule, joint):
    around = [schedule.lr(joint + shift) for shift in (-1e-14, 0, 1e-14)]
    assert around == pytest.approx([schedule.lr(joint)] * 3, rel=0, abs=1e-8)


def schedules_of_one_budget(budget):
    """Schedules without restarts, of any parameters."""
    fractions = st.floats(0, 1, exclude_min=True, exclude_max=True)
    factors = st.floats(1, 1e6)
    return st.one_of(
        st.just(Linear(0.05, budget)),
        st.builds(OneCycle, st.just(0.05), st.just(budget), fractions, factors, factors),
        st.builds(Trapezoid, st.just(0.05), st.just(budget), fractions.map(Fraction),
                  st.sampled_from(["linear", "1-sqrt"])),
        fractions.map(lambda part: Warmup(Linear(0.05, budget), part * budget / 2)),
    )  # fmt: skip


@given(st.data(), st.integers(1, 600), st.floats(0, 1, exclude_max=True))
def test_rates_stay_between_zero_and_the_initial_rate(data, budget, fraction):
    schedule = data.draw(schedules_of_one_budget(budget))
    assert 0 <= schedule.lr(fraction * budget) <= 0.05 * (1 + 1e-15)


def test_members_as_the_paper_counts_them():
    assert [n_averaged(n) for n in range(1, 10)] == [1, 1, 1, 2, 2, 3, 3, 4, 4]
