"""Submission of missing fits and baselines to a pool of workers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from eeg_sgdr.errors import FatalError, UserError
from eeg_sgdr.jobs.tasks import make_averages, make_baseline, make_fits
from eeg_sgdr.jobs.units import Unit
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.workers import Pool
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage.folders import tidy


class Jobs:
    """Calls of several units pending on one pool; epochs are counted in the folder ``steps``."""

    def __init__(self, pool: Pool, steps: Path) -> None:
        self._pool = pool
        self._steps = steps
        self._units: list[Unit] = []
        self._pending: dict[Future, Unit] = {}

    def begin(self, unit: Unit) -> None:
        """Submit what is missing of a unit: fits, the longest first, averages of other fits, baselines."""
        for key in unit.subject.fits.keys() - {*unit.missing}:
            tidy(unit.folder.fit(key.name))
        for name in unit.subject.baselines:
            tidy(unit.folder.baseline(name))
        self._submit_fits(unit, unit.missing, patience_s=0)
        for key in unit.to_average:
            self._submit(unit, make_averages, key, unit.settings, unit.trials, unit.folder)
        for baseline in unit.missing_baselines:
            self._submit(unit, make_baseline, baseline, unit.trials, unit.folder.baseline(baseline.name))

    def wait_for_others(self, unit: Unit) -> None:
        """Submit the fits that another process is making, to wait for it and to make them if it dies."""
        keys, unit.others = unit.others, []
        self._submit_fits(unit, keys, patience_s=-1)

    def completed(self, max_pending: float = 0) -> Iterator[Unit]:
        """Wait until at most ``max_pending`` calls are pending; yield units without pending calls, once each.

        Raises `FatalError` if a fit did.
        """
        while True:
            enough = len(self._pending) <= max_pending
            for future in wait(self._pending, 0 if enough else None, FIRST_COMPLETED).done:
                if future in self._pending:
                    self._take(future)
            pending = set(self._pending.values())
            completed = [unit for unit in self._units if unit not in pending]
            self._units = [unit for unit in self._units if unit in pending]
            yield from completed
            # Upon a completed unit, the caller may have begun another.
            if enough and not completed:
                return

    def _submit_fits(self, unit: Unit, keys: Sequence[FitKey], patience_s: float) -> None:
        self._units.append(unit)
        longest_first = sorted(keys, key=lambda key: -key.budget)
        on_cpu = unit.settings.training.numerics.device == "cpu"
        size = 1 if on_cpu else unit.settings.compute.stack
        for together in _stacks(longest_first, unit.settings, size):
            call = (together, unit.settings, unit.trials, unit.folder, self._steps)
            self._submit(unit, make_fits, *call, patience_s)

    def _submit(self, unit: Unit, task: Callable[..., Any], *arguments: Any) -> None:
        self._pending[self._pool.submit(task, *arguments)] = unit

    def _take(self, future: Future) -> None:
        unit = self._pending.pop(future)
        try:
            unit.others += future.result() or ()  # only fits return others
        except FatalError:
            raise
        except UserError as error:
            unit.failure = error
            for other, owner in list(self._pending.items()):
                if owner is unit and other.cancel():
                    del self._pending[other]


def _stacks(keys: Sequence[FitKey], settings: Settings, size: int) -> list[list[FitKey]]:
    """Fits that are trained together, at most ``size`` and of one optimizer; the longest first."""
    by_optimizer: dict[Any, list[FitKey]] = {}
    for key in keys:
        by_optimizer.setdefault(settings.schedules[key.schedule].optimizer, []).append(key)
    stacks = [alike[i : i + size] for alike in by_optimizer.values() for i in range(0, len(alike), size)]
    return sorted(stacks, key=lambda stack: -stack[0].budget)


def processes(settings: Settings, jobs: int | None) -> int:
    """Number of training processes: ``jobs``, else as many as the cores allow, or one per GPU."""
    numerics = settings.training.numerics
    if numerics.device == "cpu":
        return jobs or max(1, workers.n_cores() // numerics.threads)
    return jobs or max(1, len(gpus(settings)))


def gpus(settings: Settings) -> list[str]:
    """GPUs to distribute over processes; none on the CPU, or where the configuration names one GPU."""
    return workers.visible_gpus() if settings.training.numerics.device == "cuda" else []
