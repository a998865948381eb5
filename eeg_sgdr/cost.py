"""What training costs: updates, counted, times what one takes here, measured."""

import heapq
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eeg_sgdr import batches, fitting, plan, store
from eeg_sgdr.fitting import Data
from eeg_sgdr.plan import FitKey
from eeg_sgdr.recordings import Source
from eeg_sgdr.schedules import Step
from eeg_sgdr.settings import Settings
from eeg_sgdr.splits import Fold
from eeg_sgdr.study import absent_fits
from eeg_sgdr.subjects import Subject
from eeg_sgdr.trials import make_trials

#: What is measured: short epochs of so many updates, the first of them a warm-up.
N_EPOCHS, N_UPDATES = 6, 3


@dataclass(frozen=True)
class Unit:
    """A subject, or a fold, that a run is asked to train.

    Attributes
    ----------
    label : str
        Its label, or its number.
    folder : store.SubjectFolder
        Where its results are, or would be.
    fold : Fold | None
        Which subjects a fold is made of; None for a subject.
    """

    label: str
    folder: store.SubjectFolder
    fold: Fold | None


@dataclass(frozen=True)
class Shape:
    """As much of a unit's trials as costs depend on.

    Attributes
    ----------
    n_train, n_test : int
        Trials that train and test, rejected ones left out.
    n_channels, n_samples : int
        Shape of a window.
    n_classes : int
        Number of classes.
    sfreq : float
        Sampling rate in Hz.
    """

    n_train: int
    n_test: int
    n_channels: int
    n_samples: int
    n_classes: int
    sfreq: float


@dataclass(frozen=True)
class Measured:
    """Times on this machine, of one process that has it to itself.

    Attributes
    ----------
    update : float
        Seconds of one update, the median of several.
    fastest, slowest : float
        The range of them.
    n_updates : int
        How many were measured, warm-up left out.
    scoring : float
        Seconds that scoring one state takes for each training trial, the test trials that belong to it
        included.
    form : str
        Which form of the network was computed.
    """

    update: float
    fastest: float
    slowest: float
    n_updates: int
    scoring: float
    form: str


def missing_fits(units: Sequence[Unit], settings: Settings) -> dict[str, list[FitKey]]:
    """The fits that each unit lacks, by its label."""
    return {unit.label: absent_fits(Subject(unit.folder), settings) for unit in units}


def known_shape(folder: store.SubjectFolder) -> Shape | None:
    """The shape of a unit whose trials an earlier run has listed; None where there is no list."""
    if not (folder.trials.is_file() and folder.data.is_file()):
        return None
    subject = Subject(folder)
    kept = subject.trials[subject.trials["rejected"] == ""]
    start, stop = subject.data["window_samples"]
    return Shape(
        n_train=int((kept["split"] == "train").sum()),
        n_test=int((kept["split"] == "test").sum()),
        n_channels=len(subject.data["sensors"]),
        n_samples=stop - start,
        n_classes=len(subject.data["classes"]),
        sfreq=subject.data["sfreq"],
    )


def prepared_shape(unit: Unit, source: Source, settings: Settings) -> Shape | None:
    """The shape of a unit from recordings that are prepared in memory, nothing of which is written.

    Of a fold, only the first training subject is prepared: all others are taken to have as many trials.

    Returns
    -------
    shape : Shape | None
        None where the recordings would have to be downloaded.

    Raises
    ------
    UserError
        If the recordings do not fit the configuration.
    """
    recordings = source.at_hand(unit.fold.train[0] if unit.fold else unit.label)
    if recordings is None:
        return None
    # No network needs the baseline's covariances.
    trials = make_trials(recordings, settings.model_copy(update={"baseline": None}))
    n_train, n_channels, n_samples = trials.train.x.shape
    n_test = len(trials.test.x)
    if unit.fold:
        n_train, n_test = (n_train * len(part) for part in (unit.fold.train, unit.fold.test))
    return Shape(n_train, n_test, n_channels, n_samples, len(trials.info["classes"]), trials.info["sfreq"])


def crops_per_trial(shape: Shape, settings: Settings) -> int:
    """Crops that each window is trained in.

    Raises
    ------
    UserError
        If the network does not fit the windows.
    """
    return len(fitting.build(_noise(shape, 1, 1), settings.network, seed=0).starts)


def measure(shape: Shape, settings: Settings) -> Measured:
    """Train the configured network for some updates on noise of the right shape.

    Parameters
    ----------
    shape : Shape
        Of the windows; no more of them are made than the updates need.
    settings : Settings
        The configuration: network, crops, batch size, numerics.

    Returns
    -------
    measured : Measured

    Raises
    ------
    UserError
        As `eeg_sgdr.fitting.fit`.
    """
    training = settings.training.model_copy(update={"store": "epochs"})
    n = math.ceil(N_UPDATES * training.batch_size / crops_per_trial(shape, settings))
    n_train = min(n, shape.n_train)
    data = _noise(shape, n_train, max(1, round(shape.n_test * n_train / shape.n_train)))
    moments: list[float] = []
    # A rate at which nothing can overflow: how long an update takes does not depend on it.
    schedule = Step(1e-6, N_EPOCHS, drops=())
    result = fitting.fit(
        data, settings.network, training, schedule, 0, lambda epoch: moments.append(time.perf_counter())
    )
    trained = np.array([epoch.seconds for epoch in result.history[1:]])
    updates = trained / result.n_updates
    # What passes between the ends of two epochs is training, then scoring.
    scoring = np.diff(moments) - trained
    return Measured(
        update=float(np.median(updates)),
        fastest=float(updates.min()),
        slowest=float(updates.max()),
        n_updates=len(updates) * result.n_updates,
        scoring=float(np.median(scoring)) / n_train,
        form=result.form,
    )


def _noise(shape: Shape, n_train: int, n_test: int) -> Data:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_train + n_test, shape.n_channels, shape.n_samples), np.float32)
    y = np.arange(n_train) % shape.n_classes
    return Data(x[:n_train], y, x[n_train:], shape.n_classes, shape.sfreq)


def n_scored(key: FitKey, settings: Settings) -> int:
    """States of a fit that are scored: at its ends, or after every epoch."""
    return key.budget if settings.training.store == "epochs" else len(plan.schedule_of(key, settings).ends)


def seconds_of(
    missing: Mapping[str, Sequence[FitKey]],
    shapes: Mapping[str, Shape],
    measured: Measured,
    settings: Settings,
    n_crops: int,
) -> tuple[dict[str, list[float]], float]:
    """Seconds of every missing fit, alone.

    Parameters
    ----------
    missing : mapping of str to sequence of FitKey
        The fits that each unit lacks.
    shapes : mapping of str to Shape
        Of each unit.
    measured : Measured
        Times of an update and of a scoring.
    settings : Settings
        The configuration.
    n_crops : int
        Crops of a trial.

    Returns
    -------
    seconds : dict of str to list of float
        For each unit those of its fits, in order.
    scoring : float
        How much of all of them is scoring.
    """
    seconds: dict[str, list[float]] = {}
    scoring = 0.0
    for label, keys in missing.items():
        per_epoch = measured.update * updates_per_epoch(shapes[label], settings, n_crops)
        per_state = measured.scoring * shapes[label].n_train
        states = [n_scored(key, settings) for key in keys]
        seconds[label] = [key.budget * per_epoch + n * per_state for key, n in zip(keys, states, strict=True)]
        scoring += sum(states) * per_state
    return seconds, scoring


def updates_per_epoch(shape: Shape, settings: Settings, n_crops: int) -> int:
    """U of a unit with so many crops of a trial.

    Raises
    ------
    UserError
        If there is none.
    """
    return batches.updates_per_epoch(shape.n_train * n_crops, settings.training.batch_size)


def elapsed(seconds: Iterable[Sequence[float]], n_at_a_time: int) -> float:
    """Time from first to last when subjects come in order, and of each the longest fits first.

    Parameters
    ----------
    seconds : iterable of sequence of float
        Of each fit, subject by subject; each fit takes the next free process.
    n_at_a_time : int
        Processes.

    Returns
    -------
    elapsed : float
        Seconds.
    """
    free = [0.0] * n_at_a_time
    for of_unit in seconds:
        for one in sorted(of_unit, reverse=True):
            heapq.heapreplace(free, free[0] + one)
    return max(free)
