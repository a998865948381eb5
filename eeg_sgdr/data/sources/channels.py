"""Channel names, types and units, montage and cues of Raws read from files."""

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import mne
import numpy as np

from eeg_sgdr.data.raw import eeg_sensors, read_volts
from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.settings import LabRecordings, TriggerChannel
from eeg_sgdr.settings.recordings import Unit

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6}

#: Standard deviation within a second that no EEG has, in volts: a thousand times less, or more, than 5 µV.
SMALLEST_V, LARGEST_V = 5e-9, 5e-3

#: Seconds of a recording that are looked at for it.
N_SECONDS = 60


def apply_settings(raw: Any, settings: LabRecordings, where: str) -> Any:
    """Rename and type channels, set units and montage, and find cues, in place; returns the Raw.

    Only a trigger channel's samples are read as a whole. Raises UserError if the recording lacks a channel,
    a sensor has no position in the montage, or what it holds has not the size of EEG.
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
    if settings.units is not None:
        _set_units(raw, settings.units, where)
    _check_amplitude(raw, settings.units is not None, where)
    if settings.montage is not None:
        _set_montage(raw, settings.montage, where)
    if isinstance(settings.events, TriggerChannel):
        _set_annotations(raw, settings.events, where)
    return raw


def _check_channels(wanted: Iterable[str], names: set[str], key: str, where: str) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise UserError(
            f"{where}: no channel {', '.join(missing)}; correct {key} (there are {', '.join(sorted(names))})."
        )


def _set_units(raw: Any, units: Unit | Mapping[str, Unit], where: str) -> None:
    """Scale channels whose unit the file does not tell: MNE took their samples for volts."""
    by_channel = units if isinstance(units, Mapping) else dict.fromkeys(eeg_sensors(raw), units)
    _check_channels(by_channel, set(raw.ch_names), "recordings.units", where)
    for name, unit in by_channel.items():
        told = raw._orig_units.get(name, "n/a").replace("µ", "u")
        if told not in ("n/a", unit):
            raise UserError(
                f"{where}: says itself that the unit of {name} is {told}, not {unit}; correct "
                "recordings.units, or the file's header."
            )
        if told == "n/a" and raw.preload:
            raw.apply_function(lambda volts, factor: factor * volts, [name], factor=VOLTS[unit])
        elif told == "n/a":
            # MNE has no public way to scale samples as they are read.
            raw._cals[raw.ch_names.index(name)] *= VOLTS[unit]


def amplitude(raw: Any, where: str) -> float:
    """Standard deviation within a second in volts, reached by three of four sensors; 0 if all are flat."""
    names = [name for name in eeg_sensors(raw) if name not in raw.info["bads"]]
    if not names:
        return 0.0
    length = min(raw.n_times, max(1, round(raw.info["sfreq"])))
    starts = np.unique(np.linspace(0, raw.n_times - length, N_SECONDS, dtype=int))
    with np.errstate(invalid="ignore"):  # what is not finite is refused where sensors are picked
        seconds = [read_volts(raw, names, at, at + length, where).std(axis=1) for at in starts]
    by_sensor = np.median(seconds, axis=0)
    if not by_sensor.any():
        return 0.0
    # Some may be no EEG, such as accelerometers, whose type nobody has told.
    return float(np.quantile(by_sensor[by_sensor != 0], 0.25))


def _check_amplitude(raw: Any, scaled: bool, where: str) -> None:
    """Refuse a recording that is not in volts, or no longer; offsets and drifts do not count."""
    size = amplitude(raw, where)
    if not size:
        return
    found = f"its EEG is of {size:.2g} V or more (standard deviation within a second, three of four sensors)"
    if size >= LARGEST_V:
        unit = "uV" if size >= 1 else "mV"
        raise UserError(
            f"{where}: {found}, a thousand times what EEG can be; give the unit of its samples as "
            f"recordings.units ({unit}?), or channels that are no EEG another type "
            "(recordings.channel_types)."
        )
    if scaled and size <= SMALLEST_V:
        raise UserError(f"{where}: {found}, a thousandth of what EEG can be; correct recordings.units.")


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
    if name == "colin27_1005":  # unknown to MNE before 1.13
        return montage_1005()
    try:
        with warnings.catch_warnings():  # standard_1020 and others have new names since MNE 1.13
            warnings.simplefilter("ignore", FutureWarning)
            return mne.channels.make_standard_montage(name)
    except ValueError:
        pass
    if not os.path.isfile(name):  # False for names too long, too
        raise UserError(
            f"recordings.montage: {name} is neither a file nor one of MNE's montages "
            f"({', '.join(mne.channels.get_builtin_montages())})."
        )
    try:
        return mne.channels.read_custom_montage(name)
    except Exception as error:  # readers of a dozen formats may raise anything
        raise UserError(
            f"recordings.montage: {name} cannot be read ({in_words(error)}); name another file."
        ) from error


def _set_annotations(raw: Any, trigger: TriggerChannel, where: str) -> None:
    """Replace annotations by the codes of a trigger channel; BAD and EDGE annotations are kept."""
    _check_channels([trigger.channel], set(raw.ch_names), "recordings.events.channel", where)
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
