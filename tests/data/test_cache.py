"""The cache: found again, told apart, and memory-mapped."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import make_raw, make_settings

from eeg_sgdr.data import trials
from eeg_sgdr.data.cache import PROCESS_BYTES, n_parallel, prepare
from eeg_sgdr.data.sources import Recording, open_source
from eeg_sgdr.settings import FilesRecordings


def files_in(folder):
    pattern, classes = str(folder / "{subject}_{run}_raw.fif"), {"left": ("l",), "right": ("r",)}
    return open_source(FilesRecordings(source="files", pattern=pattern, classes=classes), folder)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for run in range(3):
        make_raw(seed=run).save(folder / f"1_{run}_raw.fif", verbose="error")
    return folder


@pytest.fixture
def source(folder):
    return files_in(folder)


def test_a_second_call_reads_what_the_first_made(source, tmp_path, monkeypatch, capsys):
    settings = make_settings()
    expected = trials.make_trials(list(source.recordings("1")), settings)
    first = prepare(source, "1", settings, tmp_path / "data")
    assert capsys.readouterr().err.startswith(
        f"{tmp_path / 'data'}: downloads, simulated recordings and prep"
    )
    monkeypatch.setattr(trials, "make_trials", None)
    again = prepare(source, "1", settings, tmp_path / "data")
    assert again == first
    assert capsys.readouterr().err == ""
    for part in ("train", "test"):
        for name in ("x", "y", "trials"):
            assert np.array_equal(again.array(f"{name}_{part}"), getattr(getattr(expected, part), name))
    assert isinstance(again.array("x_train"), np.memmap)
    pd.testing.assert_frame_equal(again.table, expected.table, check_dtype=False)
    assert again.info["sensors"] == ["C3", "Cz", "C4"]
    assert again.info["simulated"] is False
    assert list(again.info["source_files"]) == ["1_0_raw.fif", "1_1_raw.fif", "1_2_raw.fif"]


def test_what_changes_trials_changes_the_fingerprint(source, folder, tmp_path):
    def fingerprint(**changes):
        return prepare(source, "1", make_settings(**changes), tmp_path / "data").info["fingerprint"]

    before = {fingerprint(), fingerprint(preprocessing={"highpass_hz": 8})}
    assert len(before) == 2
    make_raw(seed=9).save(folder / "1_0_raw.fif", overwrite=True, verbose="error")
    assert fingerprint() not in before


def test_a_moved_data_set_is_the_same_data(source, folder, tmp_path):
    before = prepare(source, "1", make_settings(), tmp_path / "data")
    moved = files_in(folder.rename(tmp_path / "elsewhere"))
    assert prepare(moved, "1", make_settings(), tmp_path / "data") == before


def test_a_half_made_entry_is_made_again(source, tmp_path):
    folder = prepare(source, "1", make_settings(), tmp_path / "data").folder
    (folder / "data.json").unlink()
    (folder / "x_train.npy").write_bytes(b"half")
    again = prepare(source, "1", make_settings(), tmp_path / "data")
    assert again.array("x_train").shape == (16, 3, 250)


def long(minutes, in_memory=False):
    parts = {"n_times": 30_000 * minutes, "ch_names": ["C3"] * 133, "preload": in_memory}
    return Recording("1", "0", str(minutes), SimpleNamespace(**parts, info={"sfreq": 500.0}))


#: Of two hours: 44 sensors at 250 Hz in float64, three times, and the process.
TWO_HOURS = 3 * 8 * 44 * 250 * 7200 + PROCESS_BYTES


@pytest.mark.parametrize(
    ("recordings", "n_cores", "free", "expected"),
    [
        ([long(120), long(120)], 2, 2 * TWO_HOURS, 2),
        ([long(120), long(120)], 2, 2 * TWO_HOURS - 1, 1),
        ([long(120), long(10)], 2, 2 * TWO_HOURS - 1, 1),  # the longest counts
        ([long(120)] * 9, 8, 4 * TWO_HOURS, 4),
        ([long(10)] * 9, 8, 100 * TWO_HOURS, 8),
        ([long(10)] * 3, 8, 100 * TWO_HOURS, 3),
        ([long(120)], 2, 0, 1),
        ([long(10), long(10, in_memory=True)], 2, 100 * TWO_HOURS, 1),
        ([], 2, TWO_HOURS, 1),
    ],
)
def test_as_many_recordings_in_parallel_as_there_is_memory_for(recordings, n_cores, free, expected):
    settings = make_settings(preprocessing={"sensors": [f"S{i}" for i in range(44)], "resample_hz": 250})
    assert n_parallel(recordings, settings, n_cores, free) == expected
