"""Formats of files, and names that lead nowhere else."""

import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from eeg_sgdr.errors import UserError
from eeg_sgdr.storage import files, folders, schemas


def test_equal_content_is_equal_bytes(tmp_path):
    arrays = {"a": np.arange(5), "b": np.array(["x", "yy"])}
    for name in ("1.npz", "2.npz"):
        files.write_npz(tmp_path / name, arrays)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    again = np.load(tmp_path / "1.npz")
    assert all(np.array_equal(again[key], arrays[key]) for key in arrays)


def test_tables_keep_every_digit(tmp_path):
    table = pd.DataFrame({"label": ["007", "none"], "x": [0.1 + 0.2, np.nan]})
    files.write_csv(tmp_path / "t.csv", table)
    columns = {"label": str, "x": float}
    pd.testing.assert_frame_equal(schemas.read_table(tmp_path / "t.csv", columns, tmp_path), table)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "bad.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(UserError, match="bad.npz: is not as it was written .*allow_pickle=False"):
        schemas.read_arrays(tmp_path / "bad.npz", {"a": "n"}, tmp_path)


def hold(root):
    """Hold a fit in another process until it is killed."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from eeg_sgdr.storage.folders import FitFolder, fit_lock\n"
        "with fit_lock(FitFolder(Path(sys.argv[1])), 0): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_fit_is_held_by_one_and_free_when_that_dies(tmp_path):
    folder = folders.FitFolder(tmp_path / "fit")
    with hold(folder.root) as process:
        with folders.fit_lock(folder, 0) as mine:
            assert not mine
        process.kill()
    with folders.fit_lock(folder, 0) as mine:
        assert mine


def test_who_waits_gets_it_when_the_other_dies(tmp_path):
    folder = folders.FitFolder(tmp_path / "fit")
    with hold(folder.root) as process:
        timer = threading.Timer(0.5, lambda: (process.kill(), process.wait()))
        timer.start()
        with folders.fit_lock(folder, -1) as mine:
            assert mine


def test_who_holds_a_fit_removes_what_a_crash_has_left(tmp_path):
    folder = folders.FitFolder(tmp_path)
    for name in (".history.csv.abc.part", "checkpoint"):
        (tmp_path / name).write_bytes(b"x")
    with folders.fit_lock(folder, 0):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".fit.lock", "checkpoint"]
        files.write_json(folder.fit, {})
    assert list(tmp_path.iterdir()) == [folder.fit]


def test_what_fails_keeps_its_checkpoint(tmp_path):
    folder = folders.FitFolder(tmp_path)

    def fail():
        with folders.fit_lock(folder, 0):
            files.write_text(folder.checkpoint, "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert folder.checkpoint.read_text() == "x"


def test_a_crash_after_the_last_file_is_tidied(tmp_path):
    folder = folders.FitFolder(tmp_path)
    for path in (folder.fit, folder.checkpoint):
        files.write_text(path, "{}")
    with hold(folder.root) as process:
        process.kill()
    assert folder.lock.is_file()
    folders.tidy(folder)
    assert list(tmp_path.iterdir()) == [folder.fit]


def test_a_lock_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"), files.lock(tmp_path / "file" / "lock"):
        pass


def test_folders_of_subjects():
    study = folders.Study(folders.Path("results/x"))
    assert study.subject("7").root.as_posix() == "results/x/subjects/007"
    assert study.subject("A01").root.as_posix() == "results/x/subjects/A01"


@pytest.mark.parametrize("label", ["../x", "a/b", "", ".hidden", "a b", "é"])
def test_labels_cannot_lead_elsewhere(label):
    with pytest.raises(UserError, match="cannot be the name of a folder"):
        folders.folder_name(label)
