"""Interruptions by signals: where nothing is half done, and without a traceback."""

import _weakrefset
import atexit
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: Exit status of an interrupted process, as after Ctrl-C in a shell.
STATUS = 130

#: What the training command says then.
SENTENCE = "Interrupted; the same command goes on where this one was."

#: Ctrl-C; clusters and systems that shut down; a terminal that is closed.
SIGNALS = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: How often the end of an import or a finaliser is waited for, 0.05 s each time.
_MOST_WAITS = 40

#: Files of functions that Python calls where it ignores exceptions, or takes them for an import's failure.
_DEAF = {"<frozen importlib._bootstrap>", weakref.__file__, _weakrefset.__file__}


class Interrupted(KeyboardInterrupt):
    """Raised only where the state is consistent, so that it can be saved."""


class _State:
    requested = False
    raised = False
    n_deferring = 0
    n_waits = 0


_state = _State()


def requested() -> bool:
    """Whether a signal has asked this process, or the block of `raise_on_signals`, to end."""
    return _state.requested


def stop(number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
    """Signal handler: raise `Interrupted`, at once or after `defer_interrupts`, an import or a finaliser."""
    _state.requested = True
    # Once only, so that a second signal does not disturb the saving.
    if _state.raised or _state.n_deferring:
        return
    # As in `_exit`, but that there is something to be saved.
    if hasattr(signal, "setitimer") and _state.n_waits < _MOST_WAITS and _is_deaf(frame):
        _state.n_waits += 1
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return
    _state.raised = True
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
        _state.raised = True
        raise Interrupted


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raise `Interrupted` in a block when a signal asks for the end, and for every error that follows it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _state
    _state = _State()
    before = _handle(stop)
    try:
        yield
    except BaseException as error:
        # GeneratorExit: a signal was raised by the with statement itself, as the block ended.
        if _state.requested and not isinstance(error, Interrupted | GeneratorExit):
            raise Interrupted from error
        raise
    finally:
        _state.raised = True
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        _state = _State()


def exit_on_signals() -> None:
    """End this process at a signal, with the sentence: for commands, until there is something to be lost."""
    _handle(_exit)
    # Called last of all. Soon after, Python takes its handlers away, and a signal would hide the exit status.
    atexit.register(_handle, signal.SIG_IGN)


def _handle(handler: "signal._HANDLER") -> "dict[int, signal._HANDLER]":
    """Set the handler of `SIGNALS`, but of those that are ignored (nohup); returns the previous ones."""
    handled = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    return {number: signal.signal(number, handler) for number in handled}


def _exit(number: int, frame: FrameType | None) -> None:
    # No exception: libraries take one in the middle of an import for a failure of their own.
    _handle(signal.SIG_IGN)
    with suppress(OSError):
        os.write(2, f"{SENTENCE}\n".encode())
    atexit._run_exitfuncs()
    os._exit(STATUS)


def _is_deaf(frame: FrameType | None) -> bool:
    """Whether a frame is part of an import, a finaliser or a weak reference's callback."""
    while frame and frame.f_code.co_filename not in _DEAF and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None
