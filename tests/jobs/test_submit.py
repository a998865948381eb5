"""Fits of several units on one pool: a failure concerns its unit alone."""

import pytest
from conftest import make_settings

from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.submit import Jobs, gpus, processes
from eeg_sgdr.jobs.units import Unit
from eeg_sgdr.parallel.workers import local_pool
from eeg_sgdr.settings import load
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage.folders import SubjectFolder


def call(keys, settings, trials, folder, steps, patience_s):
    if keys[0].seed == 1:
        raise UserError("seed 1 is refused.")
    (folder.root / keys[0].name).touch()
    return [key for key in keys if patience_s == 0 and key.seed == 2]


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    """A pool of one process; what it is given is done as `call` says."""
    monkeypatch.setattr("eeg_sgdr.jobs.submit.make_fits", call)
    with local_pool(1) as pool:
        yield Jobs(pool, tmp_path)


def begun(jobs, folder, *missing):
    made = [Unit("1", None, None, make_settings(), SubjectFolder(folder), None) for _ in missing]
    for unit, keys in zip(made, missing, strict=True):
        unit.trials, unit.missing, unit.missing_baselines = None, keys, []
        jobs.begin(unit)
    return made


def test_a_failure_is_of_its_subject_alone(jobs, tmp_path):
    of_seed_1 = [FitKey("step", budget, 0.05, 1) for budget in range(1, 9)]
    bad, good, empty = begun(jobs, tmp_path, of_seed_1, [FitKey("step", 9, 0.05, 0)], [])
    assert set(jobs.completed()) == {bad, good, empty}
    assert str(bad.failure) == "seed 1 is refused."
    assert good.failure is None
    assert [path.name for path in tmp_path.iterdir()] == ["step-b9-r0.05-s0"]


def test_a_subject_ends_when_its_last_fit_does_and_others_are_waited_for(jobs, tmp_path):
    keys = [FitKey("step", budget, 0.05, 2) for budget in (1, 3)]
    first, second = begun(jobs, tmp_path, keys, [FitKey("step", 9, 0.05, 0)])
    ended = jobs.completed()
    assert next(ended) is first
    assert sorted(first.others) == keys
    assert list(ended) == [second]
    jobs.wait_for_others(first)
    assert list(jobs.completed()) == [first]
    assert first.others == []


def test_no_more_is_waited_for_than_is_asked(jobs, tmp_path):
    one, *three = [FitKey("step", budget, 0.05, 0) for budget in (1, 2, 3, 4)]
    first, second = begun(jobs, tmp_path, [one], three)
    assert list(jobs.completed(max_pending=3)) in ([], [first])
    assert second in list(jobs.completed())


@pytest.mark.parametrize(
    ("device", "visible", "jobs", "n", "shared_out"),
    [
        ("cuda", "0,1,2", None, 3, ["0", "1", "2"]),
        ("cuda", "1", 2, 2, ["1"]),
        ("cuda", "", None, 1, []),
        ("cuda:1", "0,1", None, 1, []),
        ("cpu", "0,1", 4, 4, []),
    ],
)
def test_a_process_trains_on_each_card(device, visible, jobs, n, shared_out, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    settings = load("demo", [f"training.numerics.device={device}"])
    assert processes(settings, jobs) == n
    assert gpus(settings) == shared_out
