"""Classifier of new recordings by the snapshots of a trained study."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import mne
import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from eeg_sgdr.data.quality import OUTSIDE
from eeg_sgdr.data.raw import eeg_sensors
from eeg_sgdr.data.sources.channels import amplitude
from eeg_sgdr.data.windows import RecordingWindows, extract_windows
from eeg_sgdr.errors import UserError
from eeg_sgdr.estimators import inputs
from eeg_sgdr.evaluation.predictors import Predictor, members_at
from eeg_sgdr.networks.build import build_network
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey, ends_of
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject
from eeg_sgdr.training.snapshots import Snapshot, averaged


class TrainedClassifier(ClassifierMixin, BaseEstimator):
    """Predicts recordings through the preprocessing that its networks were trained with.

    Made by `eeg_sgdr.load_classifier`. Like scikit-learn's ``FrozenEstimator`` it stays what it is when it
    is fitted or cloned.

    Parameters
    ----------
    settings : Settings
        Configuration of the study.
    data : dict
        data.json of the subject or fold.
    snapshots : list of Snapshot
        Whose probabilities are averaged with equal weights; or networks with the averaged weights of some.
    cues : sequence of str, optional
        See `eeg_sgdr.load_classifier`.
    scale : float, optional
        Standard deviation of the study's training trials over time, filtered, in microvolts. Recordings a
        hundred times larger or smaller are refused: they are in another unit. None refuses none.
    """

    def __init__(
        self,
        settings: Settings,
        data: dict[str, Any],
        snapshots: list[Snapshot],
        cues: Sequence[str] | None = None,
        scale: float | None = None,
    ) -> None:
        self.settings = settings
        self.data = data
        self.snapshots = snapshots
        self.cues = cues
        self.scale = scale

    @property
    def classes_(self) -> np.ndarray:
        """Names of the classes, in order of the columns of probabilities."""
        return self.snapshots[0].classes_

    @property
    def estimators_(self) -> list[Snapshot]:
        """The snapshots that are averaged; they predict windows as `windows` returns them."""
        return self.snapshots

    @property
    def snapshot_epochs_(self) -> np.ndarray:
        """The epochs after which they were taken."""
        return np.array([snapshot.epoch for snapshot in self.snapshots])

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Change nothing."""
        return self

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """One line: settings and data fill pages."""
        return f"TrainedClassifier(study={self.settings.name!r}, snapshots={self.snapshots})"

    def __sklearn_clone__(self) -> Self:
        return self

    def trials(self, X: Any) -> pd.DataFrame:
        """The cues of recordings.

        Parameters
        ----------
        X : mne.io.BaseRaw, list of these, or mne.BaseEpochs
            As for `predict_proba`.

        Returns
        -------
        trials : DataFrame
            recording (number), onset_s, class (the study's, else the cue itself), rejected (why; empty if
            not). Those that are not rejected are predicted.
        """
        tables = [run.cues.assign(recording=i) for i, run in enumerate(self._preprocess(X))]
        return pd.concat(tables, ignore_index=True)[["recording", "onset_s", "class", "rejected"]]

    def windows(self, X: Any) -> np.ndarray:
        """What the networks read of recordings; float32, shape (n_trials, n_channels, n_samples)."""
        return np.concatenate([run.x for run in self._preprocess(X)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities of the trials that are not rejected.

        Parameters
        ----------
        X : mne.io.BaseRaw, list of these, or mne.BaseEpochs
            In volts, with names and types of channels as the study's source gives them. The cues of a Raw
            are annotations. Each epoch is filtered and standardised for itself from its first sample on:
            the earlier it begins, the more it is like a stretch of a recording.

        Returns
        -------
        probabilities : ndarray, shape (n_trials, n_classes)

        Raises
        ------
        UserError
            If sensors are missing, rate or unit are others, or there is nothing to predict.
        """
        return averaged(self.snapshots, self.windows(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable classes of the trials that are not rejected; shape (n_trials,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _preprocess(self, X: Any) -> list[RecordingWindows]:
        """Windows of recordings or epochs, preprocessed like those of the study."""
        if not isinstance(X, mne.BaseEpochs):
            cued = _check_raws(X, self.cues)
            runs = [self._preprocess_one(recording) for recording in cued]
            for recording, run in zip(cued, runs, strict=True):
                self._check_scale([recording], [run], recording.where)
            return runs
        cued = _raws_of_epochs(X)
        runs = [self._preprocess_one(recording) for recording in cued]
        if any((run.cues["rejected"] == OUTSIDE).any() for run in runs):
            start, stop = self.settings.preprocessing.window_s
            raise UserError(
                f"X: Epochs from {X.tmin:g} to {X.tmax:g} s do not hold the study's window, from "
                f"{start:g} to {stop:g} s; make them longer."
            )
        self._check_scale(cued, runs, "X")
        self._warn_short_epochs(X)
        return runs

    def _check_scale(self, cued: list["_CuedRaw"], runs: list[RecordingWindows], where: str) -> None:
        """Refuse values that are plainly not in volts, even where their size has rejected all trials."""
        if self.scale is not None:
            trials = [trial for run in runs for trial in run.microvolts]
            sizes = [] if trials else [1e6 * amplitude(one.raw, where) for one in cued]
            found = inputs.scale(trials) if trials else float(np.median(sizes))
            remedy = "both in microvolts, its samples being read as volts: scale them to volts"
            inputs.check_scale(found, self.scale, where, remedy)

    def _preprocess_one(self, recording: "_CuedRaw") -> RecordingWindows:
        config, sensors = self.settings.preprocessing, self.data["sensors"]
        where = recording.where
        inputs.pick(eeg_sensors(recording.raw), [*sensors, *config.reference_sensors], where)
        bads = [name for name in recording.raw.info["bads"] if name in sensors]
        if bads and config.bads == "drop":
            raise UserError(
                f"{where}: {', '.join(bads)} is marked as bad, but the networks read it, and the study "
                "interpolates nothing; interpolate it first."
            )
        rate = recording.raw.info["sfreq"]
        if config.resample_hz is None and rate != self.data["sfreq"]:
            raise UserError(
                f"{where}: is at {rate:g} Hz, the study's recordings are at {self.data['sfreq']:g} Hz; "
                "resample it first."
            )
        classes = self._classes(recording, where)
        recordings = self.settings.recordings.model_copy(update={"classes": classes})
        settings = self.settings.model_copy(update={"recordings": recordings, "baselines": ()})
        return extract_windows(recording.raw, sensors, settings, where)

    def _classes(self, recording: "_CuedRaw", where: str) -> dict[str, tuple[str, ...]]:
        """Cues to predict at, by the study's class, or by themselves where it has none."""
        class_of = {cue: name for name, names in self.settings.recordings.classes.items() for cue in names}
        cues = recording.cues or list(class_of)
        present = sorted(set(map(str, recording.raw.annotations.description)))
        if not set(present) & set(cues):
            raise UserError(
                f"{where}: has no annotation {' or '.join(cues)} to predict after; name its cues to "
                f"load_classifier (annotations: {', '.join(present) or 'none'})."
            )
        classes: dict[str, tuple[str, ...]] = {}
        for cue in cues:
            name = class_of.get(cue, cue)
            classes[name] = (*classes.get(name, ()), cue)
        return classes

    def _warn_short_epochs(self, epochs: Any) -> None:
        config = self.settings.preprocessing
        if config.standardize is None:
            return
        needed = config.standardize.init_samples / self.data["sfreq"]
        if config.window_s[0] - epochs.tmin < needed:
            warnings.warn(
                f"X: the windows begin less than {needed:g} s after their epochs do, within the stretch that "
                "is standardised by its own mean and deviation; networks have seen little of that; predict "
                "Raw recordings, or longer epochs.",
                stacklevel=4,
            )


@dataclass(frozen=True)
class _CuedRaw:
    """A recording, or an epoch as a recording, with its cues (None: the study's)."""

    where: str
    raw: Any
    cues: list[str] | None


def _check_raws(X: Any, cues: Sequence[str] | None) -> list[_CuedRaw]:
    raws = list(X) if isinstance(X, list | tuple) else [X]
    if not raws or not all(isinstance(raw, mne.io.BaseRaw) for raw in raws):
        raise UserError("X: give an MNE Raw, a list of these, or Epochs.")
    cues = None if cues is None else list(cues)
    return [_CuedRaw(f"recording {number}", raw, cues) for number, raw in enumerate(raws)]


def _raws_of_epochs(epochs: Any) -> list[_CuedRaw]:
    names = {number: name for name, number in epochs.event_id.items()}
    raws = []
    events = epochs.events[:, 2]
    for i, (volts, event) in enumerate(zip(epochs.get_data(verbose="error"), events, strict=True)):
        raw = mne.io.RawArray(volts, epochs.info, verbose="error")
        raw.set_annotations(mne.Annotations(-epochs.tmin, 0.0, names[event]))
        raws.append(_CuedRaw(f"epoch {i}", raw, [names[event]]))
    return raws


def load_classifier(
    path: str | Path,
    subject: str | int | None = None,
    *,
    fold: str | int | None = None,
    schedule: str,
    budget: int | None = None,
    rate: float | None = None,
    seed: int | None = None,
    members: Literal["cycles", "averaged", "single"] = "cycles",
    epoch: int | None = None,
    cues: Sequence[str] | None = None,
) -> TrainedClassifier:
    """Load what a study has trained, to predict new recordings.

    Parameters
    ----------
    path : str or Path
        The results folder.
    subject, fold : str or int
        Whose networks: those of a subject or, across subjects, of a fold; of one fold of a subject, both.
    schedule : str
        Name of the arm.
    budget : int, optional
        Epochs; by default the arm's last.
    rate : float, optional
        Initial rate; by default the one that was chosen, where rates are chosen, else the probabilities of
        all the study's rates are averaged.
    seed : int, optional
        Seed; by default the study's first.
    members : "cycles", "averaged" or "single"
        The ensemble of the last half of the cycles, one network with the mean of their weights, or the last
        snapshot alone. Arms that do not restart have one snapshot.
    epoch : int, optional
        An end of the schedule, to predict as it was then; by default the last.
    cues : sequence of str, optional
        Annotations of a Raw after which there is something to predict; by default those that the study's
        configuration names.

    Returns
    -------
    classifier : TrainedClassifier

    Raises
    ------
    UserError
        If there is no such network.

    Examples
    --------
    >>> classifier = load_classifier("results/demo", subject=1, schedule="restarts")  # doctest: +SKIP
    >>> classifier.predict(mne.io.read_raw("new.edf"))  # doctest: +SKIP
    """
    results = Results(Path(path))
    unit = results.unit("load_classifier", subject, fold)
    if unit.folds:
        raise UserError(
            f"load_classifier: {unit.title} has networks of its own in each of {len(unit.folds)} folds; name "
            "a fold, too."
        )
    key = _key(results.settings, schedule, budget, rate, seed)
    rates = results.settings.paired_rates(schedule) if rate is None else (key.rate,)
    fits = tuple(unit.trained(replace(key, rate=each)) for each in rates)
    for fit in fits:
        if fit not in unit.done:
            raise UserError(
                f"{unit.folder.root}: has no fit {fit.name}; there are "
                f"{', '.join(done.name for done in unit.done) or 'none'}."
            )
    predictor = Predictor(fits, _epochs(key, results.settings, members, epoch), members)
    if predictor.members == "averaged" and predictor.n_snapshots == 1:
        predictor = replace(predictor, members="single")  # its own average
    for fit in fits:
        if predictor.members == "averaged" and not unit.has_averages(fit):
            raise UserError(
                f"{unit.folder.root}: weights of {fit.name} are not averaged yet; run the study again, which "
                "trains nothing for that."
            )
    snapshots = _snapshots(unit, predictor, results.settings)
    return TrainedClassifier(results.settings, unit.data, snapshots, cues, _scale(unit.summary))


def _scale(summary: Mapping[str, np.ndarray]) -> float:
    """Median standard deviation of the sensors in microvolts, from their spectra (Parseval)."""
    width = summary["frequencies"][1] - summary["frequencies"][0]
    return float(np.median(np.sqrt(width * summary["spectra"].mean(axis=0).sum(axis=1))))


def _key(
    settings: Settings, schedule: str, budget: int | None, rate: float | None, seed: int | None
) -> FitKey:
    """A fit of the configuration, by default the last budget, first rate and first seed."""
    if schedule not in settings.schedules:
        raise UserError(
            f"schedule: the study has no {schedule!r}; there are {', '.join(settings.schedules)}."
        )
    budgets = settings.schedules[schedule].budgets
    return FitKey(
        schedule,
        max(budgets) if budget is None else budget,
        settings.initial_rates(schedule)[0] if rate is None else rate,
        settings.training.seeds[0] if seed is None else seed,
    )


def _epochs(key: FitKey, settings: Settings, members: str, epoch: int | None) -> tuple[int, ...]:
    """Epochs of the snapshots that are averaged."""
    ends = ends_of(key, settings)
    last = ends[-1] if epoch is None else epoch
    if last not in ends:
        raise UserError(f"epoch: {last} is no end of {key.name}; there are {', '.join(map(str, ends))}.")
    if members not in ("cycles", "averaged", "single"):
        raise UserError(f"members: {members!r} is neither 'cycles', 'averaged' nor 'single'.")
    return (last,) if members == "single" else members_at(ends, ends.index(last) + 1)


def _snapshots(unit: Subject, predictor: Predictor, settings: Settings) -> list[Snapshot]:
    """A predictor's snapshots, read from their folders."""
    data, network = unit.data, settings.network
    start, stop = data["window_samples"]
    build = partial(
        build_network,
        network.name,
        network.arguments,
        n_channels=len(data["sensors"]),
        n_samples=stop - start,
        n_classes=len(data["classes"]),
        sfreq=data["sfreq"],
        crop_samples=network.crop_samples,
        seed=0,
    )
    read = unit.averaged_weights if predictor.members == "averaged" else unit.weights
    return [
        Snapshot(
            build,
            {name: torch.from_numpy(value) for name, value in read(key, epoch).items()},
            np.array(data["classes"]),
            epoch,
            float(key.rate),
        )
        for epoch in predictor.states
        for key in predictor.fits
    ]
