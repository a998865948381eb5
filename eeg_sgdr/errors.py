"""Errors that a user sees as a sentence, and context managers that raise them."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """An error in one sentence: what is wrong, where, and the remedy.

    The commands print it and end with status 2; from Python it is an ordinary exception.

    Parameters
    ----------
    sentence : str
        Characters that are not printable, such as line ends in names of files, are escaped.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence))


class FatalError(UserError):
    """A `UserError` that all further work would meet, too, such as a full disk."""


def is_unicode(text: str) -> bool:
    """Whether a text is Unicode; Python's names of files may hold other bytes, as lone surrogates."""
    return text.encode(errors="replace").decode() == text


def in_words(error: BaseException) -> str:
    """Kind and message of a library's exception, or where it was raised if it has none, on one line."""
    message = " ".join(str(error).split())
    if not message and (frames := traceback.extract_tb(error.__traceback__)):
        message = f"raised by {frames[-1].name} in {Path(frames[-1].filename).name}"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


# torch's errors are recognised by their words, as importing torch takes seconds.
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


@contextmanager
def memory_errors(task: str, remedy: str) -> Iterator[None]:
    """Turn running out of memory, on the CPU or a GPU, into a `UserError` with the task and a remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _MEMORY_WORDS):
            raise UserError(f"{task}: memory ran out ({in_words(error)}); {remedy}.") from error
        raise


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into a `FatalError`."""
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise FatalError(
            f"{path}: cannot be written ({error.strerror}); move away what lies in its place, and run again."
        ) from error
    except OSError as error:
        raise FatalError(
            f"{path}: cannot be written ({error.strerror or error}); make room, or give another --out or "
            "compute.data_dir."
        ) from error
