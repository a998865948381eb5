"""The scikit-learn face: the same weights as the command's, and what scikit-learn's tools do with it."""

import pickle
from dataclasses import replace

import mne
import numpy as np
import pytest
import torch
from conftest import make_raw
from fits import TRAINING, WHOLE, make_data
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators.ensemble import SnapshotEnsembleClassifier
from eeg_sgdr.networks import build
from eeg_sgdr.networks.build import build_network
from eeg_sgdr.schedules import Step, WarmRestarts, Warmup, n_averaged
from eeg_sgdr.settings import AdamWSettings, NetworkSettings
from eeg_sgdr.training.loop import fit

import_braindecode()
from braindecode.datasets import create_from_mne_epochs, create_from_X_y  # noqa: E402
from braindecode.models import ShallowFBCSPNet  # noqa: E402

DATA = make_data()
X, Y = DATA.x_train, DATA.y_train
FLATTEN = torch.nn.Flatten()
SMALL_DEEP4 = {"filter_time_length": 5, "n_filters_2": 10, "n_filters_3": 10, "n_filters_4": 10,
               "filter_length_2": 2, "filter_length_3": 2, "filter_length_4": 1}  # fmt: skip


def make(**changes):
    parameters = {"schedule": WarmRestarts(0.05, 7), "batch_size": 8, "weight_decay": 0.01, **changes}
    return SnapshotEnsembleClassifier(**parameters)


def same_weights(a, b):
    return all(torch.equal(a[name], b[name]) for name in b)


def make_epochs():
    raw = make_raw(n_trials=16)
    events, ids = mne.events_from_annotations(raw, verbose="error")
    return mne.Epochs(raw, events, ids, -0.5, 2.0, baseline=None, preload=True, verbose="error")


@pytest.mark.parametrize(
    ("network", "arguments", "crop_samples"),
    [
        ("ShallowFBCSPNet", {}, None),
        ("ShallowFBCSPNet", {"final_conv_length": 4}, 200),
        ("EEGNet", {}, None),
        ("Deep4Net", SMALL_DEEP4, 200),
    ],
)
def test_weights_and_probabilities_are_those_of_a_fit_of_the_command(network, arguments, crop_samples):
    settings = {"arguments": arguments, "crop_samples": crop_samples}
    section = NetworkSettings(name=network, **settings)
    expected = fit(DATA, section, TRAINING, WarmRestarts(0.05, 7), seed=3).scores
    ours = make(network=network, **settings, seed=3, sfreq=100.0).fit(X, Y)
    assert ours.snapshot_epochs_.tolist() == [1, 3, 7]
    for snapshot in ours.estimators_:
        score = expected[snapshot.epoch]
        assert same_weights(snapshot.state, score.state)
        np.testing.assert_array_equal(snapshot.predict_proba(DATA.x_test), score.probabilities)
    np.testing.assert_array_equal(ours.predict_proba(DATA.x_test), expected[7].probabilities.astype(float))


def test_adamw_trains_as_the_command_does():
    adamw = AdamWSettings(kind="adamw", weight_decay=0.1)
    expected = fit(DATA, WHOLE, TRAINING, WarmRestarts(0.01, 3), seed=0, optimizer=adamw).scores[3]
    named = {"kind": "adamw", "weight_decay": 0.1}
    ours = make(schedule=WarmRestarts(0.01, 3), optimizer=named).fit(X, Y).estimators_[-1]
    assert same_weights(ours.state, expected.state)


def test_every_rate_is_warmed_up():
    schedule = Warmup(WarmRestarts(0.05, 3), 0.5)
    ours = make(schedule=schedule, rates=[0.02, 0.05]).fit(X, Y)
    assert [(s.epoch, s.rate) for s in ours.estimators_] == [(1, 0.02), (1, 0.05), (3, 0.02), (3, 0.05)]
    expected = fit(DATA, WHOLE, TRAINING, schedule, seed=0).scores[3]
    assert same_weights(ours.estimators_[-1].state, expected.state)


def test_ensembles_average_the_last_half_of_the_cycles_of_every_rate():
    schedule = WarmRestarts(0.05, 15)
    ours = make(schedule=schedule, rates=[0.02, 0.05]).fit(X, Y)
    probabilities = {}
    for rate in (0.02, 0.05):
        scores = fit(DATA, WHOLE, TRAINING, replace(schedule, initial_rate=rate), seed=0).scores
        probabilities |= {(end, rate): score.probabilities for end, score in scores.items()}
    assert [(s.epoch, s.rate) for s in ours.estimators_] == sorted(probabilities)

    def mean(ends):
        return np.mean([probabilities[end, rate] for end in ends for rate in (0.02, 0.05)], axis=0)

    stages = list(ours.staged_predict_proba(DATA.x_test))
    for stage, ends in zip(stages, [[1], [3], [7], [7, 15]], strict=True):
        assert len(ends) == n_averaged([1, 3, 7, 15].index(ends[-1]) + 1)
        np.testing.assert_allclose(stage, mean(ends), rtol=1e-6)
    np.testing.assert_array_equal(ours.predict_proba(DATA.x_test), stages[-1])
    three = ours.set_params(n_snapshots=3)
    np.testing.assert_allclose(three.predict_proba(DATA.x_test), mean([3, 7, 15]), rtol=1e-6)
    np.testing.assert_allclose(next(three.staged_predict_proba(DATA.x_test)), mean([1]), rtol=1e-6)


def test_a_module_is_trained_from_its_weights_and_stays_as_it_is():
    shape = {"n_channels": 5, "n_samples": 230, "n_classes": 3, "sfreq": 100.0, "crop_samples": None}
    module = build_network("ShallowFBCSPNet", {}, **shape, seed=3).module
    before = {name: value.clone() for name, value in module.state_dict().items()}
    ours, named = make(network=module, seed=3).fit(X, Y), make(seed=3).fit(X, Y)
    assert same_weights(ours.estimators_[-1].state, named.estimators_[-1].state)
    assert same_weights(module.state_dict(), before)
    dense = ShallowFBCSPNet(n_chans=5, n_outputs=3, n_times=200, final_conv_length=4)
    assert make(network=dense, crop_samples=200).fit(X, Y).predict(X).shape == (24,)


@pytest.mark.parametrize("network", ["ShallowFBCSPNet", "EEGNet"])
def test_clones_and_pickles_predict_the_same(network):
    ours = make(network=network, sfreq=100.0).fit(X, Y)
    expected = ours.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).predict_proba(X), expected)
    again = clone(ours)
    assert not hasattr(again, "classes_")
    np.testing.assert_array_equal(again.fit(X, Y).predict_proba(X), expected)


def test_training_leaves_torch_s_threads_alone():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        make(schedule=Step(0.05, 1)).fit(X, Y)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_epochs_are_read_in_microvolts_and_by_the_names_of_sensors():
    epochs = make_epochs()
    microvolts, short = 1e6 * epochs.get_data(), make(schedule=Step(0.05, 2))
    ours, as_array = clone(short).fit(epochs), short.fit(microvolts, epochs.events[:, 2])
    assert ours.sensors_ == ["C3", "Cz", "C4"]
    assert same_weights(ours.estimators_[0].state, as_array.estimators_[0].state)
    others = epochs.copy().reorder_channels(["C4", "Cz", "C3"])
    np.testing.assert_array_equal(ours.predict_proba(others), as_array.predict_proba(microvolts))
    with pytest.raises(UserError, match="no EEG sensor Cz"):
        ours.predict(epochs.copy().drop_channels(["Cz"]))


def test_sensors_marked_as_bad_are_left_out():
    epochs = make_epochs()
    epochs.info["bads"] = ["Cz"]
    assert make(schedule=Step(0.05, 1)).fit(epochs).sensors_ == ["C3", "C4"]


def test_braindecode_s_windows_bear_labels_and_rate():
    trials = create_from_X_y(X, Y, drop_last_window=False, sfreq=100, ch_names=list("abcde"))
    parameters = {"schedule": Step(0.05, 2), "network": "EEGNet"}
    ours, expected = make(**parameters).fit(trials), make(**parameters, sfreq=100.0).fit(X, Y)
    assert same_weights(ours.estimators_[0].state, expected.estimators_[0].state)
    np.testing.assert_array_equal(ours.predict(trials), expected.predict(X))


def windows_of(kind):
    epochs = make_epochs()
    return {
        "array": 1e6 * epochs.get_data(),
        "epochs": epochs,
        "dataset": create_from_mne_epochs(
            [epochs.copy().apply_function(lambda volts: 1e6 * volts)],
            window_size_samples=251, window_stride_samples=251, drop_last_window=False,
        ),
    }[kind], epochs.events[:, 2]  # fmt: skip


@pytest.mark.parametrize("kind", ["array", "epochs", "dataset"])
def test_cross_validation_of_every_kind_of_windows(kind):
    windows, y = windows_of(kind)
    scores = cross_val_score(make(schedule=WarmRestarts(0.05, 15), batch_size=4), windows, y, cv=2)
    assert scores.tolist() == [1, 1]


def test_a_pipeline_in_a_grid_search():
    windows, y = windows_of("array")
    pipeline = make_pipeline(FunctionTransformer(lambda x: x / x.std()), make(batch_size=4))
    schedule, network = (f"snapshotensembleclassifier__{name}" for name in ("schedule", "network"))
    grid = {schedule: [WarmRestarts(0.05, 7), Step(1e-6, 1)], network: ["ShallowFBCSPNet"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(windows, y)
    assert search.best_params_[schedule] == WarmRestarts(0.05, 7)
    rate = f"{schedule}__initial_rate"
    search = GridSearchCV(pipeline, {rate: [1e-9, 0.05]}, cv=2, error_score="raise").fit(windows, y)
    assert search.best_params_ == {rate: 0.05}
    assert search.best_estimator_[-1].estimators_[-1].rate == 0.05


def test_parameters_of_the_schedule_are_parameters():
    ours = make(schedule=Warmup(WarmRestarts(0.05, 7), 0.5))
    assert clone(ours).set_params(**ours.get_params()).get_params() == ours.get_params()
    assert ours.get_params()["schedule__schedule__t_mult"] == 2
    within = {"schedule__schedule__initial_rate": 0.1, "schedule__schedule__budget": 15}
    ours.set_params(**within, schedule__epochs=0.25)
    assert ours.schedule == Warmup(WarmRestarts(0.1, 15), 0.25)
    assert ours.set_params(schedule__budget=3, schedule=Step(0.1, 2)).schedule == Step(0.1, 3)
    assert make(schedule=None).set_params(schedule__initial_rate=0.1).schedule == WarmRestarts(0.1, 31)
    with pytest.raises(ValueError, match="schedule__t_0: Step.* has no 't_0'; there are initial_rate"):
        ours.set_params(schedule__t_0=1)
    with pytest.raises(UserError, match="schedule: epochs: 5 is not the end of a cycle.*; give other"):
        make().set_params(schedule__budget=5)


@pytest.mark.parametrize("average", ["probabilities", "weights"])
def test_windows_in_another_unit_are_refused(average):
    epochs = make_epochs()
    volts, y = epochs.get_data(), epochs.events[:, 2]
    on_epochs = make(schedule=WarmRestarts(0.05, 7), average=average).fit(epochs)
    np.testing.assert_array_equal(on_epochs.predict_proba(1e6 * volts), on_epochs.predict_proba(epochs))
    said = (
        r"X: .* another unit .*\(standard deviation 1e-05, not 10\); it was fitted to Epochs, in microvolts"
    )
    for method in ("predict", "predict_proba", "staged_predict_proba"):
        with pytest.raises(UserError, match=said):
            list(getattr(on_epochs, method)(volts))
    on_volts = pickle.loads(pickle.dumps(make(schedule=Step(0.05, 1), average=average).fit(volts, y)))
    with pytest.raises(UserError, match="Epochs are read in microvolts: give an array in the unit of the tr"):
        on_volts.predict(epochs)
    with pytest.raises(UserError, match=r"not 1e-05\); give windows in the unit of the training windows"):
        on_volts.predict(1e3 * volts)
    # People differ, and a flat trial is no other unit.
    assert len(on_volts.predict(30 * volts)) == len(on_volts.predict(0 * volts)) == len(y)


def test_a_snapshot_is_a_line():
    snapshot = make(schedule=Step(0.05, 1)).fit(X, Y).estimators_[0]
    assert repr(snapshot) == "Snapshot(epoch=1, rate=0.05)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: 0 will not do"),
        ({"batch_size": 30}, "batch_size: 30 is more than the 24 training crops"),
        ({"seed": -1}, "seeds: -1 will not do"),
        ({"optimizer": {"kind": "adam"}}, "optimizer: .*there is no such section"),
        ({"optimizer": {"kind": "adamw", "eps": 0}}, "eps: 0 will not do"),
        ({"rates": []}, "initial_rates"),
        ({"rates": [0.0]}, "initial_rates: 0.0 will not do"),
        ({"schedule": WarmRestarts(0.05, 7, eta_min=0.01), "rates": [0.001]}, "rates: do not serve"),
        ({"average": "logits"}, "average: 'logits' is neither 'probabilities' nor 'weights'"),
        ({"n_snapshots": 4}, "n_snapshots: 4 must be from 1 to the number of the schedule's ends"),
        ({"network": "ShalowFBCSPNet"}, "did you mean ShallowFBCSPNet"),
        ({"network": FLATTEN}, "this Flatten is not made for 5 sensors, 230 samples and 3 classes"),
        ({"network": FLATTEN, "arguments": {"start_dim": 2}}, "arguments: go to the constructor"),
        ({"network": "SincShallowNet"}, "at an unknown rate"),
        ({"schedule": Step(1e30, 3)}, "the loss is not finite in epoch 1, at a rate of 1e\\+30; give lower"),
    ],
)
def test_parameters_that_will_not_do_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes).fit(X, Y)


def test_inputs_that_will_not_do_are_refused():
    ours = make(schedule=Step(0.05, 1))
    with pytest.raises(UserError, match="takes no sample_weight"):
        ours.fit(X, Y, sample_weight=np.ones(24))
    with pytest.raises(UserError, match="one class alone"):
        ours.fit(X, np.zeros(24))
    with pytest.raises(UserError, match="y: 23 labels of 24 trials"):
        ours.fit(X, Y[1:])
    broken = X.copy()
    broken[5, 1, 3:7] = np.nan
    for fit_or_predict in (lambda x: ours.fit(x, Y), ours.fit(X, Y).predict):
        with pytest.raises(UserError, match="2 axes; give an array of shape .trials, channels, samples"):
            fit_or_predict(X[:, 0])
        with pytest.raises(ValueError, match=r"trial 5 has NaN .*first in channel 1, sample 3"):
            fit_or_predict(broken)
        with pytest.raises(UserError, match=r"X: has no trials; its shape is \(0, 5, 230\)"):
            fit_or_predict(X[:0])
    with pytest.raises(UserError, match="windows of 229 samples, but it was fitted to 230"):
        ours.predict(X[:, :, 1:])
    with pytest.raises(UserError, match="windows of 4 channels, but it was fitted to 5"):
        ours.predict(X[:, 1:])
    epochs = make_epochs()
    epochs._data[2, 1, 0] = np.inf
    with pytest.raises(UserError, match="trial 2 has NaN or infinite values .first in Cz, sample 0"):
        ours.fit(epochs)


class Linear(torch.nn.Sequential):
    """A network for what scikit-learn's checks bring: tables, with a batch norm for their scales."""

    def __init__(self, n_chans, n_outputs, n_times, sfreq):
        super().__init__(FLATTEN, torch.nn.BatchNorm1d(n_chans), torch.nn.Linear(n_chans, n_outputs))


class OnTables(SnapshotEnsembleClassifier):
    """Takes tables as trials of one sample, since scikit-learn's checks bring nothing else."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    def _check(self, windows, *others):
        if np.asarray(windows.x).ndim == 3:
            super()._check(windows, *others)

    def _validated(self, x, **options):
        found = super()._validated(x, **options)
        x, *y = found if isinstance(found, tuple) else (found,)
        x = x[:, :, np.newaxis] if x.ndim == 2 else x
        return (x, *y) if y else x


#: Without `OnTables` scikit-learn yields no checks at all for input of three axes.
ON_TABLES = OnTables("Linear", WarmRestarts(0.05, 7), batch_size=8)
#: Arrays go to torch by way of NumPy; the check skips itself without SCIPY_ARRAY_API.
LEFT_OUT = {"check_array_api_input"}
CHECKS = [check for _, check in estimator_checks_generator(ON_TABLES) if check.func.__name__ not in LEFT_OUT]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.func.__name__)
def test_scikit_learn_s_checks(check, monkeypatch):
    monkeypatch.setattr(build, "_network_class", lambda name: Linear)
    check(clone(ON_TABLES))
