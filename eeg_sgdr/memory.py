"""Memory that ran out, told in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from eeg_sgdr.errors import UserError, in_words

# torch's errors are known by their words and names: importing it takes seconds.
_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


@contextmanager
def told(what: str, remedy: str) -> Iterator[None]:
    """Say so in one sentence where memory runs out.

    Parameters
    ----------
    what : str
        What needed it.
    remedy : str
        What needs less.

    Raises
    ------
    UserError
        If numpy or torch cannot get the memory that it asks for, on the CPU or on a GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS):
            raise UserError(f"{what}: memory ran out ({in_words(error)}); {remedy}.") from error
        raise
