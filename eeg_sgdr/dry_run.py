"""What a run would train and how long it would take: the answer to --dry-run."""

import heapq
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.data.sources import Source
from eeg_sgdr.data.splits import Fold
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.submit import absent_fits, processes
from eeg_sgdr.parallel import workers
from eeg_sgdr.schedules import Step
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import Subject
from eeg_sgdr.training import loop
from eeg_sgdr.training.loop import Data

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
    folder: folders.SubjectFolder
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


def known_shape(folder: folders.SubjectFolder) -> Shape | None:
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
    recordings = source.local_recordings(unit.fold.train[0] if unit.fold else unit.label)
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
    return len(loop.build_for(_noise(shape, 1, 1), settings.network, seed=0).starts)


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
        As `eeg_sgdr.training.loop.fit`.
    """
    training = settings.training.model_copy(update={"store": "epochs"})
    n = math.ceil(N_UPDATES * training.batch_size / crops_per_trial(shape, settings))
    n_train = min(n, shape.n_train)
    data = _noise(shape, n_train, max(1, round(shape.n_test * n_train / shape.n_train)))
    moments: list[float] = []
    # A rate at which nothing can overflow: how long an update takes does not depend on it.
    schedule = Step(1e-6, N_EPOCHS, drops=())
    result = loop.fit(
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
    return loop.updates_per_epoch(shape.n_train * n_crops, settings.training.batch_size)


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


def answer(units: Sequence[Unit], source: Source, settings: Settings, jobs: int | None) -> Iterator[str]:
    """Say what a run would train and how long it would take; nothing is written.

    Parameters
    ----------
    units : sequence of Unit
        The subjects or folds that are asked for.
    source : Source
        Where recordings come from.
    settings : Settings
        The configuration, lists as they would grow.
    jobs : int | None
        Fits at a time, as asked for on the command line.

    Yields
    ------
    line : str
        In the order in which they become known: measuring takes seconds.

    Raises
    ------
    UserError
        If the recordings cannot be had without a download, or do not fit the configuration.
    """
    yield "Dry run: nothing is written or trained."
    missing = missing_fits(units, settings)
    lacking = [unit for unit in units if missing[unit.label]]
    if not lacking:
        yield from _table(missing, settings, {})
        yield from _baselines(units, settings)
        yield f"No fit is missing of {_named(units)}."
        return
    shapes = {unit.label: shape for unit in units if (shape := known_shape(unit.folder))}
    of_first = shapes.get(lacking[0].label) or prepared_shape(lacking[0], source, settings)
    if of_first is None:
        yield from _table(missing, settings, {})
        yield from _baselines(units, settings)
        raise UserError(
            f"Updates and time are not known: they depend on the trials of {_named(lacking[:1])}, whose "
            "recordings are not here, and a dry run downloads nothing; download them, then ask again."
        )
    assumed = [unit for unit in lacking[1:] if unit.label not in shapes]
    shapes = {unit.label: shapes.get(unit.label, of_first) for unit in units}
    n_crops = crops_per_trial(of_first, settings)
    updates = {
        label: updates_per_epoch(shapes[label], settings, n_crops) for label, keys in missing.items() if keys
    }
    yield from _table(missing, settings, updates)
    yield from _baselines(units, settings)
    yield _basis(lacking[0], of_first, assumed, settings, n_crops, updates[lacking[0].label])
    measured = measure(of_first, settings)
    seconds, scoring = seconds_of(missing, shapes, measured, settings, n_crops)
    yield _measured(measured, of_first, settings)
    yield _estimate(seconds, scoring, processes(settings, jobs or settings.compute.jobs), settings)
    yield (
        "Left out: what interrupted fits have kept (they are counted in full); downloading or simulating "
        "recordings and preparing them, the start of each fit, baselines, tables and reports; and that fits "
        "side by side, or a machine that is busy otherwise, slow each other down."
    )


def _named(units: Sequence[Unit]) -> str:
    """The units in words; when they are many, how many."""
    noun = "fold" if units[0].fold else "subject"
    if len(units) > 1:
        return f"{len(units)} {noun}s"
    return f"{noun} {units[0].label}"


def _baselines(units: Sequence[Unit], settings: Settings) -> Iterator[str]:
    """A line that counts the baselines that are missing, where any is."""
    n = sum(Subject(unit.folder).baseline is None for unit in units) if settings.baseline else 0
    if n:
        yield f"Baselines missing: {n}."


def _table(
    missing: Mapping[str, Sequence[FitKey]], settings: Settings, updates: Mapping[str, int]
) -> Iterator[str]:
    """A line for each arm and one for all; without updates where these are not known."""
    rows: dict[str, list[int]] = {}
    for arm in settings.schedules:
        wanted = len(missing) * sum(key.schedule == arm for key in plan.fits(settings))
        lacking = [(label, key) for label, keys in missing.items() for key in keys if key.schedule == arm]
        rows[arm] = [wanted, wanted - len(lacking), len(lacking), sum(key.budget for _, key in lacking)]
        if updates:
            rows[arm].append(sum(key.budget * updates[label] for label, key in lacking))
    table = np.array(list(rows.values()))
    header = ["fits wanted", "there", "missing", "epochs missing", "updates missing"][: table.shape[1]]
    cells = [["schedule", *header]]
    cells += [[name, *map(str, row)] for name, row in rows.items()]
    cells.append(["in all", *map(str, table.sum(axis=0))])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *numbers in cells:
        texts = (f"{text:>{width}}" for text, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *texts])


def _basis(
    unit: Unit, shape: Shape, assumed: Sequence[Unit], settings: Settings, n_crops: int, n_updates: int
) -> str:
    """Where the number of updates comes from."""
    text = (
        f"{_named([unit])[0].upper()}{_named([unit])[1:]}: {shape.n_train} training trials of {n_crops} "
        f"crop{'s' if n_crops > 1 else ''}, {settings.training.batch_size} crops an update, so {n_updates} "
        f"update{'s' if n_updates > 1 else ''} an epoch; {shape.n_test} test trials."
    )
    if unit.fold:
        text += f" Every subject is taken to have as many trials as subject {unit.fold.train[0]}."
    elif assumed:
        text += f" Of {_named(assumed)} the trials are not known here: as many are assumed."
    return text


def _measured(measured: Measured, shape: Shape, settings: Settings) -> str:
    numerics = settings.training.numerics
    where = f"{numerics.device}, {numerics.threads} thread{'s' if numerics.threads > 1 else ''}"
    return (
        f"Measured here on noise of that shape ({settings.network.name}, form {measured.form}, {where}): an "
        f"update takes {measured.update:.3g} s (median; {measured.fastest:.3g} to {measured.slowest:.3g} s, "
        f"{measured.n_updates} updates), scoring a state {measured.scoring * shape.n_train:.3g} s."
    )


def _estimate(
    seconds: Mapping[str, Sequence[float]], scoring: float, n_at_a_time: int, settings: Settings
) -> str:
    """The time that it takes, on one pool for all subjects or folds."""
    everything = sum(map(sum, seconds.values()))
    took = elapsed(seconds.values(), n_at_a_time)
    text = (
        f"Estimated time: {duration(took)} with {n_at_a_time} fit{'s' if n_at_a_time > 1 else ''} at a time "
        f"({duration(everything)} of processes, of which {duration(scoring)} scoring)."
    )
    numerics = settings.training.numerics
    if numerics.device == "cpu" and n_at_a_time * numerics.threads > workers.n_cores():
        text += f" That takes {n_at_a_time * numerics.threads} cores; here are {workers.n_cores()}."
    elif numerics.device != "cpu":
        text += (
            f" On this device up to {settings.compute.stack} fits are trained in lock-step, which is faster: "
            "the estimate is of one after the other, and so an upper bound."
        )
    return text


def duration(seconds: float) -> str:
    """Seconds in a unit that people can judge, to two figures or so."""
    for size, unit in ((2 * 86400, "days"), (2 * 3600, "h"), (2 * 60, "min")):
        if seconds >= size:
            number = seconds / {"days": 86400, "h": 3600, "min": 60}[unit]
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
