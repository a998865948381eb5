"""Folds across subjects: their trials put together, and a small study of two."""

from dataclasses import asdict

import mne
import numpy as np
import pytest
from conftest import make_raw, make_settings
from pyriemann.preprocessing import Whitening
from pyriemann.tangentspace import TangentSpace
from pyriemann.transfer import TLCenter, encode_domains
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import prepare, prepare_fold
from eeg_sgdr.data.sources import Recording, Source
from eeg_sgdr.data.splits import folds
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators.trained import load_classifier
from eeg_sgdr.evaluation.comparison import update
from eeg_sgdr.jobs.tasks import make_baseline
from eeg_sgdr.jobs.units import open_units, select
from eeg_sgdr.pipeline import train
from eeg_sgdr.settings import SubjectSplit
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import load_results

pytestmark = pytest.mark.xdist_group("folds")

PEOPLE = ["1", "2", "3", "10"]


def across(subjects=PEOPLE, **split):
    data = make_settings(recordings={"subjects": list(subjects)}).model_dump(mode="json")
    split = {"by": "subject", "folds": 2, **split}
    return config.validate({**data, "split": split, "evaluation": {}}, "test")


class People(Source):
    def __init__(self, path, **sfreq):
        self.path = path
        for number, label in enumerate(PEOPLE):
            raw = make_raw(seed=number, sfreq=sfreq.get(f"of_{label}", 100.0))
            raw.save(path / f"{label}_raw.fif", verbose="error")

    def subjects(self):
        return PEOPLE

    def files(self, subject):
        return {f"{subject}_raw.fif": self.path / f"{subject}_raw.fif"}

    def recordings(self, subject):
        (path,) = self.files(subject).values()
        yield Recording(subject, "0", "1", mne.io.read_raw_fif(path, verbose="error"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def test_everyone_tests_once_whatever_the_order():
    people = [str(number) for number in range(1, 24)]
    split = SubjectSplit(by="subject", folds=5)
    made = folds(split, people)
    assert sorted(sum((fold.test for fold in made), ())) == sorted(people)
    assert {len(fold.test) for fold in made} == {4, 5}
    assert all(sorted({*fold.train, *fold.test}, key=int) == people for fold in made)
    assert not any({*fold.train} & {*fold.test} for fold in made)
    assert [fold.label for fold in made] == ["1", "2", "3", "4", "5"]
    assert folds(split, people[::-1]) == made
    assert folds(split.model_copy(update={"seed": 1}), people) != made


def test_folds_can_be_named():
    made = folds(SubjectSplit(by="subject", folds=[["2", "1"], ["010"]]), PEOPLE)
    expected = [(("3", "10"), ("1", "2")), (("1", "2", "3"), ("10",))]
    assert [(fold.train, fold.test) for fold in made] == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (5, "5 are more than the 4 subjects"),
        ([["1"], ["2", "1"]], "tests in two folds"),
        ([["7"]], "subject '7' is not there"),
        ([PEOPLE], "no subject to train on"),
    ],
)
def test_folds_that_cannot_be_are_refused(asked, message):
    with pytest.raises(UserError, match=message):
        folds(SubjectSplit(by="subject", folds=asked), PEOPLE)


@pytest.mark.parametrize("mode", ["transductive", "causal"])
def test_recentred_baselines_of_a_fold_are_pyriemann_s(mode, source, data_dir, tmp_path):
    data = {**across().model_dump(mode="json"), "baselines": [{"kind": "recentred", "mode": mode}]}
    settings = config.validate(data, "test")
    pooled = prepare_fold(folds(settings.split, PEOPLE)[0], source, settings, data_dir)
    folder = folders.Study(tmp_path).fold("1").baseline(f"recentred_{mode}")
    make_baseline(settings.baselines[0], pooled, folder)
    centred = {}
    for part in ("train", "test"):
        subjects = pooled.table.set_index("trial").loc[pooled.array(f"trials_{part}"), "subject"]
        encoded = encode_domains(pooled.array(f"band_{part}"), pooled.array(f"y_{part}"), subjects.tolist())
        centred[part] = TLCenter("").fit_transform(*encoded)
    if mode == "causal":
        # Each trial by the mean of its subject's trials up to it.
        subjects, band = subjects.to_numpy(), pooled.array("band_test")
        for i, covariance in enumerate(band):
            whitening = Whitening("riemann")
            for before in np.flatnonzero(subjects[: i + 1] == subjects[i]):
                whitening.partial_fit(band[[before]])
            mean = whitening.inv_filters_.T @ whitening.inv_filters_
            centred["test"][i] = Whitening("riemann").fit(mean[None]).transform(covariance[None])[0]
    model = make_pipeline(TangentSpace(), LogisticRegression(max_iter=1000))
    model.fit(centred["train"], pooled.array("y_train"))
    stored = np.load(folder.predictions)["probabilities"][0]
    np.testing.assert_allclose(stored, model.predict_proba(centred["test"]), atol=1e-5)


def test_a_fold_is_its_subjects_put_together(source, data_dir):
    settings = across()
    made = folds(settings.split, PEOPLE)
    pooled = prepare_fold(made[0], source, settings, data_dir)
    alone = {label: prepare(source, label, settings, data_dir) for label in PEOPLE}
    for part in ("train", "test"):
        labels = getattr(made[0], part)
        for name in ("x", "y", "band"):
            expected = np.concatenate([alone[label].array(f"{name}_train") for label in labels])
            assert np.array_equal(pooled.array(f"{name}_{part}"), expected)
        rows = pooled.table.set_index("trial").loc[pooled.array(f"trials_{part}")]
        assert rows["subject"].unique().tolist() == list(labels)
        assert set(rows["split"]) == {part}
        assert rows["class"].tolist() == [pooled.info["classes"][y] for y in pooled.array(f"y_{part}")]
    assert pooled.table["trial"].tolist() == list(range(4 * 8))
    assert not np.array_equal(pooled.array("x_train")[:8], pooled.array("x_test")[:8])
    assert pooled.table.loc[pooled.info["not_causal"], "onset_s"].lt(200 / 100 + 0.5).all()
    other = prepare_fold(made[1], source, settings, data_dir)
    assert other.info["fingerprint"] != pooled.info["fingerprint"]
    # Nothing is kept twice.
    assert len(list((data_dir / "cache" / "trials").glob("*/data.json"))) == len(PEOPLE)


def test_nothing_of_a_test_subject_is_in_the_training_arrays(source, data_dir, tmp_path):
    settings = across()
    fold = folds(settings.split, PEOPLE)[0]
    changed = People(tmp_path)
    for label in fold.test:
        make_raw(seed=99).save(tmp_path / f"{label}_raw.fif", overwrite=True, verbose="error")
    before, after = (prepare_fold(fold, one, settings, data_dir) for one in (source, changed))
    for name in ("x_train", "y_train", "band_train"):
        assert np.array_equal(before.array(name), after.array(name))
    for name, value in before.summary.items():
        np.testing.assert_array_equal(value, after.summary[name])
    assert not np.array_equal(before.array("x_test"), after.array("x_test"))


def test_another_rate_is_resampled_and_named_or_refused(data_dir, tmp_path):
    people = People(tmp_path, of_3=128.0)
    settings = across()
    fold = folds(settings.split, PEOPLE)[0]
    with pytest.raises(UserError, match=r"sfreq: subject 3 has other than subject 1; name .* resample_hz"):
        prepare_fold(fold, people, settings, data_dir)
    preprocessing = settings.preprocessing.model_copy(update={"resample_hz": 100.0})
    settings = settings.model_copy(update={"preprocessing": preprocessing})
    info = prepare_fold(fold, people, settings, data_dir).info
    assert (info["resampled"], info["sfreq"]) == ({"3/0/1": 128.0}, 100.0)


@pytest.fixture(scope="module")
def study(source, data_dir, tmp_path_factory):
    made = folders.Study(tmp_path_factory.mktemp("results"))
    settings = across().model_copy(update={"compute": config.Compute(data_dir=str(data_dir))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eeg_sgdr.jobs.units.open_source", lambda *_: source)
        assert train(open_units(settings, made), made, n_jobs=1, debug=True) == []
    return made


def test_every_test_subject_has_its_rows_and_all_together_theirs(study):
    results = load_results(study.root)
    assert [subject.label for subject in results.subjects] == ["1", "2"]
    for fold in results.subjects:
        assert fold.folder.root.name == fold.label.zfill(2)
        predictors = fold.evaluation.groupby(["schedule", "budget", "epoch", "rates", "seeds", "members"])
        for _, rows in predictors:
            assert rows["subject"].tolist() == ["all", *fold.data["test_subjects"]]
            assert rows["n_test"].tolist() == [16, 8, 8]
            assert rows["error"].iloc[0] == pytest.approx(rows["error"].iloc[1:].mean())
        assert len(predictors) == 3 * (1 + 1 + 2 + 2) + 1
        key = fold.done[0]
        arrays = fold.predictions(key)
        rows = fold.trials.set_index("trial").loc[arrays["trials"]]
        _, stored = results.probabilities(fold=fold.label, **asdict(key))
        np.testing.assert_array_equal(stored, arrays["probabilities"])
        assert set(rows["subject"]) == set(fold.data["test_subjects"])
        assert rows["class"].tolist() == arrays["classes"][arrays["y"]].tolist()
    assert set(results.history["fold"]) == set(results.trials["fold"]) == {"1", "2"}


@pytest.mark.parametrize("label", ["1", "2"])
@pytest.mark.parametrize("key", [FitKey("restarts", 3, 0.05, 0), FitKey("step", 1, 0.025, 0)])
def test_a_fold_s_networks_say_of_its_test_people_what_is_stored(study, source, label, key):
    fold = load_results(study.root).fold(label)
    raws = [recording.raw for one in fold.test_subjects for recording in source.recordings(one)]
    budget = {} if key.schedule == "restarts" else {"budget": key.budget}  # of restarts there is one
    classifier = load_classifier(study.root, fold=label, schedule=key.schedule, rate=key.rate, **budget)
    assert len(raws) == 2
    stored = fold.probabilities(key, "recomputed")[key.budget]
    np.testing.assert_array_equal(classifier.predict_proba(raws), stored.astype(float))
    assert classifier.trials(raws)["class"].tolist() == fold.tested["class"].tolist()


def test_a_fold_s_networks_predict_new_recordings_and_epochs(study):
    classifier = load_classifier(study.root, fold=1, schedule="restarts")
    assert classifier.snapshot_epochs_.tolist() == [3, 3]
    raw = make_raw(seed=77, n_trials=20)
    listed = classifier.trials(raw)
    assert classifier.score(raw, listed["class"]) > 0.8
    events, ids = mne.events_from_annotations(raw, verbose="error")
    late = events[:, 0] > 4 * raw.info["sfreq"]
    epochs = mne.Epochs(raw, events[late], ids, -3.0, 2.5, baseline=None, preload=True, verbose="error")
    assert classifier.score(epochs, listed["class"][-len(epochs) :]) > 0.8
    assert classifier.predict_proba(epochs[:3]).shape == (3, 2)


@pytest.mark.parametrize(
    ("whose", "message"),
    [
        ({"subject": "1"}, r"has no subject 1; run it first"),
        ({"fold": 3}, r"has no fold 3; run it first \(--fold 3\)"),
        ({"subject": "1", "fold": 1}, "name either a subject or, across subjects, a fold"),
        ({}, "name either a subject or, across subjects, a fold"),
    ],
)
def test_networks_across_subjects_are_those_of_a_fold(study, whose, message):
    with pytest.raises(UserError, match=message):
        load_classifier(study.root, **whose, schedule="restarts")


def test_folds_are_the_units_of_the_comparison(study):
    update(study.root)
    comparison = load_results(study.root).comparison
    tested = (comparison["family"] == "tested") & (comparison["quantity"] == "mean difference")
    assert set(comparison.loc[tested, "n_units"]) == {2}


def test_other_subjects_are_another_study(study, source, monkeypatch):
    monkeypatch.setattr("eeg_sgdr.jobs.units.open_source", lambda *_: source)
    before = study.config.read_text()
    with pytest.raises(UserError, match=r"folds are made of other subjects \(4 there, 3 asked for\)"):
        open_units(across(PEOPLE[:3]), study)
    with pytest.raises(UserError, match=r"split\.seed: 0 here, 1 asked for"):
        open_units(across(seed=1), study)
    assert study.config.read_text() == before


def test_the_shipped_study_has_ten_folds_of_ten_people():
    settings = config.load("physionet_across_subjects")
    people = select(None, settings.recordings.subjects, [str(number) for number in range(1, 110)])
    made = folds(settings.split, people)
    assert [(len(fold.test), len(fold.train)) for fold in made] == [(10, 90)] * 10
    assert "101" not in people
