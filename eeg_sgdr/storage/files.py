"""Atomic file writes, and locks between processes."""

import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout
from tqdm import tqdm

from eeg_sgdr.errors import UserError, disk_errors, is_unicode

if TYPE_CHECKING:
    import pandas as pd

try:
    import fcntl
except ImportError:  # not on Windows
    # There are no such locks; open files can neither be removed nor renamed.
    fcntl = None  # type: ignore[assignment]

#: Suffix of incomplete files.
PART = ".part"

#: Most bytes of a name, and most characters of a path: what file systems take, less what comes below it.
NAME_BYTES, PATH_LENGTH = 255, 3500

#: Prefix of temporary folders.
TEMPORARY = "eeg_sgdr-"

#: Where Linux keeps semaphores.
SEMAPHORES = Path("/dev/shm")  # noqa: S108


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically; ``fill`` writes to an open one."""
    # Written to a temporary file, flushed to the disk, then renamed. The writer locks the temporary file; the
    # lock ends with its process, so that `clean` can recognise leftovers of a crash.
    check_path(path)
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


def check_path(path: Path) -> None:
    """Refuse a path that no file or folder can have, or that cannot be named in a page."""
    text = str(path)
    if "\0" in text:
        problem = "holds a null byte"
    elif not is_unicode(text):
        problem = "is no text in UTF-8"
    elif max(len(os.fsencode(name)) for name in ("", *path.parts)) > NAME_BYTES or len(text) > PATH_LENGTH:
        problem = "is too long"
        text = f"{text[:50]}..."
    else:
        return
    raise UserError(f"{text}: {problem}, and so cannot be a path; give another.")


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


@contextmanager
def temporary_folder(root: Path | None = None) -> Iterator[Path]:
    """A temporary folder in another, by default the system's; those of killed processes there are removed."""
    root = root or Path(tempfile.gettempdir())
    with disk_errors(root):
        for lock in root.glob(f"{TEMPORARY}*/{_lock_name()}"):
            _remove_abandoned(lock)
        folder, file = _locked_folder(root)
    with folder, file:
        yield Path(folder.name)


def _locked_folder(root: Path) -> tuple[tempfile.TemporaryDirectory[str], BinaryIO]:
    """Make a folder with a locked file in it."""
    while True:
        folder = tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=root, ignore_cleanup_errors=True)
        path = Path(folder.name) / _lock_name()
        with suppress(FileNotFoundError):  # before it is locked, another process may remove it
            file = path.open("wb")
            _try_lock(file)
            if path.exists():
                return folder, file
            file.close()


def _lock_name() -> str:
    # Where several machines share a folder, each judges only its own processes.
    return f"{socket.gethostname()}.lock"


def _remove_abandoned(lock: Path) -> None:
    """Remove a temporary folder, and semaphores named after it, if no process holds its lock."""
    with suppress(OSError), lock.open("r+b") as file:
        if fcntl and _try_lock(file):
            for semaphore in SEMAPHORES.glob(f"sem.{lock.parent.name}-*"):
                semaphore.unlink()
            shutil.rmtree(lock.parent, ignore_errors=True)


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
EMPTY_S = 5

#: Seconds after which a process that waits for a lock says so.
QUIET_S = 3

#: Seconds between two attempts.
POLL_S = 0.05


@contextmanager
def lock(path: Path, patience_s: float = -1) -> Iterator[bool]:
    """Hold a lock file; yields False if another process still holds it after the patience (negative: no end).

    The file names its process and machine, and its time is renewed regularly (filelock's lease). The lock is
    free when the file is gone, when its process on this machine has ended, or when the waiting process has
    seen no change of the file for `STALE_S`, whatever it holds. So it works on file systems without locks. A
    process that is wrongly taken for dead writes the same files again.
    """
    lease = SoftFileLease(path, lease_duration=float(STALE_S))
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lease, path, patience_s)
    try:
        yield lease.is_locked
    finally:
        lease.release()


def _acquire(lease: SoftFileLease, path: Path, patience_s: float) -> None:
    """Acquire a lease, if it becomes free within the patience."""
    # Files are watched by the clock of this process, as their times may lie in the future. filelock does so,
    # too, but waits for ever for a file that is empty, or that holds another kind of lock.
    began = since = time.monotonic()
    seen, told = None, False
    while True:
        with suppress(Timeout, LeaseSettingsMismatch):
            lease.acquire(blocking=False)
            return
        now = time.monotonic()
        if 0 <= patience_s <= now - began:
            return
        before, seen = seen, _state(path)
        if seen is None or seen != before:
            since = now
        elif now - since >= (STALE_S if seen.size else EMPTY_S):
            _disown(path, seen)
        if not told and now - began >= QUIET_S:
            told = True
            _say_waiting(path, lease)
        time.sleep(POLL_S)


class _State(NamedTuple):
    """What a renewal or a replacement of a lock file changes."""

    size: int
    inode: int
    modified_ns: int
    changed_ns: int


def _state(file: Path | int) -> _State | None:
    """State of a regular file, given by its path or descriptor; None if it is none."""
    with suppress(FileNotFoundError):
        status = os.lstat(file) if isinstance(file, Path) else os.fstat(file)
        if stat.S_ISREG(status.st_mode):
            return _State(status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return None


def _disown(path: Path, seen: _State) -> None:
    """Overwrite a lock file that is as it was seen, so that filelock replaces it as malformed."""
    # Not removed: by now the path may name another's file. The open one is that which was seen, or it is not.
    with suppress(FileNotFoundError), path.open("r+b") as file:
        if _state(file.fileno()) == seen:
            file.truncate(0)
            file.write(b"orphaned")


def _say_waiting(path: Path, lease: SoftFileLease) -> None:
    """Say on stderr whose end is waited for."""
    owner = lease.owner
    # filelock may add the container to the name.
    holder = f"process {owner.pid} on {owner.hostname.partition('?')[0]}" if owner else "an unknown process"
    with suppress(OSError, ValueError):  # nobody may be listening
        tqdm.write(
            f"{path}: waiting for {holder} that holds it; end that one to go on now (it counts as ended "
            f"after {STALE_S} s, or less, without a sign of life).",
            file=sys.stderr,
        )


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


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table; numbers at full precision."""
    write_bytes(path, csv_bytes(table))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays without pickles; equal arrays give equal bytes."""
    write_bytes(path, npz_bytes(arrays))


def json_bytes(data: Any) -> bytes:
    """Content of a JSON file."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def csv_bytes(table: "pd.DataFrame") -> bytes:
    """Content of a CSV file."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Content of an npz file."""
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
