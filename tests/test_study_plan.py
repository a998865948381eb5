"""plan.yaml: written before the first fit, the same however a study is run, and what came later is said."""

import math

import pytest
from pages import visible
from results_folder import across, one, study_settings, write_study, wrong_at_end

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation.comparison import update
from eeg_sgdr.evaluation.departures import departures
from eeg_sgdr.jobs.units import open_units
from eeg_sgdr.reports.study import page
from eeg_sgdr.storage import folders, records, study_plan
from eeg_sgdr.storage.results import Results

SUBJECTS = ("01", "02", "03")
SETTINGS = study_settings(SUBJECTS)
PLAN = study_plan.planned(SETTINGS, SUBJECTS)
WRONG = wrong_at_end({"01": 8, "02": 6, "03": 5, "04": 4}, {"01": 4, "02": 5, "03": 6, "04": 4})
LATER = {"name": "later", "a": {"schedule": "step", "budget": 3}, "b": {"schedule": "restarts"}}


def with_comparisons(*comparisons):
    return {"comparisons": [one.model_dump() for one in SETTINGS.evaluation.comparisons] + [*comparisons]}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (SETTINGS, {}),
        (study_settings(SUBJECTS[:1]), {}),  # who is missing yet is no departure
        (study_settings(["1", *SUBJECTS[1:]]), {}),
        (study_settings([*SUBJECTS, "04"]), {"subjects": ("04",)}),
        (study_settings(SUBJECTS, seeds=(0, 3)), {"seeds": (3,)}),
        (
            study_settings(SUBJECTS, rates=(0.025, 0.05, 0.1)),
            {"rates": {"step": (0.1,), "restarts": (0.1,)}},
        ),
        (study_settings(SUBJECTS, budgets=(1, 3, 5, 7)), {"schedules": ("step",)}),
        (study_settings(SUBJECTS, evaluation=with_comparisons(LATER)), {"comparisons": ("later",)}),
        (study_settings(SUBJECTS, evaluation={"margin": 2}), {"margin": True}),
        (study_settings(SUBJECTS, evaluation={"batch_norm_statistics": "running"}), {"metric": True}),
    ],
)
def test_what_came_later_is_named(settings, expected):
    found = departures(PLAN, settings)
    named = {name: value for name, value in vars(found).items() if value}
    assert named == expected


def test_a_planned_comparison_may_have_another_name_and_one_that_went_is_named():
    first, *others = SETTINGS.evaluation.comparisons
    renamed = {"comparisons": [first.model_copy(update={"name": "mine"}).model_dump()]}
    found = departures(PLAN, study_settings(SUBJECTS, evaluation=renamed))
    assert found.comparisons == ()
    assert found.dropped == tuple(one.name for one in others)


def study(root, plan=PLAN, settings=SETTINGS):
    """A study that was planned, and then went on to be of other settings."""
    if plan:
        study_plan.record(plan, folders.Study(root))
    write_study(root, settings, WRONG)
    records.write_settings(folders.Study(root).config, settings)
    update(root)
    return Results(root)


def test_as_planned_everything_is_tested(tmp_path):
    results = study(tmp_path)
    assert results.plan == PLAN
    tested = results.comparison.query("family == 'tested'")
    assert set(tested["planned"]) == {"yes"}
    assert "As planned (plan.yaml, written before the first fit, SHA-256" in visible(page(results))


def test_without_a_plan_the_page_says_so_and_tests(tmp_path):
    results = study(tmp_path, plan=None)
    assert "There is no plan (plan.yaml)" in visible(page(results))
    tested = results.comparison.query("family == 'tested' and quantity == 'mean difference'")
    assert set(tested["planned"].fillna("")) == {""}
    assert tested["p_holm"].notna().any()


def test_people_and_seeds_that_came_later_are_tested_and_named(tmp_path):
    results = study(tmp_path, settings=study_settings([*SUBJECTS, "04"], seeds=(0, 1)))
    text = visible(page(results))
    assert "Added to the plan (plan.yaml, written before the first fit, SHA-256" in text
    assert "and tested with what was in it: subject 04; seed 1." in text
    row = one(
        results.comparison, comparison="restarts against step at equal epochs", quantity="mean difference"
    )
    assert (row["planned"], row["n_units"]) == ("yes", 4)
    assert row["p_holm"] <= 1


def test_a_comparison_that_came_later_is_described(tmp_path):
    before = study(tmp_path / "before").comparison
    results = study(tmp_path / "now", settings=study_settings(SUBJECTS, evaluation=with_comparisons(LATER)))
    row = one(results.comparison, comparison="later", quantity="mean difference")
    assert (row["planned"], row["verdict"]) == ("no", "")
    assert results.comparison.query("comparison == 'later'")["p"].isna().all()
    assert row["low"] < row["estimate"] < row["high"]
    assert "described and not tested: the comparison “later”." in visible(page(results))
    # It is not counted in the correction of the others.
    of_first = {"comparison": "restarts against step at equal epochs", "quantity": "mean difference"}
    assert one(results.comparison, **of_first)["p_holm"] == one(before, **of_first)["p_holm"]


def test_another_margin_or_metric_is_described(tmp_path):
    results = study(tmp_path / "margin", settings=study_settings(SUBJECTS, evaluation={"margin": 90}))
    first = {"comparison": "restarts against step at equal epochs"}
    assert math.isnan(one(results.comparison, **first, quantity="equivalence")["p_holm"])
    row = one(results.comparison, **first, quantity="mean difference")
    assert (row["planned"], row["verdict"]) == ("yes", "undecided"), "within 90 points, which was not planned"
    assert "described and not tested: the margin." in visible(page(results))
    running = study_settings(SUBJECTS, evaluation={"batch_norm_statistics": "running"})
    table = study(tmp_path / "metric", settings=running).comparison
    assert table["p_holm"].isna().all()


def test_a_plan_is_kept_once_there_is_a_fit_and_not_before(tmp_path):
    made = folders.Study(tmp_path)
    other = study_plan.planned(study_settings(SUBJECTS, seeds=(7,)), SUBJECTS)
    for plan in (other, PLAN):
        study_plan.record(plan, made)
        assert study_plan.read(made) == plan
    write_study(tmp_path, SETTINGS, WRONG)
    study_plan.record(other, made)
    assert study_plan.read(made) == PLAN


def test_a_longer_budget_makes_another_comparison_of_a_side_without_one():
    named = {"comparisons": [{"name": "longest", "a": {"schedule": "restarts"}, "b": {"schedule": "step"}}]}
    before = study_settings(SUBJECTS, evaluation=named)
    grown = study_settings(SUBJECTS, budgets=(1, 3, 7, 15), evaluation=named)
    found = departures(study_plan.planned(before, SUBJECTS), grown)
    assert (found.schedules, found.comparisons, found.dropped) == (("step",), ("longest",), ("longest",))


@pytest.mark.parametrize("begun", ["fits/step-b3-r0.05-s0", "rate_choice/fits/step-b3-r0.05-s0", "baseline"])
def test_a_plan_is_kept_while_a_first_fit_is_under_way(tmp_path, begun):
    made = folders.Study(tmp_path)
    study_plan.record(PLAN, made)
    (made.subject("01").root / begun).mkdir(parents=True)
    study_plan.record(study_plan.planned(study_settings(SUBJECTS, seeds=(7,)), SUBJECTS), made)
    assert study_plan.read(made) == PLAN
    made.plan.write_text("seeds: [7]\n")
    with pytest.raises(UserError, match="was changed since it was written"):  # before anything is trained
        study_plan.record(PLAN, made)


def test_an_older_folder_gets_no_plan_afterwards(tmp_path):
    write_study(tmp_path, SETTINGS, WRONG)
    study_plan.record(PLAN, folders.Study(tmp_path))
    assert Results(tmp_path).plan is None


def test_a_plan_that_was_changed_is_refused(tmp_path):
    study_plan.record(PLAN, folders.Study(tmp_path))
    path = tmp_path / "plan.yaml"
    path.write_text(path.read_text().replace("margin: 1.0", "margin: 9.0"))
    with pytest.raises(UserError, match=r"plan\.yaml: was changed since it was written; restore it"):
        study_plan.read(folders.Study(tmp_path))


def test_a_plan_that_was_changed_and_signed_again_is_refused_where_it_was_compared(tmp_path):
    results = study(tmp_path)
    path = folders.Study(tmp_path).plan
    text = "".join(path.read_text().splitlines(keepends=True)[:-1])
    path.write_text(records.signed(text.replace("margin: 1.0", "margin: 9.0")))
    with pytest.raises(UserError, match="was changed since it was written"):
        study_plan.read(folders.Study(results.root))


@pytest.mark.parametrize(
    ("subjects", "asked", "expected"),
    [
        ("all", ["2"], ["01", "02", "03"]),
        (["1-2", "7"], ["2"], ["01", "02", "7"]),  # 7 is not there yet
        (["3", "1"], None, ["03", "01"]),
    ],
)
def test_it_names_whom_the_configuration_names_whoever_is_asked_for(tmp_path, subjects, asked, expected):
    recordings = {"source": "simulated", "n_subjects": 3, "n_runs": 2, "n_trials": 12, "subjects": subjects}
    settings = study_settings(SUBJECTS).model_dump(mode="json")
    settings = config.validate({**settings, "recordings": recordings}, "test")
    for unit in open_units(settings, folders.Study(tmp_path), asked):
        assert list(unit.study_plan.subjects) == expected


def test_across_subjects_folds_are_planned():
    settings = across(SETTINGS, folds=3, seed=0)
    assert study_plan.planned(settings, SUBJECTS).unit == "fold"
    assert study_plan.planned(settings, SUBJECTS).split == {"by": "subject", "folds": 3, "seed": 0}
