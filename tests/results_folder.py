"""Results folders made up through the storage: real formats, errors as a test wants them, nothing trained."""

import json
from dataclasses import dataclass, field
from functools import cache, partial

import mne
import numpy as np
import pandas as pd
from conftest import make_settings
from safetensors.numpy import save

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.data.splits import folds
from eeg_sgdr.evaluation.comparison import update
from eeg_sgdr.evaluation.predictors import averages
from eeg_sgdr.evaluation.stored import evaluate
from eeg_sgdr.settings import plan
from eeg_sgdr.storage import columns, files, folders, integrity, records
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject

N_TRAIN, N_TEST, N_UPDATES = 12, 20, 4
SENSORS = ("FC1", "C3", "Cz", "C4", "CP2", "Fpz", "Oz", "T7")
#: What data.json holds beside the label, and fit.json of a baseline.
DATA = {
    "sensors": [*SENSORS], "sfreq": 100.0, "window_samples": [-50, 200], "classes": ["left", "right"],
    "interpolated": {"0/1": ["FC1"]}, "lacking": {}, "flat": {}, "noisy": {}, "bridged": {}, "resampled": {},
    "not_causal": [0, N_TRAIN], "simulated": False, "fingerprint": "made up", "source_files": {},
}  # fmt: skip
BASELINE = {
    "state": "done", "fingerprint": "made up", "versions": {}, "seconds": 1.0,
    "settings": {"baseline": {"band_hz": [8, 30]}},
}  # fmt: skip
FIT = {"fingerprint": "made up", "settings": {}, "versions": {"eeg_sgdr": "0", "torch": "0"}, "stack": []}
FAILED = {"state": "failed", "why": "the loss is not finite in epoch 1, at a rate of 0.05"}


@dataclass(frozen=True)
class MadeUp:
    """What the folder of a subject or fold is made from; each test changes what it is about."""

    classes: tuple[str, ...] = ("left", "right")
    sensors: tuple[str, ...] = SENSORS
    places: tuple[str, ...] = SENSORS
    seeds: tuple[int, ...] = (0,)
    rejected: str = ""
    simulated: bool = False
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    capability: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    n_updates: int = N_UPDATES
    settings: dict = field(default_factory=dict)


def study_settings(subjects, seeds=(0,), rates=(0.025, 0.05), budgets=(1, 3, 7), epochs=7, **changes):
    """Settings of a study with step budgets and warm restarts."""
    training = {"seeds": list(seeds), "initial_rates": list(rates)}
    step = {"kind": "step", "budgets": list(budgets)}
    arms = {"step": step, "restarts": {"kind": "warm_restarts", "epochs": epochs}}
    defaults = {"recordings": {"subjects": list(subjects)}, "training": training, "schedules": arms}
    merged = {name: {**section, **changes.pop(name, {})} for name, section in defaults.items()}
    return make_settings(**merged, **changes)


def across(settings, **split):
    """The same settings, with networks trained across subjects."""
    data = settings.model_dump(mode="json")
    return config.validate({**data, "split": {"by": "subject", **split}}, "test")


def write_folder(root, made_up):
    """Write subject 1 of a study, and read both."""
    classes = {name: name for name in made_up.classes}
    settings = study_settings(["1"], made_up.seeds, recordings={"classes": classes}, **made_up.settings)
    results = _write(root, settings, [{"subject": "1"}], made_up=made_up)
    return results, results.subject("1")


def write_study(root, settings, wrong, missing=()):
    """Write the results of all subjects; `missing` lists (label, name of fit) or labels.

    `wrong` is a function of a label, a FitKey and an epoch: the numbers of the test trials that are wrong.
    Without it, probabilities are drawn at random, and weights are written, too.
    """
    units = [{"subject": label} for label in settings.recordings.subjects]
    return _write(root, settings, units, wrong, missing)


def write_folds(root, settings, wrong, missing=()):
    """Write the results of all folds, as above; people who train, or test, have equally many trials."""
    divided = folds(settings.split, settings.recordings.subjects)
    units = [{"fold": of.label, "train_subjects": of.train, "test_subjects": of.test} for of in divided]
    return _write(root, settings, units, wrong, missing)


def _write(root, settings, units, wrong=None, missing=(), made_up=MadeUp()):
    study = folders.Study(root)
    files.write_text(study.config, config.to_yaml(settings))
    for named in units:
        kind, label = next(iter(named.items()))
        if label not in missing:
            lacking = {*made_up.missing, *(entry[1] for entry in missing if entry[0] == label)}
            of_unit = wrong and partial(wrong, label)
            _write_unit(getattr(study, kind)(label), settings, named, of_unit, lacking, made_up)
    return Results(root)


def compare(results):
    """Write comparison.csv of results just written, and read it with them."""
    update(results.root)
    return Results(results.root)


def edit_fits(root, **changes):
    """Change the contents of every fit.json below a folder."""
    for path in root.rglob("fit.json"):
        files.write_json(path, {**json.loads(path.read_text()), **changes})


def wrong_at_end(step, restarts):
    """Wrong trials, whose numbers after 7 epochs are given by label; one more at 3, at chance at 1.

    A rate of 0.05 has one more wrong trial than 0.025, and each seed one more than the last.
    """

    def wrong(label, key, epoch):
        at_end = step if key.schedule == "step" else restarts
        return range(10 if epoch == 1 else at_end[label] + (epoch == 3) + (key.rate == 0.05) + key.seed)

    return wrong


def wrong_in_folds(label, key, epoch):
    """Wrong of the ten trials of each of two subjects in two folds, whatever rate, seed and epoch."""
    step, restarts = {"1": (4, 4), "2": (2, 2)}, {"1": (2, 4), "2": (3, 0)}
    first, second = (step if key.schedule == "step" else restarts)[label]
    return [*range(first), *range(10, 10 + second)]


def rows(table, **values):
    """The rows of a table that have these values."""
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def one(table, **values):
    """The one row that has these values, as a dictionary."""
    (row,) = rows(table, **values).to_dict("records")
    return row


def _write_unit(folder, settings, named, wrong, missing, made_up):
    people = (named.get(f"{part}_subjects", [named.get("subject")]) for part in ("train", "test"))
    trials = _trials(made_up, *people)
    files.write_csv(folder.trials, trials)
    files.write_npz(folder.summary, _summary(made_up))
    sensors, classes = list(made_up.sensors), list(made_up.classes)
    described = {"sensors": sensors, "classes": classes, "simulated": made_up.simulated}
    files.write_json(folder.data, {**named, **DATA, **described, "interpolated": {"0/1": sensors[:1]}})
    test = trials[(trials["split"] == "test") & (trials["rejected"] == "")]
    for key in plan.fits(settings):
        if key.name not in missing:
            _write_fit(folder.fit(key.name), key, settings, made_up, test, wrong and partial(wrong, key))
    subject = Subject(folder)
    if subject.done:
        evaluate(subject, settings)


def _trials(made_up, train, test):
    n = N_TRAIN + N_TEST
    people = [np.asarray(of)[np.arange(m) * len(of) // m] for of, m in ((train, N_TRAIN), (test, N_TEST))]
    columns = {
        "trial": np.arange(n),
        "split": ["train"] * N_TRAIN + ["test"] * N_TEST,
        "subject": np.concatenate(people),
        "session": "0",
        "run": ["1"] * N_TRAIN + ["2"] * N_TEST,
        "onset_s": 4.0 + np.arange(n),
        "class": [made_up.classes[i % len(made_up.classes)] for i in range(n)],
        "rejected": [""] * (n - 1) + [made_up.rejected],
    }
    return pd.DataFrame(columns)


@cache
def _places():
    montage = montage_1005()
    info = mne.create_info(montage.ch_names, 1.0, "eeg").set_montage(montage)
    return info.get_montage().get_positions()["ch_pos"]


def _summary(made_up):
    rng = np.random.default_rng(0)
    n, k = len(made_up.sensors), len(made_up.classes)
    mixing = rng.normal(size=(n, n))
    return {
        "positions": np.array([_places().get(name, np.full(3, np.nan)) for name in made_up.places]),
        "frequencies": np.arange(51.0),
        "spectra": rng.uniform(1, 2, size=(k, n, 51)).astype(np.float32),
        "covariance": mixing @ mixing.T,
    }


def _write_fit(folder, key, settings, made_up, test, wrong):
    described = {
        **FIT,
        "fit": {"schedule": key.schedule, "budget": key.budget, "rate": key.rate, "seed": key.seed},
        "cpu_capability": made_up.capability.get(key.name, "AVX2"),
        "seconds": 1.0,
    }
    if key.name in made_up.failed:
        files.write_json(folder.fit, {**described, **FAILED})
        return
    schedule, u = plan.schedule_of(key, settings), made_up.n_updates
    epochs = np.arange(key.budget)
    first, last = ([schedule.lr(epoch + into) for epoch in epochs] for into in (0, (u - 1) / u))
    history = {"epoch": epochs + 1, "first_rate": first, "last_rate": last, "loss": 0.5, "seconds": 0.5}
    files.write_csv(folder.history, pd.DataFrame(history))
    stored = epochs + 1 if settings.training.store == "epochs" else np.array(schedule.ends)
    if wrong:
        _write_wrong(folder, test["trial"], {epoch: wrong(epoch) for epoch in stored})
    else:
        k = len(made_up.classes)
        rng = np.random.default_rng([key.budget, round(1000 * key.rate), key.seed, len(key.schedule)])
        y = test["class"].map(made_up.classes.index).to_numpy()
        logits = rng.normal(size=(len(stored), len(y), k)) + 1.5 * np.eye(k)[y]
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        _write_predictions(folder, stored, test["trial"], y, made_up.classes, probabilities)
        for end in schedule.ends:
            files.write_bytes(folder.snapshot(end), save(shallow_state(rng, len(made_up.sensors), k)))
    described |= {"state": "done", "form": made_up.form.get(key.name, "braindecode"), "updates_per_epoch": u}
    files.write_json(folder.fit, described)
    if members := averages(key, settings):
        _write_averages(folder, described, members)


def _write_averages(folder, described, members):
    """Averaged weights that are, and predict, what the last snapshot does."""
    with np.load(folder.predictions) as stored:
        arrays = {name: stored[name] for name in columns.AVERAGED}
    ends = [epochs[-1] for epochs in members]
    at = np.searchsorted(arrays["epochs"], ends)
    arrays |= {"epochs": np.array(ends), "probabilities": arrays["probabilities"][at]}
    files.write_npz(folder.averaged_predictions, arrays)
    paths = [folder.averaged_predictions]
    for end in ends:
        if folder.snapshot(end).exists():
            files.write_bytes(folder.averaged(end), folder.snapshot(end).read_bytes())
            paths.append(folder.averaged(end))
    record = {name: described[name] for name in ("fingerprint", "versions", "cpu_capability")}
    sha256 = {path.name: integrity.file_digest(path) for path in paths}
    listed = {str(epochs[-1]): list(epochs) for epochs in members}
    records.write_record(folder.averages, {**record, "members": listed, "sha256": sha256})


def write_baseline(folder, n_wrong):
    """Write the baseline of a subject of `write_study`; it is wrong about the first test trials."""
    _write_wrong(folder, N_TRAIN + np.arange(N_TEST), {0: np.arange(n_wrong)})
    files.write_json(folder.fit, BASELINE)


def _write_wrong(folder, trials, wrong):
    """Write predictions of two classes from the numbers of wrong trials by epoch."""
    y = np.arange(N_TEST) % 2
    said = np.array([np.where(np.isin(np.arange(N_TEST), of), 1 - y, y) for of in wrong.values()])
    probabilities = np.where(np.arange(2) == said[..., None], 0.9, 0.1)
    _write_predictions(folder, list(wrong), trials, y, MadeUp.classes, probabilities)


def _write_predictions(folder, epochs, trials, y, classes, probabilities):
    probabilities = probabilities.astype(np.float32)
    arrays = {"epochs": np.array(epochs), "trials": np.array(trials), "y": y, "classes": np.array(classes)}
    both = {"probabilities": probabilities, "probabilities_running": probabilities[:, ::-1]}
    files.write_npz(folder.predictions, {**arrays, **both})


def shallow_state(rng, n_channels, n_classes, n_units=8, n_taps=5):
    """Weights with the names and shapes of ShallowFBCSPNet's."""
    shapes = {
        "conv_time_spat.conv_time.weight": (n_units, 1, n_taps, 1),
        "conv_time_spat.conv_spat.weight": (n_units, n_units, 1, n_channels),
        "final_layer.conv_classifier.weight": (n_classes, n_units, 3, 1),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
