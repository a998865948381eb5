"""Recordings that were cut off, of which MNE only warns."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eeg_sgdr.errors import UserError

#: What MNE warns of when EDF and BDF are shorter or longer than their header says, and when annotations lie
#: after the last sample, where it leaves them out.
_OTHER_LENGTH = "Number of records from the header does not match"
_AFTER_THE_END = r"Omitted (\d+) annotation"


@contextmanager
def refused_if_cut_off(path: Path | str) -> Iterator[None]:
    """Refuse a recording that was cut off, while MNE reads it with ``verbose="warning"``.

    Parameters
    ----------
    path : Path or str
        The file.

    Raises
    ------
    UserError
        If it was.
    """
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        yield
    for text in (str(warning.message) for warning in given):
        if text.startswith(_OTHER_LENGTH):
            raise UserError(
                f"{path}: is not as long as its header says; fetch it again, or correct the header."
            )
        if found := re.match(_AFTER_THE_END, text):
            raise UserError(
                f"{path}: {found[1]} events come after its end; fetch it again, or correct the events."
            )
