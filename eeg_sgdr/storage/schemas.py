"""Formats of the files in a results folder (columns, shapes, JSON), readers that check them; provenance."""

import hashlib
import json
import os
import platform
import re
import stat
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files, folders

#: Format of the files: since 2, JSON files and config.yaml hold a SHA-256 of their own content. A key more
#: or less in a JSON file takes another number.
FORMAT = 2

#: Columns of trials.csv, evaluation.csv, rates.csv and history.csv.
TRIALS = {
    "trial": int,
    "onset_s": float,
    **dict.fromkeys(("split", "subject", "session", "run", "class", "rejected"), str),
}

#: All further columns are metrics (evaluation/metrics.py lists them).
EVALUATION: dict[str, Any] = defaultdict(
    lambda: float,
    {
        **dict.fromkeys(("fold", "subject", "schedule", "rates", "seeds", "members"), str),
        **dict.fromkeys(("budget", "epoch", "n_fits", "n_snapshots", "n_networks"), int),
        **dict.fromkeys(("epochs_spent", "n_test"), int),
        "error": float,
    },
)

#: rates.csv: validation errors by which rates are chosen.
RATES = {
    "schedule": str,
    **dict.fromkeys(("budget", "n_seeds", "n_validation"), int),
    **dict.fromkeys(("rate", "error", "nll"), float),
    "chosen": bool,
}

HISTORY = {"epoch": int, "first_rate": float, "last_rate": float, "loss": float, "seconds": float}

#: Columns of comparison.csv that identify a row: type and meaning, read by the documentation, too.
_ABOUT = {
    "comparison": (str, "name of the comparison of the configuration; empty where none is tested"),
    "family": (str, "what the row belongs to"),
    "quantity": (str, "what the numbers are"),
    "unit_kind": (str, "what units are: `subject` or `fold`; `seed` in rows of one seed"),
    "unit": (str, "label of the one unit, or seed, that the row is about; empty where it is about all"),
    "side": (str, "`a` or `b` where the quantity is of one side"),
    "points": ("Int64", "how near the reference's error, in points, where the quantity has a target"),
}

#: Columns of a predictor of each side, with the suffix `_a` or `_b`.
_SIDE = {
    "arm": (
        str,
        "name of the schedule or baseline: `baseline`, `recentred_causal` or `recentred_transductive`",
    ),
    "snapshots": (
        str,
        "`single` (the last one of each fit), `cycles` (those of the last cycles), `averaged` (one network "
        "of each fit, with the mean of their weights), `consecutive` (those of the last epochs), or "
        "`baseline`",
    ),
    "rates": (
        str,
        "an initial rate, rates whose probabilities are averaged (`0.025+0.05`), or `each` (rate by rate, "
        "errors averaged)",
    ),
    "budget": ("Int64", "epochs that the schedule is laid out for"),
    "epochs": ("Int64", "epochs of each fit after which it predicts"),
    "n_seeds": ("Int64", "seeds whose probabilities are averaged"),
    "n_fits": ("Int64", "fits that are averaged, N"),
    "n_snapshots": ("Int64", "snapshots of each fit that are averaged, M"),
    "n_networks": ("Int64", "networks that predict: N times M, or N where weights are averaged"),
    "epochs_spent": ("Int64", "epochs of training of all fits together"),
    "epochs_tuning": (
        "Int64",
        "epochs of the fits by which its rate was chosen, not counted in those",
    ),
}

#: Sample sizes and numbers.
_NUMBERS = {
    "status": (
        str,
        "`ok`, `incomplete` (some units or seeds are missing), `missing` (all are), or `left out` (the "
        "configuration has too few seeds or budgets)",
    ),
    "metric": (str, "what estimate, low and high are measured in"),
    "n_units": ("Int64", "units that have a value"),
    "n_seeds": ("Int64", "least number of seeds that any unit's value stands on"),
    "estimate": (
        float,
        "fractions between 0 and 1 where the metric is error; differences are positive where a is better",
    ),
    "low": (float, "lower end of the 95 % interval of a mean, or lower quartile of a median"),
    "high": (float, "upper end, or upper quartile"),
    "p": (float, "two-sided p-value"),
    "p_holm": (float, "the same after Holm's correction over the comparisons of the configuration"),
    "better": ("Int64", "units in which a is better"),
    "equal": ("Int64", "units in which both are equal"),
    "worse": ("Int64", "units in which a is worse"),
}

#: Readable labels, which no code reads back.
LABELS = {
    "missing": (str, "which units and seeds are missing, or why the row is left out"),
    "label_a": (str, "what a figure calls a"),
    "label_b": (str, "what a figure calls b"),
}

#: All columns of comparison.csv in their order, with type and meaning.
COMPARISON_COLUMNS: dict[str, tuple[Any, str]] = {
    **_ABOUT,
    **{f"{name}_{letter}": column for letter in "ab" for name, column in _SIDE.items()},
    **_NUMBERS,
    **LABELS,
}

COMPARISON: dict[str, Any] = {name: dtype for name, (dtype, _) in COMPARISON_COLUMNS.items()}

#: Columns of nullable integers, and of texts.
COUNTS = [name for name, dtype in COMPARISON.items() if dtype == "Int64"]

TEXTS = [name for name, dtype in COMPARISON.items() if dtype is str]

#: By family of comparison.csv, the values of `quantity`.
QUANTITIES = {
    "tested": {
        "mean difference": "error of b less that of a, mean over units; p is that of the sign-flip test",
        "bootstrap mean difference": "the same with a bootstrap interval",
        "median difference": "the same as a median",
        "signed-rank test": "p of Wilcoxon's test",
        "effect size": "Cohen's dz",
        "detectable difference": "what a t test would have found four times in five, before correction",
        "mean error": "of one side",
        "median error": "of one side",
        "standard deviation between trainings": "of the difference, between the trainings of a unit with "
        "several seeds (or groups of seeds, where a side averages over them); pooled over units",
        "mean difference of a seed": "where units share seeds: the difference with one seed, or group of "
        "seeds, alone; `unit` is that seed",
        "updates": "that one predictor of a side takes: mean, least and most over units",
        "error": "of one side in one unit",
        "conditional mean difference": "across subjects, over subjects given these trained networks; its p "
        "enters no correction",
    },
    "curve": {
        "median error": "of every predictor of one seed, and of baselines, over subjects (Figure 4)",
        "median improvement": "error of the reference, b, less that of a",
    },
    "descriptive": {
        "mean difference": "of the last completed cycle, a, from another budget, b",
        "mean error": "of a conventional schedule at one rate",
        "best rate, at the edge of the list": "its least one, if that is of the highest or lowest rate",
        "best rate, inside the list": "the same if it is of another rate",
    },
    "ensemble": {
        "mean error": "when N fits and M snapshots of each are averaged (Figure 3, Table 2)",
        "median test trials": "of a unit",
    },
    "anytime": {
        "area": "under the error of one side over log2 epochs, mean",
        "difference of areas": "that of b less that of a",
        "first epoch": "of one side within so many points of the reference, median; infinite: not reached",
        "reached": "fraction of units in which one side is within so many points",
        "ratio of epochs": "first epochs of b by those of a, median",
    },
    "rate choice": {
        "validation error": "of the last snapshot at one rate, by which rates are chosen; mean over units",
        "test error": "of the last snapshots at the same rate, where fits with all rates are made",
        "chosen": "fraction of units for which this rate was chosen",
        "chosen at the edge of the list": "fraction of units whose chosen rate is the lowest or highest",
    },
    "training": {
        "diverged": "fraction of fits whose last loss is above ln k, that of guessing",
    },
}

#: Arrays of predictions.npz and summary.npz, a letter for the length of each dimension.
PREDICTIONS = {
    "epochs": "s",
    "trials": "n",
    "y": "n",
    "classes": "k",
    **dict.fromkeys(("probabilities", "probabilities_running"), "snk"),
}

#: Arrays of averaged.npz: averaged weights have no running batch-norm statistics.
AVERAGED = {name: shape for name, shape in PREDICTIONS.items() if name != "probabilities_running"}

SUMMARY = {"positions": "c3", "frequencies": "f", "spectra": "kcf", "covariance": "cc"}


class Record(BaseModel, extra="allow"):
    """A JSON file; since format 2 with a digest of itself, and with these keys and no others."""

    format: Literal[2] | None = None
    digest: str | None = None

    @model_validator(mode="after")
    def _strict(self) -> Self:
        if self.format is None:
            # Files of the first format may lack keys that came later.
            if self.digest is not None:
                raise ValueError("it lacks the key format")
        elif missing := type(self).model_fields.keys() - self.model_fields_set:
            raise ValueError(f"it lacks the key {min(missing)}")
        elif self.model_extra:
            raise ValueError(f"its key {min(self.model_extra)} is unknown")
        return self


class _Ended(Record):
    fingerprint: str
    versions: dict[str, str]
    seconds: float | dict[str, float]
    sha256: dict[str, str] = {}


class _Fit(_Ended):
    fit: FitKey
    stack: list[str]
    cpu_capability: str
    settings: dict[str, Any] = {}


class _DoneFit(_Fit):
    state: Literal["done"]
    form: str
    updates_per_epoch: int


class _FailedFit(_Fit):
    state: Literal["failed"]
    why: str


class _Averages(Record):
    # There are none of the first format.
    format: Literal[2]
    digest: str
    fingerprint: str
    members: dict[str, list[int]]
    versions: dict[str, str]
    cpu_capability: str
    sha256: dict[str, str]


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


class _Data(Record):
    sensors: list[str]
    sfreq: float
    window_samples: tuple[int, int]
    classes: list[str]
    lacking: dict[str, list[str]] = {}
    interpolated: dict[str, list[str]]
    flat: dict[str, list[str]]
    noisy: dict[str, list[str]] = {}
    bridged: dict[str, list[tuple[str, str]]] = {}
    resampled: dict[str, float]
    not_causal: list[int]
    simulated: bool
    fingerprint: str
    source_files: dict[str, str]
    sha256: dict[str, str] = {}


class _SubjectData(_Data):
    subject: str


class _FoldData(_Data):
    fold: str
    train_subjects: list[str]
    test_subjects: list[str]


class _Environment(Record):
    python: str = ""
    packages: dict[str, str] = {}
    system: str = ""
    machine: str = ""
    cores: int | None = None
    written: str = ""


class _Evaluation(Record):
    fingerprint: str
    surface: list[float | None]
    last_loss: dict[str, float]
    seconds: dict[str, float]
    sha256: dict[str, str]


class _Comparison(Record):
    sha256: dict[str, str]


#: Schemas of fit.json (a fit's and a baseline's), averaged.json, data.json, environment.json, and tables.
FIT: TypeAdapter = TypeAdapter(_DoneFit | _FailedFit)

AVERAGES: TypeAdapter = TypeAdapter(_Averages)

BASELINE: TypeAdapter = TypeAdapter(_DoneBaseline | _FailedBaseline)

DATA: TypeAdapter = TypeAdapter(_SubjectData | _FoldData)

ENVIRONMENT: TypeAdapter = TypeAdapter(_Environment)

EVALUATION_RECORD: TypeAdapter = TypeAdapter(_Evaluation)

COMPARISON_RECORD: TypeAdapter = TypeAdapter(_Comparison)

#: Last line of config.yaml.
_LAST_LINE = "# format {}, SHA-256 of the lines above: {}\n"

_SIGNED = re.compile(_LAST_LINE.format("([0-9]{1,9})", "([0-9a-f]{64})").encode())


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that `read_record` reads, with the format and a digest of its content."""
    files.write_json(path, as_record(content))


def as_record(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content of a JSON file with the format and a digest."""
    record = {**content, "format": FORMAT}
    return {**record, "digest": _record_digest(record)}


def _record_digest(record: Mapping[str, Any]) -> str:
    return config.fingerprint({key: value for key, value in record.items() if key != "digest"})


def read_record(path: Path, schema: TypeAdapter) -> dict[str, Any]:
    """Read a JSON file of a schema, such as `FIT`; `UserError` if it was changed or is invalid."""
    with _read_errors(path, path):
        content = json.loads(_read(path).decode())
        json.dumps(content, ensure_ascii=False).encode()  # fails for half a surrogate pair
        if isinstance(content, dict) and isinstance(content.get("format"), int):
            _check_format(path, content["format"])
        schema.validate_python(content)
        if "format" in content and content["digest"] != _record_digest(content):
            raise _AlteredError("it was changed")
    return content


def write_settings(path: Path, settings: Settings) -> None:
    """Write config.yaml; its last line, a comment, is a digest of the others."""
    text = config.to_yaml(settings)
    files.write_text(path, text + _LAST_LINE.format(FORMAT, digest(text.encode())))


def read_settings(study: folders.Study) -> Settings:
    """Read config.yaml; `UserError` if it was changed or is invalid."""
    path = study.config
    with _read_errors(path, path):
        *lines, last = _read(path).splitlines(keepends=True) or [b""]
    signed = _SIGNED.fullmatch(last)
    if signed:
        _check_format(path, int(signed[1]))
        unchanged = signed[2].decode() == digest(b"".join(lines))
    else:
        # Unsigned where the first format wrote it. environment.json is written after it.
        unchanged = not (
            study.environment.exists() and "format" in read_record(study.environment, ENVIRONMENT)
        )
    if not unchanged:
        raise UserError(
            f"{path}: was changed since it was written; restore it or, to keep the change, move the file out "
            "of the folder and run again with --config and its new path."
        )
    return config.read(path)


def read_arrays(
    path: Path, shapes: Mapping[str, str], delete: Path, sha256: str | None = None
) -> dict[str, np.ndarray]:
    """Read arrays of shapes: `PREDICTIONS`, `AVERAGED` or `SUMMARY`.

    Raises UserError, which names the path to ``delete``, if shapes or the digest differ.
    """
    with _read_errors(path, delete):
        with np.load(BytesIO(_read(path, sha256)), allow_pickle=False) as stored:
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
    from safetensors.numpy import load

    with _read_errors(path, delete):
        return load(_read(path, sha256))


def read_table(
    path: Path, columns: Mapping[str, Any], delete: Path, sha256: str | None = None
) -> pd.DataFrame:
    """Read a table with typed columns, empty cells as NaN; errors as of `read_arrays`."""
    with _read_errors(path, delete):
        content = _read(path, sha256)
        table = pd.read_csv(BytesIO(content), dtype=columns, keep_default_na=False, na_values=[""])
        missing = [name for name in columns if name not in table.columns]
        if missing:
            raise _AlteredError(f"it lacks the column {missing[0]}")
        # A table may be cut off after a valid but incomplete last line.
        if not content.endswith(b"\n"):
            raise _AlteredError("it is cut off")
    return table


def check_made_table(path: Path, record: Mapping[str, Any], root: Path) -> None:
    """Refuse a table that commands make again and its ``record`` does not vouch for."""
    if path.is_file() and record.get("sha256", {}).get(path.name) != file_digest(path):
        raise UserError(
            f"{path}: is not the table that {path.stem}.json vouches for (one of the two was changed); "
            f"run python -m eeg_sgdr.report {root}, which makes it again."
        )


def digest(content: bytes) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; `UserError` if it cannot be read."""
    with _read_errors(path, path):
        return digest(_read(path))


def digests(folder: folders.FitFolder) -> dict[str, str]:
    """SHA-256 of the files that hold a fit's results, by their names."""
    paths = [folder.predictions, folder.history, *sorted(folder.root.glob("snapshot-*.safetensors"))]
    return {path.name: file_digest(path) for path in paths if path.exists()}


def digest_of(path: Path, record: Mapping[str, Any], delete: Path) -> str | None:
    """SHA-256 of a file in the record that vouches for it; None in records of the first format without it."""
    sha256 = record.get("sha256", {}).get(path.name)
    if sha256 is None and "format" in record:
        raise altered(path, "it has no digest", delete)
    return sha256


class _AlteredError(Exception):
    """A readable file does not hold what the program wrote."""


def altered(path: Path, why: str, delete: Path) -> UserError:
    """Error of a file that is not as the program wrote it."""
    return UserError(f"{path}: is not as it was written ({why}); delete {delete} and run again.")


@contextmanager
def _read_errors(path: Path, delete: Path) -> Iterator[None]:
    """Turn errors of reading a file into a `UserError`."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where, why = ".".join(map(str, first["loc"][1:])), first["msg"].removeprefix("Value error, ")
        raise altered(path, f"{where}: {why}" if where else why, delete) from error
    except _AlteredError as error:
        raise altered(path, str(error), delete) from error
    except UserError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise altered(path, in_words(error), delete) from error


def _read(path: Path, sha256: str | None = None) -> bytes:
    """Bytes of a regular file; opening a FIFO would wait for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise _AlteredError("it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")
    content = path.read_bytes()
    if sha256 is not None and digest(content) != sha256:
        raise _AlteredError("it was changed or replaced")
    return content


def _check_format(path: Path, number: int) -> None:
    if number > FORMAT:
        raise UserError(
            f"{path}: was written by a newer version of eeg_sgdr (format {number}, this version reads "
            f"{FORMAT}); update eeg_sgdr."
        )


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


def durations(fit: float, prediction: float | None) -> dict[str, float]:
    """Seconds in fit.json: of the whole fit, and of predicting one trial (None if it failed)."""
    return {"fit": fit} if prediction is None else {"fit": fit, "prediction": prediction}
