"""Calls in parallel: results in order, errors as they are, nothing left running."""

import multiprocessing
import os
import time

import pytest

from eeg_sgdr import workers
from eeg_sgdr.errors import UserError


def square(x):
    return x * x, os.getpid()


def fail_or_sleep(x):
    if x == 0:
        raise UserError("zero is refused.")
    time.sleep(60)


def modules(name):
    import sys

    return name in sys.modules


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


def test_workers_begin_with_braindecode_imported():
    assert workers.run_all(modules, [("braindecode.models",)], 1) == [True]
