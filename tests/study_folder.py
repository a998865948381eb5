"""A study of several subjects, made up through the store: errors as a test wants them, nothing trained."""

import numpy as np
import pandas as pd
from conftest import make_settings

from eeg_sgdr import settings as config
from eeg_sgdr.data.splits import folds
from eeg_sgdr.evaluation import tables
from eeg_sgdr.settings import plan
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results, Subject

N_TEST = 20

#: What data.json holds beside the label, and fit.json of a baseline.
DATA = {
    "sensors": ["C3"], "sfreq": 100.0, "window_samples": [-50, 200], "classes": ["left", "right"],
    "interpolated": {}, "flat": {}, "resampled": {}, "not_causal": [], "simulated": False,
    "fingerprint": "made up", "source_files": {},
}  # fmt: skip
BASELINE = {
    "state": "done", "fingerprint": "made up", "versions": {}, "seconds": 1.0,
    "settings": {"baseline": {"band_hz": [8, 30]}},
}  # fmt: skip


def study_settings(subjects, seeds=(0,), rates=(0.025, 0.05), budgets=(1, 3, 7), epochs=7, **changes):
    """Settings of a study with step budgets and warm restarts."""
    training = {"seeds": list(seeds), "initial_rates": list(rates), **changes.pop("training", {})}
    return make_settings(
        recordings={"subjects": list(subjects)},
        training=training,
        schedules={
            "step": {"kind": "step", "budgets": list(budgets)},
            "restarts": {"kind": "warm_restarts", "epochs": epochs},
            **changes.pop("schedules", {}),
        },
        **changes,
    )


def write_study(root, settings, wrong, missing=()):
    """Write a results folder.

    Parameters
    ----------
    root : Path
        Where.
    settings : Settings
        The configuration; its subjects are listed.
    wrong : callable
        Of a label, a FitKey and an epoch: the numbers of the test trials that are wrong.
    missing : collection of (label, name of fit) or label
        What is not there.
    """
    study = folders.Study(root)
    files.write_text(study.config, config.to_yaml(settings))
    for label in settings.recordings.subjects:
        if label not in missing:
            lacking = [entry[1] for entry in missing if entry[0] == label]
            write_unit(study.subject(label), settings, {"subject": label}, wrong, lacking)
    return Results(root)


def across(settings, **split):
    """The same settings, with networks trained across subjects."""
    data = settings.model_dump(mode="json")
    return config.validate({**data, "split": {"by": "subject", **split}}, "test")


def write_folds(root, settings, wrong, missing=()):
    """Write a results folder across subjects; as above, labels being those of folds.

    The test trials of a fold are divided equally among its subjects, in order.
    """
    study = folders.Study(root)
    files.write_text(study.config, config.to_yaml(settings))
    for fold in folds(settings.split, settings.recordings.subjects):
        if fold.label not in missing:
            named = {"fold": fold.label, "train_subjects": fold.train, "test_subjects": fold.test}
            lacking = [entry[1] for entry in missing if entry[0] == fold.label]
            write_unit(study.fold(fold.label), settings, named, wrong, lacking)
    return Results(root)


def write_unit(folder, settings, named, wrong, missing=()):
    """Write the folder of a subject, or of a fold; the first of ``named`` is its label."""
    label = next(iter(named.values()))
    y = np.arange(N_TEST) % 2
    people = named.get("test_subjects", [label])
    subjects = np.repeat(people, N_TEST // len(people))
    trials = {
        "trial": np.arange(N_TEST), "split": "test", "subject": subjects, "session": "0", "run": "2",
        "onset_s": np.arange(N_TEST), "class": np.array(["left", "right"])[y], "rejected": "",
    }  # fmt: skip
    files.write_csv(folder.trials, pd.DataFrame(trials))
    files.write_json(folder.data, {**named, **DATA})
    for key in plan.fits(settings):
        if key.name not in missing:
            write_fit(folder.fit(key.name), key, settings, y, label, wrong)
    subject = Subject(folder)
    if subject.done:
        files.write_csv(folder.evaluation, tables.evaluation(subject, settings))


def write_fit(folder, key, settings, y, label, wrong):
    every = settings.training.store == "epochs"
    epochs = range(1, key.budget + 1) if every else plan.schedule_of(key, settings).ends
    probabilities = np.empty((len(epochs), N_TEST, 2), np.float32)
    for i, epoch in enumerate(epochs):
        said = np.where(np.isin(np.arange(N_TEST), wrong(label, key, epoch)), 1 - y, y)
        probabilities[i] = np.where(np.arange(2) == said[:, None], 0.9, 0.1)
    arrays = {
        "epochs": np.array(epochs),
        "trials": np.arange(N_TEST),
        "y": y,
        "classes": np.array(["left", "right"]),
        "probabilities": probabilities,
        "probabilities_running": probabilities,
    }
    files.write_npz(folder.predictions, arrays)
    history = {"epoch": np.arange(key.budget) + 1, "first_rate": 0.1, "last_rate": 0.1, "loss": 0.5}
    files.write_csv(folder.history, pd.DataFrame({**history, "seconds": 0.5}))
    fit = {"schedule": key.schedule, "budget": key.budget, "rate": key.rate, "seed": key.seed}
    made = {"versions": {"eeg_sgdr": "0"}, "stack": [], "cpu_capability": "AVX2", "seconds": 1.0}
    outcome = {"state": "done", "form": "braindecode", "updates_per_epoch": 4}
    files.write_json(folder.fit, {"fit": fit, **outcome, "fingerprint": "made up", **made})
