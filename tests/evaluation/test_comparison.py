"""comparison.csv against small studies whose numbers can be counted by hand."""

import itertools
import math
import shutil
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from documents import block
from pages import visible
from results_folder import (
    N_TEST,
    compare,
    one,
    rows,
    study_settings,
    write_baseline,
    write_study,
    wrong_at_end,
)

import eeg_sgdr
from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation import metrics
from eeg_sgdr.evaluation.anytime import area, first_within
from eeg_sgdr.evaluation.comparison import comparison, update
from eeg_sgdr.evaluation.inference import pairs
from eeg_sgdr.evaluation.statistics import holm, mean_interval, sign_flip
from eeg_sgdr.evaluation.stored import evaluate
from eeg_sgdr.evaluation.units import read_errors
from eeg_sgdr.reports.figures.canvas import COLOURS
from eeg_sgdr.reports.figures.curves import slopes
from eeg_sgdr.reports.study import page
from eeg_sgdr.run import main
from eeg_sgdr.settings import SubjectSplit
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.columns import COMPARISON, QUANTITIES
from eeg_sgdr.storage.results import Results

SUBJECTS = ("01", "02", "03", "04")
#: Wrong trials of 20 at the last end, by subject: step and restarts.
STEP = {"01": 8, "02": 6, "03": 6, "04": 3}
RESTARTS = {"01": 4, "02": 5, "03": 6, "04": 4}
counts = wrong_at_end(STEP, RESTARTS)
FIRST = "restarts against step at equal epochs"
#: Numbers of units in which the first comparison's a is better, equal and worse.
TALLY = {"better": 2, "equal": 1, "worse": 1}


def check(row, **values):
    assert {name: row[name] for name in values} == values


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), study_settings(SUBJECTS), counts)


@pytest.fixture(scope="module")
def table(results):
    return comparison(results)


def test_columns_are_those_of_the_contract(table):
    assert list(table.columns) == list(COMPARISON)
    known = {(family, quantity) for family, of_family in QUANTITIES.items() for quantity in of_family}
    assert set(zip(table["family"], table["quantity"], strict=True)) <= known
    # No rates are chosen here (tests/test_rate_choice.py).
    assert [*dict.fromkeys(table["family"])] == [name for name in QUANTITIES if name != "rate choice"]
    facts = list(COMPARISON)[: list(COMPARISON).index("status")]
    assert not table.duplicated(facts).any(), "a row is found by what it is about"


def test_the_first_comparison_by_hand(table):
    row = one(table, comparison=FIRST, quantity="mean difference")
    x = np.array([4, 1, 0, -1]) / 20  # the rates add as much to both sides
    assert math.isclose(row["estimate"], 0.05)
    np.testing.assert_allclose((row["low"], row["high"]), mean_interval(x))
    # Of the eight sums of +-4, +-1 and +-1, six are of 4 or more in size; the zero doubles both numbers.
    assert row["p"] == 12 / 16 == sign_flip(x)
    check(row, **TALLY, n_units=4, n_seeds=1, status="ok", rates_a="each")
    check(row, epochs_a=7, n_networks_a=1, epochs_spent_a=7, epochs_b=7, n_networks_b=1, epochs_spent_b=7)
    error = one(table, comparison=FIRST, quantity="mean error", side="a")["estimate"]
    assert math.isclose(error, np.mean([4.5, 5.5, 6.5, 4.5]) / 20)
    assert one(table, comparison=FIRST, quantity="updates", side="a")["estimate"] == 7 * 4


def test_every_comparison_has_the_same_numbers_and_holm_is_over_all_of_them(results, table):
    tested = rows(table, family="tested")
    of_subjects = tested["unit"] != ""
    quantities = tested[~of_subjects].groupby("comparison", sort=False)["quantity"].apply(list)
    assert list(quantities.index) == [one.name for one in results.settings.evaluation.comparisons]
    assert all(quantity == quantities.iloc[0] for quantity in quantities)
    # Both sides of every subject, but for the baseline, of which nothing is there.
    assert of_subjects.sum() == (len(quantities) - 1) * 2 * len(SUBJECTS)
    # Rate by rate: 4 and 5 wrong of 20.
    each = one(tested, comparison=FIRST, quantity="error", side="a", unit="01")
    assert each["estimate"] == pytest.approx(4.5 / 20)
    differences = rows(tested, quantity="mean difference")
    np.testing.assert_allclose(differences["p_holm"], holm(differences["p"].to_numpy()))
    assert rows(table, quantity="mean difference", family="descriptive")["p"].isna().all()
    assert table[table["family"] != "tested"]["p"].isna().all()


def test_all_rates_average_probabilities(results, table):
    row = one(table, family="tested", quantity="mean error", side="a", rates_a="0.025+0.05")
    errors = []
    for label in SUBJECTS:
        found = [results.probabilities(label, "restarts", 7, rate)[1][-1] for rate in (0.025, 0.05)]
        errors.append(metrics.error(np.arange(N_TEST) % 2, np.mean(found, axis=0, dtype=float)))
    assert math.isclose(row["estimate"], np.mean(errors))


def test_curves_are_medians_of_improvement_by_hand(table):
    # Step at 3 epochs with 0.05 has two wrong trials more than the reference (7 epochs, 0.025).
    curve = rows(table, family="curve", snapshots_a="single")
    step = {"arm_a": "step", "epochs_a": 3, "rates_a": "0.05"}
    last = {"arm_a": "restarts", "epochs_a": 7, "rates_a": "0.025"}
    quartiles = np.quantile([4, 1, 0, -1], [0.25, 0.5, 0.75]) / 20
    for arm, expected in ((step, (-0.1, -0.1, -0.1)), (last, quartiles)):
        row = one(curve, quantity="median improvement", **arm)
        check(row, budget_a=arm["epochs_a"], epochs_b=7, n_units=4)
        np.testing.assert_allclose((row["low"], row["estimate"], row["high"]), expected, atol=1e-12)
    assert math.isclose(one(curve, quantity="median error", **last)["estimate"], 4.5 / 20)


def test_the_last_completed_cycle_stands_beside_budgets_with_both_epochs(tmp_path):
    settings = study_settings(SUBJECTS, budgets=(2, 5, 7), training={"initial_rates": [0.025]})
    table = comparison(write_study(tmp_path, settings, counts))
    beside = rows(table, family="descriptive", quantity="mean difference", snapshots_a="single")
    assert list(zip(beside["epochs_a"], beside["epochs_b"], strict=True)) == [(1, 2), (3, 5), (7, 7)]
    assert set(beside["budget_a"]) == {7}


def test_a_best_rate_at_the_edge_of_the_list_is_said(table, tmp_path):
    row = one(table, quantity="best rate, at the edge of the list")
    check(row, rates_a="0.025", arm_a="step", epochs_a=7)
    settings = study_settings(SUBJECTS[:1], rates=(0.01, 0.025, 0.05), budgets=(7,))
    inside = comparison(write_study(tmp_path, settings, lambda _, key, epoch: range(3 + (key.rate != 0.025))))
    assert one(inside, quantity="best rate, inside the list")["rates_a"] == "0.025"


def test_groups_of_seeds_are_disjoint_and_have_as_many_networks(tmp_path):
    settings = study_settings(SUBJECTS[:1], range(5), rates=(0.025,), budgets=(15,), epochs=15)
    table = comparison(write_study(tmp_path, settings, lambda _, key, epoch: range(key.seed + 1)))
    row = one(table, family="tested", quantity="mean difference", n_seeds_b=2)
    check(row, n_seeds=4, n_networks_a=2, n_fits_a=1, n_snapshots_a=2, epochs_spent_a=15)
    check(row, n_networks_b=2, n_fits_b=2, n_snapshots_b=1, epochs_spent_b=30)
    # Two seeds s and s + 1 tie on trial s + 1, where class 0 wins the tie: wrong for odd trials only.
    # a: seeds 0 to 3 have 1, 2, 3, 4 wrong. b: groups (0, 1) and (2, 3) have 1 or 2, and 3 or 4.
    a, b = (one(table, quantity="mean error", family="tested", side=side, n_seeds_b=2) for side in "ab")
    assert math.isclose(a["estimate"], np.mean([1, 2, 3, 4]) / 20)
    assert math.isclose(b["estimate"], np.mean([2, 4]) / 20)


def test_too_few_seeds_or_budgets_leave_a_comparison_out_and_say_so(tmp_path):
    settings = study_settings(SUBJECTS[:2], budgets=(15, 31), epochs=31, rates=(0.025,))
    table = comparison(write_study(tmp_path, settings, lambda *_: range(3)))
    row = one(table, family="tested", quantity="mean difference", n_seeds_b=2)
    check(row, status="left out", missing="needs 2 seeds, there are 1", n_units=0)
    assert np.isnan([row["p"], row["p_holm"]]).all()
    row = one(table, family="anytime")
    check(row, status="left out", missing="needs three budgets, step has 2", n_units=0)
    check(row, arm_a="restarts", arm_b="step")


def test_missing_subjects_seeds_and_fits_are_named_and_left_out_of_both_sides(tmp_path):
    settings = study_settings(SUBJECTS, seeds=(0, 1), budgets=(7,), rates=(0.025,))
    missing = ["03", ("01", "step-b7-r0.025-s1")]

    def wrong(label, key, epoch):
        # Seed 1 of subject 01 would change a's mean, were it counted without its partner.
        return range(15) if (label, key.seed) == ("01", 1) else counts(label, key, epoch)

    table = comparison(write_study(tmp_path, settings, wrong, missing))
    row = one(table, comparison=FIRST, quantity="mean difference")
    check(row, status="incomplete", missing="subject 01: seed 1; subject 03", n_units=3, n_seeds=1)
    assert math.isclose(row["estimate"], np.mean([4, 1, -1]) / 20)
    # An unfinished study never looks finished: whatever its number stands on, a row names subject 03.
    assert table[table["n_units"] > 0]["missing"].str.contains("subject 03").all()
    whole = rows(table, family="tested", arm_a="restarts", arm_b="restarts")
    assert set(whole["missing"]) == {"subject 03"}


def test_the_order_of_rows_in_evaluation_does_not_matter(results, table):
    shuffled = results.evaluation.sample(frac=1, random_state=0)
    once, again = (read_errors(of, results.settings) for of in (results.evaluation, shuffled))
    assert once.of_unit == again.of_unit
    assert once.expected == again.expected


def test_folds_are_the_units_where_there_are_folds(results):
    """Each fold's row of all subjects counts, whatever its subjects are."""
    of_folds = pd.concat(
        rows(results.evaluation, subject=label).assign(fold=fold, subject=subject)
        for fold, label in (("1", "01"), ("3", "02"))
        for subject in ("all", "a", "b")
    )
    of_folds.loc[of_folds["subject"] != "all", "error"] = 0.5
    across = results.settings.model_copy(update={"split": SubjectSplit(by="subject", folds=3)})
    errors = read_errors(of_folds, across)
    assert (errors.kind, errors.expected) == ("fold", ("1", "2", "3")), "fold 2 is missing, and named"
    subjects = read_errors(results.evaluation, results.settings)
    assert errors.of_unit == {"1": subjects.of_unit["01"], "3": subjects.of_unit["02"]}


def test_ensembles_average_fits_and_snapshots(tmp_path):
    """Four fits and three cycles; every epoch is stored, so consecutive epochs stand beside them."""
    settings = study_settings(SUBJECTS[:2], seeds=(0, 1), budgets=(7,), training={"store": "epochs"})
    rng = np.random.default_rng(0)
    results = write_study(tmp_path, settings, lambda *_: rng.choice(N_TEST, 6, False))
    table = rows(comparison(results), family="ensemble")
    assert (table["estimate"].iloc[-1], table["quantity"].iloc[-1]) == (N_TEST, "median test trials")
    y = np.arange(N_TEST) % 2

    def expected(epochs, groups):
        errors = []
        for label, group in itertools.product(SUBJECTS[:2], groups):
            stored = [results.probabilities(label, "restarts", 7, *fit)[1] for fit in group]
            averaged = [of_fit[epoch - 1] for of_fit in stored for epoch in epochs]
            errors.append(metrics.error(y, np.mean(averaged, axis=0, dtype=float)))
        return np.mean(errors)

    fits = [[(rate, seed) for rate in (0.025, 0.05)] for seed in (0, 1)]
    for m, epochs in ((1, (7,)), (2, (3, 7)), (3, (1, 3, 7))):
        cycles = {"snapshots_a": "cycles", "n_snapshots_a": m}
        row = one(table, **cycles, rates_a="0.025+0.05", n_fits_a=2)
        assert math.isclose(row["estimate"], expected(epochs, fits))
        row = one(table, **cycles, rates_a="0.025+0.05", n_fits_a=4)
        check(row, n_seeds_a=2, n_networks_a=4 * m, epochs_spent_a=4 * 7)
        assert math.isclose(row["estimate"], expected(epochs, [fits[0] + fits[1]]))
        row = one(table, **cycles, rates_a="each", n_fits_a=2)
        by_rate = [[(rate, 0), (rate, 1)] for rate in (0.025, 0.05)]
        assert math.isclose(row["estimate"], expected(epochs, by_rate))
        row = one(table, snapshots_a="consecutive", rates_a="each", n_fits_a=1, n_snapshots_a=m)
        alone = [[fit] for pair in fits for fit in pair]
        assert math.isclose(row["estimate"], expected(range(8 - m, 8), alone))
    assert set(rows(table, arm_a="step", n_seeds_a=2)["n_networks_a"]) == {2, 4}


def test_area_and_first_epoch_by_hand():
    # Chance 0.5 from 1 to 2 (one doubling), 0.3 from 2 to 8 (two), 0.1 from 8 to 16 (one).
    points = [(2, 0.3), (8, 0.1), (16, 0.0)]
    assert math.isclose(area(points, 0.5, 16), 0.5 + 2 * 0.3 + 0.1)
    assert math.isclose(area([(1, 0.2)], 0.5, 4), 0.4)
    assert math.isclose(area([(8, 0.1)], 0.5, 4), 1.0)
    assert first_within(points, 0.3, 16) == 2
    assert first_within(points, 0.2, 16) == 8
    assert first_within(points, 0.05, 8) == math.inf


def test_anytime_by_hand(table):
    pair = rows(table, family="anytime", arm_a="restarts", snapshots_a="single")
    # Chance, 0.5, at both arms' epoch 1, too; then the errors at 3 and, at the end itself, no width.
    to_3, to_7 = math.log2(3), math.log2(7 / 3)
    areas = [0.5 * to_3 + (RESTARTS[label] + 1.5) / 20 * to_7 for label in SUBJECTS]
    row = one(pair, quantity="area", side="a")
    assert math.isclose(row["estimate"], np.mean(areas))
    check(row, epochs_a=7, epochs_b=7)
    row = one(pair, quantity="difference of areas")
    assert math.isclose(row["estimate"], 0.05 * to_7)
    check(row, **TALLY)
    # Within one trial of the reference (8, 6, 6, 3 wrong): restarts have 5 and 6, 6 and 7, 7 and 8, 5 and 6
    # at 3 epochs (0.025 and 0.05), and one less at 7. Subjects 01, 02: epoch 3; 03: 3 and 7; 04: 7 and never.
    near = rows(pair, points=1)
    check(one(near, quantity="first epoch", side="a"), low=3, estimate=4, high=math.inf)
    # Step: 3 and 7, everywhere.
    assert one(near, quantity="first epoch", side="b")["estimate"] == 5
    ratio = one(near, quantity="ratio of epochs")
    assert math.isclose(ratio["estimate"], np.median([5 / epochs for epochs in (3, 3, 5, math.inf)]))
    check(ratio, **TALLY)
    assert one(near, quantity="reached", side="a")["estimate"] == 0.75


def test_what_neither_reached_is_named(tmp_path):
    # The reference (0.025) is perfect; with 0.05, and so for half the fits of both, nothing is near.
    settings = study_settings(SUBJECTS[:2])
    results = write_study(tmp_path, settings, lambda _, key, epoch: range(9 * (key.rate > 0.03)))
    row = one(comparison(results), quantity="ratio of epochs", points=1, snapshots_a="single")
    check(row, n_units=0, status="missing", missing="reached by neither: 01, 02")
    assert math.isnan(row["estimate"])


def test_one_subject_says_little_but_does_not_fail_and_has_no_table_of_its_own(tmp_path):
    results = write_study(tmp_path, study_settings(SUBJECTS[:1]), counts)
    row = one(comparison(results), comparison=FIRST, quantity="mean difference")
    check(row, p=1, n_units=1)
    assert math.isnan(row["low"])
    assert update(tmp_path) is None
    assert not (tmp_path / "comparison.csv").exists()


def test_the_table_is_written_read_and_brought_up_to_date(tmp_path):
    write_study(tmp_path, study_settings(SUBJECTS), counts)
    path = tmp_path / "comparison.csv"
    assert update(tmp_path)
    before = path.read_bytes()
    fresh = comparison(Results(tmp_path))
    pd.testing.assert_frame_equal(Results(tmp_path).comparison, fresh, check_dtype=False)
    assert update(tmp_path)
    assert path.read_bytes() == before
    # An evaluation of another kind is not mixed in.
    folder = folders.Study(tmp_path).subject("01")
    files.write_csv(folder.evaluation, Results(tmp_path).subject("01").evaluation.assign(error=0.9))
    update(tmp_path)
    assert path.read_bytes() == before


def test_three_lines_of_pandas_find_errors_tests_and_curves(tmp_path, monkeypatch):
    study = write_study(tmp_path / "results" / "demo14", study_settings(SUBJECTS), counts)
    update(study.root)
    monkeypatch.chdir(tmp_path)
    found = {"eeg_sgdr": eeg_sgdr}
    exec(block(".comparison"), found)
    errors = found["errors"].loc[FIRST]
    assert list(errors.index) == list(SUBJECTS)
    for side, wrong in (("a", RESTARTS), ("b", STEP)):
        np.testing.assert_allclose(errors[side] * 20, [wrong[label] + 0.5 for label in SUBJECTS])
    row = found["tested"].loc[FIRST]
    interval = mean_interval((errors["b"] - errors["a"]).to_numpy())
    np.testing.assert_allclose((row["low"], row["high"]), interval)
    assert row["p"] == 12 / 16
    assert found["curve"].to_dict() == pytest.approx({1: 0.5, 3: 6.5 / 20, 7: 5.5 / 20})


def test_a_table_of_an_earlier_version_is_refused_and_made_again(tmp_path):
    write_study(tmp_path, study_settings(SUBJECTS), counts)
    path = tmp_path / "comparison.csv"
    path.write_text("family,quantity,a,b\ntested,mean difference,restarts single,step single\n")
    with pytest.raises(UserError) as refusal:
        _ = Results(tmp_path).comparison
    assert str(refusal.value).startswith(f"{path}: was made by an earlier version")
    assert f"run python -m eeg_sgdr.report {tmp_path}," in str(refusal.value)
    update(tmp_path)
    assert one(Results(tmp_path).comparison, comparison=FIRST, quantity="mean difference")["p"] == 12 / 16


def test_comparisons_need_names_of_their_own():
    twice = [{"name": "same", "a": {"schedule": "restarts"}, "b": {"schedule": "step"}}] * 2
    with pytest.raises(UserError, match="evaluation.comparisons: each needs a name of its own"):
        study_settings(SUBJECTS, evaluation={"comparisons": twice})


def test_the_baseline_is_a_rival_like_any_other(tmp_path):
    write_study(tmp_path, study_settings(SUBJECTS[:3]), counts)
    for label in SUBJECTS[:2]:
        write_baseline(folders.Study(tmp_path).subject(label).baseline("baseline"), n_wrong=2)
    table = update(tmp_path).comparison
    row = one(table, family="tested", quantity="mean difference", arm_b="baseline")
    # Restarts' last snapshots (M = 1 at 7 epochs) have 4.5 and 5.5 wrong.
    assert math.isclose(row["estimate"], np.mean([2 - 4.5, 2 - 5.5]) / 20)
    check(row, n_networks_b=0, epochs_spent_b=0, rates_b="", missing="subject 03")
    error = one(table, family="curve", quantity="median error", arm_a="baseline")
    assert math.isclose(error["estimate"], 0.1)
    assert error["n_seeds"] == 0


def test_one_subjects_failure_loses_no_other(tmp_path, monkeypatch, capsys):
    """The command goes on, names the one that failed, and the comparison says that it is missing."""
    out, labels = tmp_path / "results", SUBJECTS[:3]
    write_study(tmp_path / "made", study_settings(labels), counts)

    def prepare(source, label, settings, data_dir):
        if label == "02":
            raise UserError("subject 02: its recordings are damaged.")
        return label

    def write_trials(unit):
        shutil.copytree(folders.Study(tmp_path / "made").subject(unit.label).root, unit.folder.root)
        unit.missing, unit.missing_baselines = [], []

    for name, fake in {
        "jobs.units.prepare": prepare,
        "jobs.units.open_source": lambda *_: Mock(subjects=lambda: list(labels)),
        "pipeline.check": lambda unit, pool: unit.trials,
        "pipeline.warn_of_recordings": lambda *_: None,
        "pipeline.write_trials": write_trials,
        "reports.subject.subject_report": lambda *_: None,
    }.items():
        monkeypatch.setattr(f"eeg_sgdr.{name}", fake)
    command = ["--config", str(tmp_path / "made" / "config.yaml"), "--out", str(out), "--subject"]
    assert main([*command, "1"]) == 0
    assert not (out / "comparison.csv").exists()
    assert main([*command, "2", "3"]) == 2
    assert "damaged" in capsys.readouterr().err
    row = one(Results(out).comparison, comparison=FIRST, quantity="mean difference")
    check(row, n_units=2, missing="subject 02")


def diverged(root, loss):
    results = write_study(root, study_settings(SUBJECTS[:2], baseline=None), lambda *_: range(5))
    path = results.subject("01").folder.fit("step-b7-r0.05-s0").history
    history = pd.read_csv(path)
    history.loc[6, "loss"] = loss
    files.write_csv(path, history)
    evaluate(results.subject("01"), results.settings)
    return compare(results)


def test_trainings_above_guessing_are_counted_by_arm_and_rate(tmp_path):
    found = rows(diverged(tmp_path, loss=0.7).comparison, family="training")
    restarts = {("restarts", "0.025"): 0.0, ("restarts", "0.05"): 0.0}
    expected = {("step", "0.025"): 0.0, ("step", "0.05"): 0.5, **restarts}
    assert found.set_index(["arm_a", "rates_a"])["estimate"].to_dict() == expected
    assert (set(found["epochs_a"]), set(found["n_units"])) == ({7}, {2})


def test_ln_2_is_guessing_between_two_classes(tmp_path):
    assert not rows(diverged(tmp_path, loss=0.69).comparison, family="training")["estimate"].any()


def test_the_report_warns_before_it_answers(tmp_path):
    warned = page(diverged(tmp_path / "too_high", loss=0.7))
    text = visible(warned)
    assert text.index("above that of guessing: step at rate 0.05 (50.0 %)") < text.index("Verdicts:")
    assert "too high for this network" not in page(diverged(tmp_path / "fine", loss=0.69))


WRONG = {"step": {"01": 8, "10": 5}, "restarts": {"01": 4, "10": 6}}


@pytest.fixture
def paired(tmp_path):
    settings = study_settings(("01", "02", "10"), baseline=None)
    results = write_study(tmp_path, settings, lambda label, key, _: range(WRONG[key.schedule][label]), ["02"])
    return comparison(results), settings


def test_errors_of_both_sides_by_label(paired):
    found = pairs(*paired)
    # The fourth needs more seeds than there are: nothing has both sides.
    assert list(found) == [one.name for one in paired[1].evaluation.comparisons][: len(found)]
    pair = found[FIRST]
    assert (pair.a, pair.b) == ("restarts single", "step single")
    assert (pair.errors.index.name, *pair.errors.index) == ("subject", "01", "10")
    assert pair.errors["a"].to_list() == pytest.approx([0.2, 0.3])
    assert pair.errors["b"].to_list() == pytest.approx([0.4, 0.25])
    assert pair.difference == pytest.approx([0.2, -0.05])


def test_what_no_unit_has_is_left_out(paired):
    table, settings = paired
    assert pairs(table, settings.model_copy(update={"split": SubjectSplit(by="subject", folds=3)})) == {}


def test_slopes_go_from_b_to_a_in_percent(paired):
    panel = slopes(pairs(*paired)).axes[0]
    worse, better = (
        [line.get_ydata().tolist() for line in panel.lines if line.get_color() == colour]
        for colour in (COLOURS[1], COLOURS[0])
    )
    assert (worse, better) == ([pytest.approx([25, 30])], [pytest.approx([40, 20])])
    assert [text.get_text() for text in panel.get_xticklabels()] == ["step single", "restarts single"]


@pytest.mark.parametrize("seeding", ["unit", "shared"])
def test_trainings_of_a_unit_vary_between_seeds(tmp_path, seeding):
    wrong = {"01": (8, 3), "02": (6, 6), "03": (5, 5)}  # of 20, by seed; step has 4

    def counts(label, key, epoch):
        return range(4 if key.schedule == "step" else wrong[label][key.seed])

    settings = study_settings(wrong, seeds=(0, 1), rates=(0.05,))
    training = settings.training.model_copy(update={"seeding": seeding})
    settings = settings.model_copy(update={"training": training})
    results = write_study(tmp_path, settings, counts, missing=[("03", "restarts-b7-r0.05-s1")])
    tested = rows(comparison(results), family="tested", comparison=FIRST)
    spread = one(tested, quantity="standard deviation between trainings")
    # Variances of two values, half of their squared difference, over the subjects that have both.
    assert spread["estimate"] == pytest.approx(np.sqrt((25 / 2 + 0) / 2) / 20)
    of_seeds = rows(tested, quantity="mean difference of a seed")
    if seeding == "unit":
        assert of_seeds.empty
    else:
        assert of_seeds["unit"].tolist() == ["0", "1"]
        assert of_seeds["n_units"].tolist() == [3, 2]
        np.testing.assert_allclose(of_seeds["estimate"], [-7 / 3 / 20, -1 / 2 / 20])
