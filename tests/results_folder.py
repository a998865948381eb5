"""A small results folder, made up through the store: real formats, nothing trained."""

from dataclasses import dataclass, field
from pathlib import Path

import mne
import numpy as np
import pandas as pd
from conftest import make_settings
from safetensors.numpy import save

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources.lab import montage_1005
from eeg_sgdr.evaluation import tables
from eeg_sgdr.settings import plan
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results, Subject

N_TRAIN, N_TEST, N_UPDATES = 12, 20, 4
SENSORS = ("FC1", "C3", "Cz", "C4", "CP2", "Fpz", "Oz", "T7")


@dataclass(frozen=True)
class MadeUp:
    """What a folder is made from; each test changes what it is about."""

    classes: tuple[str, ...] = ("left", "right")
    sensors: tuple[str, ...] = SENSORS
    places: tuple[str, ...] = SENSORS
    seeds: tuple[int, ...] = (0,)
    rejected: str = ""
    simulated: bool = False
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    capability: dict[str, str] = field(default_factory=dict)
    n_updates: int = N_UPDATES
    network: str = "ShallowFBCSPNet"
    settings: dict = field(default_factory=dict)
    evaluation: dict = field(default_factory=dict)


def write_folder(root: Path, made_up: MadeUp) -> tuple[Results, Subject]:
    """Write subject 1 of a study, and read it."""
    settings = make_settings(
        recordings={"classes": {name: name for name in made_up.classes}},
        network={"name": made_up.network},
        training={"seeds": list(made_up.seeds)},
        schedules={
            "step": {"kind": "step", "budgets": [1, 3, 7]},
            "restarts": {"kind": "warm_restarts", "epochs": 7},
        },
        **made_up.settings,
    )
    if made_up.evaluation:
        changed = {**settings.model_dump(mode="json"), "evaluation": made_up.evaluation}
        settings = config.validate(changed, "test")
    study = folders.Study(root)
    files.write_text(study.config, config.to_yaml(settings))
    folder = study.subject("1")
    rng = np.random.default_rng(0)
    trials = _trials(made_up)
    files.write_csv(folder.trials, trials)
    files.write_npz(folder.summary, _summary(made_up, rng))
    files.write_json(folder.data, _data(made_up))
    test = trials[(trials["split"] == "test") & (trials["rejected"] == "")]
    y = test["class"].map(made_up.classes.index).to_numpy()
    for key in plan.fits(settings):
        if key.name not in made_up.missing:
            _write_fit(folder.fit(key.name), key, settings, made_up, test["trial"].to_numpy(), y)
    results = Results(root)
    files.write_csv(folder.evaluation, tables.evaluation(Subject(folder), settings))
    return results, Subject(folder)


def _trials(made_up):
    n = N_TRAIN + N_TEST
    rejected = [""] * n
    rejected[-1] = made_up.rejected
    return pd.DataFrame(
        {
            "trial": np.arange(n),
            "split": ["train"] * N_TRAIN + ["test"] * N_TEST,
            "subject": "1",
            "session": "0",
            "run": ["1"] * N_TRAIN + ["2"] * N_TEST,
            "onset_s": 4.0 + np.arange(n),
            "class": [made_up.classes[i % len(made_up.classes)] for i in range(n)],
            "rejected": rejected,
        }
    )


def _data(made_up):
    return {
        "subject": "1",
        "sensors": list(made_up.sensors),
        "sfreq": 100.0,
        "window_samples": [-50, 200],
        "classes": list(made_up.classes),
        "interpolated": {"0/1": [made_up.sensors[0]]},
        "flat": {},
        "resampled": {},
        "not_causal": [0, N_TRAIN],
        "simulated": made_up.simulated,
        "fingerprint": "made up",
        "source_files": {},
    }


def _summary(made_up, rng):
    montage = montage_1005()
    info = mne.create_info(montage.ch_names, 1.0, "eeg").set_montage(montage)
    places = info.get_montage().get_positions()["ch_pos"]
    n, k = len(made_up.sensors), len(made_up.classes)
    mixing = rng.normal(size=(n, n))
    return {
        "positions": np.array([places.get(name, np.full(3, np.nan)) for name in made_up.places]),
        "frequencies": np.arange(51.0),
        "spectra": rng.uniform(1, 2, size=(k, n, 51)).astype(np.float32),
        "covariance": mixing @ mixing.T,
    }


def _write_fit(folder, key, settings, made_up, trials, y):
    described = {
        "fit": {"schedule": key.schedule, "budget": key.budget, "rate": key.rate, "seed": key.seed},
        "fingerprint": "made up",
        "settings": {},
        "versions": {"eeg_sgdr": "0", "torch": "0"},
        "stack": [],
        "cpu_capability": made_up.capability.get(key.name, "AVX2"),
        "seconds": 1.0,
    }
    if key.name in made_up.failed:
        why = "the loss is not finite in epoch 1, at a rate of 0.05"
        files.write_json(folder.fit, {**described, "state": "failed", "why": why})
        return
    schedule = plan.schedule_of(key, settings)
    k, u = len(made_up.classes), made_up.n_updates
    rng = np.random.default_rng([key.budget, round(1000 * key.rate), key.seed, len(key.schedule)])
    logits = rng.normal(size=(len(schedule.ends), len(y), k)) + 1.5 * np.eye(k)[y]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    epochs = np.arange(key.budget)
    history = {
        "epoch": epochs + 1,
        "first_rate": [schedule.lr(epoch) for epoch in epochs],
        "last_rate": [schedule.lr(epoch + (u - 1) / u) for epoch in epochs],
        "loss": rng.uniform(0.1, 1, size=key.budget),
        "seconds": 0.1,
    }
    files.write_csv(folder.history, pd.DataFrame(history))
    files.write_npz(
        folder.predictions,
        {
            "epochs": np.array(schedule.ends),
            "trials": trials,
            "y": y,
            "classes": np.array(made_up.classes),
            "probabilities": probabilities.astype(np.float32),
            "probabilities_running": probabilities.astype(np.float32)[:, ::-1],
        },
    )
    for end in schedule.ends:
        content = save(shallow_state(rng, len(made_up.sensors), k))
        files.write(folder.snapshot(end), lambda file, content=content: file.write(content))
    files.write_json(
        folder.fit, {**described, "state": "done", "form": "braindecode", "updates_per_epoch": u}
    )


def shallow_state(rng, n_channels, n_classes, n_units=8, n_taps=5):
    """Weights with the names and shapes of ShallowFBCSPNet's."""
    shapes = {
        "conv_time_spat.conv_time.weight": (n_units, 1, n_taps, 1),
        "conv_time_spat.conv_spat.weight": (n_units, n_units, 1, n_channels),
        "final_layer.conv_classifier.weight": (n_classes, n_units, 3, 1),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
