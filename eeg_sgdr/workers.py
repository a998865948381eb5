"""Worker processes, forked from one that has imported what they need."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.context import BaseContext
from typing import Any


def context() -> BaseContext:
    """Fork from a server process where the system can, else spawn.

    Importing torch and braindecode takes seconds and hundreds of megabytes; forked processes share
    both. The server itself computes nothing, so no threads or devices are forked with it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["eeg_sgdr.preload"])
    return forking


def warm_up() -> None:
    """Let the server begin to import, beside whatever this process does next."""
    if context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


def run_all(function: Callable[..., Any], calls: Iterable[tuple], n_processes: int) -> list[Any]:
    """Call a function with several arguments, in parallel.

    Parameters
    ----------
    function : callable
        Importable by name.
    calls : iterable of tuple
        The arguments of each call; they are begun in this order.
    n_processes : int
        Calls at a time.

    Returns
    -------
    results : list
        In the order of ``calls``.

    Raises
    ------
    Exception
        The first that a call raises; what is still running is ended.
    """
    with ProcessPoolExecutor(n_processes, mp_context=context(), initializer=_leave_interrupts) as pool:
        futures = [pool.submit(function, *arguments) for arguments in calls]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
                process.join()
            raise
        return [future.result() for future in futures]


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Memory that is available, in bytes, where the system says so; else a modest guess."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4_000_000_000


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; only the one in charge answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
