"""Cross-validation within a person: folds of runs, pooled per person, from trials to the study's page."""

import re
import shutil
from pathlib import Path

import eeg_formats
import mne
import numpy as np
import pandas as pd
import pytest
from conftest import make_raw, make_settings
from pages import check_numbers, visible
from scipy.stats import binomtest
from test_leakage import relabelled

from eeg_sgdr import report, run, to_moabb, unit_seed
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.folds import HeldOutTrials, leave_one_out
from eeg_sgdr.data.sources import Recording, Run, Source
from eeg_sgdr.dry_run import forecast
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators.trained import load_classifier
from eeg_sgdr.evaluation.comparison import update
from eeg_sgdr.evaluation.rate_choice import fits_asked_for
from eeg_sgdr.jobs.units import open_units
from eeg_sgdr.pipeline import describe_recordings, train
from eeg_sgdr.schedules import Step
from eeg_sgdr.settings.plan import FitKey, schedule_of
from eeg_sgdr.storage import folders, study_plan
from eeg_sgdr.storage.results import load_results
from eeg_sgdr.training import baseline
from eeg_sgdr.training.loop import Data, fit

pytestmark = pytest.mark.xdist_group("cross-validation")

PEOPLE, RUNS = ["1", "2"], ["1", "2", "3"]
KEY = FitKey("restarts", 3, 0.05, 0)


class Runs(Source):
    """Three runs of each person; only the files tell which."""

    def __init__(self, path, people=PEOPLE, n_trials=8, change=lambda raw, run: raw):
        self.path = path
        for person in people:
            for number in RUNS:
                raw = change(make_raw(n_trials, seed=10 * int(person) + int(number)), int(number))
                raw.save(path / f"{person}_{number}_raw.fif", verbose="error")

    def subjects(self):
        return PEOPLE

    def files(self, subject):
        return {path.name: path for path in sorted(self.path.glob(f"{subject}_*_raw.fif"))}

    def recordings(self, subject):
        for path in self.files(subject).values():
            yield Recording(subject, "0", path.name[2], mne.io.read_raw_fif(path, verbose="error"))


def noisy(raw, run):
    """Noise, so that networks err."""
    raw._data += np.random.default_rng(run).normal(scale=8e-5, size=raw._data.shape)
    return raw


def cross_validated(data_dir):
    settings = make_settings(
        recordings={"subjects": PEOPLE},
        split={"by": "run", "test": None, "folds": "each"},
        training={"rate_choice": {"validation": "run", "outer": "all"}},
        schedules={"step": {"kind": "step", "budgets": [3]}},
        compute={"data_dir": str(data_dir)},
    )
    assert settings.cross_validated
    return settings


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("recordings"), change=noisy)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return cross_validated(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _open(source, monkeypatch):
    monkeypatch.setattr("eeg_sgdr.jobs.units.open_source", lambda *_: source)


@pytest.fixture(scope="module")
def study(source, settings, tmp_path_factory):
    made = folders.Study(tmp_path_factory.mktemp("results"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eeg_sgdr.jobs.units.open_source", lambda *_: source)
        assert train(open_units(settings, made), made, n_jobs=1, debug=True) == []
    return made


def test_a_fold_s_trials_are_those_of_a_fixed_test_set(source, settings):
    whole = prepare(source, "1", settings, settings.compute.data_folder)
    folds = leave_one_out(RUNS, "1", "run")
    views = [HeldOutTrials(whole, fold, "run") for fold in folds]
    for view, fold in zip(views, folds, strict=True):
        fixed_set = make_settings(split={"by": "run", "test": list(fold.test)})
        fixed = prepare(source, "1", fixed_set, settings.compute.data_folder)
        for part in ("train", "test"):
            for name in ("x", "y", "trials", "band"):
                np.testing.assert_array_equal(view.array(f"{name}_{part}"), fixed.array(f"{name}_{part}"))
        pd.testing.assert_frame_equal(view.table, fixed.table)
        np.testing.assert_array_equal(view.summary["covariance"], fixed.summary["covariance"])
    assert len({view.info["fingerprint"] for view in [whole, *views]}) == 4
    assert [view.title for view in views] == [f"subject 1, fold {number}" for number in (1, 2, 3)]


def test_every_trial_is_tested_once_by_networks_of_other_runs(study):
    results = load_results(study.root)
    assert [person.label for person in results.subjects] == PEOPLE
    for person in results.subjects:
        assert person.data["folds"] == RUNS
        tested = []
        for fold, held_out in zip(person.folds, RUNS, strict=True):
            trials = pd.read_csv(fold.folder.trials, dtype=str)
            of = {part: trials[trials["split"] == part] for part in ("train", "test")}
            assert set(of["test"]["run"]) == {held_out}
            assert set(of["train"]["run"]) == {*RUNS} - {held_out}
            for key in fold.done:
                assert fold.predictions(key)["trials"].astype(str).tolist() == of["test"]["trial"].tolist()
            inner = pd.read_csv(fold.folder.rate_choice.trials, dtype=str)
            assert set(inner["run"]) == {*RUNS} - {held_out}
            tested += of["test"]["trial"].tolist()
        assert tested == [str(number) for number in range(24)]


def test_a_person_s_error_is_over_all_trials_within_a_seed(study):
    results = load_results(study.root)
    for person in results.subjects:
        y = np.concatenate([fold.predictions(KEY)["y"] for fold in person.folds])
        chosen = [fold.trained(FitKey("step", 3, "tuned", 0)) for fold in person.folds]
        assert person.evaluation["error"].nunique() > 3
        by_hand = {
            ("restarts", 3, "0.05"): [fold.predictions(KEY)["probabilities"][-1] for fold in person.folds],
            ("restarts", 1, "0.05"): [fold.predictions(KEY)["probabilities"][0] for fold in person.folds],
            ("step", 3, "tuned"): [
                fold.predictions(key)["probabilities"][-1]
                for fold, key in zip(person.folds, chosen, strict=True)
            ],
            ("baseline", 0, ""): [fold.baseline_probabilities("baseline") for fold in person.folds],
        }
        table = person.evaluation.set_index(["schedule", "epoch", "rates", "budget", "members"])
        assert (table["n_test"] == 24).all()
        assert not table.index.duplicated().any()
        for (schedule, epoch, rates), predicted in by_hand.items():
            budget, members = (0, "baseline") if schedule == "baseline" else (3, "single")
            error = (np.concatenate(predicted).argmax(axis=1) != y).mean()
            assert table.loc[(schedule, epoch, rates, budget, members), "error"] == error
        scaled = [fold.evaluation.query("rates == 'tuned' and members == 'single'") for fold in person.folds]
        expected = np.mean([one["nll_scaled"] for one in scaled], axis=0)  # folds have as many trials each
        found = person.evaluation.query("rates == 'tuned' and members == 'single'")["nll_scaled"]
        np.testing.assert_allclose(found, expected)
        _, stored = results.probabilities(person.label, "step", 3, "tuned")
        np.testing.assert_array_equal(stored[-1], np.concatenate(by_hand["step", 3, "tuned"]))


def test_every_fold_has_seeds_of_its_own(study, source, settings):
    fold = load_results(study.root).fold(2, "1")
    whole = prepare(source, "1", settings, settings.compute.data_folder)
    trials = HeldOutTrials(whole, leave_one_out(RUNS, "1", "run")[1], "run")
    data = Data(*(trials.array(name) for name in ("x_train", "y_train", "x_test")), 2, 100.0)
    schedule, stored = schedule_of(KEY, settings), fold.predictions(KEY)["probabilities"][-1]

    def again(label):
        seed = unit_seed(0, label)
        return fit(data, settings.network, settings.training, schedule, seed).scores[3].probabilities

    np.testing.assert_array_equal(again("1/2"), stored)
    assert not np.array_equal(again("1/1"), stored)


def test_people_are_the_units_of_the_study(study):
    results = load_results(study.root)
    tested = results.comparison.query("family == 'tested' and quantity == 'mean difference'")
    assert set(tested["n_units"]) == {2}
    assert set(tested["unit_kind"]) == {"subject"}
    assert set(tested["status"]) == {"ok"}
    page = study.report.read_text()
    check_numbers(page, results.comparison)
    assert "Complete: no fit is missing of any subject or seed of the configuration (2 subj" in visible(page)
    assert set(to_moabb(results)["samples_test"]) == {24}
    assert set(to_moabb(results)["samples"]) == {16}


def test_a_person_s_page_counts_all_trials_and_lists_the_folds(study):
    person = load_results(study.root).subject("1")
    html = person.folder.report.read_text()
    text = visible(html)
    assert "Of 24 test trials of subject 1, the network trained with" in text
    assert "Each of the 3 runs (1, 2, 3) was held out once" in text
    assert "and every fold of a subject derives seeds of its own" in text
    assert "Chosen in % of folds" in text
    row = person.evaluation.query("schedule == 'step' and epoch == 3 and rates == 'tuned'").iloc[0]
    assert re.search(rf"the step schedule[^;]* was wrong on {round(24 * row['error'])} \(", text)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html[html.index("Run that tests") :])
    by_row = [cells[i : i + 4] for i in range(0, 24, 6)]
    assert by_row == [*([number, number, "16", "8"] for number in RUNS), ["all", "", "", "24"]]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("evaluation.csv")}


def test_what_is_missing_is_made_and_nothing_else(study, settings, tmp_path, capsys):
    root = shutil.copytree(study.root, tmp_path / "results")
    before = {path.relative_to(root): content for path, content in contents(root).items()}
    again = folders.Study(root)
    fold = again.subject("2").fold("3")
    shutil.rmtree(fold.root)
    assert report.main([str(root)]) == 2
    assert "subject 2: no fit is done in all of its folds; run it again." in capsys.readouterr().err
    comparison = load_results(root).comparison
    assert set(comparison.query("quantity == 'mean difference'")["missing"]) == {"subject 2"}
    (unit,) = open_units(settings, again, ["2"], ["3"])
    assert unit.folder.root == fold.root
    assert train([unit], again, n_jobs=1, debug=True) == []
    assert {path.relative_to(root): content for path, content in contents(root).items()} == before
    # A fit of one fold: the person lacks it.
    key = FitKey("step", 3, 0.025, 0)
    shutil.rmtree(fold.fit(key.name).root)
    update(root)
    asked_for = fits_asked_for(load_results(root).subject("2"), settings)
    assert [name for name, there in asked_for.items() if not there] == [f"folds/03/{key.name}"]
    evaluation = load_results(root).subject("2").evaluation
    assert len(evaluation.query("schedule == 'step' and rates == '0.05'")) == 1
    assert evaluation.query("schedule == 'step' and rates == '0.025'").empty
    assert [unit.missing for unit in open_units(settings, again, ["2"])] == [[], [], [key]]


def test_recordings_are_warned_of_once_a_person(study, settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("eeg_sgdr.pipeline.mains_warning", lambda summary: "it hums.")
    again = folders.Study(shutil.copytree(study.root, tmp_path / "results"))
    assert train(open_units(settings, again), again, n_jobs=1, debug=True) == []
    assert describe_recordings(open_units(settings, again), again, debug=True) == []
    said = [line for line in capsys.readouterr().err.splitlines() if "hums" in line]
    assert said == 2 * [f"subject {person}: it hums." for person in PEOPLE]


def test_who_has_one_run_alone_is_refused_and_the_others_are_made(
    study, settings, source, tmp_path, monkeypatch
):
    runs = {"1": RUNS, "2": ["1"]}
    monkeypatch.setattr(source, "runs", lambda one: [Run("0", number) for number in runs[one]], raising=False)
    again = folders.Study(shutil.copytree(study.root, tmp_path / "results"))
    units = open_units(settings, again)
    assert [unit.title for unit in units] == [*(f"subject 1, fold {fold}" for fold in RUNS), "subject 2"]
    before = again.subject("1").report.stat().st_mtime_ns
    said = (
        "split.folds: subject 2 has one run alone (1), so none is left to train on; leave it out, or change"
    )
    assert [problem[: len(said)] for problem in train(units, again, n_jobs=1, debug=False)] == [said]
    assert again.subject("1").report.stat().st_mtime_ns > before


def test_a_plan_is_kept_once_a_fold_has_begun(study, tmp_path):
    root = shutil.copytree(study.root, tmp_path / "results")
    plan = load_results(root).plan
    study_plan.record(plan.model_copy(update={"margin": 5.0}), folders.Study(root))
    assert load_results(root).plan == plan


def test_a_fold_s_networks_are_loaded_by_person_and_fold(study, source):
    classifier = load_classifier(study.root, subject="1", fold=2, schedule="restarts", rate=0.05)
    raw = list(source.recordings("1"))[1].raw
    fold = load_results(study.root).fold(2, "1")
    stored = fold.probabilities(KEY, "recomputed")[3]
    np.testing.assert_array_equal(classifier.predict_proba(raw), stored.astype(float))


@pytest.mark.parametrize(
    ("whose", "message"),
    [
        ({"subject": "1"}, "subject 1 has networks of its own in each of 3 folds; name a fold, too"),
        ({"fold": 1}, "name a subject, and a fold for the networks of one"),
        ({"subject": "1", "fold": 4}, r"has no fold 4 of subject 1; run it first \(--subject 1 --fold 4\)"),
    ],
)
def test_networks_are_those_of_one_fold(study, whose, message):
    with pytest.raises(UserError, match=message):
        load_classifier(study.root, **whose, schedule="restarts")


def test_a_dry_run_counts_folds_and_downloads_nothing(study, settings, tmp_path, source, monkeypatch):
    there = " ".join(forecast(open_units(settings, study), jobs=1))
    assert "No fit is missing of 6 folds of 2 subjects." in there
    units = open_units(settings, folders.Study(tmp_path), offline=True)
    with pytest.raises(UserError, match="subject 1: its runs, and so its folds, are not known before"):
        list(forecast(units, jobs=1))
    monkeypatch.setattr(source, "local_recordings", lambda one: list(source.recordings(one)), raising=False)
    said = " ".join(forecast(open_units(settings, folders.Study(tmp_path), offline=True), jobs=1))
    assert "Subject 1, fold 1: 16 training trials of 1 crop" in said
    assert "8 test trials" in said
    assert "Of 5 folds of 2 subjects the trials are not known here" in said


def network(trials, settings):
    data = Data(trials.array("x_train"), trials.array("y_train"), trials.array("x_test"), 2, 100.0)
    return fit(data, settings.network, settings.training, Step(0.05, 4), seed=0).scores[4].probabilities


def classical(trials, settings):
    model = baseline.fit(trials.array("band_train"), trials.array("y_train"))
    return baseline.predict_proba(model, trials.array("band_test"))


def n_right(predict, settings, path, change=lambda raw, run: raw):
    path.mkdir()
    whole = prepare(Runs(path, ["1"], 12, change), "1", settings, settings.compute.data_folder)
    folds = [HeldOutTrials(whole, fold, "run") for fold in leave_one_out(RUNS, "1", "run")]
    return sum((predict(one, settings).argmax(axis=1) == one.array("y_test")).sum() for one in folds)


@pytest.mark.parametrize("predict", [network, classical])
def test_permuted_labels_end_at_chance(predict, settings, tmp_path):
    assert binomtest(n_right(predict, settings, tmp_path / "true"), 36, 0.5, "greater").pvalue < 0.001
    permuted = [
        n_right(predict, settings, tmp_path / str(i), lambda raw, run, i=i: relabelled(raw, [i, run]))
        for i in range(5)
    ]
    assert np.mean(permuted) == pytest.approx(18, abs=4)  # three standard errors
    assert max(permuted) < 18 + 9


def test_the_shipped_study_of_edf_files_is_run_as_the_files_are(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    cues = {1: "OVTK_GDF_Right", 2: "OVTK_GDF_Tongue"}
    events = [(sample, cues[code]) for sample, code in eeg_formats.EVENTS]
    for number, name in enumerate(("001", "002", "003", "Test4")):
        path = Path("ds003810/edf05", name, "eeg.edf")
        path.parent.mkdir(parents=True)
        eeg_formats.write_edf(path, eeg_formats.made(number), "", events)
    eog = "recordings.channel_types={EOG: eog}"
    command = ["--config", "ds003810", "--only", "data", "--out", "out", "--set", eog]
    assert run.main([*command, "--set", "recordings.units=null"]) == 2
    said = capsys.readouterr().err
    assert "give the unit of its samples as recordings.units (uV?)" in said
    assert not Path("out").exists()
    assert run.main(command) == 0
    (person,) = load_results("out").subjects
    assert (person.label, person.data["folds"]) == ("05", ["002", "003", "Test4"])
    assert len(person.trials) == len(person.tested) == 3 * len(eeg_formats.EVENTS)
