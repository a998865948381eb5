"""Errors that a user sees as a sentence instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one sentence.

    The commands print it and end with status 2; from Python it is an ordinary exception.

    Parameters
    ----------
    sentence : str
        What is not printable in it, such as line ends in the names of files, is written out.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence))


class CannotGoOnError(UserError):
    """A `UserError` that whatever comes next would meet, too, such as a full disk."""


def in_words(error: BaseException) -> str:
    """Kind and message of somebody else's exception, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


# torch's errors are known by their words and names: importing it takes seconds.
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


@contextmanager
def memory_errors(task: str, remedy: str) -> Iterator[None]:
    """Turn memory that ran out, on the CPU or a GPU, into a `UserError` with the task and a remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _MEMORY_WORDS):
            raise UserError(f"{task}: memory ran out ({in_words(error)}); {remedy}.") from error
        raise


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a `CannotGoOnError`."""
    try:
        yield
    except OSError as error:
        raise CannotGoOnError(
            f"{path}: cannot be written ({error.strerror or error}); make room, or give another --out or "
            "compute.data_dir."
        ) from error
