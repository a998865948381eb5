"""to_moabb: the scores of the tables, in a form that MOABB's statistics and plots take."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from documents import block
from moabb.analysis import Results, compute_dataset_statistics, find_significant_differences
from moabb.datasets.fake import FakeDataset
from moabb.evaluations import WithinSessionEvaluation
from moabb.paradigms import LeftRightImagery
from results_folder import N_TEST, across, study_settings, write_baseline, write_folds, write_study
from scipy.stats import norm
from sklearn.dummy import DummyClassifier

from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation.comparison import update
from eeg_sgdr.interop.moabb import to_moabb
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import load_results

SUBJECTS = ("01", "02", "03", "04")
STEP = {"schedule": "step", "members": "single", "rates": "all", "seeds": 2}
BOTH_SEEDS = {"name": "both seeds", "a": STEP, "b": {**STEP, "schedule": "restarts", "members": "cycles"}}
STUDY = {"seeds": (0, 1), "epochs": 15, "budgets": (15,), "baseline": None}
SETTINGS = study_settings(SUBJECTS, evaluation={"comparisons": [BOTH_SEEDS]}, **STUDY)
A, B = "restarts-b15-r0.05-e15-single", "step-b15-r0.05-e15-single"


def wrong(label, key, epoch):
    spread = np.random.default_rng([int(label), key.seed, epoch]).integers(3)
    return np.arange(6 - int(label) // 2 + (epoch < 7) + 2 * (key.schedule == "step") + spread)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), SETTINGS, wrong)


@pytest.fixture(scope="module")
def table(results):
    return to_moabb(results)


def test_columns_are_those_of_moabb_s_own_results(table, tmp_path):
    store_of = Results(WithinSessionEvaluation, LeftRightImagery, hdf5_path=str(tmp_path))
    theirs = {"dataset": FakeDataset(n_subjects=1), "subject": 1, "session": "0", "pipeline": "a"}
    numbers = {"score": 0.5, "time": 1.0, "n_samples": 1, "n_samples_test": 1, "n_classes": 2}
    store_of.add({"a": {**theirs, **numbers, "n_channels": 3}}, {"a": DummyClassifier()}, None)
    expected = store_of.to_dataframe()
    assert [name for name in table.columns if name in expected.columns] == list(expected.columns)
    for name, column in expected.items():
        assert (column.dtype.kind in "fi") == (table[name].dtype.kind in "fi"), name


def test_scores_are_one_less_the_mean_error_over_seeds(table, results):
    evaluation = results.evaluation.query("n_snapshots > 1 or members != 'cycles'")
    which = ["subject", "schedule", "budget", "epoch", "rates", "members"]
    for averaged, rows in evaluation.groupby(evaluation["seeds"].str.contains("+", regex=False)):
        expected = 1 - rows.groupby(which)["error"].mean()
        ours = table[table["pipeline"].str.endswith("-2seeds") == averaged]
        assert len(ours) == len(expected) > 0
        np.testing.assert_allclose(ours.set_index(which)["score"].loc[expected.index], expected)
        assert set(ours["n_seeds"]) == {2}
    assert table["score"].nunique() > 5


def test_pipelines_are_named_as_folders_are(table):
    names, ensemble = set(table["pipeline"]), "restarts-b15-r0.025+0.05-e15-cycles"
    assert len(names) * len(SUBJECTS) == len(table)
    assert {A, B, ensemble, "step-b15-r0.025+0.05-e15-single-2seeds"} < names
    row = table[table["pipeline"] == ensemble].iloc[0]
    assert row[["schedule", "members", "rates"]].tolist() == ["restarts", "cycles", "0.025+0.05"]
    # Half a second an epoch, at both rates; two seeds of it at once are twice as long.
    assert row[["n_networks", "epochs_spent", "time"]].tolist() == [4, 30, 15]
    assert set(table.loc[table["pipeline"].str.endswith("2seeds"), "time"]) == {30}


def test_what_is_said_of_recordings(table):
    assert set(table["subject"]) == set(SUBJECTS)
    said = {"samples": 12, "samples_test": N_TEST, "n_classes": 2, "session": "0", "channels": 8}
    for name, value in {**said, "n_sessions": 1, "dataset": "small"}.items():
        assert set(table[name]) == {value}


@pytest.fixture
def plotting():
    """MOABB's plots; importing them changes matplotlib's settings."""
    with plt.rc_context():
        from moabb.analysis import plotting

        yield plotting
    plt.close("all")


def test_moabb_s_statistics_and_plots_take_it(table, plotting):
    chosen = table.query("epoch == 15")
    statistics = compute_dataset_statistics(chosen)
    p, effect = find_significant_differences(statistics)
    names = set(chosen["pipeline"])
    assert set(p.index) == set(p.columns) == set(effect.columns) == names
    scores = chosen.pivot_table(index="subject", columns="pipeline", values="score")
    difference = scores[A] - scores[B]
    assert effect.loc[A, B] == pytest.approx(difference.mean() / difference.std())
    flipped = difference.to_numpy() @ np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    assert p.loc[A, B] == pytest.approx(np.mean(flipped >= difference.sum() - 1e-9))
    plotting.score_plot(chosen, [A, B])
    plotting.meta_analysis_plot(statistics, A, B)
    labels = plotting.summary_plot(p, effect).axes[0].get_xticklabels()
    assert sorted(label.get_text() for label in labels) == sorted(names)
    paired = plotting.paired_plot(chosen, A, B, chance_level="auto")
    assert paired.axes[0].collections[0].get_offsets().shape == (4, 2)


def test_studies_are_combined_as_datasets_are(table):
    chosen = table[table["pipeline"].isin([A, B])]
    both = compute_dataset_statistics(pd.concat([chosen, chosen.assign(dataset="other")]))
    assert set(both["dataset"]) == {"small", "other"}
    alone = compute_dataset_statistics(chosen).set_index(["pipe1", "pipe2"]).loc[(A, B)]
    p, effect = find_significant_differences(both)
    assert p.loc[A, B] == pytest.approx(norm.sf(np.sqrt(2) * norm.isf(alone["p"])))
    assert effect.loc[A, B] == pytest.approx(alone["smd"])


def test_across_subjects_every_person_has_a_row(tmp_path):
    folds = [["01", "02"], ["03", "04"]]
    settings = study_settings(SUBJECTS, rates=(0.05,), budgets=(7,), baseline=None)
    wrongs = {"1": [0, 1, 10], "2": [10, 11, 12, 13]}
    table = to_moabb(write_folds(tmp_path, across(settings, folds=folds), lambda label, *_: wrongs[label]))
    assert not table.duplicated(["pipeline", "subject"]).any()
    assert set(table.groupby("pipeline").size()) == {4}
    scores = table.drop_duplicates("subject").set_index("subject")
    assert scores["score"].to_dict() == pytest.approx({"01": 0.8, "02": 0.9, "03": 1.0, "04": 0.6})
    assert set(scores["samples_test"]) == {N_TEST // 2}


def test_the_baseline_is_a_pipeline_and_what_is_missing_is_named(tmp_path):
    settings = study_settings(SUBJECTS[:3], seeds=(0, 1), rates=(0.05,), budgets=(7,))
    results = write_study(tmp_path, settings, wrong, missing=["03", ("02", "step-b7-r0.05-s1")])
    write_baseline(folders.Study(tmp_path).subject("01").baseline("baseline"), n_wrong=2)
    update(tmp_path)
    said = (
        r"\(1 pipeline without subject 02: seed 1; subject 03, 3 pipelines without subject 03, "
        r"1 pipeline without subject 02; subject 03\); run"
    )
    with pytest.warns(UserWarning, match=said):
        table = to_moabb(load_results(tmp_path))
    assert set(table["subject"]) == {"01", "02"}
    step = table[table["schedule"] == "step"].set_index("subject")
    assert set(step["n_seeds"]) == {1}
    evaluation = results.evaluation.query("schedule == 'step' and subject == '02'")
    assert step.loc["02", "score"] == 1 - evaluation["error"].item()
    baseline = table[table["pipeline"] == "baseline"].to_dict("records")
    assert [(row["subject"], row["score"], row["time"]) for row in baseline] == [("01", 0.9, 1.0)]


def test_a_folder_without_results_is_refused(tmp_path):
    write_study(tmp_path, SETTINGS, wrong, missing=SUBJECTS)
    with pytest.raises(UserError, match="holds no such results yet"):
        to_moabb(load_results(tmp_path))


def test_the_page_s_example(tmp_path, monkeypatch, plotting):
    settings = study_settings(SUBJECTS, rates=(0.05,), budgets=(31,), epochs=31, baseline=None)
    write_study(tmp_path / "results" / "demo14", settings, wrong)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block("to_moabb", "moabb"), names)
    assert set(names["p"].index) == {"ensemble", "step"}
    assert names["effect"].loc["ensemble", "step"] > 0
