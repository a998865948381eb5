"""A file is there whole or not at all; what a crash leaves is told from what is being written."""

import os
import subprocess
import sys
import tempfile

import pytest

from eeg_sgdr.errors import FatalError
from eeg_sgdr.storage import files
from eeg_sgdr.storage.files import clean, remove, write

REFUSALS = [
    (tempfile, "mkstemp", OSError(13, "Permission denied")),
    (os, "fsync", OSError(28, "No space left on device")),
    (os, "replace", OSError(5, "Input/output error")),
]


@pytest.mark.parametrize(("owner", "name", "error"), REFUSALS, ids=[name for _, name, _ in REFUSALS])
def test_what_the_disk_refuses_is_told_and_leaves_what_was_there(owner, name, error, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write(path, lambda file: file.write(b"whole"))

    def refuse(*arguments, **kwargs):
        raise error

    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(FatalError, match=rf"file: cannot be written \({error.strerror}\); make room, or"):
        write(path, lambda file: file.write(b"other"))
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_anything_later(
    tmp_path, monkeypatch
):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    write(tmp_path / "file", lambda file: file.write(b"x"))
    assert done == ["sync", "rename", "sync"]


def test_what_is_half_written_has_another_name(tmp_path):
    path = tmp_path / "file"
    write(path, lambda file: file.write(b"old"))

    def look(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        # A process that starts meanwhile must not take it for a leftover.
        code = (
            f"import pathlib, eeg_sgdr.storage.files as files; files.clean(pathlib.Path({str(tmp_path)!r}))"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    write(path, look)
    assert path.read_bytes() == b"new"


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    names = [".file.abc.part", "file", ".hidden", "file.part"]
    for name in [*names, "below/.file.abc.part"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    clean(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        *names[1:],
        "below/.file.abc.part",
    }


def test_a_file_that_was_taken_for_a_leftover_is_begun_again(tmp_path, monkeypatch):
    """Between its making and its lock a file looks like one."""
    lock, taken = files._try_lock, []

    def taken_before(file):
        if not taken:
            taken.append(file.name)
            os.unlink(file.name)
        return lock(file)

    monkeypatch.setattr(files, "_try_lock", taken_before)
    write(tmp_path / "file", lambda file: file.write(b"x"))
    assert taken
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_removing_what_is_not_there_is_fine(tmp_path):
    remove(tmp_path / "nothing")
