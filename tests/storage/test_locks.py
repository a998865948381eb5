"""A lock is held by one process of one machine, and free when that is gone."""

import os
import socket
import subprocess
import sys
import time

import pytest

from eeg_sgdr.storage import files

HOLD = (
    "import sys, time; from pathlib import Path; from eeg_sgdr.storage import files; files.STALE_S = 1.5\n"
    "with files.lock(Path(sys.argv[1]), 0): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where a lock is; others are stale after a second and a half."""
    monkeypatch.setattr(files, "STALE_S", 1.5)
    return tmp_path / "folder" / "lock"


@pytest.fixture
def holder(path):
    """A process that holds it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def move_away(path):
    """Have the lock say that its holder is of another machine."""
    record = path.read_text()
    assert f"host={socket.gethostname()}\n" in record
    with path.open("r+") as file:  # the same file, whose time its holder renews
        file.write(record.replace(socket.gethostname(), "elsewhere"))
        file.truncate()


def test_one_holds_it_and_leaves_nothing(path):
    with files.lock(path, 0) as mine:
        assert mine
        assert path.is_file()
    assert list(path.parent.iterdir()) == []


def test_it_is_held_as_long_as_its_process_lives_and_free_at_once_when_that_is_killed(path, holder):
    with files.lock(path, 2) as mine:
        assert not mine
    holder.kill()
    holder.wait()
    with files.lock(path, 0) as mine:
        assert mine


def test_the_lock_of_another_machine_is_stale_when_it_gives_no_sign_of_life(path, holder):
    move_away(path)
    with files.lock(path, 3) as mine:
        assert not mine
    holder.kill()
    holder.wait()
    with files.lock(path, 0) as mine:
        assert not mine
    with files.lock(path, -1) as mine:
        assert mine


def test_a_lock_that_a_power_failure_has_left_empty_is_nobodys(path):
    path.parent.mkdir()
    path.touch()
    with files.lock(path, 0) as mine:
        assert not mine
    before = time.time() - files.EMPTY_S - 1
    os.utime(path, (before, before))
    with files.lock(path, 0) as mine:
        assert mine
