"""Tasks of a worker process: train fits or baselines, average weights, and write their folders.

The main process imports this module to submit its functions. Therefore heavy libraries, torch above all, are
imported by the functions, and beforehand by `eeg_sgdr.jobs.preload`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials
from eeg_sgdr.errors import memory_errors
from eeg_sgdr.evaluation.predictors import averages, to_average
from eeg_sgdr.parallel.interrupts import defer_interrupts
from eeg_sgdr.parallel.progress import tell, tick
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files, folders, integrity, provenance, records
from eeg_sgdr.storage.subject import Subject

if TYPE_CHECKING:
    from eeg_sgdr.training.engines import Data
    from eeg_sgdr.training.loop import Fit, FitFailed


def check_fits(trials: Trials, settings: Settings, local: bool) -> None:
    """Check that fits of a subject or fold can be trained, without reading their arrays.

    Raises `UserError` if the network does not fit the trials, there are fewer crops than a batch, or, for
    ``local`` training, the device is absent.
    """
    from eeg_sgdr.networks.build import open_device
    from eeg_sgdr.training.engines import Data, build_for
    from eeg_sgdr.training.loop import updates_per_epoch

    info, table = trials.info, trials.table
    start, stop = info["window_samples"]
    if local:
        open_device(settings.training.numerics.device, settings.training.numerics.threads)
    window = np.empty((0, len(info["sensors"]), stop - start), np.float32)
    data = Data(window, np.empty(0, np.int64), window, len(info["classes"]), info["sfreq"])
    n_train = int(((table["split"] == "train") & (table["rejected"] == "")).sum())
    n_crops = n_train * len(build_for(data, settings.network, seed=0).starts)
    updates_per_epoch(n_crops, settings.training.batch_size)


def make_fits(
    keys: list[FitKey],
    settings: Settings,
    trials: Trials,
    folder: folders.SubjectFolder,
    steps: Path,
    patience_s: float = 0.0,
) -> list[FitKey]:
    """Train fits of a subject or fold, one on the CPU, a stack on a GPU, and write their folders.

    The weights of their snapshots are averaged then. Fits that another process has made meanwhile are
    skipped. For each that it is still making, wait ``patience_s`` (without limit if negative); those that
    remain locked are returned. Epochs are counted, and the present one told, in the folder ``steps``.
    """
    with ExitStack() as locks:
        mine = [
            key for key in keys if locks.enter_context(folders.fit_lock(folder.fit(key.name), patience_s))
        ]
        present = Subject(folder)
        missing = [key for key in mine if not present.has(key, settings.training.store == "epochs")]
        # Epochs of fits that others make or have made count as done.
        tick(steps, sum(key.budget for key in keys if key not in missing))
        if missing:
            name = missing[0].name if len(missing) == 1 else f"{len(missing)} fits in lock-step"
            title, budget = f"{trials.title}, {name}", max(key.budget for key in missing)

            def on_epoch(epoch: int) -> None:
                tick(steps)
                tell(steps, f"{title}: {epoch} of {budget} epochs")

            at_a_time = "--jobs" if settings.training.numerics.device == "cpu" else "compute.stack"
            remedy = (
                f"run the same command with a lower {at_a_time}, or another --out with a lower "
                "training.batch_size"
            )
            tell(steps, f"{title}: starting")
            locks.callback(tell, steps, "")
            with memory_errors(title, remedy):
                _make_fits(missing, settings, trials, folder, on_epoch)
                _average(missing, settings, trials, folder)
    return [key for key in keys if key not in mine]


def _make_fits(
    keys: list[FitKey],
    settings: Settings,
    trials: Trials,
    folder: folders.SubjectFolder,
    on_epoch: Callable[[int], object],
) -> None:
    """Train fits, from their last checkpoint if there is one, and write their folders."""
    from eeg_sgdr.training.checkpoints import CheckpointFile
    from eeg_sgdr.training.engines import AS_TRAINING, Member, OneFit, Stack, build_for
    from eeg_sgdr.training.loop import train
    from eeg_sgdr.training.seeds import unit_seed

    training = settings.training
    data, made_with = _data(trials), _made_with()
    fingerprints = {key.name: plan.fingerprint(key, settings, trials.info["fingerprint"]) for key in keys}
    own_seeds = training.seeding == "unit"
    members = [
        Member(
            data,
            plan.schedule_of(key, settings),
            unit_seed(key.seed, trials.label) if own_seeds else key.seed,
            settings.schedules[key.schedule].optimizer or AS_TRAINING,
        )
        for key in keys
    ]
    networks = [build_for(data, settings.network, member.seed) for member in members]
    on_cpu = training.numerics.device == "cpu"  # fits are submitted one by one
    engine = OneFit(members[0], networks[0], training) if on_cpu else Stack(members, networks, training)
    checkpoints = CheckpointFile(
        folder.fit(keys[0].name).checkpoint,  # of a stack, one for all
        {"fits": fingerprints, "store": training.store, "form": engine.forward.name, **made_with},
        60 * settings.compute.checkpoint_minutes,
    )
    results = train(engine, on_epoch, checkpoints)
    seconds = checkpoints.seconds / len(keys)
    with defer_interrupts():
        for result, key, member in zip(results, keys, members, strict=True):
            fit_folder = folder.fit(key.name)
            for record in (fit_folder.fit, fit_folder.averages):
                files.remove(record)  # of a fit that lacked epochs: they vouch for other files
            outcome = _write_results(result, member.schedule.ends, trials, fit_folder)
            done = outcome["state"] == "done"
            records.write_record(  # the last file, which marks the fit as complete
                fit_folder.fit,
                {
                    "fit": asdict(key),
                    **outcome,
                    "stack": [key.name for key in keys] if len(keys) > 1 else [],
                    "fingerprint": fingerprints[key.name],
                    "settings": config.fit_settings(settings, key.schedule),
                    **made_with,
                    "sha256": integrity.digests(fit_folder) if done else {},
                    "seconds": provenance.durations(
                        seconds, None if isinstance(result, Exception) else result.prediction_s
                    ),
                },
            )


def _write_results(
    result: "Fit | FitFailed", ends: Sequence[int], trials: Trials, folder: folders.FitFolder
) -> dict[str, Any]:
    """Write history, predictions and snapshots of a fit; returns its outcome for fit.json."""
    from safetensors.torch import save

    if isinstance(result, Exception):
        return {"state": "failed", "why": str(result)}
    scores = result.scores
    files.write_csv(folder.history, pd.DataFrame(result.history))
    _write_predictions(
        folder,
        trials,
        list(scores),
        np.stack([score.probabilities for score in scores.values()]),
        np.stack([score.probabilities_running for score in scores.values()]),
    )
    for end in ends:
        files.write_bytes(folder.snapshot(end), save(scores[end].state))
    return {"state": "done", "form": result.form, "updates_per_epoch": result.n_updates}


def _data(trials: Trials) -> "Data":
    """Trials of a fit, without any label of a test trial."""
    from eeg_sgdr.training.engines import Data

    return Data(
        x_train=trials.array("x_train"),
        y_train=np.array(trials.array("y_train")),
        x_test=trials.array("x_test"),
        n_classes=len(trials.info["classes"]),
        sfreq=trials.info["sfreq"],
    )


def _made_with() -> dict[str, Any]:
    """What results depend on in their last bits."""
    import torch

    return {"versions": provenance.versions(), "cpu_capability": torch.backends.cpu.get_cpu_capability()}


def make_averages(key: FitKey, settings: Settings, trials: Trials, folder: folders.SubjectFolder) -> None:
    """Average the weights of a fit's snapshots, unless another process does; wait for it."""
    remedy = "run the same command with a lower --jobs"
    with (
        folders.fit_lock(folder.fit(key.name), patience_s=-1),
        memory_errors(f"{trials.title}, {key.name}", remedy),
    ):
        _average([key], settings, trials, folder)


def _average(
    keys: Sequence[FitKey], settings: Settings, trials: Trials, folder: folders.SubjectFolder
) -> None:
    """Write averaged weights of fits that lack them; averaged.json, written last, vouches for the others."""
    subject = Subject(folder)
    lacking = [key for key in to_average(subject, settings) if key in keys]
    if not lacking:
        return
    import torch
    from safetensors.torch import save

    from eeg_sgdr.training.engines import Member, OneFit, build_for
    from eeg_sgdr.training.snapshots import average_weights

    training, data = settings.training, _data(trials)
    if not torch.cuda.is_available():
        # Fits of a GPU can be averaged anywhere.
        numerics = training.numerics.model_copy(update={"device": "cpu"})
        training = training.model_copy(update={"numerics": numerics})
    member = Member(data, plan.schedule_of(lacking[0], settings), seed=0)
    engine = OneFit(member, build_for(data, settings.network, member.seed), training)
    for key in lacking:
        fit_folder = folder.fit(key.name)
        weights = {
            epoch: {name: torch.from_numpy(value) for name, value in subject.weights(key, epoch).items()}
            for epoch in {epoch for members in averages(key, settings) for epoch in members}
        }
        members_at = {members[-1]: members for members in averages(key, settings)}
        means = {
            end: average_weights(engine, [weights[epoch] for epoch in members])
            for end, members in members_at.items()
        }
        probabilities = np.stack([probabilities for _, probabilities in means.values()])
        with defer_interrupts():
            for end, (state, _) in means.items():
                files.write_bytes(fit_folder.averaged(end), save(state))
            arrays = {"probabilities": probabilities}
            files.write_npz(fit_folder.averaged_predictions, {**_tested(trials, list(means)), **arrays})
            paths = [fit_folder.averaged_predictions, *map(fit_folder.averaged, means)]
            records.write_record(
                fit_folder.averages,
                {
                    "fingerprint": subject.fits[key]["fingerprint"],
                    "members": {str(end): list(members) for end, members in members_at.items()},
                    **_made_with(),
                    "sha256": {path.name: integrity.file_digest(path) for path in paths},
                },
            )


def make_baseline(settings: config.Baseline, trials: Trials, folder: folders.FitFolder) -> None:
    """Fit a classical baseline and write its folder, unless another process does; wait for it."""
    with folders.fit_lock(folder, patience_s=-1):
        if not folder.fit.is_file():
            with memory_errors(
                f"{trials.title}, {settings.name}", "run the same command with a lower --jobs"
            ):
                _make_baseline(settings, trials, folder)


def _make_baseline(settings: config.Baseline, trials: Trials, folder: folders.FitFolder) -> None:
    """Fit a baseline and write its files; fit.json, written last, marks it as complete."""
    from eeg_sgdr.training import baseline

    started = time.perf_counter()
    why = _not_for_baseline(trials)
    outcome = {"state": "failed", "why": why} if why else {"state": "done"}
    prediction_s = None
    if not why:
        train, test = np.array(trials.array("band_train")), np.array(trials.array("band_test"))
        if isinstance(settings, config.Recentred):
            train = baseline.recentre(train, _sessions(trials, "train"))
        model = baseline.fit(train, np.array(trials.array("y_train")))
        fitted = time.perf_counter()
        if isinstance(settings, config.Recentred):
            recentre = baseline.recentre if settings.mode == "transductive" else baseline.recentre_causally
            test = recentre(test, _sessions(trials, "test"))
        probabilities = baseline.predict_proba(model, test)
        prediction_s = (time.perf_counter() - fitted) / len(test)
        # Without batch norm, both kinds of statistics give the same probabilities.
        _write_predictions(folder, trials, [0], probabilities[None], probabilities[None])
    records.write_record(
        folder.fit,
        {
            **outcome,
            "fingerprint": plan.baseline_fingerprint(settings, trials.info["fingerprint"]),
            "settings": config.baseline_settings(settings),
            "versions": provenance.versions("pyriemann"),
            "sha256": {} if why else integrity.digests(folder),
            "seconds": provenance.durations(time.perf_counter() - started, prediction_s),
        },
    )


def _sessions(trials: Trials, part: str) -> np.ndarray:
    """Number of the subject's session that each training or test trial is of; shape (n_trials,)."""
    rows = trials.table.set_index("trial").loc[trials.array(f"trials_{part}")]
    return rows.groupby(["subject", "session"], sort=False).ngroup().to_numpy()


def _not_for_baseline(trials: Trials) -> str:
    """Why the baseline cannot be fitted; empty if it can."""
    from eeg_sgdr.training import baseline

    singular = np.concatenate(
        [
            trials.array(f"trials_{part}")[baseline.singular(trials.array(f"band_{part}"))]
            for part in ("train", "test")
        ]
    )
    if not len(singular):
        return ""
    return (
        f"the covariance of trial {', '.join(map(str, singular))} is singular in the band of "
        "the baselines (band_hz); correct the recording, or set baselines to []"
    )


def _write_predictions(
    folder: folders.FitFolder,
    trials: Trials,
    epochs: list[int],
    probabilities: np.ndarray,
    probabilities_running: np.ndarray,
) -> None:
    """Write predictions.npz; probabilities are of shape (n_epochs, n_trials, n_classes)."""
    files.write_npz(
        folder.predictions,
        {
            **_tested(trials, epochs),
            "probabilities": probabilities,
            "probabilities_running": probabilities_running,
        },
    )


def _tested(trials: Trials, epochs: list[int]) -> dict[str, np.ndarray]:
    """Arrays that say what stored probabilities are of."""
    return {
        "epochs": np.array(epochs, np.int64),
        "trials": np.array(trials.array("trials_test")),
        "y": np.array(trials.array("y_test")),
        "classes": np.array(trials.info["classes"]),
    }
