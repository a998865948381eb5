"""Small studies from end to end: what is on disk, trained again, refused, read; however many processes."""

import io
import itertools
import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import killing
import numpy as np
import pytest
import torch
from conftest import make_settings
from results_folder import study_settings, write_study
from sklearn.metrics import accuracy_score
from small_study import configuration, run

from eeg_sgdr import pipeline
from eeg_sgdr import settings as config
from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation import tables
from eeg_sgdr.evaluation.predictors import read_stored
from eeg_sgdr.jobs import tasks
from eeg_sgdr.jobs.submit import Jobs
from eeg_sgdr.jobs.units import Unit, open_units
from eeg_sgdr.settings import plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import load_results
from eeg_sgdr.storage.subject import Subject, fit_seconds, trial_seconds
from eeg_sgdr.training.optimizers import SGD

#: One process makes the study once.
ONE_PROCESS = pytest.mark.xdist_group("one call")


@pytest.fixture(scope="module")
def data_dir(small_study):
    return small_study[0]


@pytest.fixture(scope="module")
def results(small_study):
    return load_results(small_study[1])


@pytest.fixture(scope="module")
def subject(results):
    return results.subject(1)


@pytest.fixture(scope="module")
def settings(results):
    return results.settings


@pytest.fixture(scope="module")
def trials(settings, data_dir):
    return prepare(open_source(settings.recordings, data_dir), "01", settings, data_dir)


@pytest.fixture
def copied(results, tmp_path):
    return shutil.copytree(results.root, tmp_path / "copied")


def test_the_folder_is_as_the_contract_says(results):
    fits = {
        "step-b2-r0.025-s0": [2], "step-b2-r0.05-s0": [2], "step-b3-r0.025-s0": [3], "step-b3-r0.05-s0": [3],
        "restarts-b3-r0.025-s0": [1, 3], "restarts-b3-r0.05-s0": [1, 3],
    }  # fmt: skip
    of_subject = {
        *("trials.csv", "data.json", "summary.npz", "evaluation.csv", "evaluation.json"),
        *("baseline/fit.json", "baseline/predictions.npz"),
        *(f"fits/{name}/{file}" for name in fits for file in ("fit.json", "history.csv", "predictions.npz")),
        *(f"fits/{name}/snapshot-{end:04d}.safetensors" for name, ends in fits.items() for end in ends),
    }
    expected = {"config.yaml", *(f"subjects/001/{name}" for name in of_subject)}
    assert set(killing.files(results.root)) == expected


def test_results_depend_on_nothing_but_settings_data_and_seed(subject, data_dir, tmp_path):
    """Made again in two processes, with other seeds and rates beside: the same bytes."""
    again = run(data_dir, tmp_path, jobs=2, training={"seeds": [0, 1], "initial_rates": [0.05, 0.025, 0.1]})
    ours, theirs = (killing.files(s.folder.root / "fits") for s in (subject, again))
    assert len(theirs) > len(ours)
    assert {name: theirs[name] for name in ours} == ours


def test_nothing_is_trained_twice_and_lists_grow(subject, data_dir, copied):
    before = killing.files(copied)
    run(data_dir, copied)
    assert killing.files(copied) == before
    grown = run(data_dir, copied, training={"seeds": [1], "initial_rates": [0.025]})
    after = killing.files(copied)
    assert [name for name in before if "/fits/" in name and after[name] != before[name]] == []
    there = load_results(copied).settings
    assert (there.training.seeds, there.recordings.subjects) == ((0, 1), ("01",))
    assert len(grown.done) == 2 * len(subject.done)
    assert set(grown.evaluation["seeds"]) == {"0", "1", ""}


def test_lists_that_another_process_adds_meanwhile_stay(tmp_path):
    study = folders.Study(tmp_path)
    both = [
        open_units(config.validate(configuration(training={"seeds": [seed]}), "test"), study, [label])
        for seed, label in ((0, "1"), (1, "2"))
    ]
    for (unit,) in both:
        pipeline.record_settings(unit.settings, study)
    there = load_results(tmp_path).settings
    assert (there.training.seeds, there.recordings.subjects) == ((0, 1), ("01", "02"))


def test_another_baseline_is_refused_and_none_keeps_the_one_there(data_dir, copied):
    before = killing.files(copied)
    message = r"baseline\.band_hz: \[8\.0, 30\.0\] here, \[9\.0, 30\.0\] asked for"
    with pytest.raises(UserError, match=message):
        run(data_dir, copied, baseline={"band_hz": [9, 30]})
    assert killing.files(copied) == before
    run(data_dir, copied, baseline=None)
    # Nothing is compared with the baseline then, but what the folder holds stays in it, and in its list.
    assert killing.differing(before, killing.files(copied)) == ["config.yaml", "subjects/001/evaluation.json"]
    assert load_results(copied).settings.band_hz == (8, 30)


def test_without_a_baseline_fits_are_the_same(subject, data_dir, tmp_path):
    without = run(data_dir, tmp_path, baseline=None)
    assert not without.baselines
    assert set(without.evaluation["members"]) == {"single", "cycles"}
    assert killing.files(without.folder.root / "fits") == killing.files(subject.folder.root / "fits")


def test_a_singular_covariance_fails_the_baseline_alone(subject, settings, tmp_path):
    """Told with its trial; the ConvNets do not need it."""
    numbers, regular, singular = (
        np.array([4, 7]),
        np.array([np.eye(3)] * 2),
        np.array([np.eye(3), np.zeros((3, 3))]),
    )
    arrays = {"trials_train": numbers, "trials_test": numbers, "band_train": regular, "band_test": singular}
    folder = folders.FitFolder(tmp_path)
    trials = SimpleNamespace(info=subject.data, title="subject 01", array=arrays.get)
    tasks.make_baseline(settings.baselines[0], trials, folder)
    outcome = json.loads(folder.fit.read_text())
    assert outcome["state"] == "failed"
    assert "covariance of trial 7 is singular" in outcome["why"]
    assert not folder.predictions.exists()


def test_predictions_hold_the_test_trials_and_nothing_else(subject, settings):
    for key in subject.done:
        arrays = subject.predictions(key)
        n_ends = len(plan.schedule_of(key, settings).ends)
        assert arrays["trials"].tolist() == list(range(12, 24))
        assert (np.array(arrays["classes"])[arrays["y"]] == subject.trials["class"].to_numpy()[12:]).all()
        for name in ("probabilities", "probabilities_running"):
            assert arrays[name].shape == (n_ends, 12, 4)
            assert arrays[name].dtype == np.float32
            np.testing.assert_allclose(arrays[name].sum(axis=2), 1, rtol=1e-5)


def test_evaluation_is_recomputed_from_predictions(subject):
    """Rows against a reading of the files alone."""
    table = subject.evaluation.set_index(["schedule", "budget", "epoch", "rates", "members"])
    costs = ["n_fits", "n_snapshots", "n_networks", "epochs_spent", "n_test"]

    def read(name):
        with np.load(subject.folder.root / name / "predictions.npz") as arrays:
            return arrays["probabilities"], arrays["y"]

    (low, y), (high, _) = (read(f"fits/restarts-b3-r{rate}-s0") for rate in ("0.025", "0.05"))
    for row, probabilities, expected in (
        (("restarts", 3, 3, "0.025+0.05", "cycles"), (low[1] + high[1]) / 2, [2, 1, 2, 6, 12]),
        (("restarts", 3, 1, "0.05", "single"), high[0], [1, 1, 1, 1, 12]),
        (("baseline", 0, 0, "", "baseline"), read("baseline")[0][0], [0, 0, 0, 0, 12]),
    ):
        assert table.loc[row, "error"] == pytest.approx(1 - accuracy_score(y, probabilities.argmax(1)))
        assert table.loc[row, costs].tolist() == expected
    assert len(table) == 3 * (2 + 2 + 2) + 1


def test_running_statistics_are_tabled_without_training(subject, settings):
    evaluation = settings.evaluation.model_copy(update={"batch_norm_statistics": "running"})
    asked = settings.model_copy(update={"evaluation": evaluation})
    running = tables.evaluation(subject, asked, read_stored(subject, asked, subject.done, {}), {})
    row = running.query("schedule == 'step' and budget == 2 and rates == '0.05'").iloc[0]
    arrays = subject.predictions(FitKey("step", 2, 0.05, 0))
    squares = (arrays["probabilities_running"][0] - np.eye(4)[arrays["y"]]) ** 2
    assert row["brier"] == pytest.approx(squares.sum(axis=1).mean(), rel=1e-6)


def test_snapshots_load_into_braindecode(subject, trials):
    """Without anything of ours, and the stored probabilities come out: softmax of the mean over crops."""
    import_braindecode()
    from braindecode.models import ShallowFBCSPNet
    from safetensors.torch import load_file

    key = FitKey("step", 3, 0.05, 0)
    model = ShallowFBCSPNet(n_chans=3, n_outputs=4, n_times=400, sfreq=100, final_conv_length=4)
    model.load_state_dict(load_file(subject.folder.fit(key.name).snapshot(3)))
    model.to_dense_prediction_model()
    model.eval()
    x = torch.tensor(trials.array("x_test"))
    with torch.no_grad():
        logits = torch.stack([model(x[:, :, start : start + 400]).mean(2) for start in (0, 50)]).mean(0)
    expected = torch.softmax(logits, 1).numpy()
    np.testing.assert_allclose(subject.predictions(key)["probabilities"][0], expected, rtol=1e-3, atol=1e-5)


def test_every_epoch_is_stored_when_asked_and_ends_are_reproduced(subject, data_dir, copied):
    before = killing.files(subject.folder.root / "fits")
    again = run(data_dir, copied, training={"store": "epochs"})
    epochs, probabilities = load_results(copied).probabilities(1, "restarts", 3, 0.05)
    assert epochs.tolist() == [1, 2, 3]
    expected = subject.predictions(FitKey("restarts", 3, 0.05, 0))["probabilities"]
    np.testing.assert_array_equal(probabilities[[0, 2]], expected)
    after = killing.files(again.folder.root / "fits")
    snapshots = [name for name in before if name.endswith(".safetensors")]
    assert {name: after[name] for name in snapshots} == {name: before[name] for name in snapshots}


def test_the_time_of_a_fit_and_of_a_prediction_are_kept(subject):
    for content in [*subject.fits.values(), *subject.baselines.values()]:
        assert 0 < trial_seconds(content) < fit_seconds(content)


@pytest.mark.parametrize(("stored", "kept"), [("ends", False), ("epochs", True)])
def test_a_checkpoint_stays_only_where_a_fit_is_made_again(data_dir, copied, monkeypatch, stored, kept):
    """A crash right after the last file leaves one, too."""
    fit = folders.Study(copied).subject("01").fit("step-b3-r0.05-s0")
    for path in (fit.checkpoint, fit.lock):
        path.write_bytes(b"")
    monkeypatch.setattr("eeg_sgdr.storage.files.EMPTY_S", 0.1)
    monkeypatch.setattr("filelock._soft.MALFORMED_LOCK_AGE_THRESHOLD", 0.1)
    monkeypatch.setattr(Jobs, "_submit", lambda *_: None)
    run(data_dir, copied, training={"store": stored})
    assert fit.checkpoint.exists() == kept


def test_a_crash_within_a_fit_loses_nothing(subject, settings, trials, tmp_path, monkeypatch):
    """The files are the same, whatever update it was at; made in this process, to be crashed."""
    key = FitKey("restarts", 3, 0.05, 0)
    compute = settings.compute.model_copy(update={"checkpoint_minutes": 0.0})
    settings = settings.model_copy(update={"compute": compute})
    made = folders.SubjectFolder(tmp_path)
    fit = made.fit(key.name)
    step, count = SGD.step, itertools.count(1)

    def crash(self, rate):
        if next(count) % 4 == 0:
            raise ZeroDivisionError
        step(self, rate)

    monkeypatch.setattr(SGD, "step", crash)
    crashes = 0
    while not fit.fit.is_file():
        try:
            tasks.make_fits([key], settings, trials, made, tmp_path / "steps")
        except ZeroDivisionError:
            crashes += 1
            assert {path.name for path in fit.root.iterdir()} == {"checkpoint"}
    assert crashes > 2
    assert killing.files(fit.root) == killing.files(subject.folder.fit(key.name).root)
    assert {path.name for path in fit.root.iterdir()} == killing.files(fit.root).keys()


def test_results_are_read_as_tables(results):
    assert len(results.evaluation) == 19
    assert len(results.trials) == 24
    assert len(results.history) == 2 * (2 + 3 + 3)
    columns = {"epoch", "first_rate", "loss", "subject", "schedule", "rate", "seed"}
    assert set(results.history.columns) >= columns
    epochs, probabilities = results.probabilities(subject=1, schedule="restarts", budget=3, rate=0.05, seed=0)
    assert epochs.tolist() == [1, 3]
    assert probabilities.shape == (2, 12, 4)
    np.testing.assert_array_equal(results.probabilities(1, "restarts", rate=0.05)[1], probabilities)
    either = "seed 0; name one of restarts-b3-r0.025-s0, restarts-b3-r0.05-s0"
    with pytest.raises(UserError, match="has no fits of schedule restarts, budget 3, rate 0.1, " + either):
        results.probabilities(1, "restarts", 3, 0.1)
    with pytest.raises(UserError, match="has 2 fits of schedule restarts, " + either):
        results.probabilities(1, "restarts")
    for nobody in ({}, {"subject": 1, "fold": 1}):
        with pytest.raises(UserError, match="name either a subject or, across subjects, a fold"):
            results.probabilities(**nobody)
    with pytest.raises(UserError, match="has no subject 7"):
        results.subject(7)


@ONE_PROCESS
def test_two_processes_make_the_same_files(one_call):
    folder, expected, _ = one_call
    killing.run(killing.command(folder, "two", *killing.SHORT, "--jobs", "2"))
    assert killing.differing(expected, killing.files(folder / "two")) == []
    assert {f"small/subjects/00{i}/report.html" for i in (1, 2)} <= expected.keys()


@ONE_PROCESS
def test_the_whole_study_has_one_line_of_progress(one_call):
    lines = [line for line in one_call[2].splitlines() if re.search(r" of \d+ epochs, ", line)]
    assert lines[-1].startswith("small: 14 of 14 epochs, ")
    assert lines[-1].endswith(" 00:00 left")
    assert {line.split(":")[0] for line in lines} == {"small"}


@ONE_PROCESS
def test_array_calls_and_one_that_compares_equal_one_call(one_call):
    """Two at a time on one folder, one of them killed and started again, as a cluster does."""
    folder, expected, _ = one_call
    call = killing.command(folder, "array", *killing.SHORT)
    calls = [[*call, "--jobs", "1", "--subject", subject] for subject in ("1", "2")]
    first, second = [killing.start(call) for call in calls]
    fits = folder / "array" / "small" / "subjects" / "002" / "fits"
    while not list(fits.glob("*/checkpoint")):
        assert second.poll() is None, second.stderr.read()
        time.sleep(0.02)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    killing.run(calls[1])
    killing.wait(first)
    killing.run(call)
    assert killing.differing(expected, killing.files(folder / "array")) == []
    assert load_results(folder / "array" / "small").plan.subjects == ("01", "02")


SUBJECTS = ("01", "02")


@pytest.fixture
def reads(monkeypatch):
    counts = Counter()
    opened = io.open

    def count(path, mode="r", *rest, **options):
        if isinstance(path, Path) and "r" in mode:
            counts[path] += 1
        return opened(path, mode, *rest, **options)

    monkeypatch.setattr(io, "open", count)
    return counts


@pytest.fixture
def writes(monkeypatch):
    counts = Counter()
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (counts.update([Path(new)]), replace(old, new)))
    return counts


@pytest.mark.parametrize(("store", "n_seeds"), [("ends", 3), ("epochs", 1)])
def test_a_command_with_nothing_to_do_reads_each_fit_twice_and_writes_the_configuration_once(
    store, n_seeds, tmp_path, monkeypatch, reads, writes
):
    settings = study_settings(SUBJECTS, seeds=range(n_seeds), training={"store": store}, baseline=None)
    study = folders.Study(tmp_path)
    write_study(tmp_path, settings, lambda *_: [])
    monkeypatch.setattr(plan, "fingerprint", lambda *_: "made up")
    reported = []
    monkeypatch.setattr(
        "eeg_sgdr.reports.subject.subject_report",
        lambda results, subject: reported.append((subject.label, len(subject.done))),
    )
    units = [Unit(label, None, None, settings, study.subject(label), None) for label in SUBJECTS]
    for unit in units:
        there = Subject(unit.folder)
        described = {"info": there.data, "table": there.trials, "summary": there.summary}
        unit.trials = SimpleNamespace(title=there.title, **described)
    n_fits = len(plan.fits(settings))
    reads.clear()
    writes.clear()
    assert pipeline.train(units, study, n_jobs=1, debug=True) == []
    assert reported == [(label, n_fits) for label in SUBJECTS]
    # 48 fits, or 16 whose probabilities are stored at every epoch.
    of_fits = [reads[path] for path in tmp_path.rglob("fit.json")]
    assert len(of_fits) == 2 * n_fits
    assert 1 <= min(of_fits) <= max(of_fits) <= 2
    assert writes[study.config] == 1
    assert writes[study.comparison] == 1


def test_missing_kernels_are_said_where_they_would_train(monkeypatch, capsys):
    for name, missing, said in (
        ("EEGNet", True, True),
        ("ShallowFBCSPNet", True, True),
        ("Deep4Net", True, False),
        ("EEGNet", False, False),
    ):
        monkeypatch.setattr(pipeline.kernels, "missing", lambda missing=missing: missing)
        pipeline.warn_of_missing_kernels(make_settings(network={"name": name}), 1)
        assert (f"no compiled kernels: {name} trains" in capsys.readouterr().err) == said
