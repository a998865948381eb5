"""Selection of subjects by labels, ranges and all."""

import pytest

from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.units import select

LABELS = ["01", "02", "03", "10"]


@pytest.mark.parametrize(
    ("asked", "configured", "expected"),
    [
        (None, "all", LABELS),
        (["all"], ["02", "10"], ["02", "10"]),
        (["1", "10"], "all", ["01", "10"]),
        (["1-3"], "all", ["01", "02", "03"]),
        (["3", "1-3", "03"], "all", ["03", "01", "02"]),
    ],
)
def test_subjects_are_selected(asked, configured, expected):
    assert select(asked, configured, LABELS) == expected


@pytest.mark.parametrize("asked", [["7"], ["3-5"], ["3-1"], ["x"]])
def test_unknown_subjects_are_refused(asked):
    with pytest.raises(UserError, match="subject"):
        select(asked, "all", LABELS)
