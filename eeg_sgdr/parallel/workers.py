"""Worker processes, forked from one that has imported what they need."""

import itertools
import math
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from eeg_sgdr.errors import CannotGoOnError
from eeg_sgdr.parallel import interrupts

#: Seconds that a worker has to stop where nothing is half done.
GRACE_S = 10

#: Seconds in which calls that fail count as failing together.
TOGETHER_S = 2


def context() -> BaseContext:
    """Fork from a server process where the system can, else spawn."""
    # Importing torch and braindecode takes seconds and hundreds of megabytes; forked processes share both.
    # The server itself computes nothing, so no threads or devices are forked with it.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["eeg_sgdr.jobs.preload"])
    return forking


def warm_up() -> None:
    """Start the fork server, which imports beside whatever this process does next."""
    if context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


@dataclass(frozen=True)
class Pool:
    """Workers, on this machine or on a cluster."""

    #: Takes a function that is importable by name, and its arguments; returns a Future of its result.
    submit: Callable[..., Future]
    #: Maximum number of concurrent calls (inf on a cluster).
    size: float

    @property
    def is_here(self) -> bool:
        """Whether the workers are processes of this machine."""
        return math.isfinite(self.size)


@contextmanager
def local_pool(n_processes: int, cards: Sequence[str] = ()) -> Iterator[Pool]:
    """Processes of this machine, all started with the first call; see `run_all` for how they end.

    ``cards`` are GPUs as `CUDA_VISIBLE_DEVICES` names them, dealt out in turn: each process sees one. If
    empty, all see what this one does.
    """
    with _executor(n_processes, cards) as executor:
        yield Pool(executor.submit, n_processes)


def run_all(function: Callable[..., Any], calls: Iterable[tuple], n_processes: int) -> list[Any]:
    """Call a function, importable by name, with each of several arguments; results are in their order.

    Raises the first error; of several within `TOGETHER_S`, that of the first call. `CannotGoOnError` if a
    process was killed from outside. Whatever ends it, what is still running is asked to stop
    (`eeg_sgdr.parallel.interrupts`), and killed if it does not.
    """
    calls = list(calls)
    with _executor(max(1, min(n_processes, len(calls)))) as executor:
        futures = [executor.submit(function, *arguments) for arguments in calls]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((i for i, future in enumerate(futures) if future.done() and future.exception()), 0)
        # What is wrong with one is often wrong with those before it: which is raised is not left to chance.
        wait(futures[:failed], TOGETHER_S, FIRST_EXCEPTION)
        return [future.result() for future in futures if future.done()]  # all of them, or the error is raised


class _Executor(ProcessPoolExecutor):
    """An executor whose processes begin together, and whose calls answer a request to stop."""

    def __init__(self, n_processes: int, cards: Sequence[str] = ()) -> None:
        forking = context()
        dealt = forking.SimpleQueue()
        for card in itertools.islice(itertools.cycle(cards), n_processes):
            dealt.put(card)
        super().__init__(n_processes, forking, _begin, (dealt,) if cards else ())
        # A process that began with a later call would be watched only when something else happens (in
        # Python 3.11 to 3.14 at least): killed before, nobody would ever know. This is what the executor
        # does by itself for processes that are forked from its own.
        self._safe_to_dynamically_spawn_children = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:  # type: ignore[override]
        return super().submit(_call, function, *arguments)


@contextmanager
def _executor(n_processes: int, cards: Sequence[str] = ()) -> Iterator[Executor]:
    with _Executor(n_processes, cards) as executor:
        try:
            yield executor
        except BrokenProcessPool as error:
            _end(executor)
            raise CannotGoOnError(
                "a worker process was killed, most likely because memory ran out; run the same command "
                f"again with fewer --jobs (it had {n_processes}): it goes on where it was."
            ) from error
        except BaseException:
            _end(executor)
            raise


def _end(executor: ProcessPoolExecutor) -> None:
    """Ask all its workers to stop, and wait for them."""
    # Not multiprocessing's active children: another pool may be preparing recordings, or training.
    processes = list((executor._processes or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE_S
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_cards() -> list[str]:
    """GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        import torch  # takes seconds, and is of use for GPUs alone

        return [str(number) for number in range(torch.cuda.device_count())]
    # CUDA reads it up to the first that is none, as in "0,-1".
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), map(str.strip, named.split(","))))


def free_memory() -> int:
    """Memory that is available, in bytes, where the system says so (Linux does); else a modest guess."""
    # Not the system's free pages: those that only hold what was read of files are available, too.
    with suppress(OSError):
        found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
        if found:
            return 1024 * int(found[1])
    return 4_000_000_000


def _begin(dealt: SimpleQueue | None = None) -> None:
    """Initialise a worker: its GPU, if cards are dealt out, its signals, and its end with its parent."""
    # CUDA looks for cards when it is first used, which is later.
    if dealt is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = dealt.get()
    # Ctrl-C reaches every process of a terminal; only the one in charge answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, during which a request to stop raises `Interrupted`."""
    signal.signal(signal.SIGTERM, interrupts.stop)
    try:
        return function(*arguments)
    except interrupts.Interrupted:
        # Raised further, it would be a result, and the next call would begin.
        os._exit(interrupts.STATUS)
    finally:
        signal.signal(signal.SIGTERM, _leave)


def _leave(*signal: object) -> None:
    """End a worker that is not in a call."""
    # An exception would be reported as one where the worker only begins.
    os._exit(interrupts.STATUS)


def _leave_with_parent() -> None:
    """End a worker when its parent has ended, however that was."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        while True:  # until it is answered: between two calls it may be taken for a call's error
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
