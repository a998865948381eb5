"""Locks between processes, of one machine or of several that share a file system."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from eeg_sgdr.wholefiles import told

#: Seconds without a sign of life after which a lock of another machine is stale. All must agree on them.
STALE_S = 120

#: Seconds after which a lock file without content is what a power failure has left.
EMPTY_S = 10


@contextmanager
def lock(path: Path, patience_s: float) -> Iterator[bool]:
    """Hold a lock, or say that somebody else holds it.

    The file says which process of which machine holds it, and its time is renewed as a sign of life
    (filelock's lease). It is free when it is gone, when its process has ended on this machine, or when it has
    been watched for `STALE_S` without a sign of life from another machine. So nothing depends on whether a
    file system knows locks. Who is taken for dead and is not makes the same files once more.

    Parameters
    ----------
    path : Path
        The lock file; folders above it are made.
    patience_s : float
        How long to wait for whoever holds it; for ever if negative.

    Yields
    ------
    held : bool
        False if somebody else still holds it.

    Raises
    ------
    CannotGoOnError
        If it cannot be written.
    """
    lease = SoftFileLease(path, lease_duration=float(STALE_S))
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_empty(path)
        with suppress(Timeout):
            lease.acquire(timeout=patience_s)
    try:
        yield lease.is_locked
    finally:
        lease.release()


def _remove_empty(path: Path) -> None:
    """Remove a lock file that names nobody, for whom everybody would wait for ever."""
    with suppress(OSError):
        status = path.stat()
        if status.st_size == 0 and time.time() - status.st_mtime > EMPTY_S:
            path.unlink()
