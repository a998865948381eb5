"""The answer to --dry-run, in words."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from eeg_sgdr import cost, plan, workers
from eeg_sgdr.cost import Measured, Shape, Unit
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey
from eeg_sgdr.recordings import Source
from eeg_sgdr.settings import Settings
from eeg_sgdr.study import processes
from eeg_sgdr.subjects import Subject


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
    missing = cost.missing_fits(units, settings)
    lacking = [unit for unit in units if missing[unit.label]]
    if not lacking:
        yield from _table(missing, settings, {})
        yield from _baselines(units, settings)
        yield f"No fit is missing of {_named(units)}."
        return
    shapes = {unit.label: shape for unit in units if (shape := cost.known_shape(unit.folder))}
    of_first = shapes.get(lacking[0].label) or cost.prepared_shape(lacking[0], source, settings)
    if of_first is None:
        yield from _table(missing, settings, {})
        yield from _baselines(units, settings)
        raise UserError(
            f"Updates and time are not known: they depend on the trials of {_named(lacking[:1])}, whose "
            "recordings are not here, and a dry run downloads nothing; download them, then ask again."
        )
    assumed = [unit for unit in lacking[1:] if unit.label not in shapes]
    shapes = {unit.label: shapes.get(unit.label, of_first) for unit in units}
    n_crops = cost.crops_per_trial(of_first, settings)
    updates = {
        label: cost.updates_per_epoch(shapes[label], settings, n_crops)
        for label, keys in missing.items()
        if keys
    }
    yield from _table(missing, settings, updates)
    yield from _baselines(units, settings)
    yield _basis(lacking[0], of_first, assumed, settings, n_crops, updates[lacking[0].label])
    measured = cost.measure(of_first, settings)
    seconds, scoring = cost.seconds_of(missing, shapes, measured, settings, n_crops)
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
    took = cost.elapsed(seconds.values(), n_at_a_time)
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
