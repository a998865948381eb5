"""JSON files and config.yaml of a results folder, which hold a digest of their own content."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, TypeAdapter, model_validator

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.integrity import AlteredError, digest, read, read_errors

#: Format of the files: since 2, JSON files and config.yaml hold a SHA-256 of their own content. A key more
#: or less in a JSON file takes another number.
FORMAT = 2


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


class _CrossValidatedData(_SubjectData):
    #: Labels of the runs or sessions that are held out one by one.
    folds: list[str]


class _HeldOutData(_SubjectData):
    #: Number of the fold.
    fold_of_subject: str


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
    # Pairs of errors and negative log-likelihoods; of errors alone where an earlier version wrote it.
    surface: list[tuple[float, float] | float | None]
    last_loss: dict[str, float]
    seconds: dict[str, float]
    sha256: dict[str, str]


class _Comparison(Record):
    sha256: dict[str, str]


#: Schemas of fit.json (a fit's and a baseline's), averaged.json, data.json, environment.json, and tables.
FIT: TypeAdapter = TypeAdapter(_DoneFit | _FailedFit)

AVERAGES: TypeAdapter = TypeAdapter(_Averages)

BASELINE: TypeAdapter = TypeAdapter(_DoneBaseline | _FailedBaseline)

DATA: TypeAdapter = TypeAdapter(_SubjectData | _FoldData | _CrossValidatedData | _HeldOutData)

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
    with read_errors(path, path):
        content = json.loads(read(path).decode())
        json.dumps(content, ensure_ascii=False).encode()  # fails for half a surrogate pair
        if isinstance(content, dict) and isinstance(content.get("format"), int):
            _check_format(path, content["format"])
        schema.validate_python(content)
        if "format" in content and content["digest"] != _record_digest(content):
            raise AlteredError("it was changed")
    return content


def signed(text: str) -> str:
    """A YAML file with a last line, a comment, that is a digest of the others."""
    return text + _LAST_LINE.format(FORMAT, digest(text.encode()))


def is_signed(path: Path) -> bool:
    """Whether a YAML file ends with a digest."""
    return _SIGNED.fullmatch(_lines(path)[-1]) is not None


def verified(path: Path) -> bytes | None:
    """Content of a signed YAML file above its last line; None if it was changed."""
    *lines, last = _lines(path)
    found = _SIGNED.fullmatch(last)
    if not found:
        return None
    _check_format(path, int(found[1]))
    content = b"".join(lines)
    return content if found[2].decode() == digest(content) else None


def _lines(path: Path) -> list[bytes]:
    with read_errors(path, path):
        return read(path).splitlines(keepends=True) or [b""]


def write_settings(path: Path, settings: Settings) -> None:
    """Write config.yaml, signed."""
    files.write_text(path, signed(config.to_yaml(settings)))


def read_settings(study: folders.Study) -> Settings:
    """Read config.yaml; `UserError` if it was changed or is invalid."""
    path = study.config
    if is_signed(path):
        unchanged = verified(path) is not None
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


def _check_format(path: Path, number: int) -> None:
    if number > FORMAT:
        raise UserError(
            f"{path}: was written by a newer version of eeg_sgdr (format {number}, this version reads "
            f"{FORMAT}); update eeg_sgdr."
        )
