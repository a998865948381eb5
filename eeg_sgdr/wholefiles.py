"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from eeg_sgdr.errors import CannotGoOnError

try:
    import fcntl
except ImportError:  # not on Windows
    # There are no such locks; open files can neither be removed nor renamed.
    fcntl = None  # type: ignore[assignment]

#: How the names of files end that are not whole yet.
PART = ".part"


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file that appears whole or not at all.

    Written beside its place, flushed to the disk, then renamed. Whoever writes holds a lock on the file
    beside, which dies with its process: so `clean` knows it from what a crash has left.

    Parameters
    ----------
    path : Path
        Where; folders above it are made.
    fill : callable
        Writes the content into the binary file that it is given.

    Raises
    ------
    CannotGoOnError
        If it cannot be written.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as file:
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


def _beside(path: Path) -> BinaryIO:
    """A new file beside a path, open and locked."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
        os.close(handle)
        file = open(name, "r+b")  # noqa: SIM115 (the caller closes it)
        _try_lock(file)
        # Between the two calls it looked like a leftover.
        if Path(name).exists():
            return file
        file.close()


def clean(folder: Path) -> None:
    """Remove what writes that were cut off have left in a folder; nothing that is being written."""
    for path in folder.glob(f".*{PART}"):
        with suppress(OSError), path.open("r+b") as file:
            if _try_lock(file):
                path.unlink()


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with suppress(PermissionError):  # some systems keep files that are open
        path.unlink(missing_ok=True)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say in one sentence what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise CannotGoOnError(
            f"{path}: cannot be written ({error.strerror or error}); make room, or give another --out or "
            "compute.data_dir."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Have a rename on the disk before anything that comes later; systems without this do it at once."""
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
