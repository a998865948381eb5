"""Whole runs or sessions test; never shuffled trials."""

import pytest

from eeg_sgdr.data.sources import Recording, find_label
from eeg_sgdr.data.splits import split_recordings
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Split

RECORDINGS = [Recording("1", session, run, None) for session in ("0train", "1test") for run in ("01", "02")]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (Split(by="run", test=[2]), ["train", "test", "train", "test"]),
        (Split(by="session", test=["1test"]), ["train", "train", "test", "test"]),
    ],
)
def test_runs_or_sessions_test(split, expected):
    assert split_recordings(split, RECORDINGS) == expected


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(by="run", test=["3"]), "run '3' is not there; there are 01, 02"),
        (Split(by="run", test=["1", "2"]), "no run left to train on"),
    ],
)
def test_refusals(split, message):
    with pytest.raises(UserError, match=message):
        split_recordings(split, RECORDINGS)


def test_labels_match_by_integer_value():
    assert find_label("1", ["01", "02"], "run") == "01"
    assert find_label("01", ["01", "1"], "run") == "01"
    with pytest.raises(UserError, match="means 01 and 001"):
        find_label("1", ["01", "001"], "run")
