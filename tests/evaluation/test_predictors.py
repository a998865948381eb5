"""Which fits and snapshots are averaged."""

import numpy as np
import pytest
from conftest import make_settings
from results_folder import study_settings

from eeg_sgdr.evaluation.predictors import (
    Predictor,
    Stored,
    members_at,
    predictors,
    seed_groups,
    side_predictors,
)
from eeg_sgdr.schedules import WarmRestarts
from eeg_sgdr.settings import Side, plan
from eeg_sgdr.settings.plan import FitKey

SETTINGS = study_settings(["1"], seeds=(0, 1), budgets=(15, 31), epochs=31)


def test_members_are_those_of_the_paper():
    assert members_at(WarmRestarts(0.05, 31).ends, 5) == (15, 31)
    ends = WarmRestarts(0.05, 511).ends
    expected = [(1,), (3,), (7,), (7, 15), (63, 127, 255, 511)]
    assert [members_at(ends, n) for n in (1, 2, 3, 4, 9)] == expected


def test_plan_has_every_arm_budget_rate_and_seed():
    keys = plan.fits(SETTINGS)
    assert len(keys) == len(set(keys)) == 3 * 2 * 2
    assert FitKey("restarts", 31, 0.05, 1).name == "restarts-b31-r0.05-s1"


def test_every_predictor_of_one_seed():
    found = predictors(SETTINGS, [key for key in plan.fits(SETTINGS) if key.seed == 0])
    rows = [(p.rates, p.fits[0].schedule, p.fits[0].budget, p.members, p.epochs) for p in found]
    expected = [
        *(("step", end, "single", (end,)) for end in (15, 31)),
        *(("restarts", 31, "single", (end,)) for end in (1, 3, 7, 15, 31)),
        *(("restarts", 31, "cycles", epochs) for epochs in ((1,), (3,), (7,), (7, 15), (15, 31))),
        # A single snapshot is its own average.
        *(("restarts", 31, "averaged", epochs) for epochs in ((7, 15), (15, 31))),
    ]
    assert sorted(rows) == sorted(
        (rates, *of) for rates in ("0.025", "0.05", "0.025+0.05") for of in expected
    )


def test_a_missing_fit_takes_its_averages_with_it():
    missing = FitKey("restarts", 31, 0.05, 0)
    found = predictors(SETTINGS, [key for key in plan.fits(SETTINGS) if key != missing])
    assert not [p for p in found if missing in p.fits]
    rates = {p.rates for p in found if p.fits[0].schedule == "restarts" and p.fits[0].seed == 0}
    assert rates == {"0.025"}


def test_probabilities_are_averaged_with_equal_weights_not_logits():
    keys = (FitKey("restarts", 3, 0.025, 0), FitKey("restarts", 3, 0.05, 0))
    rng = np.random.default_rng(0)
    stored = {key: {epoch: rng.dirichlet([1, 1], 4).astype(np.float32) for epoch in (1, 3)} for key in keys}
    expected = sum(stored[key][epoch].astype(float) for key in keys for epoch in (1, 3)) / 4
    found = Predictor(keys, (1, 3), "cycles").probabilities(Stored(stored, {}))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # Averaged weights are one network of each fit.
    averaged = {key: {3: rng.dirichlet([1, 1], 4)} for key in keys}
    predictor = Predictor(keys, (1, 3), "averaged")
    assert not predictor.is_stored(Stored(stored, {}))
    found = predictor.probabilities(Stored(stored, averaged))
    np.testing.assert_allclose(found, (averaged[keys[0]][3] + averaged[keys[1]][3]) / 2, rtol=1e-12)
    assert (predictor.n_networks, predictor.n_snapshots, predictor.epochs_spent) == (2, 2, 6)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (Side(schedule="step"), [("0.025", (31,)), ("0.05", (31,))]),
        (Side(schedule="step", budget=15), [("0.025", (15,)), ("0.05", (15,))]),
        (Side(schedule="restarts", members="cycles", rates="all"), [("0.025+0.05", (15, 31))]),
        (Side(schedule="restarts"), [("0.025", (31,)), ("0.05", (31,))]),
        (Side(schedule="restarts", members="averaged"), [("0.025", (15, 31)), ("0.05", (15, 31))]),
    ],
)
def test_sides_of_a_comparison_seed_by_seed(side, expected):
    found = [(p.seeds, p.rates, p.epochs) for p in side_predictors(SETTINGS, side, (1, 0))]
    assert found == [(seed, *of) for seed in "10" for of in expected]


def test_seeds_are_grouped_in_order_and_without_overlap():
    settings = make_settings(training={"seeds": [3, 0, 1, 7, 5]})
    assert seed_groups(settings, 1) == [(3,), (0,), (1,), (7,), (5,)]
    assert seed_groups(settings, 2) == [(3, 0), (1, 7)]
    assert seed_groups(settings, 6) == []


def test_a_side_over_seeds_averages_disjoint_groups_at_all_rates():
    side = Side(schedule="step", rates="all", seeds=2)
    (found,) = side_predictors(SETTINGS, side, (0, 1))
    assert [key.name for key in found.fits] == [
        "step-b31-r0.025-s0", "step-b31-r0.05-s0", "step-b31-r0.025-s1", "step-b31-r0.05-s1",
    ]  # fmt: skip
    assert (found.rates, found.seeds, found.epochs, found.members) == ("0.025+0.05", "0+1", (31,), "single")
    # The default comparisons name it, so it is scored; as many networks as 2 snapshots at 2 rates.
    everything = predictors(SETTINGS, plan.fits(SETTINGS))
    assert [one for one in everything if one.seeds == "0+1"] == [found]
    without = [key for key in plan.fits(SETTINGS) if key.name != "step-b31-r0.05-s1"]
    assert not [one for one in predictors(SETTINGS, without) if one.seeds == "0+1"]
