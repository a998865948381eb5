"""Several subjects on one pool: the same files however many processes; one's failure is its own."""

import os
import signal
import time
from pathlib import Path

import killing
import pytest
from killing import SHORT

from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.submit import Jobs, Unit
from eeg_sgdr.parallel.workers import local_pool
from eeg_sgdr.settings.plan import FitKey


def test_two_processes_make_the_same_files(one_call):
    folder, expected, _ = one_call
    killing.run(killing.command(folder, "two", *SHORT, "--jobs", "2"))
    assert killing.differing(expected, killing.files(folder / "two")) == []
    assert {f"small/subjects/00{i}/report.html" for i in range(1, 5)} <= expected.keys()


def test_the_whole_study_has_one_line_of_progress(one_call):
    """4 subjects of 1 + 3 + 3 epochs."""
    lines = [line for line in one_call[2].splitlines() if "epochs" in line]
    assert lines[-1].startswith("small: 28 of 28 epochs, ")
    assert lines[-1].endswith(" 00:00 left")
    assert {line.split(":")[0] for line in lines} == {"small"}


def test_array_calls_and_one_that_compares_equal_one_call(one_call):
    """Two at a time on one folder, one of them killed and started again, as a cluster does."""
    folder, expected, _ = one_call
    calls = [
        killing.command(folder, "array", *SHORT, "--jobs", "1", "--subject", *subjects)
        for subjects in (["1", "2"], ["3", "4"])
    ]
    first, second = [killing.start(call) for call in calls]
    fits = folder / "array" / "small" / "subjects" / "003" / "fits"
    while not list(fits.glob("*/checkpoint")):
        assert second.poll() is None, second.stderr.read()
        time.sleep(0.02)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    killing.run(calls[1])
    _, errors = first.communicate()
    assert first.returncode == 0, errors
    killing.run(killing.command(folder, "array", *SHORT))
    assert killing.differing(expected, killing.files(folder / "array")) == []


def call(keys, settings, prepared, folder, steps, patience_s):
    if keys[0].seed == 1:
        raise UserError("seed 1 is refused.")
    (Path(folder) / keys[0].name).touch()
    return [key for key in keys if patience_s == 0 and key.seed == 2]


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    """A pool of one process; what it is given is done as `call` says."""
    monkeypatch.setattr("eeg_sgdr.jobs.submit.make_fits", call)
    with local_pool(1) as pool:
        yield Jobs(pool, tmp_path)


def units(n, folder):
    from conftest import make_settings

    return [Unit(str(i), None, folder, make_settings()) for i in range(n)]


def test_a_failure_is_of_its_subject_alone(jobs, tmp_path):
    bad, good, empty = units(3, tmp_path)
    jobs.begin(bad, [FitKey("step", budget, 0.05, 1) for budget in range(1, 9)])
    jobs.begin(good, [FitKey("step", 9, 0.05, 0)])
    jobs.begin(empty, [])
    assert set(jobs.ended()) == {bad, good, empty}
    assert str(bad.failure) == "seed 1 is refused."
    assert good.failure is None
    assert [path.name for path in tmp_path.iterdir()] == ["step-b9-r0.05-s0"]


def test_a_subject_ends_when_its_last_fit_does_and_others_are_waited_for(jobs, tmp_path):
    first, second = units(2, tmp_path)
    keys = [FitKey("step", budget, 0.05, 2) for budget in (1, 3)]
    jobs.begin(first, keys)
    jobs.begin(second, [FitKey("step", 9, 0.05, 0)])
    ended = jobs.ended()
    assert next(ended) is first
    assert sorted(first.others) == keys
    assert list(ended) == [second]
    jobs.wait_for_others(first)
    assert list(jobs.ended()) == [first]
    assert first.others == []


def test_no_more_is_waited_for_than_is_asked(jobs, tmp_path):
    first, second = units(2, tmp_path)
    jobs.begin(first, [FitKey("step", 1, 0.05, 0)])
    jobs.begin(second, [FitKey("step", budget, 0.05, 0) for budget in (2, 3, 4)])
    assert list(jobs.ended(at_most=3)) in ([], [first])
    assert second in list(jobs.ended())
