"""Fits whose process is killed, that two processes share, or that meet a full disk: the same files.

Small and quick; `test_kills` does it to the command as a user runs it.
"""

import errno
import os
import random
import time

import killing
import pytest
import small_study

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import prepare
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.errors import FatalError
from eeg_sgdr.evaluation.predictors import to_average
from eeg_sgdr.jobs import tasks
from eeg_sgdr.parallel import workers
from eeg_sgdr.settings import plan
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.subject import Subject


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    data = small_study.configuration(
        training={"batch_size": 3, "initial_rates": [0.05]},
        schedules={
            "step": {"kind": "step", "budgets": [4]},
            # Weights are averaged after four cycles.
            "restarts": {"kind": "warm_restarts", "epochs": 4, "t_mult": 1},
        },
        compute={"checkpoint_minutes": 0, "data_dir": str(data_dir)},
    )
    settings = config.validate(data, "test")
    source = open_source(settings.recordings, data_dir)
    return settings, prepare(source, "01", settings, data_dir)


def make_all(settings, trials, root):
    left, where = plan.fits(settings), (settings, trials, folders.SubjectFolder(root), root / "steps")
    for patience_s in (0, -1):
        left = [other for key in left for other in tasks.make_fits([key], *where, patience_s)]


def average_all(settings, trials, root):
    folder = folders.SubjectFolder(root)
    for key in to_average(Subject(folder), settings):
        tasks.make_averages(key, settings, trials, folder)


def watched(task, environment, *arguments):
    """In a process, and a group of processes, of its own: its writes are counted (`killing.HOOK`)."""
    os.setsid()
    os.environ.update(environment)
    exec(killing.HOOK, {})
    task(*arguments)


def start(environment, *arguments, task=make_all):
    process = workers.context().Process(target=watched, args=(task, environment, *arguments))
    process.start()
    return process


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    make_all(*study, root)
    return killing.files(root)


def test_killed_at_five_moments_every_file_is_as_it_would_be(study, undisturbed, tmp_path):
    rng = random.Random(20261123)
    root = tmp_path / "001"
    process = start(killing.hook(tmp_path, at=rng.randrange(2, 6)), *study, root)
    process.join()
    assert process.exitcode == -9
    assert len(list(root.rglob(".*.part"))) == 1
    for _ in range(4):
        environment = killing.hook(tmp_path, at=killing.NEVER)
        process = start(environment, *study, root)
        number = rng.randrange(1, 6)
        while killing.writes(environment) < number and process.is_alive():
            time.sleep(0.002)
        process.kill()
        process.join()
        assert process.exitcode == -9
    assert not list(root.rglob("restarts*/fit.json"))
    make_all(*study, root)
    assert killing.differing(undisturbed, killing.files(root)) == []


def test_killed_while_weights_are_averaged_they_are_made_again(study, undisturbed, tmp_path):
    root = tmp_path / "001"
    make_all(*study, root)
    averaged = [root / name for name in undisturbed if "averaged" in name]
    assert len(averaged) == 3
    for number in range(1, len(averaged) + 1):
        for path in averaged:
            path.unlink(missing_ok=True)
        process = start(killing.hook(tmp_path, at=number), *study, root, task=average_all)
        process.join()
        assert process.exitcode == -9
        average_all(*study, root)
        assert killing.differing(undisturbed, killing.files(root)) == []


def test_two_processes_share_them_and_make_each_once(study, undisturbed, tmp_path):
    root = tmp_path / "001"
    environment = killing.hook(tmp_path)
    both = [start(environment, *study, root) for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert killing.differing(undisturbed, killing.files(root)) == []
    made = [line for line in (tmp_path / "writes.log").read_text().splitlines() if line.endswith("fit.json")]
    assert sorted(made) == sorted(str(path) for path in root.rglob("fit.json"))


@pytest.mark.parametrize("number", [2, 17])
def test_a_full_disk_loses_nothing(study, undisturbed, tmp_path, monkeypatch, number):
    root = tmp_path / "001"
    fsync, written = os.fsync, []

    def fill(handle):
        written.append(handle)
        if len(written) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fill)
        with pytest.raises(FatalError, match=r"written \(No space left on device\); make room"):
            make_all(*study, root)
    assert list(root.rglob("*.part")) == []
    done = {path: path.read_bytes() for path in root.rglob("fit.json")}
    make_all(*study, root)
    assert {path: path.read_bytes() for path in done} == done
    assert killing.differing(undisturbed, killing.files(root)) == []


def test_a_kill_while_a_fit_is_made_again_leaves_a_folder_that_is_read(study, tmp_path, monkeypatch):
    settings, trials = study
    every = settings.training.model_copy(update={"store": "epochs"})
    make_all(settings, trials, tmp_path)

    def full(*arguments):
        raise FatalError("the disk is full")

    monkeypatch.setattr(files, "write_npz", full)  # after history.csv
    with pytest.raises(FatalError, match="the disk is full"):
        make_all(settings.model_copy(update={"training": every}), trials, tmp_path)
    subject = Subject(folders.SubjectFolder(tmp_path))
    assert len(subject.done) == len(plan.fits(settings)) - 1
    assert all(len(subject.history(key)) == key.budget for key in subject.done)


def test_a_worker_says_at_which_fit_it_is_and_when_it_is_at_none(study, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(tasks, "tell", lambda steps, text: said.append(text))
    settings, trials = study
    key = plan.fits(settings)[0]
    for _ in range(2):
        tasks.make_fits([key], settings, trials, folders.SubjectFolder(tmp_path), tmp_path)
    title = f"subject 01, {key.name}"
    epochs = [f"{title}: {epoch} of 4 epochs" for epoch in range(1, 5)]
    assert said == [f"{title}: starting", *epochs, ""]
