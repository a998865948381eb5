"""Fits of several subjects submitted to one pool of workers, and which of them are missing."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from eeg_sgdr.data.cache import Trials
from eeg_sgdr.errors import CannotGoOnError, UserError
from eeg_sgdr.jobs.tasks import check_fits, make_baseline, make_fits
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.workers import Pool
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.folders import FitFolder, SubjectFolder, tidy
from eeg_sgdr.storage.results import Subject


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
    prepared: Trials
    folder: folders.SubjectFolder
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
            unit.others += future.result() or ()  # a baseline leaves none
        except CannotGoOnError:
            raise
        except UserError as error:
            unit.failure = error
            for other, whose in list(self._pending.items()):
                if whose is unit and other.cancel():
                    del self._pending[other]


def check(prepared: Trials, folder: SubjectFolder, settings: Settings, pool: workers.Pool) -> None:
    """See that whatever is missing of a subject or fold can be made, before anything is written.

    Parameters
    ----------
    prepared : Prepared or Pooled
        Its trials.
    folder : store.SubjectFolder
        Where results would go.
    settings : Settings
        The configuration.
    pool : Pool
        The workers.

    Raises
    ------
    UserError
        If the folder holds fits made with other settings or other data, or damaged ones; if the network
        does not fit the trials, there are fewer crops than a batch, or the device is absent.
    """
    subject = Subject(folder)
    baseline_is_missing(subject, settings, prepared)
    # What was damaged is told now, not after hours of training.
    for key in subject.done:
        subject.predictions(key)
    if missing_fits(subject, settings, prepared):
        # In a process of its own: in one that trains, it would draw from the same random state.
        workers.run_all(check_fits, [(prepared, settings, pool.is_here)], 1)


def begin(unit: Unit, jobs: Jobs) -> None:
    """Submit baseline and fits of a subject or fold where they are missing.

    Parameters
    ----------
    unit : Unit
        The subject or fold.
    jobs : Jobs
        What is submitted already.

    Raises
    ------
    UserError
        If its folder holds fits made with other settings or other data.
    """
    folder, settings, prepared = unit.folder, unit.settings, unit.prepared
    files.clean(folder.root)
    subject = Subject(folder)
    missing = missing_fits(subject, settings, prepared)
    for key in subject.fits.keys() - set(missing):
        tidy(folder.fit(key.name))
    tidy(folder.baseline)
    without_baseline = baseline_is_missing(subject, settings, prepared)
    _write_trials(prepared, folder)
    jobs.begin(unit, missing, without_baseline)


def check_sameness(prepared: Trials, folder: SubjectFolder, settings: Settings) -> None:
    """See that what a folder holds was made of the same, before anything is written.

    Parameters
    ----------
    prepared : Prepared or Pooled
        A subject's or fold's trials.
    folder : store.SubjectFolder
        Where results go.
    settings : Settings
        The configuration.

    Raises
    ------
    UserError
        If the folder holds fits made with other settings or other data.
    """
    subject = Subject(folder)
    baseline_is_missing(subject, settings, prepared)
    missing_fits(subject, settings, prepared)


def describe(prepared: Trials, folder: SubjectFolder) -> Subject:
    """Write what is known of a subject's or fold's trials, and train nothing.

    Parameters
    ----------
    prepared : Prepared or Pooled
        Its trials.
    folder : store.SubjectFolder
        Where results go.

    Returns
    -------
    subject : Subject
        What is on disk now.
    """
    files.clean(folder.root)
    _write_trials(prepared, folder)
    return Subject(folder)


def _write_trials(prepared: Trials, folder: SubjectFolder) -> None:
    files.write_npz(folder.summary, prepared.summary)
    files.write_json(folder.data, prepared.info)
    # The last: by it, another process that compares knows that there is a subject (`store.Study.subjects`).
    files.write_csv(folder.trials, prepared.table)


def missing_fits(subject: Subject, settings: Settings, prepared: Trials) -> list[FitKey]:
    """The fits of a subject that are not there yet.

    Raises
    ------
    UserError
        If one that is there was made with other settings or other data.
    """
    for key in plan.fits(settings):
        there = subject.fits.get(key)
        expected = plan.fingerprint(key, settings, prepared.info["fingerprint"])
        if there and there["fingerprint"] != expected:
            raise _made_otherwise(subject.folder.fit(key.name))
    return absent_fits(subject, settings)


def absent_fits(subject: Subject, settings: Settings) -> list[FitKey]:
    """The fits that are not there, or lack epochs that are to be stored; whatever made those that are."""
    every_epoch = settings.training.store == "epochs"
    return [key for key in plan.fits(settings) if not subject.has(key, every_epoch)]


def baseline_is_missing(subject: Subject, settings: Settings, prepared: Trials) -> bool:
    """Whether the configuration asks for a baseline that is not there yet.

    Raises
    ------
    UserError
        If the one that is there was made with other settings or other data.
    """
    if settings.baseline is None or subject.baseline is None:
        return settings.baseline is not None
    expected = plan.baseline_fingerprint(settings, prepared.info["fingerprint"])
    if subject.baseline["fingerprint"] != expected:
        raise _made_otherwise(subject.folder.baseline)
    return False


def _made_otherwise(folder: FitFolder) -> UserError:
    return UserError(f"{folder.root}: was made with other settings or recordings; give another --out.")


def epochs_missing(folders: Iterable[SubjectFolder], settings: Settings) -> int:
    """Epochs of all fits that are not there; of a folder that cannot be read, which is told later, none."""
    n_epochs = 0
    for folder in folders:
        with suppress(UserError):
            n_epochs += sum(key.budget for key in absent_fits(Subject(folder), settings))
    return n_epochs


def processes(settings: Settings, jobs: int | None) -> int:
    """Processes that train: as many as are asked for; else one a core, or one a card with many fits in it."""
    numerics = settings.training.numerics
    if numerics.device == "cpu":
        return jobs or max(1, workers.n_cores() // numerics.threads)
    return jobs or max(1, len(cards(settings)))


def cards(settings: Settings) -> list[str]:
    """The GPUs that processes share out; none on the CPU, and where the configuration names one of them."""
    return workers.visible_cards() if settings.training.numerics.device == "cuda" else []
