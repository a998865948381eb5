"""Which fits of a study are missing, and their training in parallel."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from eeg_sgdr import plan, store, tables
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey
from eeg_sgdr.prepared import Prepared, prepare
from eeg_sgdr.progress import Progress, tick
from eeg_sgdr.recordings import Source
from eeg_sgdr.results import Subject
from eeg_sgdr.settings import Settings

PACKAGES = ("eeg_sgdr", "torch", "braindecode", "mne", "scikit-learn", "scipy", "numpy")


@dataclass(frozen=True)
class Task:
    """One fit to be made, with all that a worker process needs.

    Attributes
    ----------
    key : FitKey
        Which fit.
    settings : Settings
        The configuration.
    prepared : Prepared
        The subject's trials.
    folder : store.FitFolder
        Where its results go.
    """

    key: FitKey
    settings: Settings
    prepared: Prepared
    folder: store.FitFolder


def record_settings(settings: Settings, subjects: Sequence[str], study: store.Study) -> Settings:
    """Write config.yaml and environment.json; lists grow by what is asked for now.

    Parameters
    ----------
    settings : Settings
        What is asked for.
    subjects : sequence of str
        Labels of the subjects that are asked for.
    study : store.Study
        The results folder.

    Returns
    -------
    settings : Settings
        With the union of the lists that the folder has and those that are asked for.

    Raises
    ------
    UserError
        If the folder was made with other settings.
    """
    recordings = settings.recordings.model_copy(update={"subjects": tuple(subjects)})
    settings = settings.model_copy(update={"recordings": recordings})
    with store.locked(study.root / ".config.lock"):
        there = settings
        if study.config.is_file():
            there = config.validate(
                config.parse_yaml(study.config.read_text(encoding="utf-8")), str(study.config)
            )
        settings = config.union(there, settings, str(study.root))
        store.write_text(study.config, config.to_yaml(settings))
        store.write_json(study.environment, environment())
    return settings


def environment() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def run_subject(
    label: str, settings: Settings, source: Source, study: store.Study, data_dir: Path, jobs: int | None
) -> Subject:
    """Prepare a subject, train every fit that is missing, and write its evaluation.csv.

    Parameters
    ----------
    label : str
        The subject, as its source names it.
    settings : Settings
        The configuration.
    source : Source
        Where recordings come from.
    study : store.Study
        The results folder.
    data_dir : Path
        Where the cache is.
    jobs : int | None
        Fits at a time; None is one per core.

    Returns
    -------
    subject : Subject
        What is on disk now.

    Raises
    ------
    UserError
        If the recordings do not serve, or the folder holds fits made with other settings.
    """
    prepared = prepare(source, label, settings, data_dir)
    folder = study.subject(label)
    store.write_csv(folder.trials, prepared.table)
    store.write_npz(folder.summary, prepared.summary)
    store.write_json(folder.data, prepared.info)
    missing = missing_fits(Subject(folder), settings, prepared)
    train([Task(key, settings, prepared, folder.fit(key.name)) for key in missing], jobs, f"subject {label}")
    subject = Subject(folder)
    if subject.done:
        store.write_csv(folder.evaluation, tables.evaluation(subject, settings))
    return subject


def missing_fits(subject: Subject, settings: Settings, prepared: Prepared) -> list[FitKey]:
    """The fits of a subject that are not there yet.

    Raises
    ------
    UserError
        If one that is there was made with other settings or other data.
    """
    missing = []
    for key in plan.fits(settings):
        there = subject.fits.get(key)
        if there is None:
            missing.append(key)
        elif there["fingerprint"] != fit_fingerprint(key, settings, prepared):
            raise UserError(
                f"{subject.folder.fit(key.name).root}: was made with other settings or recordings; "
                "give another --out."
            )
        elif settings.training.store == "epochs" and not _has_epochs(subject, key):
            missing.append(key)
    return missing


def _has_epochs(subject: Subject, key: FitKey) -> bool:
    return len(subject.predictions(key)["epochs"]) == key.budget


def fit_fingerprint(key: FitKey, settings: Settings, prepared: Prepared) -> str:
    """What a fit's result depends on."""
    return config.fingerprint(
        {
            "data": prepared.info["fingerprint"],
            **config.fit_settings(settings, key.schedule),
            "budget": key.budget,
            "rate": key.rate,
            "seed": key.seed,
        }
    )


def train(tasks: Sequence[Task], jobs: int | None, what: str) -> None:
    """Make fits in parallel, the longest first.

    Parameters
    ----------
    tasks : sequence of Task
        The fits.
    jobs : int | None
        Processes; None is one per core.
    what : str
        What the progress bar calls them.
    """
    if not tasks:
        return
    longest_first = sorted(tasks, key=lambda task: -task.key.budget)
    cores = max(1, joblib.cpu_count() // tasks[0].settings.training.numerics.threads)
    workers = min(jobs or cores, len(tasks))
    with Progress(sum(task.key.budget for task in tasks), what) as steps:
        joblib.Parallel(n_jobs=workers, batch_size=1)(
            joblib.delayed(make_fit)(task, steps) for task in longest_first
        )


def make_fit(task: Task, steps: Path) -> None:
    """Train one fit and write its folder; fit.json comes last and says that all is there.

    Parameters
    ----------
    task : Task
        The fit.
    steps : Path
        Where its epochs are counted.
    """
    import torch
    from safetensors.torch import save

    from eeg_sgdr.fitting import Data, FitFailed, fit

    key, settings, prepared = task.key, task.settings, task.prepared
    info = prepared.info
    data = Data(
        x_train=prepared.array("x_train"),
        y_train=np.array(prepared.array("y_train")),
        x_test=prepared.array("x_test"),
        n_classes=len(info["classes"]),
        sfreq=info["sfreq"],
    )
    started = time.perf_counter()
    outcome: dict[str, Any] = {"state": "done"}
    try:
        result = fit(
            data,
            settings.network,
            settings.training,
            plan.schedule_of(key, settings),
            key.seed,
            lambda epoch: tick(steps),
        )
    except FitFailed as failure:
        outcome = {"state": "failed", "why": str(failure)}
    else:
        outcome |= {"form": result.form, "updates_per_epoch": result.n_updates}
        store.write_csv(task.folder.history, pd.DataFrame(result.history))
        store.write_npz(
            task.folder.predictions,
            {
                "epochs": np.array(list(result.scores), np.int64),
                "trials": np.array(prepared.array("trials_test")),
                "y": np.array(prepared.array("y_test")),
                "classes": np.array(info["classes"]),
                "probabilities": np.stack([score.probabilities for score in result.scores.values()]),
                "probabilities_running": np.stack(
                    [score.probabilities_running for score in result.scores.values()]
                ),
            },
        )
        for end in plan.schedule_of(key, settings).ends:
            store.write_bytes(task.folder.snapshot(end), save(result.scores[end].state))
    store.write_json(
        task.folder.fit,
        {
            "fit": {"schedule": key.schedule, "budget": key.budget, "rate": key.rate, "seed": key.seed},
            **outcome,
            "fingerprint": fit_fingerprint(key, settings, prepared),
            "settings": config.fit_settings(settings, key.schedule),
            "versions": environment()["packages"],
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "seconds": time.perf_counter() - started,
        },
    )
