"""Averaged weights of snapshots: what they are, and that finished studies get them without training."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import small_study
import torch
from results_folder import compare, study_settings, write_study, wrong_at_end
from safetensors.numpy import load_file

from eeg_sgdr import report, run, unit_seed
from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators.ensemble import SnapshotEnsembleClassifier
from eeg_sgdr.estimators.trained import load_classifier
from eeg_sgdr.evaluation.predictors import averages
from eeg_sgdr.interop.moabb import to_moabb
from eeg_sgdr.jobs import tasks
from eeg_sgdr.reports.headline import headline
from eeg_sgdr.settings.plan import FitKey, schedule_of
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import load_results
from eeg_sgdr.training import loop

import_braindecode()
from braindecode.models import ShallowFBCSPNet  # noqa: E402

KEY = FitKey("restarts", 6, 0.05, 0)
MEMBERS = {4: (3, 4), 5: (4, 5), 6: (4, 5, 6)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    data_dir, out = (tmp_path_factory.mktemp(name) for name in ("data", "results"))
    schedules = {
        "step": {"kind": "step", "budgets": [6]},
        "restarts": {"kind": "warm_restarts", "epochs": 6, "t_mult": 1},
    }
    small_study.run(data_dir, out, schedules=schedules, training={"initial_rates": [0.05]})
    return data_dir, out


@pytest.fixture(scope="module")
def trials(study):
    data_dir, out = study
    settings = load_results(out).settings
    return prepare(open_source(settings.recordings, data_dir), "01", settings, data_dir)


@pytest.fixture
def subject(study):
    return load_results(study[1]).subject(1)


@pytest.fixture
def without(study, tmp_path):
    """A copy of the study as it would be without averaged weights; and the files that were there."""
    root = shutil.copytree(study[1], tmp_path / "results")
    removed = {path: path.read_bytes() for path in root.rglob("averaged*")}
    for path in removed:
        path.unlink()
    return root, removed


def crops(windows, n_positions):
    """Windows of 450 samples as crops of 400; shape (n_trials, n_crops, n_channels, 400)."""
    starts = [*range(0, 50, n_positions), 50]
    return torch.stack([torch.tensor(windows[..., start : start + 400]) for start in starts], dim=1)


@pytest.mark.parametrize("end", MEMBERS)
def test_they_are_the_mean_of_the_snapshots_with_batch_norm_recomputed(subject, trials, end):
    folder = subject.folder.fit(KEY.name)
    snapshots = [load_file(folder.snapshot(epoch)) for epoch in MEMBERS[end]]
    mean = {
        name: np.mean([snapshot[name] for snapshot in snapshots], axis=0, dtype=float).astype(np.float32)
        for name in snapshots[0]
        if "num_batches" not in name
    }
    network = ShallowFBCSPNet(n_chans=3, n_outputs=4, n_times=400, final_conv_length=4, sfreq=100)
    network.to_dense_prediction_model()
    network.load_state_dict({name: torch.tensor(value) for name, value in mean.items()}, strict=False)
    network.eval()
    seen = []
    network.bnorm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        n_positions = network(torch.zeros(1, 3, 400)).shape[2]
        seen.clear()
        network(crops(trials.array("x_train"), n_positions).flatten(0, 1))
        (values,) = seen
        values = values.double().transpose(0, 1).flatten(1)
        network.bnorm.running_mean.copy_(values.mean(1))
        network.bnorm.running_var.copy_(values.var(1))
        logits = network(crops(trials.array("x_test"), n_positions).flatten(0, 1))
    logits = logits.mean(2).view(len(trials.array("x_test")), -1, 4).mean(1)
    found = load_file(folder.averaged(end))
    assert found.keys() == snapshots[0].keys()
    for name, value in mean.items():
        if "running" not in name:
            np.testing.assert_array_equal(found[name], value)
    for name in ("running_mean", "running_var"):
        expected = getattr(network.bnorm, name).numpy()
        np.testing.assert_allclose(found[f"bnorm.{name}"], expected, rtol=1e-4, atol=1e-6)
        assert not np.allclose(mean[f"bnorm.{name}"], expected, rtol=1e-3, atol=1e-6)
    stored = subject.averaged_probabilities(KEY)
    assert list(stored) == list(MEMBERS)
    np.testing.assert_allclose(stored[end], torch.softmax(logits.double(), 1).numpy(), rtol=1e-4)


def test_tables_have_them_as_one_network_of_each_training(subject):
    rows = subject.evaluation.query("members == 'averaged'")
    assert rows["epoch"].tolist() == [4, 5, 6]
    assert rows["n_snapshots"].tolist() == [2, 2, 3]
    assert set(rows["n_networks"]) == {1}
    assert rows["epochs_spent"].tolist() == [4, 5, 6]
    y = subject.predictions(KEY)["y"]
    errors = [np.mean(found.argmax(1) != y) for found in subject.averaged_probabilities(KEY).values()]
    np.testing.assert_allclose(rows["error"], errors)


def test_a_study_that_was_finished_before_gets_them_without_training(study, without, capsys):
    root, removed = without
    fits = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.glob("subjects/001/fits/*/*")}
    assert report.main([str(root)]) == 0
    said = "averaged weights are missing of 1 fits (restarts-b6-r0.05-s0 of subject 01 first); run the study"
    assert said in capsys.readouterr().err
    assert "averaged" not in set(load_results(root).evaluation["members"])
    again = ["--config", str(root / "config.yaml"), "--out", str(root), "--subject", "1", "--jobs", "1"]
    again += ["--set", f"compute.data_dir={study[0]}"]
    assert run.main([*again, "--dry-run"]) == 0
    assert (
        "Fits that are there, but whose snapshots' weights are to be averaged: 1." in capsys.readouterr().out
    )
    assert run.main(again) == 0
    assert {path: path.read_bytes() for path in root.rglob("averaged*")} == removed
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in fits} == fits
    evaluation = load_results(study[1]).subject(1).evaluation
    pd.testing.assert_frame_equal(load_results(root).subject(1).evaluation, evaluation)
    assert report.main([str(root)]) == 0
    assert "averaged" not in capsys.readouterr().err


def test_ended_between_its_writes_it_is_made_again(without, trials, monkeypatch):
    root, removed = without
    results = load_results(root)
    subject = results.subject(1)

    def refuse(*arguments):
        raise AssertionError("something is trained")

    monkeypatch.setattr(loop, "make_optimizer", refuse)
    write = files.write
    for n_written in range(len(removed)):
        left = iter(range(n_written))

        def ended(path, fill, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(path, fill)

        with monkeypatch.context() as ending:
            ending.setattr(files, "write", ended)
            with pytest.raises(KeyboardInterrupt):
                tasks.make_averages(KEY, results.settings, trials, subject.folder)
        assert not subject.has_averages(KEY)
    tasks.make_averages(KEY, results.settings, trials, subject.folder)
    assert {path: path.read_bytes() for path in root.rglob("averaged*")} == removed
    monkeypatch.setattr(files, "write", refuse)
    tasks.make_averages(KEY, results.settings, trials, subject.folder)  # made once


@pytest.mark.parametrize("name", ["averaged.npz", "averaged.json", "averaged-0005.safetensors"])
def test_a_damaged_file_is_refused(without, name):
    root, removed = without
    for path, content in removed.items():
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= path.name == name
        path.write_bytes(damaged)
    subject = load_results(root).subject(1)

    def read():
        return subject.averaged_probabilities(KEY), subject.averaged_weights(KEY, 5)

    with pytest.raises(UserError, match=f"{name}: is not as it was written .*delete .*averaged.json and run"):
        read()


@pytest.mark.parametrize("change", [{"format": None}, {"fingerprint": "another"}, {"members": {}}])
def test_a_changed_record_is_refused(without, change):
    root, removed = without
    for path, content in removed.items():
        path.write_bytes(content)
    path = root / "subjects" / "001" / "fits" / KEY.name / "averaged.json"
    record = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not None}))
    with pytest.raises(UserError, match="averaged.json: is not as it was written"):
        load_results(root).subject(1).averaged_probabilities(KEY)


def test_running_statistics_leave_them_out(subject, study):
    settings = load_results(study[1]).settings
    evaluation = settings.evaluation.model_copy(update={"batch_norm_statistics": "running"})
    running = settings.model_copy(update={"evaluation": evaluation})
    assert averages(KEY, settings) == list(MEMBERS.values())
    assert averages(KEY, running) == []


def test_classifiers_predict_with_them(study, subject, trials):
    results = load_results(study[1])
    schedule = schedule_of(KEY, results.settings)
    network = {"crop_samples": 400, "arguments": {"final_conv_length": 4}, "sfreq": 100.0}
    seed = unit_seed(0, subject.label)
    ours = SnapshotEnsembleClassifier(
        schedule=schedule, seed=seed, batch_size=5, average="weights", **network
    ).fit(trials.array("x_train"), trials.array("y_train"))
    test = np.array(trials.array("x_test"))
    assert [one.epoch for one in ours.averaged_] == [1, 2, 3, 4, 5, 6]
    for end in MEMBERS:
        loaded = load_classifier(study[1], 1, schedule="restarts", members="averaged", epoch=end)
        (network,) = loaded.estimators_
        stored = subject.averaged_probabilities(KEY)[end]
        np.testing.assert_array_equal(network.predict_proba(test), stored)
        assert all(
            torch.equal(ours.averaged_[end - 1].state[name], network.state[name]) for name in network.state
        )
    np.testing.assert_array_equal(ours.predict_proba(test), stored)
    stages = list(ours.staged_predict_proba(test))
    np.testing.assert_array_equal(stages[-1], stored)
    # One snapshot is its own average.
    np.testing.assert_array_equal(stages[0], subject.probabilities(KEY, "recomputed")[1])
    (alone,) = load_classifier(study[1], 1, schedule="restarts", members="averaged", epoch=2).estimators_
    np.testing.assert_array_equal(alone.predict_proba(test), subject.probabilities(KEY, "recomputed")[2])


def test_a_classifier_of_a_study_without_them_says_so(without):
    with pytest.raises(
        UserError, match="weights of restarts-b6-r0.05-s0 are not averaged yet; run the study"
    ):
        load_classifier(without[0], 1, schedule="restarts", members="averaged")


@pytest.mark.parametrize(
    ("statistics", "status", "missing"),
    [("recomputed", "ok", ""), ("running", "left out", "averaged weights have no running")],
)
def test_comparisons_that_name_them_are_tested(tmp_path, statistics, status, missing):
    sides = {"a": {"schedule": "restarts", "members": "averaged"}, "b": {"schedule": "step"}}
    comparisons = [{"name": "averaged", **sides}]
    evaluation = {"comparisons": comparisons, "batch_norm_statistics": statistics}
    settings = study_settings(["1", "2", "3"], budgets=(15,), epochs=15, baseline=None, evaluation=evaluation)
    wrong = wrong_at_end({"1": 6, "2": 7, "3": 5}, {"1": 4, "2": 6, "3": 2})
    results = compare(write_study(tmp_path, settings, wrong))
    (row,) = results.comparison.query("quantity == 'mean difference' and comparison == 'averaged'").to_dict(
        "records"
    )
    assert row["status"] == status
    assert missing in row["missing"]
    contenders = headline(results.subject("1"), settings).contenders
    assert [one.predictor.members for one in contenders] == (["averaged"] if status == "ok" else []) + [
        "single"
    ]
    if status == "ok":
        assert (row["snapshots_a"], row["n_networks_a"], row["epochs_spent_a"]) == ("averaged", 1, 15)
        np.testing.assert_allclose(row["estimate"], (2 + 1 + 3) / 3 / 20)
    names = set(to_moabb(results)["pipeline"])
    assert ("restarts-b15-r0.05-e15-averaged" in names) == (status == "ok")
