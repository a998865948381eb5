"""One fit carried out by a worker process: from prepared trials to the files of its folder."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from eeg_sgdr import plan, store
from eeg_sgdr import settings as config
from eeg_sgdr.fitting import Data, FitFailed, fit
from eeg_sgdr.plan import FitKey
from eeg_sgdr.prepared import Prepared
from eeg_sgdr.progress import tick
from eeg_sgdr.provenance import versions
from eeg_sgdr.settings import Settings


def make_fit(
    key: FitKey, settings: Settings, prepared: Prepared, folder: store.FitFolder, steps: Path
) -> None:
    """Train one fit and write its folder; fit.json comes last and says that all is there.

    Parameters
    ----------
    key : FitKey
        Which fit.
    settings : Settings
        The configuration.
    prepared : Prepared
        The subject's trials.
    folder : store.FitFolder
        Where its results go.
    steps : Path
        Where its epochs are counted.
    """
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
        store.write_csv(folder.history, pd.DataFrame(result.history))
        store.write_npz(
            folder.predictions,
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
            store.write_bytes(folder.snapshot(end), save(result.scores[end].state))
    store.write_json(
        folder.fit,
        {
            "fit": asdict(key),
            **outcome,
            "fingerprint": plan.fingerprint(key, settings, info["fingerprint"]),
            "settings": config.fit_settings(settings, key.schedule),
            "versions": versions(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "seconds": time.perf_counter() - started,
        },
    )
