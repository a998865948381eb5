"""Interruptions by signals, deferred while a change of state is incomplete."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: Exit status of an interrupted process, as after Ctrl-C in a shell.
STATUS = 130


class Interrupted(KeyboardInterrupt):
    """Raised only where the state is consistent, so that it can be saved."""


@dataclass
class _State:
    requested: bool = False
    n_deferring: int = 0


_state = _State()


def stop(*signal: object) -> None:
    """Signal handler: raise `Interrupted`, at once or at the end of `defer_interrupts`."""
    # Once only, so that a second signal does not disturb the saving.
    first, _state.requested = not _state.requested, True
    if first and not _state.n_deferring:
        raise Interrupted


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Run a block as a whole: a signal that arrives meanwhile raises `Interrupted` at its end."""
    _state.n_deferring += 1
    try:
        yield
    finally:
        _state.n_deferring -= 1
    if _state.requested and not _state.n_deferring:
        raise Interrupted
