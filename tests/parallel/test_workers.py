"""Calls in parallel: results in order, errors as they are, nothing left running."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from eeg_sgdr.errors import FatalError, UserError
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.interrupts import defer_interrupts


def square(x):
    return x * x, os.getpid()


def fail_or_sleep(x):
    if x == 0:
        raise UserError("zero is refused.")
    time.sleep(60)


def fail_in_turn(x, folder):
    while x == 0 and not (folder / "failed").exists():
        time.sleep(0.01)
    time.sleep(0.0 if x else 0.3)
    (folder / "failed").touch()
    raise UserError(f"call {x} is refused.")


def kill_or_finish(x, path):
    """The first is killed, as a system out of memory does; the second is in the middle of something."""
    if x == 0:
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    with defer_interrupts():
        path.write_text("begun")
        time.sleep(1)
        path.write_text("done")
    path.write_text("too much")


def write_and_wait(path):
    path.write_text(str(os.getpid()))
    time.sleep(60)


def is_imported(name):
    return name in sys.modules


def meet(folder, n):
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < n:
        time.sleep(0.01)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_results_come_in_order_from_other_processes():
    results = workers.run_all(square, [(i,) for i in range(6)], 2)
    assert [value for value, _ in results] == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {process for _, process in results}


def test_the_first_error_ends_what_still_runs():
    started = time.monotonic()
    with pytest.raises(UserError, match="zero is refused"):
        workers.run_all(fail_or_sleep, [(1,), (0,)], 2)
    assert time.monotonic() - started < 30
    assert multiprocessing.active_children() == []


def test_the_error_of_the_first_call_is_told_whoever_is_faster(tmp_path):
    with pytest.raises(UserError, match="call 0"):
        workers.run_all(fail_in_turn, [(0, tmp_path), (1, tmp_path)], 2)


def test_workers_begin_with_braindecode_imported():
    assert workers.run_all(is_imported, [("braindecode.models",)], 1) == [True]


def test_all_processes_begin_with_the_first_call():
    """Before anything is waited for: one that began later would not be watched at once."""
    with workers.local_pool(3) as pool:
        pool.submit(square, 1)
        assert len(multiprocessing.active_children()) == 3


def kill_the_last_that_began(pool):
    calls = [pool.submit(time.sleep, 60)]
    time.sleep(0.2)
    calls.append(pool.submit(time.sleep, 60))
    max(multiprocessing.active_children(), key=lambda process: process.pid).kill()
    for call in calls:
        call.result(timeout=20)


def test_a_worker_that_is_killed_as_it_begins_is_told():
    with pytest.raises(FatalError, match="worker process was killed"), workers.local_pool(2) as pool:
        kill_the_last_that_began(pool)


def test_the_status_of_a_worker_that_refuses_a_script_is_read_by_whom_it_is_for(monkeypatch):
    from multiprocessing import forkserver

    def read_slowly(descriptor):
        time.sleep(random.random() / 20)
        status = read(descriptor)
        time.sleep(random.random() / 20)
        return status

    read = forkserver.read_signed
    workers.warm_up()  # starting the server reads, too
    monkeypatch.setattr(forkserver, "read_signed", read_slowly)
    for _ in range(10):  # of ten, two failed where two threads read
        with pytest.raises(FatalError, match="put what it does under"):
            workers.run_all(os._exit, [(workers._UNGUARDED,)] * 2, 2)


def test_a_worker_that_is_killed_is_told_and_the_others_finish_what_they_are_in(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FatalError, match=r"worker process was killed.*fewer --jobs \(it had 2\)"):
        workers.run_all(kill_or_finish, [(0, path), (1, path)], 2)
    assert path.read_text() == "done"
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.crashes)])
def test_workers_end_with_the_process_in_charge(end, tmp_path):
    """Whether it works or waits: no process is left that nobody knows of."""
    path = tmp_path / "pid"
    code = (
        "from pathlib import Path\nfrom test_workers import write_and_wait\n"
        "from eeg_sgdr.parallel import workers\n"
        f"workers.run_all(write_and_wait, [(Path({str(path)!r}),)], 1)"
    )
    call = [sys.executable, "-c", code]
    with subprocess.Popen(call, cwd=Path(__file__).parent, stderr=subprocess.PIPE) as process:
        while not (path.exists() and path.read_text()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        worker = psutil.Process(int(path.read_text()))
        process.send_signal(end)
        _, alive = psutil.wait_procs([worker], timeout=20)
    assert alive == []


def test_memory_that_only_holds_what_was_read_of_files_is_free():
    assert workers.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.05)


def test_cards_are_dealt_out_in_turn(tmp_path):
    with workers.local_pool(3, ["3", "GPU-5"]) as pool:
        seen = [pool.submit(meet, tmp_path, 3) for _ in range(3)]
        assert sorted(future.result() for future in seen) == ["3", "3", "GPU-5"]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("0,1", ["0", "1"]),
        ("GPU-5, 2", ["GPU-5", "2"]),
        ("0,-1,2", ["0"]),
        ("-1", []),
        ("", []),
        (None, ["0", "1", "2"]),
    ],
)
def test_cards_are_those_that_cuda_may_see(named, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert workers.visible_gpus() == expected
