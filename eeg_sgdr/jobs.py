"""Fits of several subjects under way on one pool of workers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eeg_sgdr import store
from eeg_sgdr.errors import CannotGoOnError, UserError
from eeg_sgdr.plan import FitKey
from eeg_sgdr.pooled import Pooled
from eeg_sgdr.prepared import Prepared
from eeg_sgdr.settings import Settings
from eeg_sgdr.workers import Pool


@dataclass(eq=False)
class Unit:
    """A subject or fold whose fits are under way.

    Attributes
    ----------
    label : str
        Its label, or its number.
    prepared : Prepared or Pooled
        Its trials.
    folder : store.SubjectFolder
        Where its results go.
    settings : Settings
        The configuration.
    others : list of FitKey
        Fits that another process was found making.
    failure : UserError, optional
        What kept a fit from being made; those that had not begun are then given up.
    """

    label: str
    prepared: Prepared | Pooled
    folder: store.SubjectFolder
    settings: Settings
    others: list[FitKey] = field(default_factory=list)
    failure: UserError | None = None


class Jobs:
    """What has been submitted to a pool, subject by subject.

    Parameters
    ----------
    pool : Pool
        The workers.
    steps : Path
        Where epochs are counted.
    """

    def __init__(self, pool: Pool, steps: Path) -> None:
        self._pool = pool
        self._steps = steps
        self._units: list[Unit] = []
        self._pending: dict[Future, Unit] = {}

    def begin(self, unit: Unit, keys: Sequence[FitKey], baseline: bool = False) -> None:
        """Submit fits of a subject or fold, the longest first, and its baseline where that is wanted."""
        self._units.append(unit)
        self._submit(unit, keys, patience_s=0)
        if baseline:
            call = (unit.settings, unit.prepared, unit.folder.baseline)
            self._pending[self._pool.submit(make_baseline, *call)] = unit

    def wait_for_others(self, unit: Unit) -> None:
        """Submit the fits that another process is making: it is waited for, and replaced should it end."""
        keys, unit.others = unit.others, []
        self._units.append(unit)
        self._submit(unit, keys, patience_s=-1)

    def ended(self, at_most: float = 0) -> Iterator[Unit]:
        """Wait until no more than so many calls are under way.

        Parameters
        ----------
        at_most : float
            How many.

        Yields
        ------
        unit : Unit
            Each subject or fold of which nothing is under way any more, once.

        Raises
        ------
        CannotGoOnError
            If a fit met what all others would meet.
        """
        while True:
            enough = len(self._pending) <= at_most
            for future in wait(self._pending, 0 if enough else None, FIRST_COMPLETED).done:
                if future in self._pending:
                    self._take(future)
            under_way = set(self._pending.values())
            ended = [unit for unit in self._units if unit not in under_way]
            self._units = [unit for unit in self._units if unit in under_way]
            yield from ended
            if enough:
                return

    def _submit(self, unit: Unit, keys: Sequence[FitKey], patience_s: float) -> None:
        longest_first = sorted(keys, key=lambda key: -key.budget)
        on_cpu = unit.settings.training.numerics.device == "cpu"
        size = 1 if on_cpu else unit.settings.compute.stack
        for i in range(0, len(keys), size):
            call = (longest_first[i : i + size], unit.settings, unit.prepared, unit.folder, self._steps)
            self._pending[self._pool.submit(make_fits, *call, patience_s)] = unit

    def _take(self, future: Future) -> None:
        unit = self._pending.pop(future)
        try:
            unit.others += future.result()
        except CannotGoOnError:
            raise
        except UserError as error:
            unit.failure = error
            for other, whose in list(self._pending.items()):
                if whose is unit and other.cancel():
                    del self._pending[other]


# Called by workers, which import what they need: it takes seconds and much memory.


def check_fits(*arguments: Any) -> None:
    """Call `eeg_sgdr.tasks.check`."""
    from eeg_sgdr import tasks

    tasks.check(*arguments)


def make_fits(*arguments: Any) -> list[FitKey]:
    """Call `eeg_sgdr.tasks.make_fits`."""
    from eeg_sgdr import tasks

    return tasks.make_fits(*arguments)


def make_baseline(*arguments: Any) -> list[FitKey]:
    """Call `eeg_sgdr.tasks.make_baseline`; another process that is making it is waited for."""
    from eeg_sgdr import tasks

    tasks.make_baseline(*arguments)
    return []
