"""Columns, shapes and forms of the files in a results folder, and readers that refuse others."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders

#: Columns of trials.csv, evaluation.csv and history.csv.
TRIALS = {
    "trial": int,
    "onset_s": float,
    **dict.fromkeys(("split", "subject", "session", "run", "class", "rejected"), str),
}

EVALUATION = {
    **dict.fromkeys(("fold", "subject", "schedule", "rates", "seeds", "members"), str),
    **dict.fromkeys(("budget", "epoch", "n_fits", "n_snapshots", "n_networks"), int),
    **dict.fromkeys(("epochs_spent", "n_test"), int),
    **dict.fromkeys(("error", "balanced_accuracy", "auc", "nll", "brier", "ece", "kappa"), float),
}

HISTORY = {"epoch": int, "first_rate": float, "last_rate": float, "loss": float, "seconds": float}

#: Columns of comparison.csv that hold whole numbers (or nothing), texts, and all others.
COUNTS = (
    *("epoch_a", "epoch_b", "n_networks_a", "n_networks_b", "epochs_spent_a", "epochs_spent_b"),
    *("n_units", "n_seeds", "better", "equal", "worse"),
)

TEXTS = ("family", "quantity", "a", "b", "rate", "metric", "missing")

COMPARISON: dict[str, Any] = {
    **dict.fromkeys(COUNTS, "Int64"),
    **dict.fromkeys(TEXTS, str),
    **dict.fromkeys(("estimate", "low", "high", "p", "p_holm"), float),
}

#: Arrays of predictions.npz and summary.npz, a letter for the length of each dimension.
PREDICTIONS = {
    "epochs": "s",
    "trials": "n",
    "y": "n",
    "classes": "k",
    **dict.fromkeys(("probabilities", "probabilities_running"), "snk"),
}

SUMMARY = {"positions": "c3", "frequencies": "f", "spectra": "kcf", "covariance": "cc"}


class _Ended(BaseModel):
    fingerprint: str
    versions: dict[str, str]
    seconds: float | dict[str, float]
    sha256: dict[str, str] = {}


class _Fit(_Ended):
    fit: FitKey
    stack: list[str]
    cpu_capability: str


class _DoneFit(_Fit):
    state: Literal["done"]
    form: str
    updates_per_epoch: int


class _FailedFit(_Fit):
    state: Literal["failed"]
    why: str


class _Band(BaseModel):
    band_hz: tuple[float, float]


class _BaselineSettings(BaseModel):
    baseline: _Band


class _DoneBaseline(_Ended):
    state: Literal["done"]
    settings: _BaselineSettings


class _FailedBaseline(_Ended):
    state: Literal["failed"]
    settings: _BaselineSettings
    why: str


class _Data(BaseModel):
    sensors: list[str]
    sfreq: float
    window_samples: tuple[int, int]
    classes: list[str]
    interpolated: dict[str, list[str]]
    flat: dict[str, list[str]]
    resampled: dict[str, float]
    not_causal: list[int]
    simulated: bool
    fingerprint: str
    source_files: dict[str, str]


class _SubjectData(_Data):
    subject: str


class _FoldData(_Data):
    fold: str
    train_subjects: list[str]
    test_subjects: list[str]


#: What fit.json of a fit, that of a baseline, and data.json hold.
FIT: TypeAdapter = TypeAdapter(_DoneFit | _FailedFit)

BASELINE: TypeAdapter = TypeAdapter(_DoneBaseline | _FailedBaseline)

DATA: TypeAdapter = TypeAdapter(_SubjectData | _FoldData)


def read_plain(path: Path, form: TypeAdapter) -> dict[str, Any]:
    """Read JSON of a form: `FIT`, `BASELINE` or `DATA`; `UserError` if it holds anything else."""
    with _read_errors(path, path):
        content = json.loads(path.read_text(encoding="utf-8"))
        form.validate_python(content)
    return content


def read_arrays(
    path: Path, shapes: Mapping[str, str], delete: Path, sha256: str | None = None
) -> dict[str, np.ndarray]:
    """Read arrays of shapes: `PREDICTIONS` or `SUMMARY`; `UserError` says what to delete if they are others.

    So it does if the file has another hash than ``sha256``.
    """
    with _read_errors(path, delete):
        _check_digest(path, sha256)
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        lengths = {"3": 3}
        for name, letters in shapes.items():
            shape = arrays[name].shape if name in arrays else ()
            if len(shape) != len(letters) or any(
                lengths.setdefault(letter, length) != length
                for letter, length in zip(letters, shape, strict=True)
            ):
                raise _AlteredError(f"array {name} is missing or of another shape")
    return arrays


def read_weights(path: Path, delete: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read the weights of a snapshot; errors as of `read_arrays`."""
    from safetensors.numpy import load_file

    with _read_errors(path, delete):
        _check_digest(path, sha256)
        return load_file(path)


def read_table(path: Path, columns: Mapping[str, Any], delete: Path) -> pd.DataFrame:
    """Read a table that has columns of their types; what is empty is NaN, and errors as of `read_arrays`."""
    with _read_errors(path, delete):
        table = pd.read_csv(path, dtype=columns, keep_default_na=False, na_values=[""])
        missing = [name for name in columns if name not in table.columns]
        if missing:
            raise _AlteredError(f"it lacks the column {missing[0]}")
        # The last line of a table that was cut off may still be one.
        if not path.read_bytes().endswith(b"\n"):
            raise _AlteredError("it is cut off")
    return table


def digests(folder: folders.FitFolder) -> dict[str, str]:
    """SHA-256 of the files that hold a fit's results, by their names."""
    paths = [folder.predictions, *sorted(folder.root.glob("snapshot-*.safetensors"))]
    return {path.name: _digest(path) for path in paths}


class _AlteredError(Exception):
    """A file can be read, and holds something else than was written."""


def altered(path: Path, why: str, delete: Path) -> UserError:
    """The error of a file that is not what the program wrote there."""
    return UserError(f"{path}: is not as it was written ({why}); delete {delete} and run again.")


@contextmanager
def _read_errors(path: Path, delete: Path) -> Iterator[None]:
    """Say in one sentence what is wrong with a file."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:]))
        raise altered(path, f"{where}: {first['msg']}" if where else first["msg"], delete) from error
    except _AlteredError as error:
        raise altered(path, str(error), delete) from error
    except Exception as error:  # a damaged file can raise anything
        raise altered(path, in_words(error), delete) from error


def _check_digest(path: Path, sha256: str | None) -> None:
    if sha256 is not None and _digest(path) != sha256:
        raise _AlteredError("it was changed or replaced")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


PACKAGES = ("eeg_sgdr", "torch", "braindecode", "mne", "scikit-learn", "scipy", "numpy")


def versions(*others: str) -> dict[str, str]:
    """Versions of the packages that results may depend on, and of others."""
    return {name: version(name) for name in (*PACKAGES, *others)}


def environment() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "python": platform.python_version(),
        "packages": versions("pyriemann"),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def contents(fit: float, prediction: float | None) -> dict[str, float]:
    """Seconds in fit.json: of the whole fit, and of predicting one trial (None if it failed)."""
    return {"fit": fit} if prediction is None else {"fit": fit, "prediction": prediction}
