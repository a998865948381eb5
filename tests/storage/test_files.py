"""A file is there whole or not at all; a lock is held by one process, and free when that is gone."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
from filelock._identity import host_name
from killing import hold

from eeg_sgdr.errors import FatalError, UserError
from eeg_sgdr.storage import files

REFUSALS = [
    (tempfile, "mkstemp", OSError(13, "Permission denied")),
    (os, "fsync", OSError(28, "No space left on device")),
    (os, "replace", OSError(5, "Input/output error")),
]


@pytest.mark.parametrize(("owner", "name", "error"), REFUSALS, ids=[name for _, name, _ in REFUSALS])
def test_what_the_disk_refuses_is_told_and_leaves_what_was_there(owner, name, error, tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_bytes(path, b"whole")

    def refuse(*arguments, **kwargs):
        raise error

    monkeypatch.setattr(owner, name, refuse)
    said = rf"file: cannot be written \({error.strerror}\); make room, or"
    with pytest.raises(FatalError, match=said):
        files.write_bytes(path, b"other")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_anything_later(
    tmp_path, monkeypatch
):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    files.write_bytes(tmp_path / "file", b"x")
    assert done == ["sync", "rename", "sync"]


def test_what_is_half_written_has_another_name(tmp_path):
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def look(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        # A process that starts meanwhile must not take it for a leftover.
        code = f"from eeg_sgdr.storage import files; files.clean(files.Path({str(tmp_path)!r}))"
        subprocess.run([sys.executable, "-c", code], check=True)

    files.write(path, look)
    assert path.read_bytes() == b"new"


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    others = {"file", ".hidden", "file.part", "below/.file.abc.part"}
    for name in {".file.abc.part", *others}:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files.clean(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == others


def test_a_file_that_was_taken_for_a_leftover_is_begun_again(tmp_path, monkeypatch):
    """Between its making and its lock a file looks like one."""
    lock, taken = files._try_lock, []

    def taken_before(file):
        if not taken:
            taken.append(file.name)
            os.unlink(file.name)
        return lock(file)

    monkeypatch.setattr(files, "_try_lock", taken_before)
    files.write_bytes(tmp_path / "file", b"x")
    assert taken
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_temporary_folders_of_killed_processes_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SEMAPHORES", tmp_path)
    code = (
        "import os, sys; from eeg_sgdr.storage import files\n"
        "with files.temporary_folder(files.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'file').touch(); (folder.parent / f'sem.{folder.name}-x').touch()\n"
        "    os.kill(os.getpid(), 9)"
    )
    with files.temporary_folder(tmp_path) as mine:
        other = tmp_path / "eeg_sgdr-other"
        other.mkdir()
        (other / "another-machine.lock").touch()
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert len(list(tmp_path.iterdir())) == 4
        with files.temporary_folder(tmp_path) as folder:
            assert {*tmp_path.iterdir()} == {mine, other, folder}
    assert list(tmp_path.iterdir()) == [other]


def test_removing_what_is_not_there_is_fine(tmp_path):
    files.remove(tmp_path / "nothing")


def test_equal_content_is_equal_bytes(tmp_path):
    arrays = {"a": np.arange(5), "b": np.array(["x", "yy"])}
    first, second = tmp_path / "1.npz", tmp_path / "2.npz"
    for path in (first, second):
        files.write_npz(path, arrays)
    assert first.read_bytes() == second.read_bytes()
    again = np.load(first)
    assert all(np.array_equal(again[key], arrays[key]) for key in arrays)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STALE_S", 1.5)
    monkeypatch.setattr(files, "EMPTY_S", 0.4)
    monkeypatch.setattr(files, "QUIET_S", 0.2)
    monkeypatch.setattr("filelock._soft.MALFORMED_LOCK_AGE_THRESHOLD", 0.4)
    return tmp_path / "folder" / "lock"


def is_free(path, patience_s=0):
    with files.lock(path, patience_s) as mine:
        return mine


def test_one_holds_a_lock_and_leaves_nothing(path):
    with files.lock(path, 0) as mine:
        assert mine
        assert path.is_file()
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_held_as_long_as_its_process_lives_and_free_at_once_when_that_is_killed(path):
    with hold(path):
        assert not is_free(path, 2)
    assert is_free(path)


def test_the_lock_of_another_machine_is_stale_when_it_gives_no_sign_of_life(path):
    with hold(path):
        record = path.read_text()
        assert f"host={socket.gethostname()}\n" in record
        with path.open("r+") as file:  # the same file, whose time its holder renews
            file.write(record.replace(socket.gethostname(), "elsewhere"))
            file.truncate()
        assert not is_free(path, 3)
    assert not is_free(path)
    assert is_free(path, -1)


def record(pid=1, host="elsewhere", mode="lease", duration=1.5):
    fields = f"pid={pid}\nhost={host}\nmode={mode}\ntoken=abc\nduration={duration}"
    return lambda path: path.write_text(f"filelock/2\n{fields}\n")


#: What may be found in the place of a lock file, and whom a waiting process names.
FOUND = {
    "empty": (lambda path: path.touch(), "an unknown process"),
    "text": (lambda path: path.write_text("text"), "an unknown process"),
    "bytes": (lambda path: path.write_bytes(bytes(range(256))), "an unknown process"),
    "huge": (lambda path: (path.touch(), os.truncate(path, 10**12)), "an unknown process"),
    "FIFO": (os.mkfifo, "an unknown process"),
    "link to nothing": (lambda path: path.symlink_to("nothing"), "an unknown process"),
    "silent machine": (record(), "process 1 on elsewhere"),
    "number of another process": (record(os.getpid(), host_name()), f"process {os.getpid()} on "),
    "lock of another kind": (record(mode="exclusive"), "process 1 on elsewhere"),
    "lock of a later version": (record(mode="later"), "process 1 on elsewhere"),
    "lock of another patience": (record(duration=1e9), "process 1 on elsewhere"),
    "lock of an earlier version": (lambda path: path.write_text("1\nelsewhere\n"), "an unknown process"),
    "strict lock": (lambda path: path.write_text("1\nfilelock-strict-v1\0\n0\n"), "an unknown process"),
}


@pytest.mark.parametrize("name", FOUND)
def test_no_content_and_no_time_of_a_lock_file_holds_it_for_ever(name, path, capfd):
    make, holder = FOUND[name]
    path.parent.mkdir()
    make(path)
    os.utime(path, (time.time() + 1e8,) * 2, follow_symlinks=False)
    assert not is_free(path)
    assert is_free(path, -1)
    assert list(path.parent.iterdir()) == []
    said = capfd.readouterr().err
    assert said.startswith(f"{path}: waiting for {holder}")
    assert said.endswith(" (it counts as ended after 1.5 s, or less, without a sign of life).\n")
    assert said.count("\n") == 1


def test_a_lock_file_that_was_replaced_meanwhile_is_not_disowned(path):
    path.parent.mkdir()
    path.touch()
    seen = files._state(path)
    with path.open(), hold(path.with_name("other")):  # kept open, so that its number is not used again
        path.with_name("other").replace(path)
        files._disown(path, seen)
        assert "pid=" in path.read_text()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_whoever_waits_for_a_lock_answers_signals(sign, path):
    path.parent.mkdir()
    record()(path)
    before = signal.signal(sign, signal.default_int_handler)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), sign)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            is_free(path, -1)
    finally:
        signal.signal(sign, before)
    assert "host=elsewhere" in path.read_text()


def test_a_lock_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        is_free(tmp_path / "file" / "lock")
