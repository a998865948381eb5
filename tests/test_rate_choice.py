"""Rates chosen inside the training part: the inner split, the choice, and what of a study it changes."""

import copy
import random
import shutil
import sys
from functools import cache

import killing
import numpy as np
import pandas as pd
import pytest
import small_study
import yaml
from sklearn.metrics import log_loss

from eeg_sgdr import pipeline, report, run, unit_seed
from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.validation import validation_trials
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators.trained import load_classifier
from eeg_sgdr.interop.moabb import to_moabb
from eeg_sgdr.jobs.tasks import make_fits
from eeg_sgdr.jobs.units import open_units, write_trials
from eeg_sgdr.reports import study as study_report
from eeg_sgdr.settings.plan import FitKey, schedule_of
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import load_results
from eeg_sgdr.training import loop
from eeg_sgdr.training.engines import Data

#: One process makes the studies once.
pytestmark = pytest.mark.xdist_group("rate choice")

RECORDINGS = {"source": "simulated", "n_subjects": 3, "n_runs": 3, "n_trials": 20}
SPLITS = {
    "run": {"by": "run", "test": ["03"]},
    "tail": {"by": "run", "test": ["03"]},
    "subject": {"by": "subject", "folds": [["1"], ["2"]]},
}
SEEDS = {"run": [5], "tail": [0, 5], "subject": [5]}
UNITS = {"run": ("--subject", "1-2"), "tail": ("--subject", "1"), "subject": ()}


def configuration(validation, **training):
    return small_study.configuration(
        recordings=RECORDINGS,
        split=None if validation == "subject" else SPLITS[validation],
        training={"rate_choice": {"validation": validation, "seeds": SEEDS[validation]}, **training},
        schedules={
            "step": {"kind": "step", "budgets": [2, 4]},
            "restarts": {"kind": "warm_restarts", "epochs": 4, "t_mult": 1, "initial_rates": [0.02, 0.1]},
        },
    ) | {"split": SPLITS[validation]}


def command(folder, out, changes, *options):
    path = folder / f"{out}.yaml"
    path.write_text(yaml.safe_dump(changes), encoding="utf-8")
    return ["--config", str(path), "--out", str(folder / out), "--jobs", "1",
            "--set", f"compute.data_dir={folder / 'data'}", *options]  # fmt: skip


@pytest.fixture(scope="module")
def study_of(tmp_path_factory):
    @cache
    def study_of(validation):
        folder = tmp_path_factory.mktemp(validation)
        assert run.main(command(folder, "out", configuration(validation), *UNITS[validation])) == 0
        return validation, folder, load_results(folder / "out")

    return study_of


@pytest.fixture(params=SPLITS)
def study(study_of, request):
    """A study by kind of validation, made once whatever the order of the tests."""
    return study_of(request.param)


def run_without_pages(arguments):
    """Run the command for what it trains and evaluates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_report", lambda results, subject: None)
        patch.setattr(study_report, "publish", lambda results: [])
        return run.main(arguments)


def independent_choice(root, n_seeds):
    """Chosen rates, from the folders of inner fits alone."""
    table = pd.read_csv(root / "rate_choice/trials.csv", dtype=str)
    assert set(table["split"]) == {"train", "validation"}
    scores = {}
    for path in (root / "rate_choice/fits").iterdir():
        arm, budget, rate, _ = path.name.split("-")
        stored = np.load(path / "predictions.npz")
        p, y = stored["probabilities"][-1].astype(float), stored["y"]
        assert stored["epochs"][-1] == int(budget[1:])
        assert (
            stored["trials"].astype(str).tolist() == table["trial"][table["split"] == "validation"].tolist()
        )
        p /= p.sum(axis=1, keepdims=True)
        score = np.mean(p.argmax(axis=1) != y), log_loss(y, p, labels=range(p.shape[1]))
        scores.setdefault((arm, int(budget[1:])), {}).setdefault(float(rate[1:]), []).append(score)
    means = {
        arm: {rate: tuple(np.round(np.mean(of_seeds, axis=0), 9)) for rate, of_seeds in rates.items()}
        for arm, rates in scores.items()
    }
    assert {len(of_seeds) for rates in scores.values() for of_seeds in rates.values()} == {n_seeds}
    return {arm: min(rates, key=lambda rate: (*rates[rate], rate)) for arm, rates in means.items()}


def test_chosen_rates_are_those_of_an_independent_reading(study):
    validation, _, results = study
    for subject in results.subjects:
        expected = independent_choice(subject.folder.root, len(SEEDS[validation]))
        assert subject.chosen == expected
        made = {(key.schedule, key.budget): key.rate for key in subject.fits}
        assert made == expected  # no other fit is made on the whole training part
    chosen = {rate for subject in results.subjects for rate in subject.chosen.values()}
    assert len(chosen) > 1


def test_tuned_rows_are_those_of_the_fit_at_the_chosen_rate(study):
    _, _, results = study
    assert set(results.evaluation["rates"].dropna()) == {"tuned", ""}
    for subject in results.subjects:
        for (arm, budget), rate in subject.chosen.items():
            stored = np.load(subject.folder.fit(FitKey(arm, budget, rate, 0).name).predictions)
            error = np.mean(stored["probabilities"][-1].argmax(axis=1) != stored["y"])
            rows = subject.overall.query(
                "schedule == @arm and budget == @budget and epoch == budget and members == 'single'"
            )
            assert rows["error"].tolist() == [error]
    if len(results.subjects) > 1:
        table = results.comparison.query("family == 'tested' and quantity == 'mean difference'")
        assert set(table["status"]) == {"ok"}
        assert set(table["epochs_tuning_a"]) == {4 * 2 * 1}  # epochs, rates, seeds


def test_temperatures_are_fitted_to_validation_trials_alone(study):
    validation, _, results = study
    subject = results.subjects[0]
    rate = subject.chosen["restarts", 4]
    for members, at in {"single": [-1], "cycles": [-2, -1]}.items():
        p, y = [], []
        for seed in SEEDS[validation]:
            name = FitKey("restarts", 4, rate, seed).name
            stored = np.load(subject.folder.root / "rate_choice/fits" / name / "predictions.npz")
            p.append(stored["probabilities"][at].mean(axis=0, dtype=float))
            y.append(stored["y"])
        p, y = np.concatenate(p), np.concatenate(y)

        def loss(temperature, p=p, y=y):
            powers = p ** (1 / temperature)
            return log_loss(y, powers / powers.sum(axis=1, keepdims=True), labels=range(p.shape[1]))

        of_last = subject.overall.query("schedule == 'restarts' and epoch == 4")
        (row,) = of_last[of_last["members"] == members].to_dict("records")
        grid = np.geomspace(0.1, 10, 400)
        assert loss(row["temperature"]) <= min(map(loss, grid)) + 1e-6
    assert subject.overall.query("members == 'averaged'")["temperature"].isna().all()
    if len(results.subjects) > 1:
        of_mean = results.comparison.query("quantity == 'mean temperature' and side == 'a'")
        assert (of_mean["estimate"] > 0).all()
        assert set(of_mean["status"]) == {"ok"}


def test_inner_fits_train_without_validation_and_test_trials(study):
    validation, folder, results = study
    subject = results.subjects[0]
    (path,) = subject.folder.root.glob("rate_choice/fits/step-b2-r0.025-s5")
    settings = config.validate(
        {**configuration(validation), "compute": {"data_dir": str(folder / "data")}}, "test"
    )
    (unit, *_) = open_units(settings, folders.Study(folder / "none"))
    x, y = (np.array(unit.trials.array(f"{name}_train")) for name in "xy")
    numbers = np.array(unit.trials.array("trials_train"))
    table = unit.trials.table.set_index("trial")
    if validation == "run":
        last = (table["run"] == "02").to_numpy()[numbers]
    elif validation == "tail":
        position = table.groupby("run").cumcount().to_numpy()[numbers]
        last = position >= 16
    else:
        subjects = table["subject"].to_numpy()[numbers]
        validating = set(subject.trials.query("split == 'train'")["subject"]) - {
            *pd.read_csv(path.parents[1] / "trials.csv", dtype=str).query("split == 'train'")["subject"]
        }
        assert len(validating) == 1
        last = np.isin(subjects, [*validating])
    assert 0 < last.sum() < len(last)
    fit = loop.fit(
        Data(x[~last], y[~last], x[last], 4, 100.0),
        settings.network,
        settings.training,
        schedule_of(FitKey("step", 2, 0.025, 5), settings),
        unit_seed(5, unit.label),
    )
    np.testing.assert_array_equal(
        fit.scores[2].probabilities, np.load(path / "predictions.npz")["probabilities"][0]
    )


def test_test_trials_of_noise_change_no_choice_and_no_weight(study, tmp_path):
    validation, folder, results = study
    settings = results.settings
    shutil.copytree(folder / "data", tmp_path / "data", symlinks=True)
    rng = np.random.default_rng(0)
    source = open_source(settings.recordings, tmp_path / "data")
    part = "train" if validation == "subject" else "test"
    # Of one fold or subject, as other folds train on the test subjects of this one.
    for label in results.subjects[0].test_subjects:
        trials = prepare(source, label, settings, tmp_path / "data")
        array = trials.array(f"x_{part}")
        np.save(trials.folder / f"x_{part}.npy", rng.normal(size=array.shape).astype(np.float32))
    option = "--fold" if validation == "subject" else "--subject"
    assert run_without_pages(command(tmp_path, "out", configuration(validation), option, "1")) == 0
    changed = load_results(tmp_path / "out")
    for subject in changed.subjects:
        before = results.fold(subject.label) if validation == "subject" else results.subject(subject.label)
        assert subject.folder.rates.read_bytes() == before.folder.rates.read_bytes()
        for path in before.folder.root.rglob("*.safetensors"):
            assert (
                subject.folder.root / path.relative_to(before.folder.root)
            ).read_bytes() == path.read_bytes()
        key = subject.done[0]
        assert not np.array_equal(
            subject.predictions(key)["probabilities"], before.predictions(key)["probabilities"]
        )


def fits(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("fit.json")}


def test_one_more_rate_arm_or_seed_trains_only_what_is_missing(study, tmp_path):
    validation, folder, results = study
    root = shutil.copytree(results.root, tmp_path / "copy")  # others read the study
    before = fits(root)
    earlier = {subject.folder.root.name: subject.chosen for subject in load_results(root).subjects}
    larger = configuration(validation, initial_rates=[0.025, 0.05, 0.2], seeds=[0, 1])
    larger["schedules"]["cosine"] = {"kind": "cosine", "budgets": [2]}
    same = ("--out", str(root), *UNITS[validation])
    assert run_without_pages(command(folder, "larger", larger, *same)) == 0
    after = fits(root)
    assert {path: after[path] for path in before} == before
    n = len(results.subjects)
    names = [path.parent.name for path in after.keys() - before.keys() if "rate_choice" in path.parts]
    # Two budgets at the new rate; the new arm has three rates.
    assert len(names) == n * (2 + 3) * len(SEEDS[validation])
    assert {name for name in names if name.startswith("step")} == {
        f"step-b{b}-r0.2-s{s}" for b in (2, 4) for s in SEEDS[validation]
    }
    for subject in load_results(root).subjects:
        was = earlier[subject.folder.root.name]
        wanted = {FitKey(*arm, rate, seed) for arm, rate in subject.chosen.items() for seed in (0, 1)}
        assert {*subject.fits} == wanted | {FitKey(*arm, rate, 0) for arm, rate in was.items()}


def test_a_finished_study_gets_a_choice_and_keeps_its_fits(tmp_path):
    plain = configuration("run")
    del plain["training"]["rate_choice"], plain["schedules"]["restarts"]["initial_rates"]
    assert run_without_pages(command(tmp_path, "out", plain, "--subject", "1-2")) == 0
    before = fits(tmp_path / "out")
    all_rates = copy.deepcopy(plain)
    all_rates["training"]["rate_choice"] = {"validation": "run", "outer": "all"}
    same = ("--out", str(tmp_path / "out"))
    assert run.main(command(tmp_path, "all", all_rates, "--subject", "1-2", *same)) == 0
    after = fits(tmp_path / "out")
    assert {path: after[path] for path in before} == before
    assert all("rate_choice" in path.parts for path in after.keys() - before.keys())
    results = load_results(tmp_path / "out")
    assert {"tuned", "0.025", "0.05", "0.025+0.05"} <= {*results.evaluation["rates"]}
    rows = results.comparison.query("family == 'rate choice' and quantity == 'test error'")
    assert len(rows) == 6
    assert rows["n_units"].eq(2).all()
    page = (tmp_path / "out/report.html").read_text()
    assert "Rates that were chosen" in page
    assert "Dotted: the error on the test trials" in page

    other = copy.deepcopy(plain)
    other["training"]["rate_choice"] = {"validation": "tail"}
    assert run.main(command(tmp_path, "other", other, "--subject", "1", *same)) == 2


def test_reports_and_classifiers_take_the_chosen_rate(study):
    _, _, results = study
    label = results.subjects[0].label
    of = {"fold": label} if results.subjects[0].fold else {"subject": label}
    classifier = load_classifier(results.root, **of, schedule="step", members="single")
    rate = results.subjects[0].chosen["step", 4]
    assert [snapshot.rate for snapshot in classifier.snapshots] == [rate]
    _, tuned = results.probabilities(**of, schedule="step", budget=4, rate="tuned")
    _, real = results.probabilities(**of, schedule="step", budget=4, rate=rate)
    np.testing.assert_array_equal(tuned, real)
    assert "step-b4-rtuned-e4-single" in set(to_moabb(results)["pipeline"])
    page = results.subjects[0].folder.report.read_text()
    assert "Rates that were chosen" in page
    assert "chosen inside the training part" in page
    before = (results.subjects[0].folder.evaluation).read_bytes()
    assert report.main([str(results.root)]) == 0
    assert (results.subjects[0].folder.evaluation).read_bytes() == before


@pytest.mark.crashes
def test_killed_at_random_it_ends_byte_equal(tmp_path):
    changes = copy.deepcopy(killing.STUDY) | {"recordings": RECORDINGS, "split": SPLITS["run"]}
    changes["training"] |= {"rate_choice": {"validation": "run"}, "initial_rates": [0.02, 0.1]}
    changes["schedules"] = {"step": {"kind": "step", "budgets": [7]},
                            "restarts": {"kind": "warm_restarts", "epochs": 7}}  # fmt: skip

    def arguments(out):
        options = ("--set", "compute.checkpoint_minutes=0", "--set", "baseline=null", "--subject", "1")
        options += ("--out", str(tmp_path / out / "small"))  # pages name the folder
        return [sys.executable, "-m", "eeg_sgdr.run", *command(tmp_path, out, changes, *options)]

    killing.run(arguments("undisturbed"))
    expected = killing.files(tmp_path / "undisturbed")
    rng = random.Random(7)
    for kind in ("write", "all", "first"):
        killing.kill(arguments("killed"), kind, rng.randrange(1, 12), tmp_path)
    killing.run(arguments("killed"))
    assert killing.differing(expected, killing.files(tmp_path / "killed")) == []


TABLE = pd.DataFrame(
    {
        "subject": ["1"] * 12 + ["2"] * 8,
        "session": ["a"] * 8 + ["b"] * 4 + ["a"] * 8,
        "run": ["1"] * 5 + ["2"] * 3 + ["1"] * 4 + ["1"] * 6 + ["2"] * 2,
        "rejected": [""] * 4 + ["BAD"] + [""] * 15,
    }
)


@pytest.mark.parametrize(
    ("validation", "expected"),
    [
        # Of runs of 4 (and one rejected), 3, 4, 6 and 2 trials: one, one, one, two and one.
        pytest.param("tail", [3, 7, 11, 16, 17, 19], id="tail"),
        pytest.param("run", [8, 9, 10, 11, 18, 19], id="run"),
    ],
)
def test_validation_trials_are_those_of_a_written_out_list(validation, expected):
    assert np.flatnonzero(validation_trials(TABLE, validation, 0)).tolist() == expected


def test_sessions_and_subjects_validate_or_say_why_they_cannot():
    of_first = TABLE[TABLE["subject"] == "1"]
    assert np.flatnonzero(validation_trials(of_first, "session", 0)).tolist() == [8, 9, 10, 11]
    with pytest.raises(UserError, match="subject 2 has one session to train on alone; give tail"):
        validation_trials(TABLE, "session", 0)
    assert set(TABLE["subject"][validation_trials(TABLE, "subject", 0)]) in ({"1"}, {"2"})
    with pytest.raises(UserError, match="subject 1 alone is left to train on"):
        validation_trials(of_first, "subject", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rate_choice": {"validation": "subject"}},
            "subject needs split.by subject; give run, session or tail",
        ),
        ({"rate_choice": {"validation": "run", "seeds": []}}, "training.rate_choice.seeds"),
        ({"rate_choice": {"validation": "never"}}, "training.rate_choice.validation"),
    ],
)
def test_choices_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        config.validate(configuration("run", **changes), "test")


@pytest.mark.parametrize(
    ("rates", "choice", "message"),
    [
        ("tuned", None, "is of tuned rates, but none are chosen; set training.rate_choice"),
        ("each", {"validation": "run"}, "needs fits at every rate; set training.rate_choice.outer to all"),
        ("all", {"validation": "run"}, "needs fits at every rate; set training.rate_choice.outer to all"),
    ],
)
def test_sides_whose_rates_are_not_trained_are_refused(rates, choice, message):
    data = configuration("run", rate_choice=choice)
    data["schedules"]["restarts"].pop("initial_rates")
    side = {"rates": rates, "budget": 4}
    one = {"name": "one", "a": {"schedule": "restarts", **side}, "b": {"schedule": "step", **side}}
    data["evaluation"] = {"comparisons": [one]}
    with pytest.raises(UserError, match=message):
        config.validate(data, "test")


def test_failed_inner_fits_are_not_chosen(tmp_path):
    data = configuration("run", rate_choice={"validation": "run"}, initial_rates=[0.02, 1e20], momentum=0.0)
    data["schedules"]["restarts"]["initial_rates"] = [1e20, 1e21]
    data["evaluation"] = {"reference": {"schedule": "step", "budget": 2, "rate": "tuned"}}
    assert run.main(command(tmp_path, "out", data, "--subject", "1")) == 2
    subject = load_results(tmp_path / "out").subject(1)
    assert subject.chosen == {("step", 2): 0.02, ("step", 4): 0.02}
    assert {key.rate for key in subject.fits} == {0.02}


def test_inner_fits_may_be_shared_out_and_are_made_once(tmp_path):
    data = configuration("run", rate_choice={"validation": "run"})
    settings = config.validate({**data, "compute": {"data_dir": str(tmp_path / "data")}}, "test")
    (unit,) = open_units(settings, folders.Study(tmp_path / "out"), ["1"])
    for one in (unit, unit.inner):
        write_trials(one)
    key, inner = unit.inner.missing[0], unit.inner
    assert make_fits([key], inner.settings, inner.trials, inner.folder, tmp_path) == []
    before = inner.folder.fit(key.name).fit.stat().st_mtime_ns
    assert run.main(command(tmp_path, "out", data, "--subject", "1")) == 0
    assert inner.folder.fit(key.name).fit.stat().st_mtime_ns == before
