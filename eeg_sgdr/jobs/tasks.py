"""Fits carried out by a worker process: from prepared trials to the files of their folders."""

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials
from eeg_sgdr.errors import memory_errors
from eeg_sgdr.networks.build import open_device
from eeg_sgdr.parallel.interrupts import held_back
from eeg_sgdr.parallel.progress import tick
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files, folders, schemas
from eeg_sgdr.storage.results import Subject
from eeg_sgdr.storage.schemas import versions
from eeg_sgdr.training import baseline
from eeg_sgdr.training.checkpoints import FileKeeper
from eeg_sgdr.training.engines import Member, fit_stack
from eeg_sgdr.training.loop import Data, Fit, FitFailed, build_for, fit, updates_per_epoch


def check(prepared: Trials, settings: Settings, device_is_here: bool) -> None:
    """See that fits of a subject or fold can begin; no array of its trials is read.

    Parameters
    ----------
    prepared : Prepared or Pooled
        The trials.
    settings : Settings
        The configuration.
    device_is_here : bool
        Whether fits will be made on this machine.

    Raises
    ------
    UserError
        As `eeg_sgdr.training.loop.fit`.
    """
    info, table = prepared.info, prepared.table
    start, stop = info["window_samples"]
    if device_is_here:
        open_device(settings.training.numerics.device, settings.training.numerics.threads)
    window = np.empty((0, len(info["sensors"]), stop - start), np.float32)
    data = Data(window, np.empty(0, np.int64), window, len(info["classes"]), info["sfreq"])
    n_train = int(((table["split"] == "train") & (table["rejected"] == "")).sum())
    n_crops = n_train * len(build_for(data, settings.network, seed=0).starts)
    updates_per_epoch(n_crops, settings.training.batch_size)


def make_fits(
    keys: list[FitKey],
    settings: Settings,
    prepared: Trials,
    folder: folders.SubjectFolder,
    steps: Path,
    patience_s: float = 0.0,
) -> list[FitKey]:
    """Train fits of a subject or fold and write their folders; fit.json, the last, says that all is there.

    What another process has made meanwhile is not made again.

    Parameters
    ----------
    keys : list of FitKey
        Which fits: one on the CPU, a stack of them on a GPU.
    settings : Settings
        The configuration.
    prepared : Prepared or Pooled
        The trials of the subject or fold.
    folder : store.SubjectFolder
        Where results go.
    steps : Path
        Where epochs are counted.
    patience_s : float
        How long to wait for each that another process is making; for ever if negative.

    Returns
    -------
    others : list of FitKey
        Those that another process is still making.
    """
    with ExitStack() as locks:
        mine = [key for key in keys if locks.enter_context(folders.held(folder.fit(key.name), patience_s))]
        there = Subject(folder)
        missing = [key for key in mine if not there.has(key, settings.training.store == "epochs")]
        # Of those that others make or have made, nothing is left to be waited for here.
        tick(steps, sum(key.budget for key in keys if key not in missing))
        if missing:
            what = missing[0].name if len(missing) == 1 else f"{len(missing)} fits in lock-step"
            with memory_errors(f"{prepared.title}, {what}", _remedy(settings)):
                _make(missing, settings, prepared, folder, steps)
    return [key for key in keys if key not in mine]


def _remedy(settings: Settings) -> str:
    """What takes less memory."""
    at_a_time = "--jobs" if settings.training.numerics.device == "cpu" else "compute.stack"
    return f"run the same command with a lower {at_a_time}, or another --out with a lower training.batch_size"


def _make(
    keys: list[FitKey],
    settings: Settings,
    prepared: Trials,
    folder: folders.SubjectFolder,
    steps: Path,
) -> None:
    """Train fits from their last checkpoint, and write their folders."""
    network, training = settings.network, settings.training
    data = _data(prepared)
    members = [Member(data, plan.schedule_of(key, settings), key.seed) for key in keys]
    results: list[Fit | FitFailed]
    keeper = _keeper(keys, settings, prepared, folder)
    if training.numerics.device == "cpu":
        (member,) = members
        try:
            results = [
                fit(data, network, training, member.schedule, member.seed, lambda epoch: tick(steps), keeper)
            ]
        except FitFailed as failure:
            results = [failure]
    else:
        results = fit_stack(members, network, training, lambda epoch: tick(steps), keeper)
    seconds = keeper.seconds / len(keys)
    stack = [key.name for key in keys] if len(keys) > 1 else []
    with held_back():
        for result, key in zip(results, keys, strict=True):
            _write(result, key, settings, prepared, folder.fit(key.name), stack, seconds)


def _keeper(
    keys: list[FitKey],
    settings: Settings,
    prepared: Trials,
    folder: folders.SubjectFolder,
) -> FileKeeper:
    """Where the checkpoint of fits is; a stack has one, in the folder of its first."""
    identity = {
        "fits": {key.name: plan.fingerprint(key, settings, prepared.info["fingerprint"]) for key in keys},
        "store": settings.training.store,
        "versions": versions(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    interval_s = 60 * settings.compute.checkpoint_minutes
    return FileKeeper(folder.fit(keys[0].name).checkpoint, identity, interval_s)


def _data(prepared: Trials) -> Data:
    """What fits see of a subject: no label of a test trial."""
    return Data(
        x_train=prepared.array("x_train"),
        y_train=np.array(prepared.array("y_train")),
        x_test=prepared.array("x_test"),
        n_classes=len(prepared.info["classes"]),
        sfreq=prepared.info["sfreq"],
    )


def _write(
    result: Fit | FitFailed,
    key: FitKey,
    settings: Settings,
    prepared: Trials,
    folder: folders.FitFolder,
    stack: list[str],
    seconds: float,
) -> None:
    """Write the files of a fit; ``stack`` names the fits that it was trained with in lock-step."""
    outcome: dict[str, Any]
    prediction_s = None
    if isinstance(result, FitFailed):
        outcome = {"state": "failed", "why": str(result)}
    else:
        prediction_s = result.prediction_s
        outcome = {"state": "done", "form": result.form, "updates_per_epoch": result.n_updates}
        scores = result.scores
        files.write_csv(folder.history, pd.DataFrame(result.history))
        _write_predictions(
            folder,
            prepared,
            list(scores),
            np.stack([score.probabilities for score in scores.values()]),
            np.stack([score.probabilities_running for score in scores.values()]),
        )
        for end in plan.schedule_of(key, settings).ends:
            files.write_bytes(folder.snapshot(end), save(scores[end].state))
    files.write_json(
        folder.fit,
        {
            "fit": asdict(key),
            **outcome,
            "stack": stack,
            "fingerprint": plan.fingerprint(key, settings, prepared.info["fingerprint"]),
            "settings": config.fit_settings(settings, key.schedule),
            "versions": versions(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "sha256": {} if isinstance(result, FitFailed) else schemas.digests(folder),
            "seconds": schemas.contents(seconds, prediction_s),
        },
    )


def make_baseline(settings: Settings, prepared: Trials, folder: folders.FitFolder) -> None:
    """Fit the classical baseline and write its folder; fit.json comes last and says that all is there.

    Parameters
    ----------
    settings : Settings
        The configuration; it has a baseline.
    prepared : Prepared or Pooled
        The trials of the subject or fold.
    folder : store.FitFolder
        Where its results go.
    """
    with folders.held(folder, patience_s=-1):
        # Another process may have made it meanwhile.
        if not folder.fit.is_file():
            with memory_errors(f"{prepared.title}, baseline", "run the same command with a lower --jobs"):
                _make_baseline(settings, prepared, folder)


def _make_baseline(settings: Settings, prepared: Trials, folder: folders.FitFolder) -> None:
    started = time.perf_counter()
    why = _not_for_baseline(prepared)
    outcome = {"state": "failed", "why": why} if why else {"state": "done"}
    prediction_s = None
    if not why:
        model = baseline.fitted(*(np.array(prepared.array(name)) for name in ("band_train", "y_train")))
        test = np.array(prepared.array("band_test"))
        fitted = time.perf_counter()
        probabilities = baseline.probabilities(model, test)
        prediction_s = (time.perf_counter() - fitted) / len(test)
        # Nothing is normalised over batches here: one row, which both kinds of statistics read.
        _write_predictions(folder, prepared, [0], probabilities[None], probabilities[None])
    files.write_json(
        folder.fit,
        {
            **outcome,
            "fingerprint": plan.baseline_fingerprint(settings, prepared.info["fingerprint"]),
            "settings": config.baseline_settings(settings),
            "versions": versions("pyriemann"),
            "sha256": {} if why else schemas.digests(folder),
            "seconds": schemas.contents(time.perf_counter() - started, prediction_s),
        },
    )


def _not_for_baseline(prepared: Trials) -> str:
    """Why the baseline cannot be fitted; empty if it can."""
    singular = np.concatenate(
        [
            prepared.array(f"trials_{part}")[baseline.singular(prepared.array(f"band_{part}"))]
            for part in ("train", "test")
        ]
    )
    if not len(singular):
        return ""
    return (
        f"the covariance of trial {', '.join(map(str, singular))} is singular in the band of "
        "baseline.band_hz; correct the recording, or set baseline to null"
    )


def _write_predictions(
    folder: folders.FitFolder,
    prepared: Trials,
    epochs: list[int],
    probabilities: np.ndarray,
    probabilities_running: np.ndarray,
) -> None:
    """Write predictions.npz; probabilities are of shape (n_epochs, n_trials, n_classes)."""
    files.write_npz(
        folder.predictions,
        {
            "epochs": np.array(epochs, np.int64),
            "trials": np.array(prepared.array("trials_test")),
            "y": np.array(prepared.array("y_test")),
            "classes": np.array(prepared.info["classes"]),
            "probabilities": probabilities,
            "probabilities_running": probabilities_running,
        },
    )
