"""Seconds are read from folders of any age."""

import pytest

from eeg_sgdr import times


@pytest.mark.parametrize(
    ("seconds", "fit", "prediction"),
    [(12.5, 12.5, None), (times.contents(12.5, None), 12.5, None), (times.contents(12.5, 0.1), 12.5, 0.1)],
    ids=["first versions", "failed", "done"],
)
def test_seconds_are_read(seconds, fit, prediction):
    content = {"seconds": seconds}
    assert (times.of_fit(content), times.of_prediction(content)) == (fit, prediction)
