"""Units of work (subjects or folds): what is missing of each, checked and submitted to a pool of workers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials, prepare, prepare_fold
from eeg_sgdr.data.sources import Source, find_label, open_source
from eeg_sgdr.data.splits import Fold, folds
from eeg_sgdr.errors import CannotGoOnError, UserError
from eeg_sgdr.jobs.tasks import check_fits, make_baseline, make_fits
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.workers import Pool
from eeg_sgdr.settings import Settings, SubjectSplit, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files
from eeg_sgdr.storage.folders import FitFolder, Study, SubjectFolder, tidy
from eeg_sgdr.storage.results import Subject


@dataclass(eq=False)
class Unit:
    """A subject or fold that a study is asked to train: its recordings, settings and results.

    What is on disk of it is read once, before its fits are submitted; workers look again before each fit.
    """

    label: str
    fold: Fold | None
    source: Source
    settings: Settings
    folder: SubjectFolder
    #: Fits that another process was found making.
    others: list[FitKey] = field(default_factory=list)
    #: What kept a fit from being made; those that had not begun are then given up.
    failure: UserError | None = None

    @cached_property
    def trials(self) -> Trials:
        """Its trials: from the cache, or made now."""
        data_dir = Path(self.settings.compute.data_dir)
        if self.fold:
            return prepare_fold(self.fold, self.source, self.settings, data_dir)
        return prepare(self.source, self.label, self.settings, data_dir)

    @cached_property
    def subject(self) -> Subject:
        """Its results as they were before anything was made."""
        return Subject(self.folder)

    @cached_property
    def missing(self) -> list[FitKey]:
        """Fits that are not there, or lack epochs that are to be stored."""
        every_epoch = self.settings.training.store == "epochs"
        return [key for key in plan.fits(self.settings) if not self.subject.has(key, every_epoch)]

    @cached_property
    def lacks_baseline(self) -> bool:
        """Whether the configuration asks for a baseline that is not there."""
        return self.settings.baseline is not None and self.subject.baseline is None

    def results(self) -> Subject:
        """Its results now that its fits have ended."""
        return Subject(self.folder) if self.missing or self.lacks_baseline else self.subject


def open_units(
    settings: Settings,
    study: Study,
    subjects: Sequence[str] | None = None,
    fold_numbers: Sequence[str] | None = None,
) -> list[Unit]:
    """Units that are asked for by the words of --subject and --fold, with the lists that the folder has."""
    source = open_source(settings.recordings, Path(settings.compute.data_dir))
    configured, available = settings.recordings.subjects, source.subjects()
    chosen: dict[str, Fold | None]
    if isinstance(settings.split, SubjectSplit):
        if subjects:
            raise UserError(
                "--subject: with split.by subject, networks belong to folds; choose these with --fold, and "
                "subjects with recordings.subjects."
            )
        people = select(None, configured, available)
        of_label = {fold.label: fold for fold in folds(settings.split, people)}
        chosen = {label: of_label[label] for label in select(fold_numbers, "all", list(of_label), "fold")}
    else:
        if fold_numbers:
            raise UserError("--fold: there are folds only with split.by subject; choose with --subject.")
        people = select(subjects, configured, available)
        chosen = dict.fromkeys(people)
    recordings = settings.recordings.model_copy(update={"subjects": tuple(people)})
    settings = with_lists_of(study, settings.model_copy(update={"recordings": recordings}))
    return [
        Unit(label, fold, source, settings, study.fold(label) if fold else study.subject(label))
        for label, fold in chosen.items()
    ]


def select(
    asked: Sequence[str] | None, configured: str | Sequence[str], available: list[str], noun: str = "subject"
) -> list[str]:
    """Labels of the subjects (or folds) that are asked for, each once, in the order asked for.

    ``asked`` holds labels, ranges such as 5-9, or "all", as None means; ``configured`` says what "all" is.
    """
    words: list[str] = []
    for word in asked or ["all"]:
        everything = available if configured == "all" else configured
        words += everything if word == "all" else [word]
    labels = [label for word in words for label in _range(word, available)]
    if not labels:
        raise UserError(f"--{noun} {' '.join(words)}: names nobody; a range goes from low to high.")
    return list(dict.fromkeys(find_label(label, available, noun) for label in labels))


def _range(word: str, available: list[str]) -> list[str]:
    """The labels that a word such as 5-9 stands for; itself where it is a label."""
    first, dash, last = word.partition("-")
    if dash and first.isdigit() and last.isdigit() and word not in available:
        return [str(number) for number in range(int(first), int(last) + 1)]
    return [word]


def with_lists_of(study: Study, settings: Settings) -> Settings:
    """Settings whose lists hold what a results folder was asked for before, too; nothing is written."""
    before = config.read(study.config) if study.config.is_file() else settings
    return config.union(before, settings, str(study.root))


def check_same(unit: Unit) -> None:
    """Refuse a folder whose fits were made with other settings or other recordings."""
    settings, subject, data = unit.settings, unit.subject, unit.trials.info["fingerprint"]
    if settings.baseline and subject.baseline:
        expected = plan.baseline_fingerprint(settings, data)
        _check_fingerprint(subject.baseline, expected, unit.folder.baseline)
    for key in plan.fits(settings):
        if key in subject.fits:
            expected = plan.fingerprint(key, settings, data)
            _check_fingerprint(subject.fits[key], expected, unit.folder.fit(key.name))


def _check_fingerprint(content: dict[str, Any], expected: str, folder: FitFolder) -> None:
    if content["fingerprint"] != expected:
        raise UserError(f"{folder.root}: was made with other settings or recordings; give another --out.")


def check(unit: Unit, pool: Pool) -> None:
    """Refuse, before anything is written, a unit whose fits are damaged or others, or cannot be trained."""
    check_same(unit)
    # What was damaged is told now, not after hours of training.
    for key in unit.subject.done:
        if key not in unit.missing:
            unit.subject.predictions(key)
    if unit.missing:
        # In a process of its own: in one that trains, it would draw from the same random state.
        workers.run_all(check_fits, [(unit.trials, unit.settings, pool.is_here)], 1)


def write_trials(unit: Unit) -> None:
    """Write what is known of a unit's trials."""
    files.clean(unit.folder.root)
    files.write_npz(unit.folder.summary, unit.trials.summary)
    files.write_json(unit.folder.data, unit.trials.info)
    # The last: by it, another process that compares knows that there is a subject (`Study.subjects`).
    files.write_csv(unit.folder.trials, unit.trials.table)


class Jobs:
    """Fits of several units under way on one pool; ``steps`` is where epochs are counted."""

    def __init__(self, pool: Pool, steps: Path) -> None:
        self._pool = pool
        self._steps = steps
        self._units: list[Unit] = []
        self._pending: dict[Future, Unit] = {}

    def begin(self, unit: Unit) -> None:
        """Submit what is missing of a unit: its fits, the longest first, and its baseline."""
        for key in unit.subject.fits.keys() - {*unit.missing}:
            tidy(unit.folder.fit(key.name))
        tidy(unit.folder.baseline)
        self._submit_fits(unit, unit.missing, patience_s=0)
        if unit.lacks_baseline:
            self._submit(unit, make_baseline, unit.settings, unit.trials, unit.folder.baseline)

    def wait_for_others(self, unit: Unit) -> None:
        """Submit the fits that another process is making: it is waited for, and replaced should it end."""
        keys, unit.others = unit.others, []
        self._submit_fits(unit, keys, patience_s=-1)

    def ended(self, at_most: float = 0) -> Iterator[Unit]:
        """Wait until so many calls are under way, and yield each unit once when none of its own is.

        Raises `CannotGoOnError` if a fit met what all others would meet.
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

    def _submit_fits(self, unit: Unit, keys: Sequence[FitKey], patience_s: float) -> None:
        self._units.append(unit)
        longest_first = sorted(keys, key=lambda key: -key.budget)
        on_cpu = unit.settings.training.numerics.device == "cpu"
        size = 1 if on_cpu else unit.settings.compute.stack
        for i in range(0, len(keys), size):
            call = (longest_first[i : i + size], unit.settings, unit.trials, unit.folder, self._steps)
            self._submit(unit, make_fits, *call, patience_s)

    def _submit(self, unit: Unit, task: Callable[..., Any], *arguments: Any) -> None:
        self._pending[self._pool.submit(task, *arguments)] = unit

    def _take(self, future: Future) -> None:
        unit = self._pending.pop(future)
        try:
            unit.others += future.result() or ()  # a baseline leaves none
        except CannotGoOnError:
            raise
        except UserError as error:
            unit.failure = error
            for other, owner in list(self._pending.items()):
                if owner is unit and other.cancel():
                    del self._pending[other]


def processes(settings: Settings, jobs: int | None) -> int:
    """Processes that train: as many as are asked for; else one a core, or one a card with many fits in it."""
    numerics = settings.training.numerics
    if numerics.device == "cpu":
        return jobs or max(1, workers.n_cores() // numerics.threads)
    return jobs or max(1, len(cards(settings)))


def cards(settings: Settings) -> list[str]:
    """The GPUs that processes share out; none on the CPU, and where the configuration names one of them."""
    return workers.visible_cards() if settings.training.numerics.device == "cuda" else []
