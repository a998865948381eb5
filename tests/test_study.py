"""A small study from end to end: what is on disk, what is trained again, what is refused."""

import itertools
import json
import os
import shutil

import numpy as np
import pytest
import torch
from killing import files
from sklearn.metrics import accuracy_score
from small_study import configuration, run

from eeg_sgdr import settings as config
from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation import tables
from eeg_sgdr.jobs.submit import Jobs
from eeg_sgdr.jobs.tasks import make_baseline
from eeg_sgdr.jobs.units import Unit, check_same, open_units
from eeg_sgdr.pipeline import record_settings
from eeg_sgdr.settings import plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import fit_seconds, load_results, trial_seconds


@pytest.fixture(scope="module")
def data_dir(small_study):
    return small_study[0]


@pytest.fixture(scope="module")
def subject(small_study):
    return load_results(small_study[1]).subject(1)


@pytest.fixture(scope="module")
def settings(small_study):
    return load_results(small_study[1]).settings


@pytest.fixture
def copied(small_study, tmp_path):
    """A copy of the study's folder, for tests that change it."""
    return shutil.copytree(small_study[1], tmp_path / "copied")


def test_the_folder_is_as_the_contract_says(subject):
    fits = {
        "step-b2-r0.025-s0": [2], "step-b2-r0.05-s0": [2], "step-b3-r0.025-s0": [3], "step-b3-r0.05-s0": [3],
        "restarts-b3-r0.025-s0": [1, 3], "restarts-b3-r0.05-s0": [1, 3],
    }  # fmt: skip
    expected = {"config.yaml"} | {
        f"subjects/001/{name}"
        for name in ("trials.csv", "data.json", "summary.npz", "evaluation.csv",
                     "baseline/fit.json", "baseline/predictions.npz")
    }  # fmt: skip
    for name, ends in fits.items():
        expected |= {
            f"subjects/001/fits/{name}/{file}" for file in ("fit.json", "history.csv", "predictions.npz")
        }
        expected |= {f"subjects/001/fits/{name}/snapshot-{end:04d}.safetensors" for end in ends}
    assert set(files(subject.folder.root.parents[1])) == expected


def test_results_depend_on_nothing_but_settings_data_and_seed(subject, data_dir, tmp_path):
    """Made again in two processes, with other seeds and rates beside: the same bytes."""
    again = run(data_dir, tmp_path, jobs=2, training={"seeds": [0, 1], "initial_rates": [0.05, 0.025, 0.1]})
    ours, theirs = (files(s.folder.root / "fits") for s in (subject, again))
    assert len(theirs) > len(ours)
    assert {name: theirs[name] for name in ours} == ours


def test_nothing_is_trained_twice_and_lists_grow(subject, data_dir, copied):
    before = files(copied)
    run(data_dir, copied)
    assert files(copied) == before
    grown = run(data_dir, copied, training={"seeds": [1], "initial_rates": [0.025]})
    after = files(copied)
    kept = {name for name in before if "/fits/" in name}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    results = load_results(copied)
    assert results.settings.training.seeds == (0, 1)
    assert len(grown.done) == 2 * len(subject.done)
    assert set(grown.evaluation["seeds"]) == {"0", "1", ""}
    assert results.settings.recordings.subjects == ("01",)


def test_lists_that_another_process_adds_meanwhile_stay(data_dir, tmp_path):
    """Both have read the folder before either writes."""
    study = folders.Study(tmp_path)
    both = [
        open_units(config.validate(configuration(training={"seeds": [seed]}), "test"), study, [label])
        for seed, label in ((0, "1"), (1, "2"))
    ]
    for (unit,) in both:
        record_settings(unit.settings, study)
    settings = load_results(tmp_path).settings
    assert (settings.training.seeds, settings.recordings.subjects) == ((0, 1), ("01", "02"))


def test_other_settings_do_not_mix(small_study):
    data_dir, out = small_study
    before = files(out)
    with pytest.raises(UserError, match=r"training\.momentum: 0\.9 here, 0\.5 asked for"):
        run(data_dir, out, training={"momentum": 0.5})
    assert files(out) == before


def test_another_baseline_is_refused_and_none_keeps_the_one_there(data_dir, copied):
    before = files(copied)
    with pytest.raises(
        UserError, match=r"baseline\.band_hz: \[8\.0, 30\.0\] here, \[9\.0, 30\.0\] asked for"
    ):
        run(data_dir, copied, baseline={"band_hz": [9, 30]})
    assert files(copied) == before
    run(data_dir, copied, baseline=None)
    after = files(copied)
    # Nothing is compared with the baseline then, but what the folder holds stays in it, and in its list.
    del before["config.yaml"], after["config.yaml"]
    assert after == before
    assert load_results(copied).settings.baseline.band_hz == (8, 30)


def test_without_a_baseline_fits_are_the_same(subject, data_dir, tmp_path):
    without = run(data_dir, tmp_path, baseline=None)
    assert without.baseline is None
    assert set(without.evaluation["members"]) == {"single", "cycles"}
    assert files(without.folder.root / "fits") == files(subject.folder.root / "fits")


def test_a_singular_covariance_fails_the_baseline_alone(subject, settings, tmp_path):
    """Told with its trial; the ConvNets do not need it."""

    class Zeros:
        info = subject.data
        title = "subject 01"

        def array(self, name):
            kind, part = name.split("_")
            return {"trials": np.array([4, 7]), "band": np.array([np.eye(3), np.eye(3) * (part == "train")])}[
                kind
            ]

    folder = folders.FitFolder(tmp_path)
    make_baseline(settings, Zeros(), folder)
    outcome = json.loads(folder.fit.read_text())
    assert outcome["state"] == "failed"
    assert "covariance of trial 7 is singular" in outcome["why"]
    assert not folder.predictions.exists()


def test_a_fit_of_other_data_is_refused(subject, settings, data_dir):
    other = settings.model_copy(
        update={"preprocessing": settings.preprocessing.model_copy(update={"highpass_hz": 8.0})}
    )
    other = other.model_copy(update={"compute": config.Compute(data_dir=str(data_dir))})
    source = open_source(settings.recordings, data_dir)
    with pytest.raises(UserError, match="made with other settings or recordings"):
        check_same(Unit("01", None, source, other, subject.folder))


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
    fits = subject.folder.root / "fits"
    p = {r: np.load(fits / f"restarts-b3-r{r}-s0" / "predictions.npz") for r in ("0.025", "0.05")}
    y = p["0.05"]["y"]
    last = {r: arrays["probabilities"][1] for r, arrays in p.items()}
    mean = (last["0.025"] + last["0.05"]) / 2
    row = table.loc[("restarts", 3, 3, "0.025+0.05", "cycles")]
    assert row["error"] == pytest.approx(1 - accuracy_score(y, mean.argmax(1)))
    assert row[["n_fits", "n_snapshots", "n_networks", "epochs_spent", "n_test"]].tolist() == [2, 1, 2, 6, 12]
    row = table.loc[("restarts", 3, 1, "0.05", "single")]
    assert row["error"] == pytest.approx(1 - accuracy_score(y, p["0.05"]["probabilities"][0].argmax(1)))
    assert row["epochs_spent"] == 1
    baseline = np.load(subject.folder.root / "baseline" / "predictions.npz")
    row = table.loc[("baseline", 0, 0, "", "baseline")]
    assert row["error"] == pytest.approx(1 - accuracy_score(y, baseline["probabilities"][0].argmax(1)))
    assert row[["n_fits", "n_snapshots", "n_networks", "epochs_spent", "n_test"]].tolist() == [0, 0, 0, 0, 12]
    assert len(table) == 3 * (2 + 2 + 2) + 1


def test_running_statistics_are_tabled_without_training(subject, settings):
    evaluation = settings.evaluation.model_copy(update={"batch_norm_statistics": "running"})
    running = tables.evaluation(subject, settings.model_copy(update={"evaluation": evaluation}))
    row = running.query("schedule == 'step' and budget == 2 and rates == '0.05'").iloc[0]
    arrays = subject.predictions(FitKey("step", 2, 0.05, 0))
    assert row["brier"] == pytest.approx(
        np.mean(np.sum((arrays["probabilities_running"][0] - np.eye(4)[arrays["y"]]) ** 2, axis=1)), rel=1e-6
    )


def test_snapshots_load_into_braindecode(subject, settings, data_dir):
    """Without anything of ours, and the stored probabilities come out: softmax of the mean over crops."""
    import_braindecode()
    from braindecode.models import ShallowFBCSPNet
    from safetensors.torch import load_file

    key = FitKey("step", 3, 0.05, 0)
    model = ShallowFBCSPNet(n_chans=3, n_outputs=4, n_times=400, sfreq=100, final_conv_length=4)
    model.load_state_dict(load_file(subject.folder.fit(key.name).snapshot(3)))
    model.to_dense_prediction_model()
    model.eval()
    prepared = prepare(open_source(settings.recordings, data_dir), "01", settings, data_dir)
    x = torch.tensor(prepared.array("x_test"))
    with torch.no_grad():
        logits = torch.stack([model(x[:, :, start : start + 400]).mean(2) for start in (0, 50)]).mean(0)
    expected = torch.softmax(logits, 1).numpy()
    np.testing.assert_allclose(subject.predictions(key)["probabilities"][0], expected, rtol=1e-3, atol=1e-5)


def test_a_failed_fit_is_marked_and_the_others_go_on(data_dir, tmp_path):
    subject = run(data_dir, tmp_path, training={"initial_rates": [0.05, 1e30]})
    states = {key.name: content["state"] for key, content in subject.fits.items()}
    assert states["step-b3-r0.05-s0"] == "done"
    assert states["step-b3-r1e+30-s0"] == "failed"
    assert "not finite in epoch" in subject.fits[FitKey("step", 3, 1e30, 0)]["why"]
    assert set(subject.evaluation["rates"]) == {"0.05", ""}


def test_every_epoch_is_stored_when_asked_and_ends_are_reproduced(subject, data_dir, copied):
    before = files(subject.folder.root / "fits")
    again = run(data_dir, copied, training={"store": "epochs"})
    key = FitKey("restarts", 3, 0.05, 0)
    epochs, probabilities = load_results(copied).probabilities(1, "restarts", 3, 0.05)
    assert epochs.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(probabilities[[0, 2]], subject.predictions(key)["probabilities"])
    after = files(again.folder.root / "fits")
    snapshots = [name for name in before if name.endswith(".safetensors")]
    assert {name: after[name] for name in snapshots} == {name: before[name] for name in snapshots}


def test_the_time_of_a_fit_and_of_a_prediction_are_kept(subject):
    for content in [*subject.fits.values(), subject.baseline]:
        assert 0 < trial_seconds(content) < fit_seconds(content)


@pytest.mark.parametrize(("stored", "kept"), [("ends", False), ("epochs", True)])
def test_a_checkpoint_stays_only_where_a_fit_is_made_again(data_dir, copied, monkeypatch, stored, kept):
    """A crash right after the last file leaves one, too."""
    fit = folders.Study(copied).subject("01").fit("step-b3-r0.05-s0")
    for path in (fit.checkpoint, fit.lock):
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    monkeypatch.setattr(Jobs, "_submit", lambda *_: None)
    run(data_dir, copied, training={"store": stored})
    assert fit.checkpoint.exists() == kept


def test_a_crash_within_a_fit_loses_nothing(subject, settings, data_dir, tmp_path, monkeypatch):
    """The files are the same, whatever update it was at; made in this process, to be crashed."""
    from eeg_sgdr.jobs import tasks
    from eeg_sgdr.training.optimizers import SGD

    key = FitKey("restarts", 3, 0.05, 0)
    compute = settings.compute.model_copy(update={"checkpoint_minutes": 0.0})
    settings = settings.model_copy(update={"compute": compute})
    prepared = prepare(open_source(settings.recordings, data_dir), "01", settings, data_dir)
    fit = folders.SubjectFolder(tmp_path).fit(key.name)
    step, count = SGD.step, itertools.count(1)

    def crash(self, rate):
        if next(count) % 4 == 0:
            raise ZeroDivisionError
        step(self, rate)

    monkeypatch.setattr(SGD, "step", crash)
    crashes = 0
    while not fit.fit.is_file():
        try:
            tasks.make_fits([key], settings, prepared, folders.SubjectFolder(tmp_path), tmp_path / "steps")
        except ZeroDivisionError:
            crashes += 1
            assert {path.name for path in fit.root.iterdir()} == {"checkpoint"}
    assert crashes > 2
    assert files(fit.root) == files(subject.folder.fit(key.name).root)
    assert {path.name for path in fit.root.iterdir()} == files(fit.root).keys()


def test_results_are_read_as_tables(small_study):
    results = load_results(small_study[1])
    assert len(results.evaluation) == 19
    assert len(results.trials) == 24
    assert len(results.history) == 2 * (2 + 3 + 3)
    columns = {"epoch", "first_rate", "loss", "subject", "schedule", "rate", "seed"}
    assert set(results.history.columns) >= columns
    epochs, probabilities = results.probabilities(subject=1, schedule="restarts", budget=3, rate=0.05, seed=0)
    assert epochs.tolist() == [1, 3]
    assert probabilities.shape == (2, 12, 4)
    np.testing.assert_array_equal(results.probabilities(1, "restarts", rate=0.05)[1], probabilities)
    none = "has no fits of schedule restarts, budget 3, rate 0.1, seed 0; name one of restarts-b3-r0.025-s0, "
    with pytest.raises(UserError, match=none):
        results.probabilities(1, "restarts", 3, 0.1)
    several = (
        "has 2 fits of schedule restarts, seed 0; name one of restarts-b3-r0.025-s0, restarts-b3-r0.05-s0"
    )
    with pytest.raises(UserError, match=several):
        results.probabilities(1, "restarts")
    for nobody in ({}, {"subject": 1, "fold": 1}):
        with pytest.raises(UserError, match="name either a subject or, across subjects, a fold"):
            results.probabilities(**nobody)
    with pytest.raises(UserError, match="has no subject 7"):
        results.subject(7)


def test_what_is_no_results_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="config.yaml: is not there, so .* is no results folder"):
        load_results(tmp_path)
