"""Interruptions (SIGINT, SIGTERM), deferred while something is half done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: Exit status of what was interrupted, as shells have it for Ctrl-C.
STATUS = 130


class Interrupted(KeyboardInterrupt):
    """Raised only where nothing is half done, so that what is under way can be kept."""


@dataclass
class _State:
    asked: bool = False
    held: int = 0


_state = _State()


def stop(*signal: object) -> None:
    """Raise `Interrupted` at a signal, unless it is `held_back`; as a handler, between any two steps."""
    # Once only, so that a second signal does not disturb the keeping.
    first, _state.asked = not _state.asked, True
    if first and not _state.held:
        raise Interrupted


@contextmanager
def held_back() -> Iterator[None]:
    """Do something as a whole: a signal that comes meanwhile raises `Interrupted` at its end."""
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
    if _state.asked and not _state.held:
        raise Interrupted


def forget() -> None:
    """Forget signals that were received."""
    _state.asked = False
