"""Windows from arrays, MNE Epochs and braindecode datasets, read as arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeg_sgdr.errors import UserError

#: How many times larger or smaller values are plainly in another unit: EEG of people differs by less.
FACTOR = 100


class BadInputError(UserError, ValueError):
    """A `UserError` that is also a ValueError, as scikit-learn expects."""


@dataclass(frozen=True)
class Inputs:
    """Windows, and what Epochs or a dataset know of them; other inputs are left as they are."""

    x: Any  # (n_trials, n_channels, n_samples); EEG of Epochs in microvolts, all else in its own unit
    y: np.ndarray | None = None  # (n_trials,), labels of the windows themselves
    sfreq: float | None = None  # in Hz
    sensors: list[str] | None = None


def read(windows: Any, sensors: Sequence[str] | None = None) -> Inputs:
    """Read windows from an array, Epochs, a braindecode dataset, or a list of parts of these.

    scikit-learn's splitters make a list of what is no array: Epochs of one trial each, or the items of a
    dataset. ``sensors`` of Epochs are by default the EEG sensors that are not marked as bad. Raises
    BadInputError if Epochs have no EEG, lack one of the sensors, or are a list of different ones.
    """
    import mne
    from torch.utils.data import Dataset

    if isinstance(windows, mne.BaseEpochs):
        return _of_epochs([windows], sensors)
    if isinstance(windows, Dataset):
        return _of_items([windows[i] for i in range(len(windows))], _rate(windows))  # type: ignore[arg-type]
    if isinstance(windows, list) and windows:
        if isinstance(windows[0], mne.BaseEpochs):
            return _of_epochs(windows, sensors)
        if isinstance(windows[0], tuple) and np.ndim(windows[0][0]) == 2:
            return _of_items(windows, None)
    return Inputs(windows)


def check_shape(x: Any, n_channels: int | None = None, n_samples: int | None = None) -> None:
    """BadInputError unless x has trials, channels and samples: as many as the networks were fitted to."""
    shape = np.shape(x)
    if len(shape) != 3:
        raise BadInputError(f"X: {len(shape)} axes; give an array of shape (trials, channels, samples).")
    axes, wanted = ("trials", "channels", "samples"), (None, n_channels, n_samples)
    for axis, n, fitted in zip(axes, shape, wanted, strict=True):
        if n == 0:
            raise BadInputError(f"X: has no {axis}; its shape is {shape}, (trials, channels, samples).")
        if fitted not in (None, n):
            raise BadInputError(f"X: windows of {n} {axis}, but it was fitted to {fitted}; make them alike.")


def check_finite(x: np.ndarray, sensors: Sequence[str] | None) -> None:
    """BadInputError about the first trial with NaN or infinite values."""
    for number, trial in enumerate(x):
        if not np.isfinite(trial).all():
            channel, sample = np.argwhere(~np.isfinite(trial))[0]
            name = f"channel {channel}" if sensors is None else sensors[channel]
            raise BadInputError(
                f"X: trial {number} has NaN or infinite values (first in {name}, sample {sample}; all "
                "counted from 0); leave it out, or interpolate the channel."
            )


def scale(trials: Iterable[np.ndarray]) -> float:
    """Median over trials and channels of the standard deviation over time."""
    return float(np.median([trial.std(axis=1, dtype=float) for trial in trials]))


def check_scale(found: float, fitted: float, where: str, remedy: str) -> None:
    """BadInputError where values are plainly in another unit than those fitted to; never for flat ones."""
    if found and fitted and not 1 / FACTOR < found / fitted < FACTOR:
        raise BadInputError(
            f"{where}: its values are in another unit than those fitted to (standard deviation {found:.2g}, "
            f"not {fitted:.2g}); {remedy}."
        )


def pick(available: Sequence[str], wanted: Sequence[str], where: str) -> list[int]:
    """Indices of the wanted sensors; BadInputError if one is missing."""
    missing = [name for name in wanted if name not in available]
    if missing:
        raise BadInputError(
            f"{where}: no EEG sensor {', '.join(missing)}, which the networks were trained on; rename or "
            f"interpolate sensors (there are {', '.join(available)})."
        )
    return [list(available).index(name) for name in wanted]


def _of_epochs(parts: Sequence[Any], sensors: Sequence[str] | None) -> Inputs:
    import mne

    info = parts[0].info
    picks = mne.pick_types(info, eeg=True, exclude="bads" if sensors is None else [])
    names = list(sensors or [info["ch_names"][i] for i in picks])
    if not names:
        raise BadInputError("X: the Epochs have no EEG sensors; set the channels' types.")
    shapes = {(part.info["sfreq"], len(part.times)) for part in parts}
    if len(shapes) > 1:
        raise BadInputError("X: the Epochs differ in rate or length; make them from the same settings.")
    volts = [part.get_data(picks=pick(part.ch_names, names, "X"), verbose="error") for part in parts]
    y = np.concatenate([part.events[:, 2] for part in parts])
    return Inputs(np.concatenate(volts) * 1e6, y, info["sfreq"], names)


def _of_items(items: Sequence[tuple], sfreq: float | None) -> Inputs:
    return Inputs(np.stack([item[0] for item in items]), np.array([item[1] for item in items]), sfreq)


def _rate(dataset: Any) -> float | None:
    """Sampling rate of a braindecode dataset, from its first recording."""
    first = getattr(dataset, "datasets", [dataset])[0]
    recording = getattr(first, "windows", None) or getattr(first, "raw", None)
    return None if recording is None else recording.info["sfreq"]
