"""Dry run: what a run would train, and how long it would take on this machine."""

import heapq
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from eeg_sgdr.data.folds import with_held_out
from eeg_sgdr.data.quality import lacking_class
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.data.validation import split_seed, validation_trials
from eeg_sgdr.data.windows import window
from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.submit import gpus, processes
from eeg_sgdr.jobs.units import Unit
from eeg_sgdr.parallel import workers
from eeg_sgdr.reports.wording import counted, duration
from eeg_sgdr.schedules import Step
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.training import loop
from eeg_sgdr.training.engines import Data, build_for

#: Epochs that are measured at a time, the first a warm-up, and updates of each.
N_EPOCHS, N_UPDATES = 6, 3

#: Seconds of the measurement: at first, a busy machine prefers processes that are new.
MEASURE_S = 10


@dataclass(frozen=True)
class Shape:
    """Numbers of a unit's trials on which costs depend, without rejected trials; the rate is in Hz."""

    n_train: int
    n_test: int
    n_channels: int
    n_samples: int
    n_classes: int
    sfreq: float


@dataclass(frozen=True)
class Timing:
    """Times measured on this machine, at its present load, one for each epoch."""

    #: Seconds of one update, and how many were measured (warm-ups left out).
    update: np.ndarray
    n_updates: int
    #: Seconds of scoring one state for each training trial, its share of the test trials included.
    scoring: np.ndarray
    #: Name of the forward, as in fit.json.
    form: str


def stored_shapes(unit: Unit) -> dict[Unit, Shape]:
    """Shapes of a unit, and of its inner one, if its trials are in the results folder."""
    if not (unit.folder.trials.is_file() and unit.folder.data.is_file()):
        return {}
    data, trials = unit.subject.data, unit.subject.trials
    _check_classes(trials, unit.settings)
    n_of = trials.loc[trials["rejected"] == "", "split"].value_counts()
    start, stop = data["window_samples"]
    shape = Shape(
        n_train=int(n_of.get("train", 0)),
        n_test=int(n_of.get("test", 0)),
        n_channels=len(data["sensors"]),
        n_samples=stop - start,
        n_classes=len(data["classes"]),
        sfreq=data["sfreq"],
    )
    return {unit: shape, **_inner_shape(unit, shape, trials)}


def prepared_shapes(unit: Unit) -> dict[Unit, Shape]:
    """Shapes from recordings prepared in memory; empty if they would have to be downloaded.

    Of a fold, only the first training subject is prepared: the others are assumed to have as many trials.
    """
    recordings = unit.source.local_recordings(unit.fold.train[0] if unit.fold else unit.label)
    if recordings is None:
        return {}
    # No network needs baselines' covariances.
    trials = make_trials(recordings, unit.settings.model_copy(update={"baselines": ()}))
    n_train, n_channels, n_samples = trials.train.x.shape
    n_test, table = len(trials.test.x), trials.table
    if unit.held_out:
        table = with_held_out(table, unit.held_out, unit.settings.split.by)
        n_of = table.loc[table["rejected"] == "", "split"].value_counts()
        n_train, n_test = int(n_of.get("train", 0)), int(n_of.get("test", 0))
    _check_classes(table, unit.settings)
    if unit.fold:
        n_train, n_test = (n_train * len(part) for part in (unit.fold.train, unit.fold.test))
        table = pd.concat([table.assign(subject=label) for label in unit.fold.train], ignore_index=True)
    n_classes = len(trials.info["classes"])
    shape = Shape(n_train, n_test, n_channels, n_samples, n_classes, trials.info["sfreq"])
    return {unit: shape, **_inner_shape(unit, shape, table)}


def assumed_shapes(unit: Unit, n_train: int, n_test: int) -> dict[Unit, Shape]:
    """Shapes from the configuration, and from numbers of training and test trials of a subject.

    Fits by which rates are chosen are taken to have all training trials, too. Raises `UserError` if sensors
    and rate are those of the recordings.
    """
    config = unit.settings.preprocessing
    if config.sensors is None or config.resample_hz is None:
        raise UserError(
            "--assume-trials: without recordings the shape of windows is not known; name "
            "preprocessing.sensors and preprocessing.resample_hz."
        )
    if unit.fold:
        n_train, n_test = n_train * len(unit.fold.train), n_test * len(unit.fold.test)
    start, stop = window(config, config.resample_hz)
    n_classes = len(unit.settings.recordings.classes)
    shape = Shape(n_train, n_test, len(config.sensors), stop - start, n_classes, config.resample_hz)
    return {of: shape for of in (unit, unit.inner) if of}


def _check_classes(trials: pd.DataFrame, settings: Settings) -> None:
    if sentence := lacking_class(trials, list(settings.recordings.classes)):
        raise UserError(sentence)


def _inner_shape(unit: Unit, shape: Shape, table: pd.DataFrame) -> dict[Unit, Shape]:
    """Shape of the fits by which rates are chosen, if they are, from all trials of the unit."""
    choice = unit.settings.training.rate_choice
    if unit.inner is None or choice is None:
        return {}
    training = table[(table["split"] == "train") & (table["rejected"] == "")].reset_index(drop=True)
    n = int(validation_trials(training, choice.validation, split_seed(unit.settings)).sum())
    return {unit.inner: replace(shape, n_train=shape.n_train - n, n_test=n)}


def missing_fits(units: Sequence[Unit]) -> dict[Unit, list[FitKey]]:
    """Missing fits of every unit, those by which rates are chosen first.

    Raises `UserError` if an existing one is damaged.
    """
    every = [one for unit in units for one in (unit.inner, unit) if one]
    for unit in every:
        unit.subject.fits  # noqa: B018 (a run would refuse it)
    return {unit: unit.foreseen for unit in every}


def crops_per_trial(shape: Shape, settings: Settings) -> int:
    """Crops per window; `UserError` if the network does not fit the windows."""
    return len(build_for(_noise(shape, 1, 1), settings.network, seed=0).starts)


def measure(shape: Shape, settings: Settings, seconds: float) -> Timing:
    """Time updates of the configured network on noise, of no more trials than they need, for so long."""
    training = settings.training.model_copy(update={"store": "epochs"})
    n = math.ceil(N_UPDATES * training.batch_size / crops_per_trial(shape, settings))
    n_train = min(n, shape.n_train)
    data = _noise(shape, n_train, max(1, round(shape.n_test * n_train / shape.n_train)))
    # A rate at which nothing can overflow; the time of an update does not depend on it.
    schedule = Step(1e-6, N_EPOCHS, drops=())
    timings: list[Timing] = []
    started = time.perf_counter()
    while not timings or time.perf_counter() - started < seconds:
        moments: list[float] = []

        def on_epoch(_: int, moments: list[float] = moments) -> None:
            moments.append(time.perf_counter())

        result = loop.fit(data, settings.network, training, schedule, 0, on_epoch)
        trained = np.array([epoch.seconds for epoch in result.history[1:]])
        # Between the ends of two epochs are training, then scoring.
        scoring = (np.diff(moments) - trained) / n_train
        n_updates = len(trained) * result.n_updates
        timings.append(Timing(trained / result.n_updates, n_updates, scoring, result.form))
    return _together(timings)


def measure_side_by_side(shape: Shape, settings: Settings, n_processes: int) -> Timing:
    """Time updates in as many processes at a time as train, which slow each other down."""
    with workers.local_pool(n_processes, gpus(settings)) as pool:
        pending = [pool.submit(measure, shape, settings, MEASURE_S) for _ in range(n_processes)]
        return _together([future.result() for future in pending])


def _together(timings: Sequence[Timing]) -> Timing:
    return Timing(
        update=np.concatenate([one.update for one in timings]),
        n_updates=sum(one.n_updates for one in timings),
        scoring=np.concatenate([one.scoring for one in timings]),
        form=timings[0].form,
    )


def quartiles(seconds: np.ndarray) -> tuple[float, float]:
    """Lower and upper quartile."""
    low, high = np.quantile(seconds, (0.25, 0.75))
    return float(low), float(high)


def _noise(shape: Shape, n_train: int, n_test: int) -> Data:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_train + n_test, shape.n_channels, shape.n_samples), np.float32)
    y = np.arange(n_train) % shape.n_classes
    return Data(x[:n_train], y, x[n_train:], shape.n_classes, shape.sfreq)


def n_scored(key: FitKey, settings: Settings) -> int:
    """Number of scored states of a fit: at its ends, or after every epoch."""
    return key.budget if settings.training.store == "epochs" else len(plan.ends_of(key, settings))


def estimate_seconds(
    missing: Mapping[Unit, Sequence[FitKey]],
    shapes: Mapping[Unit, Shape],
    update: float,
    scoring: float,
    settings: Settings,
    n_crops: int,
) -> tuple[dict[Unit, list[float]], float]:
    """Seconds of every missing fit by unit, and those of scoring in all.

    ``update`` and ``scoring`` are seconds, of one update and of scoring a state for each training trial.
    """
    seconds: dict[Unit, list[float]] = {}
    all_scoring = 0.0
    for unit, keys in missing.items():
        per_epoch = update * updates_per_epoch(shapes[unit], settings, n_crops)
        per_state = scoring * shapes[unit].n_train
        states = [n_scored(key, unit.settings) for key in keys]
        seconds[unit] = [key.budget * per_epoch + n * per_state for key, n in zip(keys, states, strict=True)]
        all_scoring += sum(states) * per_state
    return seconds, all_scoring


def updates_per_epoch(shape: Shape, settings: Settings, n_crops: int) -> int:
    """Updates per epoch of a unit, given the crops per trial; `UserError` if there is none."""
    return loop.updates_per_epoch(shape.n_train * n_crops, settings.training.batch_size)


def elapsed(seconds: Iterable[Sequence[float]], n_at_a_time: int) -> float:
    """Total duration in seconds on parallel processes: units in order, in each the longest fits first.

    ``seconds`` are those of each fit, by unit; each fit takes the next free process.
    """
    free = [0.0] * n_at_a_time
    for unit_seconds in seconds:
        for fit_seconds in sorted(unit_seconds, reverse=True):
            heapq.heapreplace(free, free[0] + fit_seconds)
    return max(free)


def forecast(units: Sequence[Unit], jobs: int | None, trials: tuple[int, int] | None = None) -> Iterator[str]:
    """Yield lines on what a run would train and how long it would take; nothing is written.

    ``trials`` are a subject's numbers of training and test trials, to be assumed where its recordings would
    have to be downloaded. Raises `UserError` if these are missing, or if recordings do not fit the
    configuration.
    """
    yield "Dry run: nothing is written or trained."
    for unit in units:
        if unit.refusal:
            raise unit.refusal
    settings = units[0].settings
    missing = missing_fits(units)
    lacking = [unit for unit in units if missing[unit] or (unit.inner and missing[unit.inner])]
    if not lacking:
        yield from _table(missing, settings, {})
        yield from _others(units)
        yield f"No fit is missing of {_named(units)}."
        return
    shapes = {of: shape for unit in units for of, shape in stored_shapes(unit).items()}
    known = {of: shapes[of] for of in (lacking[0], lacking[0].inner) if of in shapes}
    known = known or prepared_shapes(lacking[0])
    if trials and not known:
        known = assumed_shapes(lacking[0], *trials)
        yield "Recordings are not here: numbers of trials are those of --assume-trials."
    if not known:
        yield from _table(missing, settings, {})
        yield from _others(units)
        raise UserError(
            f"Updates and time are not known: they depend on the trials of {_named(lacking[:1])}, whose "
            "recordings are not here, and a dry run downloads nothing; download them, or give "
            "--assume-trials with a subject's numbers of training and test trials."
        )
    assumed = [unit for unit in lacking[1:] if unit not in shapes]
    first_shape = known[lacking[0]]
    alike = {bool(of.outer): shape for of, shape in known.items()}
    shapes = {unit: shapes.get(unit, alike[bool(unit.outer)]) for unit in missing}
    n_crops = crops_per_trial(first_shape, settings)
    updates = {
        unit: updates_per_epoch(shapes[unit], settings, n_crops) for unit, keys in missing.items() if keys
    }
    yield from _table(missing, settings, updates)
    yield from _others(units)
    yield _basis(
        lacking[0], first_shape, assumed, settings, n_crops, updates_per_epoch(first_shape, settings, n_crops)
    )
    n_at_a_time = processes(settings, jobs or settings.compute.jobs)
    n_measured = min(n_at_a_time, sum(map(len, missing.values())))
    timing = measure_side_by_side(first_shape, settings, n_measured)
    yield _timing(timing, n_measured, first_shape, settings)
    yield _estimate(
        [
            estimate_seconds(missing, shapes, update, scoring, settings, n_crops)
            for update, scoring in zip(quartiles(timing.update), quartiles(timing.scoring), strict=True)
        ],
        n_at_a_time,
        settings,
    )
    yield (
        "Left out: what interrupted fits have kept (they are counted in full); downloading or simulating "
        "recordings and preparing them, the start of each fit, baselines, tables and reports; and that the "
        "machine may be less busy, or busier, than it is now."
    )


def _named(units: Sequence[Unit]) -> str:
    """The unit in words, or the number of units."""
    if len(units) == 1:
        return units[0].title
    noun = "fold" if units[0].fold or units[0].held_out else "subject"
    n_subjects = len({unit.label for unit in units})
    of = f" of {n_subjects} subject{'s' if n_subjects > 1 else ''}" if units[0].held_out else ""
    return f"{len(units)} {noun}s{of}"


def _others(units: Sequence[Unit]) -> Iterator[str]:
    """Lines on the numbers of missing baselines, and of fits to be averaged, if there are any."""
    n = sum(len(unit.missing_baselines) for unit in units)
    if n:
        yield f"Baselines missing: {n}."
    n = sum(len(unit.to_average) for unit in units)
    if n:
        yield f"Fits that are there, but whose snapshots' weights are to be averaged: {n}."


def _table(
    missing: Mapping[Unit, Sequence[FitKey]], settings: Settings, updates: Mapping[Unit, int]
) -> Iterator[str]:
    """Lines of a table of fits by arm; without updates where these are not known."""
    rows: dict[str, list[int]] = {}
    chosen = settings.training.rate_choice is not None
    for arm, inner in itertools.product(settings.schedules, (True, False) if chosen else (False,)):
        of_arm = {
            unit: [key for key in keys if key.schedule == arm]
            for unit, keys in missing.items()
            if bool(unit.outer) == inner
        }
        wanted = sum(key.schedule == arm for unit in of_arm for key in plan.foreseen(unit.settings))
        lacking = [(unit, key) for unit, keys in of_arm.items() for key in keys]
        row = [wanted, wanted - len(lacking), len(lacking), sum(key.budget for _, key in lacking)]
        if updates:
            row.append(sum(key.budget * updates[unit] for unit, key in lacking))
        rows[f"{arm}, choice of its rate" if inner else arm] = row
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
    """Line on trials, crops and updates per epoch."""
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


def _timing(timing: Timing, n_processes: int, shape: Shape, settings: Settings) -> str:
    """Line on the measured times."""
    numerics = settings.training.numerics
    where = f"{numerics.device}, {counted(numerics.threads, 'thread')}"
    if n_processes > 1:
        where += f", {n_processes} processes at a time"
    low, high = quartiles(timing.update)
    return (
        f"Measured here on noise of that shape ({settings.network.name}, form {timing.form}, {where}): an "
        f"update takes {np.median(timing.update):.3g} s (median; quartiles {low:.3g} and {high:.3g} s, "
        f"{timing.n_updates} updates), scoring a state {np.median(timing.scoring) * shape.n_train:.3g} s."
    )


def _estimate(
    bounds: Sequence[tuple[Mapping[Unit, Sequence[float]], float]], n_at_a_time: int, settings: Settings
) -> str:
    """Line on the time of all units on one pool, from the least and most that `estimate_seconds` gives."""
    elapsed_s = [elapsed(seconds.values(), n_at_a_time) for seconds, _ in bounds]
    total_s = [sum(map(sum, seconds.values())) for seconds, _ in bounds]
    scoring_s = [scoring for _, scoring in bounds]
    text = (
        f"Estimated time: {durations(elapsed_s)} with {counted(n_at_a_time, 'fit')} at a time (by the "
        f"quartiles of what was measured; {durations(total_s)} of processes, of which "
        f"{durations(scoring_s)} scoring)."
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


def durations(seconds: Sequence[float]) -> str:
    """The least and the most of several durations: 39 to 71 s, 90 s to 2.4 min, 8 min."""
    least, most = duration(min(seconds)), duration(max(seconds))
    (number, unit), (_, unit_of_most) = least.split(), most.split()
    if least == most:
        return most
    return f"{number if unit == unit_of_most else least} to {most}"
