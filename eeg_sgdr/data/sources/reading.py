"""Read a recording by MNE; UserError for one that is damaged, truncated or no file at all."""

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mne

from eeg_sgdr.data.sources import require_file
from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.parallel.progress import say

#: Formats whose recordings are folders.
FOLDERS = {".ds", ".mff"}

#: Warning of MNE (EDF, BDF).
_LENGTH_WARNING = "Number of records from the header does not match"


def read(path: Path, reader: Callable[[], Any], remedy: str, cues: Collection[str] | None = None) -> Any:
    """The Raw that a reader of MNE returns, called with ``verbose="warning"``.

    Annotations outside the recording, which MNE omits, are refused if ``cues`` are among them, otherwise
    said; with None for cues they do not matter.
    """
    if path.suffix.lower() not in FOLDERS:
        require_file(path)
    try:
        with _omitted_annotations() as omitted, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            raw = reader()
    except Exception as error:  # readers of a dozen formats may raise anything
        raise UserError(f"{path}: cannot be read ({in_words(error)}); {remedy}.") from error
    for file in map(Path, filter(None, raw.filenames)):
        if not file.is_dir():
            require_file(file)
    if any(str(warning.message).startswith(_LENGTH_WARNING) for warning in caught):
        raise UserError(f"{path}: is not as long as its header says; fetch it again, or correct the header.")
    if not omitted or cues is None:
        return raw
    names = ", ".join(omitted)
    if not omitted.keys().isdisjoint(cues):
        raise UserError(
            f"{path}: {omitted.total()} events come before its start or after its end, cues among them "
            f"({names}); fetch it again, or correct the events."
        )
    say(
        f"{path}: annotations before its start or after its end are left out ({names}); no class names them.",
        sys.stderr,
    )
    return raw


@contextmanager
def _omitted_annotations() -> Iterator[Counter[str]]:
    """Descriptions of the annotations that MNE omits as it reads; its warning tells their number alone."""
    crop, omitted = mne.Annotations.crop, Counter[str]()

    def counting(annotations: Any, *args: Any, **keywords: Any) -> Any:
        before = Counter(map(str, annotations.description))
        cropped = crop(annotations, *args, **keywords)
        omitted.update(before - Counter(map(str, cropped.description)))
        return cropped

    with patch.object(mne.Annotations, "crop", counting):
        yield omitted
