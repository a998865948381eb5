"""Seconds are read from folders of any age."""

import pytest

from eeg_sgdr.storage import schemas
from eeg_sgdr.storage.results import of_fit, of_prediction


@pytest.mark.parametrize(
    ("seconds", "fit", "prediction"),
    [
        (12.5, 12.5, None),
        (schemas.contents(12.5, None), 12.5, None),
        (schemas.contents(12.5, 0.1), 12.5, 0.1),
    ],
    ids=["first versions", "failed", "done"],
)
def test_seconds_are_read(seconds, fit, prediction):
    content = {"seconds": seconds}
    assert (of_fit(content), of_prediction(content)) == (fit, prediction)
