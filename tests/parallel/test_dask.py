"""A real Dask scheduler and its workers on loopback: a worker is killed, and the study is as without."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import killing
import psutil
import pytest

from eeg_sgdr.errors import UserError
from eeg_sgdr.parallel.dask import dask_pool

#: One process starts the scheduler, and makes the study once.
pytestmark = pytest.mark.xdist_group("one call")


@contextmanager
def process(*arguments, folder):
    with subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=(folder / f"{arguments[0]}-{len(list(folder.iterdir()))}.log").open("wb"),
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with process("dask_scheduler", *options, folder=tmp_path_factory.mktemp("scheduler")):
        yield f"tcp://127.0.0.1:{port}"


@contextmanager
def workers(scheduler, folder, n=2, n_threads=1):
    options = ("--nthreads", str(n_threads), "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
    with ExitStack() as stack:
        yield [
            stack.enter_context(process("dask_worker", scheduler, *options, folder=folder)) for _ in range(n)
        ]


def test_a_worker_is_killed_and_the_study_is_as_one_process_makes_it(one_call, scheduler, tmp_path):
    folder, expected, _ = one_call
    dask = ("--backend", "dask", "--dask-address", scheduler)
    with workers(scheduler, tmp_path) as (victim, other):
        command = killing.start(killing.command(folder, "dask", *killing.SHORT, *dask))
        mine = psutil.Process(victim.pid)
        while not any(file.path.endswith(".fit.lock") for file in mine.open_files()):
            assert command.poll() is None, command.stderr.read()
            time.sleep(0.01)
        victim.kill()
        victim.wait()  # until then it would be there for whoever asks if the owner of a lock is
        errors = killing.wait(command)
        assert other.poll() is None
    assert "small: " in errors
    assert "epochs" in errors
    assert killing.differing(expected, killing.files(folder / "dask")) == []
    assert list((folder / "data").glob("eeg_sgdr-*")) == []


def check_refused(address, shared, message):
    with pytest.raises(UserError, match=message), dask_pool(address, shared):
        pytest.fail("it must not begin")


def test_a_folder_that_workers_do_not_share_is_refused_and_nothing_is_left(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr("eeg_sgdr.parallel.dask.write_number", lambda folder: "elsewhere")
    shared = tmp_path / "new" / "results"
    message = re.escape(f"{shared}: is not shared with Dask worker tcp://127.0.0.1")
    with workers(scheduler, tmp_path, n=1):
        check_refused(scheduler, [shared], message)
    assert not (tmp_path / "new").exists()


def test_a_worker_of_several_threads_is_refused(scheduler, tmp_path):
    message = "makes 2 fits at a time in one process; start it with --nthreads 1"
    with workers(scheduler, tmp_path, n=1, n_threads=2):
        check_refused(scheduler, [tmp_path], message)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (None, "needs --dask-address"),
        ("tcp://127.0.0.1:9", "no scheduler answers"),
        ("nonsense://x", "no scheduler answers"),
    ],
)
def test_without_a_scheduler_it_is_refused(address, message, monkeypatch):
    monkeypatch.setattr("eeg_sgdr.parallel.dask.PATIENCE_S", 1)
    check_refused(address, [], message)


def test_without_workers_it_is_refused(scheduler, monkeypatch):
    monkeypatch.setattr("eeg_sgdr.parallel.dask.PATIENCE_S", 1)
    check_refused(scheduler, [], "has no workers; start some")
