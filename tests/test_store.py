"""Whole files only, and names that lead nowhere else."""

import numpy as np
import pandas as pd
import pytest

from eeg_sgdr import store
from eeg_sgdr.errors import UserError


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "folder" / "file"
    store.write_text(path, "whole")

    def fail(file):
        file.write(b"hal")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        store.write(path, fail)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_equal_content_is_equal_bytes(tmp_path):
    arrays = {"a": np.arange(5), "b": np.array(["x", "yy"])}
    for name in ("1.npz", "2.npz"):
        store.write_npz(tmp_path / name, arrays)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    again = store.read_npz(tmp_path / "1.npz")
    assert all(np.array_equal(again[key], arrays[key]) for key in arrays)


def test_tables_keep_every_digit(tmp_path):
    table = pd.DataFrame({"label": ["007", "none"], "x": [0.1 + 0.2, np.nan]})
    store.write_csv(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(store.read_csv(tmp_path / "t.csv", dtype={"label": str}), table)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "bad.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(UserError, match="cannot be read"):
        store.read_npz(tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"PK\x03\x04"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    for read in (store.read_json, store.read_npz):
        with pytest.raises(UserError, match="file: cannot be read"):
            read(path)


def test_folders_of_subjects():
    study = store.Study(store.Path("results/x"))
    assert study.subject("7").root.as_posix() == "results/x/subjects/007"
    assert study.subject("A01").root.as_posix() == "results/x/subjects/A01"


@pytest.mark.parametrize("label", ["../x", "a/b", "", ".hidden", "a b", "é"])
def test_labels_cannot_lead_elsewhere(label):
    with pytest.raises(UserError, match="cannot be the name of a folder"):
        store.folder_name(label)
