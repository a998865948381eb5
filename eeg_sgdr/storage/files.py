"""Atomic file writes, and locks between processes."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from filelock import SoftFileLease, Timeout

from eeg_sgdr.errors import disk_errors

try:
    import fcntl
except ImportError:  # not on Windows
    # There are no such locks; open files can neither be removed nor renamed.
    fcntl = None  # type: ignore[assignment]

#: Suffix of incomplete files.
PART = ".part"


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically; ``fill`` writes to an open one."""
    # Written to a temporary file, flushed to the disk, then renamed. The writer locks the temporary file; the
    # lock ends with its process, so that `clean` can recognise leftovers of a crash.
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(path) as file:
            try:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
                # mkstemp allows only the owner; results are shared as the umask says.
                os.chmod(file.name, 0o666 & ~_umask())
                if fcntl is None:
                    file.close()
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)


def _temporary(path: Path) -> BinaryIO:
    """Open and lock a new file in the folder of a path."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
        os.close(handle)
        file = open(name, "r+b")  # noqa: SIM115 (the caller closes it)
        _try_lock(file)
        # Before it was locked, `clean` may have removed it.
        if Path(name).exists():
            return file
        file.close()


def clean(folder: Path) -> None:
    """Remove the leftovers of interrupted writes from a folder, but no file that is being written."""
    for path in folder.glob(f".*{PART}"):
        with suppress(OSError), path.open("r+b") as file:
            if _try_lock(file):
                path.unlink()


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with suppress(PermissionError):  # some systems keep files that are open
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush a rename to the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _try_lock(file: BinaryIO) -> bool:
    """Lock an open file, unless another process has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


#: Seconds without renewal after which a lock of another machine is stale; equal for all processes.
STALE_S = 120

#: Seconds after which an empty lock file is taken for the leftover of a power failure.
EMPTY_S = 10


@contextmanager
def lock(path: Path, patience_s: float = -1) -> Iterator[bool]:
    """Hold a lock file; yields False if another process still holds it after the patience (negative: no end).

    The file names its process and machine, and its time is renewed regularly (filelock's lease). The lock is
    free when the file is gone, when its process on this machine has ended, or when a lock of another machine
    has not been renewed for `STALE_S`. So it works on file systems without locks. A process that is wrongly
    taken for dead writes the same files again.
    """
    lease = SoftFileLease(path, lease_duration=float(STALE_S))
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_orphaned(path)
        with suppress(Timeout):
            lease.acquire(timeout=patience_s)
    try:
        yield lease.is_locked
    finally:
        lease.release()


def _remove_orphaned(path: Path) -> None:
    """Remove an orphaned lock file: one without content, which a power failure has left."""
    with suppress(OSError):
        status = path.stat()
        if status.st_size == 0 and time.time() - status.st_mtime > EMPTY_S:
            path.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes."""
    write(path, lambda file: file.write(content))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array that can be read as a memory map."""
    write(path, lambda file: np.save(file, array, allow_pickle=False))


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with plain line ends."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON."""
    write_bytes(path, json_bytes(data))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table; numbers at full precision."""
    write_bytes(path, csv_bytes(table))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays without pickles; equal arrays give equal bytes."""
    write_bytes(path, npz_bytes(arrays))


def json_bytes(data: Any) -> bytes:
    """Content of a JSON file."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Content of a CSV file."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Content of an npz file."""
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
