"""Readers that refuse files which are not as they were written: digests, columns and shapes."""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.storage import folders


def read_arrays(
    path: Path, shapes: Mapping[str, str], delete: Path, sha256: str | None = None
) -> dict[str, np.ndarray]:
    """Read arrays of shapes: `PREDICTIONS`, `AVERAGED` or `SUMMARY`.

    Raises UserError, which names the path to ``delete``, if shapes or the digest differ.
    """
    with read_errors(path, delete):
        with np.load(BytesIO(read(path, sha256)), allow_pickle=False) as stored:
            arrays = dict(stored)
        lengths = {"3": 3}
        for name, letters in shapes.items():
            shape = arrays[name].shape if name in arrays else ()
            if len(shape) != len(letters) or any(
                lengths.setdefault(letter, length) != length
                for letter, length in zip(letters, shape, strict=True)
            ):
                raise AlteredError(f"array {name} is missing or of another shape")
    return arrays


def read_weights(path: Path, delete: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read the weights of a snapshot; errors as of `read_arrays`."""
    from safetensors.numpy import load

    with read_errors(path, delete):
        return load(read(path, sha256))


def read_table(
    path: Path, columns: Mapping[str, Any], delete: Path, sha256: str | None = None
) -> pd.DataFrame:
    """Read a table with typed columns, empty cells as NaN; errors as of `read_arrays`."""
    with read_errors(path, delete):
        content = read(path, sha256)
        table = pd.read_csv(BytesIO(content), dtype=columns, keep_default_na=False, na_values=[""])
        missing = [name for name in columns if name not in table.columns]
        if missing:
            raise AlteredError(f"it lacks the column {missing[0]}")
        # A table may be cut off after a valid but incomplete last line.
        if not content.endswith(b"\n"):
            raise AlteredError("it is cut off")
    return table


def check_made_table(path: Path, record_path: Path, record: Mapping[str, Any], root: Path) -> None:
    """Refuse a table that commands make again and its record does not vouch for."""
    if path.is_file() and record.get("sha256", {}).get(path.name) != file_digest(path):
        raise UserError(
            f"{path}: is not the table that {record_path.name} vouches for (one of the two was changed); "
            f"run python -m eeg_sgdr.report {root}, which makes it again."
        )


def digest(content: bytes) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; `UserError` if it cannot be read."""
    with read_errors(path, path):
        return digest(read(path))


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


class AlteredError(Exception):
    """A readable file does not hold what the program wrote."""


def altered(path: Path, why: str, delete: Path) -> UserError:
    """Error of a file that is not as the program wrote it."""
    return UserError(f"{path}: is not as it was written ({why}); delete {delete} and run again.")


@contextmanager
def read_errors(path: Path, delete: Path) -> Iterator[None]:
    """Turn errors of reading a file into a `UserError`."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where, why = ".".join(map(str, first["loc"][1:])), first["msg"].removeprefix("Value error, ")
        raise altered(path, f"{where}: {why}" if where else why, delete) from error
    except AlteredError as error:
        raise altered(path, str(error), delete) from error
    except UserError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise altered(path, in_words(error), delete) from error


def read(path: Path, sha256: str | None = None) -> bytes:
    """Bytes of a regular file; opening a FIFO would wait for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise AlteredError("it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")
    content = path.read_bytes()
    if sha256 is not None and digest(content) != sha256:
        raise AlteredError("it was changed or replaced")
    return content
