"""A trained study is used again: on its own test recordings it says what it has stored."""

import mne
import numpy as np
import pytest
import torch
from sklearn.base import clone
from small_study import run

from eeg_sgdr import unit_seed
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators.ensemble import SnapshotEnsembleClassifier
from eeg_sgdr.estimators.trained import load_classifier
from eeg_sgdr.settings.plan import FitKey, schedule_of
from eeg_sgdr.storage.results import load_results


@pytest.fixture(scope="module")
def data_dir(small_study):
    return small_study[0]


@pytest.fixture(scope="module")
def study(small_study):
    return load_results(small_study[1])


@pytest.fixture(scope="module")
def raw(study, data_dir):
    source = open_source(study.settings.recordings, data_dir)
    return next(recording.raw for recording in source.recordings("01") if recording.run == "02").load_data()


def load(study, **choice):
    return load_classifier(study.root, 1, **{"schedule": "restarts", **choice})


@pytest.mark.parametrize(
    ("choice", "fits", "epochs"),
    [
        ({}, [("restarts", 3, 0.025), ("restarts", 3, 0.05)], [3]),
        ({"rate": 0.05, "epoch": 1, "members": "single"}, [("restarts", 3, 0.05)], [1]),
        ({"schedule": "step", "budget": 2, "rate": 0.025}, [("step", 2, 0.025)], [2]),
    ],
)
def test_predictions_of_the_test_recording_are_those_stored(study, raw, choice, fits, epochs):
    classifier = load(study, **choice)
    subject = study.subject(1)
    stored = [subject.probabilities(FitKey(*fit, 0), "recomputed")[epoch] for fit in fits for epoch in epochs]
    assert classifier.snapshot_epochs_.tolist() == epochs * len(fits)
    np.testing.assert_array_equal(classifier.predict_proba(raw), np.mean(stored, axis=0, dtype=float))
    classes = np.array(subject.data["classes"])
    np.testing.assert_array_equal(classifier.predict(raw), classes[np.mean(stored, axis=0).argmax(axis=1)])


def test_ensembles_have_the_last_half_of_the_cycles(data_dir, tmp_path):
    restarts = {"kind": "warm_restarts", "epochs": 7, "t_mult": 1}
    schedules = {"step": {"kind": "step", "budgets": [7]}, "restarts": restarts}
    run(data_dir, tmp_path, schedules=schedules, training={"initial_rates": [0.05]})
    assert load(load_results(tmp_path)).snapshot_epochs_.tolist() == [5, 6, 7]
    assert load(load_results(tmp_path), epoch=5).snapshot_epochs_.tolist() == [4, 5]


def test_trials_are_listed_as_the_study_lists_them(study, raw):
    listed = study.trials.query("split == 'test'")
    classifier = load(study)
    trials = classifier.trials([raw, raw]).query("recording == 1")
    for column in ("onset_s", "class", "rejected"):
        assert trials[column].tolist() == listed[column].tolist()
    assert classifier.score(raw, listed["class"]) == np.mean(classifier.predict(raw) == listed["class"])


def test_the_estimator_trains_to_the_weights_of_the_study(study, data_dir):
    settings, subject = study.settings, study.subject(1)
    trials = prepare(open_source(settings.recordings, data_dir), "01", settings, data_dir)
    key = FitKey("restarts", 3, 0.05, 0)
    network = {"crop_samples": 400, "arguments": {"final_conv_length": 4}, "sfreq": 100.0}
    seed = unit_seed(key.seed, subject.label)
    schedule = schedule_of(key, settings)
    classifier = SnapshotEnsembleClassifier(schedule=schedule, seed=seed, batch_size=5, **network)
    classifier.fit(trials.array("x_train"), trials.array("y_train"))
    for snapshot in classifier.estimators_:
        weights = subject.weights(key, snapshot.epoch)
        assert all(torch.equal(snapshot.state[name], torch.from_numpy(weights[name])) for name in weights)


def test_long_epochs_are_predicted_as_the_recording_is(study, raw):
    events, ids = mne.events_from_annotations(raw, verbose="error")
    events = events[events[:, 0] > 5 * raw.info["sfreq"]]
    epochs = mne.Epochs(raw, events, ids, -4.6, 4.0, baseline=None, preload=True, verbose="error")
    classifier = load(study)
    last = slice(-len(epochs), None)
    assert classifier.trials(epochs)["class"].tolist() == classifier.trials(raw)["class"].tolist()[last]
    found, expected = classifier.predict_proba(epochs), classifier.predict_proba(raw)[last]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    with pytest.warns(UserWarning, match="begin less than 4 s after their epochs do"):
        classifier.predict(epochs.copy().crop(-0.5, 4.0))
    with pytest.raises(UserError, match="do not hold the study's window, from -0.5 to 4 s"):
        classifier.predict(epochs.copy().crop(-4.5, 3.0))
    with pytest.raises(UserError, match="X: its values are in another unit"):
        classifier.predict(epochs.copy().apply_function(lambda volts: 1e6 * volts))
    epochs._data[2, 0, 0] = np.nan
    with pytest.raises(UserError, match="epoch 2: NaN or infinite values in FC5"):
        classifier.predict(epochs)


def test_cues_of_other_names_and_sensors_in_another_order(study, raw):
    classifier = load(study)
    expected = classifier.predict_proba(raw)
    other = raw.copy().reorder_channels(raw.ch_names[::-1])
    other.annotations.rename(dict.fromkeys(set(other.annotations.description), "go"))
    with pytest.raises(UserError, match=r"to predict after; name its cues to load_classifier .*: go\)"):
        classifier.predict(other)
    classifier = load(study, cues=["go"])
    np.testing.assert_array_equal(classifier.predict_proba(other), expected)
    assert set(classifier.trials(other)["class"]) == {"go"}


def test_a_clone_is_itself(study):
    classifier = load(study)
    assert clone(classifier) is classifier.fit()
    snapshots = "[Snapshot(epoch=3, rate=0.025), Snapshot(epoch=3, rate=0.05)]"
    assert repr(classifier) == f"TrainedClassifier(study='small', snapshots={snapshots})"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"schedule": "steps"}, "schedule: the study has no 'steps'; there are step, restarts"),
        ({"rate": 0.1}, r"has no fit restarts-b3-r0\.1-s0; there are "),
        ({"schedule": "step", "budget": 5}, "has no fit step-b5"),
        ({"epoch": 2}, "epoch: 2 is no end of restarts-b3-r0.025-s0; there are 1, 3"),
        ({"members": "all"}, "members: 'all' is neither"),
        ({"fold": 1}, "name either a subject or, across subjects, a fold"),
    ],
)
def test_what_there_is_not_is_refused(study, choice, message):
    with pytest.raises(UserError, match=message):
        load(study, **choice)


def test_recordings_that_do_not_fit_are_refused(study, raw):
    classifier = load(study)
    with pytest.raises(UserError, match="recording 0: no EEG sensor C3, which the networks were trained on"):
        classifier.predict(raw.copy().drop_channels(["C3"]))
    with pytest.raises(UserError, match="give an MNE Raw"):
        classifier.predict(raw.get_data())
    for factor, size in ((1e6, "1.2e.07"), (1e-3, "0.012")):
        other = raw.copy().apply_function(lambda volts, factor=factor: factor * volts)
        with pytest.raises(UserError, match=f"recording 1: .* another unit .*{size}, not 13.* to volts"):
            classifier.predict([raw, other])
    # Of a size that rejects all trials:
    rejecting = study.settings.preprocessing.model_copy(update={"reject_uv": 800.0})
    settings = study.settings.model_copy(update={"preprocessing": rejecting})
    classifier = clone(classifier).set_params(settings=settings)
    with pytest.raises(UserError, match="recording 0: its values are in another unit"):
        classifier.predict(raw.copy().apply_function(lambda volts: 1e6 * volts))
    assert len(classifier.predict(raw.copy().apply_function(lambda volts: 30 * volts))) == 0
    # What preprocessing cannot mend:
    preprocessing = study.settings.preprocessing.model_copy(update={"resample_hz": None, "bads": "drop"})
    settings = study.settings.model_copy(update={"preprocessing": preprocessing})
    strict = type(classifier)(settings, classifier.data, classifier.snapshots)
    with pytest.raises(UserError, match="is at 250 Hz, the study's recordings are at 100 Hz"):
        strict.predict(raw)
    bad = raw.copy()
    bad.info["bads"] = ["C3"]
    with pytest.raises(UserError, match="C3 is marked as bad, but the networks read it"):
        strict.predict(bad)
