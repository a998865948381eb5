"""Pool of the workers of a Dask cluster."""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from eeg_sgdr.errors import FatalError, UserError, disk_errors, in_words
from eeg_sgdr.parallel.workers import Pool
from eeg_sgdr.storage.files import temporary_folder

if TYPE_CHECKING:
    from distributed import Client


#: Seconds to wait for the scheduler, and then for its first worker.
PATIENCE_S = 60


@contextmanager
def dask_pool(address: str | None, folders: Sequence[Path]) -> Iterator[Pool]:
    """Workers of a running cluster; every worker must see the folders (absolute paths).

    A call whose worker dies is repeated by another. When the context ends early, pending calls are cancelled
    and running ones finish. Raises `UserError` if the cluster is not usable, `FatalError` if the scheduler
    ends or a call has killed several workers.
    """
    with _connected(address) as client:
        _check_threads(client)
        for folder in folders:
            _check_shared(client, folder)

        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        executor = client.get_executor(pure=False)
        try:
            # Training leaves this machine free, so that the preparation of units need not be limited.
            yield Pool(executor.submit, math.inf)
        except (KilledWorker, CancelledError, CommClosedError) as error:
            raise FatalError(
                f"--dask-address {address}: the cluster has given up ({in_words(error)}); see its logs (most "
                "likely memory ran out), then run the same command again: it goes on where it was."
            ) from error


@contextmanager
def _connected(address: str | None) -> Iterator["Client"]:
    """Client of a scheduler that has a worker."""
    if not address:
        raise UserError("--backend dask: needs --dask-address, that of a scheduler (tcp://HOST:PORT).")
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError('--backend dask: install it with pip install "eeg_sgdr[cluster]".') from error
    try:
        client = Client(address, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--dask-address {address}: no scheduler answers ({in_words(error)}); start one, or correct the "
            "address."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError as error:
            raise UserError(
                f"--dask-address {address}: has no workers; start some (dask worker {address} --nthreads 1)."
            ) from error
        yield client


def _check_threads(client: "Client") -> None:
    """Refuse workers of several threads, which would share torch's random state."""
    for worker, n_threads in client.nthreads().items():
        if n_threads > 1:
            raise UserError(
                f"Dask worker {worker}: makes {n_threads} fits at a time in one process; start it with "
                "--nthreads 1 and more --nworkers."
            )


def _check_shared(client: "Client", folder: Path) -> None:
    """Refuse a folder unless files that the workers write there are visible here."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as shared:
            answers = client.run(write_number, str(shared), on_error="return")
            here = {path.name for path in shared.iterdir()}
    for worker, answer in answers.items():
        if answer not in here:
            for path in new:
                with suppress(OSError):
                    path.rmdir()
            raise UserError(
                f"{folder}: is not shared with Dask worker {worker} (what it writes is not here); give --out "
                "and compute.data_dir on a file system that all workers see under the same path."
            )


def write_number(folder: str) -> str:
    """Write a small file and return its name; called by each worker."""
    name = f"{os.uname().nodename}-{os.getpid()}"
    (Path(folder) / name).write_text(name, encoding="utf-8")
    return name
