"""Channel names and types, montage and cues of Raws read from files; refusal of truncated files."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mne
import numpy as np

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import LabRecordings, TriggerChannel


def apply_settings(raw: Any, settings: LabRecordings, where: str) -> Any:
    """Rename and type channels, set the montage, and find cues, in place; returns the Raw.

    Only a trigger channel's samples are read. Raises UserError if the recording lacks a channel, or a
    sensor has no position in the montage.
    """
    names = set(raw.ch_names)
    _check_channels(settings.rename, names, "recordings.rename", where)
    try:
        raw.rename_channels(settings.rename, verbose="error")
    except ValueError as error:
        raise UserError(f"{where}: {error}; correct recordings.rename.") from error
    _check_channels(settings.channel_types, set(raw.ch_names), "recordings.channel_types", where)
    try:
        raw.set_channel_types(settings.channel_types, verbose="error")
    except ValueError as error:
        raise UserError(f"{where}: {error}; correct recordings.channel_types.") from error
    if settings.montage is not None:
        _set_montage(raw, settings.montage, where)
    if isinstance(settings.events, TriggerChannel):
        _set_annotations(raw, settings.events, where)
    return raw


def _check_channels(wanted: dict[str, str], names: set[str], key: str, where: str) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise UserError(
            f"{where}: no channel {', '.join(missing)}; correct {key} (there are {', '.join(sorted(names))})."
        )


def _set_montage(raw: Any, montage: str, where: str) -> None:
    """Give every EEG sensor its position in the montage."""
    positions = _montage(montage)
    known = {name.lower() for name in positions.ch_names}
    sensors = [raw.ch_names[i] for i in mne.pick_types(raw.info, eeg=True, exclude=[])]
    missing = [name for name in sensors if name.lower() not in known]
    if missing:
        raise UserError(
            f"{where}: montage {montage} has no position of {', '.join(missing)}; rename them as there "
            "(recordings.rename), or give them another type (recordings.channel_types)."
        )
    raw.set_montage(positions, match_case=False, on_missing="ignore", verbose="error")


def _montage(name: str) -> Any:
    """A montage by its name in MNE, or from a file."""
    if name in ("standard_1005", "colin27_1005"):  # one montage under two names
        return montage_1005()
    if name in mne.channels.get_builtin_montages():
        return mne.channels.make_standard_montage(name)
    if not Path(name).is_file():
        raise UserError(
            f"recordings.montage: {name} is neither a file nor one of MNE's montages "
            f"({', '.join(mne.channels.get_builtin_montages())})."
        )
    try:
        return mne.channels.read_custom_montage(name)
    except Exception as error:  # readers of a dozen formats may raise anything
        raise UserError(
            f"recordings.montage: {name} cannot be read ({type(error).__name__}: {error}); name another file."
        ) from error


def _set_annotations(raw: Any, trigger: TriggerChannel, where: str) -> None:
    """Replace annotations by the codes of a trigger channel; BAD and EDGE annotations are kept."""
    _check_channels({trigger.channel: ""}, set(raw.ch_names), "recordings.events.channel", where)
    try:
        events = mne.find_events(
            raw,
            trigger.channel,
            consecutive=trigger.consecutive,
            shortest_event=trigger.shortest_event,
            mask=trigger.mask,
            verbose="error",
        )
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise UserError(
            f"{where}: no cues in channel {trigger.channel} ({problem}); correct recordings.events."
        ) from error
    bad = [text.upper().startswith(("BAD", "EDGE")) for text in raw.annotations.description]
    kept = raw.annotations[np.flatnonzero(bad)]
    # Without ``orig_time``, onsets count from the first sample.
    raw.set_annotations(
        mne.Annotations(
            [*(kept.onset - raw.first_time), *((events[:, 0] - raw.first_samp) / raw.info["sfreq"])],
            [*kept.duration, *np.zeros(len(events))],
            [*kept.description, *map(str, events[:, 2])],
        ),
        verbose="error",
    )


def montage_1005() -> Any:
    """MNE's montage of the 10-05 system, by the name that the installed MNE prefers."""
    try:
        return mne.channels.make_standard_montage("colin27_1005")
    except ValueError:  # the name before MNE 1.13
        return mne.channels.make_standard_montage("standard_1005")


#: Warnings of MNE: length other than in the header (EDF, BDF), and annotations after the last sample.
_LENGTH_WARNING = "Number of records from the header does not match"

_ANNOTATION_WARNING = r"Omitted (\d+) annotation"


@contextmanager
def refuse_truncated(path: Path | str) -> Iterator[None]:
    """Refuse a truncated recording, while MNE reads it with ``verbose="warning"``."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in (str(warning.message) for warning in caught):
        if text.startswith(_LENGTH_WARNING):
            raise UserError(
                f"{path}: is not as long as its header says; fetch it again, or correct the header."
            )
        if match := re.match(_ANNOTATION_WARNING, text):
            raise UserError(
                f"{path}: {match[1]} events come after its end; fetch it again, or correct the events."
            )
