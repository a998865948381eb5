"""Several subjects on one pool: the same files however many processes; one's failure is its own."""

import os
import signal
import time

import killing
import pytest
from conftest import make_settings

from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.submit import Jobs, Unit
from eeg_sgdr.parallel.workers import local_pool
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage.folders import SubjectFolder

SHORT = (
    *("--set", "recordings.n_subjects=4", "--set", "training.initial_rates=[0.05]", "--subject", "1-4"),
    *("--set", "schedules.step.budgets=[1, 3]", "--set", "schedules.restarts.epochs=3"),
    *("--set", "compute.checkpoint_minutes=0"),
)


@pytest.fixture(scope="module")
def one_call(tmp_path_factory):
    """The folder of a study that one process has made, its files, and what the command said."""
    folder = tmp_path_factory.mktemp("train")
    process = killing.start(killing.command(folder, "one", *SHORT, "--jobs", "1"))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder, killing.files(folder / "one"), errors


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


def call(task, keys, settings, trials, folder, steps, patience_s):
    assert task == "make_fits"
    if keys[0].seed == 1:
        raise UserError("seed 1 is refused.")
    (folder.root / keys[0].name).touch()
    return [key for key in keys if patience_s == 0 and key.seed == 2]


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    """A pool of one process; what it is given is done as `call` says."""
    monkeypatch.setattr("eeg_sgdr.jobs.submit.carry_out", call)
    with local_pool(1) as pool:
        yield Jobs(pool, tmp_path)


def units(folder, *missing):
    """A unit for each list of fits that are missing."""
    made = [Unit(str(i), None, None, make_settings(), SubjectFolder(folder)) for i in range(len(missing))]
    for unit, keys in zip(made, missing, strict=True):
        unit.trials, unit.missing, unit.lacks_baseline = None, keys, False
    return made


def test_a_failure_is_of_its_subject_alone(jobs, tmp_path):
    of_seed_1 = [FitKey("step", budget, 0.05, 1) for budget in range(1, 9)]
    bad, good, empty = all_three = units(tmp_path, of_seed_1, [FitKey("step", 9, 0.05, 0)], [])
    for unit in all_three:
        jobs.begin(unit)
    assert set(jobs.ended()) == {bad, good, empty}
    assert str(bad.failure) == "seed 1 is refused."
    assert good.failure is None
    assert [path.name for path in tmp_path.iterdir()] == ["step-b9-r0.05-s0"]


def test_a_subject_ends_when_its_last_fit_does_and_others_are_waited_for(jobs, tmp_path):
    keys = [FitKey("step", budget, 0.05, 2) for budget in (1, 3)]
    first, second = units(tmp_path, keys, [FitKey("step", 9, 0.05, 0)])
    jobs.begin(first)
    jobs.begin(second)
    ended = jobs.ended()
    assert next(ended) is first
    assert sorted(first.others) == keys
    assert list(ended) == [second]
    jobs.wait_for_others(first)
    assert list(jobs.ended()) == [first]
    assert first.others == []


def test_no_more_is_waited_for_than_is_asked(jobs, tmp_path):
    three = [FitKey("step", budget, 0.05, 0) for budget in (2, 3, 4)]
    first, second = units(tmp_path, [FitKey("step", 1, 0.05, 0)], three)
    jobs.begin(first)
    jobs.begin(second)
    assert list(jobs.ended(at_most=3)) in ([], [first])
    assert second in list(jobs.ended())
