"""Worker processes, forked from a server with heavy libraries already imported; cores, GPUs and memory."""

import atexit
import itertools
import math
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from eeg_sgdr.errors import FatalError
from eeg_sgdr.parallel import interrupts, streams
from eeg_sgdr.parallel.interrupts import defer_interrupts
from eeg_sgdr.storage.files import temporary_folder

#: Seconds that a worker has to stop before it is killed.
GRACE_S = 10

#: Longest path, in bytes, of a folder for sockets; systems allow 104 or 108 for a socket's own.
SOCKET_BYTES = 60

#: Exit status of a worker whose import of the main script would start workers.
_UNGUARDED = 77

#: Seconds within which failures of several calls count as simultaneous.
TOGETHER_S = 2


def context() -> BaseContext:
    """Fork from a server process where the system can, else spawn."""
    # Importing torch and braindecode takes seconds and hundreds of megabytes; forked processes share both.
    # The server itself computes nothing, so no threads or devices are forked with it.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    _name_resources()
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["eeg_sgdr.jobs.preload"])
    return forking


@cache
def _name_resources() -> None:
    """Have sockets and semaphores where later runs find and remove them if this process is killed."""
    root = Path(tempfile.gettempdir())
    if len(os.fsencode(root)) > SOCKET_BYTES:
        root = Path("/tmp")  # noqa: S108 (a new folder in it, for the owner only)
    temporary = ExitStack()
    atexit.register(temporary.close)
    folder = temporary.enter_context(temporary_folder(root))
    names = {"tempdir": str(folder), "semprefix": f"/{folder.name}"}
    multiprocessing.current_process()._config.update(names)  # type: ignore[attr-defined]


def warm_up() -> None:
    """Start the fork server, which imports while this process goes on."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(_UNGUARDED)  # a worker, in the import of its parent's script
    if context().get_start_method() == "forkserver":
        from multiprocessing import forkserver, resource_tracker

        # Their signals stay blocked, and those of workers until `_initialise`: processes that are starting
        # would end in tracebacks. The tracker first, as its own start unblocks some.
        with defer_interrupts():
            before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
            try:
                resource_tracker.ensure_running()
                signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
                forkserver.ensure_running()
                atexit.unregister(_kill_server)
                atexit.register(_kill_server, os.getpid())
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_server(owner: int) -> None:
    """Kill the fork server, which would end, and let go of the terminal, only after its imports."""
    from multiprocessing import forkserver

    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid and os.getpid() == owner:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Pool:
    """Workers, on this machine or on a cluster."""

    #: Takes a function that is importable by name, and its arguments; returns a Future of its result.
    submit: Callable[..., Future]
    #: Maximum number of concurrent calls (inf on a cluster).
    size: float

    @property
    def is_local(self) -> bool:
        """Whether the workers are processes of this machine."""
        return math.isfinite(self.size)


@contextmanager
def local_pool(n_processes: int, gpus: Sequence[str] = ()) -> Iterator[Pool]:
    """Processes of this machine, all started with the first call; see `run_all` for how they end.

    ``gpus``, as `CUDA_VISIBLE_DEVICES` names them, are assigned in turn: each process sees one. If empty,
    all see those that this process sees.
    """
    with _executor(n_processes, gpus) as executor:
        yield Pool(executor.submit, n_processes)


def run_all(function: Callable[..., Any], calls: Iterable[tuple], n_processes: int) -> list[Any]:
    """Call a function, importable by name, with each of several arguments; results are in their order.

    Raises the first error; of several within `TOGETHER_S`, that of the first call. `FatalError` if a
    process was killed from outside. On any error, calls still running are interrupted
    (`eeg_sgdr.parallel.interrupts`), and killed if they do not stop.
    """
    calls = list(calls)
    with _executor(max(1, min(n_processes, len(calls)))) as executor:
        futures = [executor.submit(function, *arguments) for arguments in calls]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((i for i, future in enumerate(futures) if future.done() and future.exception()), 0)
        # Calls often fail for the same reason: which error is raised is not left to chance.
        wait(futures[:failed], TOGETHER_S, FIRST_EXCEPTION)
        return [future.result() for future in futures if future.done()]  # all of them, or the error is raised


class _Executor(ProcessPoolExecutor):
    """Executor that starts all processes at once, and whose calls can be interrupted."""

    def __init__(self, n_processes: int, gpus: Sequence[str] = ()) -> None:
        forking = context()
        assigned = forking.SimpleQueue()
        for gpu in itertools.islice(itertools.cycle(gpus), n_processes):
            assigned.put(gpu)
        super().__init__(n_processes, forking, _initialise, (assigned,) if gpus else ())
        # A process started by a later call is watched only from the next event on (in Python 3.11 to 3.14 at
        # least): killed before, it would go unnoticed. The executor itself starts all at once where it forks.
        self._safe_to_dynamically_spawn_children = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:  # type: ignore[override]
        with defer_interrupts():  # a process half started would be nobody's
            return super().submit(_call, function, *arguments)


@contextmanager
def _executor(n_processes: int, gpus: Sequence[str] = ()) -> Iterator[Executor]:
    warm_up()
    with defer_interrupts():
        starting = _Executor(n_processes, gpus)
    with starting as executor:
        try:
            yield executor
        except BrokenProcessPool as error:
            if _UNGUARDED in _end(executor):
                script = getattr(sys.modules["__main__"], "__file__", "the script")
                raise FatalError(
                    f"{script}: every worker process imports it, and would begin its work again; put what it "
                    'does under: if __name__ == "__main__":'
                ) from error
            raise FatalError(
                "a worker process was killed, most likely because memory ran out; run the same command "
                f"again with fewer --jobs (it had {n_processes}): it goes on where it was."
            ) from error
        except BaseException:
            _end(executor)
            raise


def _end(executor: ProcessPoolExecutor) -> list[int | None]:
    """Interrupt all workers of an executor, and wait for them; returns their exit statuses."""
    # Not multiprocessing's active children: another pool may be preparing recordings, or training.
    processes = list((executor._processes or {}).values())
    thread = getattr(executor, "_executor_manager_thread", None)
    with defer_interrupts():
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        if thread:  # it waits for them, too: an exit status is told once, and two readers would share it
            thread.join(GRACE_S)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
    return [process.exitcode for process in processes]


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        import torch  # takes seconds, and is needed for GPUs alone

        return [str(number) for number in range(torch.cuda.device_count())]
    # CUDA ignores all from the first invalid name on, as in "0,-1".
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), map(str.strip, named.split(","))))


def free_memory() -> int:
    """Available memory in bytes, as Linux reports it; a modest guess on other systems."""
    # Not free pages alone: the page cache is available, too.
    with suppress(OSError):
        found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
        if found:
            return 1024 * int(found[1])
    return 4_000_000_000


def _initialise(gpus: SimpleQueue | None = None) -> None:
    """Initialise a worker: its streams, its GPU, its signal handlers, and its exit with its parent."""
    streams.guard()
    # CUDA reads the variable when it is first used, which is later.
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    # Ctrl-C, or the end of a terminal, reaches all its processes; only the main process handles it.
    for number in interrupts.SIGNALS:
        signal.signal(number, _exit if number == signal.SIGTERM else signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, during which SIGTERM raises `Interrupted`."""
    signal.signal(signal.SIGTERM, interrupts.stop)
    try:
        return function(*arguments)
    except BaseException:
        if interrupts.requested():
            # Raised further, it would be the call's result, and the worker would take the next call.
            os._exit(interrupts.STATUS)
        raise
    finally:
        signal.signal(signal.SIGTERM, _exit)


def _exit(*signal: object) -> None:
    """Exit a worker between two calls."""
    # In a worker that is starting, an exception would be reported.
    os._exit(interrupts.STATUS)


def _exit_with_parent() -> None:
    """Exit a worker when its parent has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        while True:  # repeated, as a signal between two calls may be taken for a call's error
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
