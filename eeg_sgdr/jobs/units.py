"""Units of work (subjects, or folds across or within them): selection, trials, missing fits, and checks."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials, prepare, prepare_fold
from eeg_sgdr.data.folds import HeldOutTrials, leave_one_out
from eeg_sgdr.data.quality import lacking_class
from eeg_sgdr.data.sources import Run, Source, find_label, open_source
from eeg_sgdr.data.splits import Fold, folds
from eeg_sgdr.data.validation import InnerTrials, split_seed
from eeg_sgdr.errors import FatalError, UserError
from eeg_sgdr.evaluation import rate_choice
from eeg_sgdr.evaluation.predictors import to_average
from eeg_sgdr.jobs.tasks import check_fits
from eeg_sgdr.parallel import workers
from eeg_sgdr.parallel.workers import Pool
from eeg_sgdr.settings import Baseline, Settings, SubjectSplit, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.settings.types import is_number, label_value
from eeg_sgdr.storage import files, integrity, records
from eeg_sgdr.storage.folders import FitFolder, Study, SubjectFolder
from eeg_sgdr.storage.study_plan import StudyPlan, planned
from eeg_sgdr.storage.subject import Subject, chosen_rates

#: Most subjects that a plan lists.
MOST_NAMED = 100_000


@dataclass(eq=False)
class Unit:
    """A subject, or a fold across subjects or within one, to be trained: recordings, settings and results.

    Its results are read once, before its fits are submitted; workers check the disk again before each fit.
    Where rates are chosen, the fits on its inner training part are a unit of their own, which comes first.
    """

    label: str
    fold: Fold | None
    source: Source
    settings: Settings
    folder: SubjectFolder
    #: What its study sets out to compare.
    study_plan: StudyPlan
    #: Fits that another process is making.
    others: list[FitKey] = field(default_factory=list)
    #: Error of a fit, after which pending fits of the unit are cancelled.
    failure: UserError | None = None
    #: The unit whose rates this one's fits choose.
    outer: "Unit | None" = None
    #: Of a fold within a subject, the runs or sessions that train and test; and those of all its folds.
    held_out: Fold | None = None
    folds: tuple[Fold, ...] = ()
    #: Why nothing can be made of it; all that needs its trials raises it.
    refusal: UserError | None = None

    @cached_property
    def inner(self) -> "Unit | None":
        """The unit of the fits by which rates are chosen; None where none are."""
        if self.settings.training.rate_choice is None:
            return None
        return replace(
            self, settings=plan.inner(self.settings), folder=self.folder.rate_choice, others=[], outer=self
        )

    @cached_property
    def trials(self) -> Trials:
        """Its trials, from the cache or made now."""
        if self.outer:
            choice = self.outer.settings.training.rate_choice
            assert choice
            return InnerTrials(self.outer.trials, choice.validation, split_seed(self.outer.settings))
        if self.refusal:
            raise self.refusal
        data_dir = self.settings.compute.data_folder
        if self.fold:
            return prepare_fold(self.fold, self.source, self.settings, data_dir)
        subject = prepare(self.source, self.label, self.settings, data_dir)
        return HeldOutTrials(subject, self.held_out, self.settings.split.by) if self.held_out else subject

    @property
    def title(self) -> str:
        """Name in messages, "subject 1", "fold 2" or "subject 1, fold 2"."""
        within = f", fold {self.held_out.label}" if self.held_out else ""
        return f"{'fold' if self.fold else 'subject'} {self.label}{within}"

    @cached_property
    def subject(self) -> Subject:
        """Its results before training."""
        return Subject(self.folder)

    @cached_property
    def missing(self) -> list[FitKey]:
        """Fits that are not on disk, or lack epochs to be stored; of chosen rates if none of `inner` is."""
        every_epoch = self.settings.training.store == "epochs"
        chosen = chosen_rates(rate_choice.choose(self.subject, self.settings))
        wanted = plan.wanted(self.settings, chosen)
        return [key for key in wanted if not self.subject.has(key, every_epoch)]

    @property
    def foreseen(self) -> list[FitKey]:
        """Missing fits as far as they are known: tuned ones while their rates are not chosen yet."""
        if self.inner and self.inner.missing and self.settings.only_chosen_rates:
            return plan.foreseen(self.settings)
        return self.missing

    @cached_property
    def missing_baselines(self) -> list[Baseline]:
        """Baselines of the configuration that are not on disk."""
        return [one for one in self.settings.baselines if one.name not in self.subject.baselines]

    @cached_property
    def to_average(self) -> list[FitKey]:
        """Fits on disk whose snapshots' weights are not averaged yet."""
        return [key for key in to_average(self.subject, self.settings) if key not in self.missing]

    def results(self) -> Subject:
        """Its results after training."""
        changed = self.missing or self.to_average or self.missing_baselines
        return Subject(self.folder) if changed else self.subject


def open_units(
    settings: Settings,
    study: Study,
    subjects: Sequence[str] | None = None,
    fold_numbers: Sequence[str] | None = None,
    offline: bool = False,
) -> list[Unit]:
    """Units selected by the arguments of --subject and --fold; their settings include the folder's lists.

    Where only recordings tell which folds a subject has, they are prepared, unless ``offline``.
    """
    source = open_source(settings.recordings, settings.compute.data_folder)
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
        if fold_numbers and not settings.cross_validated:
            raise UserError(
                "--fold: there are folds only with split.by subject or split.folds; choose with --subject."
            )
        people = select(subjects, configured, available)
        chosen = dict.fromkeys(people)
    intended = planned(settings, _named(configured, available))
    recordings = settings.recordings.model_copy(update={"subjects": tuple(people)})
    settings = union_with(study, settings.model_copy(update={"recordings": recordings}))
    units = [
        Unit(label, fold, source, settings, study.fold(label) if fold else study.subject(label), intended)
        for label, fold in chosen.items()
    ]
    if not settings.cross_validated:
        return units
    return [fold for unit in units for fold in _folds_within(unit, fold_numbers, offline)]


def _folds_within(unit: Unit, fold_numbers: Sequence[str] | None, offline: bool) -> list[Unit]:
    """The selected folds of a subject; itself with the reason where these are not known."""
    by = unit.settings.split.by
    try:
        every = leave_one_out([getattr(run, by) for run in _runs(unit, offline)], unit.label, by)
        of_label = {fold.label: fold for fold in every}
        numbers = select(fold_numbers, "all", list(of_label), f"{unit.title}: fold")
    except FatalError:
        raise
    except UserError as error:
        return [replace(unit, refusal=error)]
    return [
        replace(unit, folder=unit.folder.fold(number), held_out=of_label[number], folds=every, others=[])
        for number in numbers
    ]


def _runs(unit: Unit, offline: bool) -> list[Run]:
    """A subject's runs, in order."""
    known = unit.source.runs(unit.label)
    if known is not None:
        return known
    if not offline:
        return [Run(*run) for run in unit.trials.table[["session", "run"]].drop_duplicates().to_numpy()]
    recordings = unit.source.local_recordings(unit.label)
    if recordings is None:
        raise UserError(
            f"{unit.title}: its runs, and so its folds, are not known before its recordings are downloaded, "
            "which a dry run does not do; download them (--only data)."
        )
    return [Run(one.session, one.run) for one in recordings]


def _named(configured: str | Sequence[str], available: list[str]) -> list[str]:
    """Labels of all subjects that a configuration names, those without recordings yet among them."""
    words = available if configured == "all" else configured
    labels = itertools.chain.from_iterable(_range(word, available) for word in words)
    known = {label_value(label): label for label in available}
    named = itertools.islice(labels, MOST_NAMED)
    return list(dict.fromkeys(known.get(label_value(label), label) for label in named))


def select(
    asked: Sequence[str] | None, configured: str | Sequence[str], available: list[str], noun: str = "subject"
) -> list[str]:
    """Labels of the selected subjects (or folds), each once, in the order of ``asked``.

    ``asked`` holds labels, ranges such as 5-9, or "all" (None means the same): the ``configured`` ones.
    """
    words: list[str] = []
    for word in asked or ["all"]:
        everything = available if configured == "all" else configured
        words += everything if word == "all" else [word]
    # One by one: a range of billions ends at the first label that is not there.
    labels = itertools.chain.from_iterable(_range(word, available) for word in words)
    chosen = list(dict.fromkeys(find_label(label, available, noun) for label in labels))
    if not chosen:
        option = noun.rpartition(" ")[2]
        raise UserError(f"--{option} {' '.join(words)}: names nobody; a range goes from low to high.")
    return chosen


def _range(word: str, available: list[str]) -> Iterable[str]:
    """Labels of a range such as 5-9; of any other word, itself."""
    first, dash, last = word.partition("-")
    if dash and is_number(first) and is_number(last) and word not in available:
        if max(len(first), len(last)) > 20:
            raise UserError(
                f"{first[:20]}-{last[:20]}: has more digits than any label; give a shorter range."
            )
        return map(str, range(int(first), int(last) + 1))
    return [word]


def union_with(study: Study, settings: Settings) -> Settings:
    """Union of settings with those of a results folder; nothing is written."""
    before = records.read_settings(study) if study.config.exists() else settings
    return config.union(before, settings, str(study.root))


def check_same(unit: Unit) -> None:
    """Refuse a folder whose fits were made with other settings or other recordings."""
    settings, subject, data = unit.settings, unit.subject, unit.trials.info["fingerprint"]
    for one in settings.baselines:
        if one.name in subject.baselines:
            expected = plan.baseline_fingerprint(one, data)
            _check_fingerprint(subject.baselines[one.name], expected, unit.folder.baseline(one.name))
    for key in plan.fits(settings):
        if key in subject.fits:
            expected = plan.fingerprint(key, settings, data)
            _check_fingerprint(subject.fits[key], expected, unit.folder.fit(key.name))


def _check_fingerprint(content: dict[str, Any], expected: str, folder: FitFolder) -> None:
    if content["fingerprint"] != expected:
        raise UserError(f"{folder.root}: was made with other settings or recordings; give another --out.")


def check(unit: Unit, pool: Pool) -> None:
    """Refuse a unit with damaged or incompatible results, or that cannot be trained, before writing."""
    if sentence := lacking_class(unit.trials.table, unit.trials.info["classes"]):
        raise UserError(f"{sentence} eeg-sgdr data reports amplitudes.")
    if unit.inner:
        check(unit.inner, pool)
    check_same(unit)
    foreseen = unit.foreseen
    # Damaged files are reported now, not after hours of training.
    for key in unit.subject.done:
        if key not in foreseen:
            unit.subject.predictions(key)
            if unit.subject.has_averages(key):
                unit.subject.averaged_predictions(key)
    if foreseen:
        # In a process of its own, so that no training process's random state is advanced.
        workers.run_all(check_fits, [(unit.trials, unit.settings, pool.is_local)], 1)


def write_trials(unit: Unit) -> None:
    """Write trials.csv, data.json and summary.npz of a unit; with a fold within a subject, the subject's."""
    if isinstance(unit.trials, HeldOutTrials):
        # Every trial is tested, in one of the folds.
        subject, held_out = unit.trials.trials, [label for fold in unit.folds for label in fold.test]
        table, info = subject.table.assign(split="test"), {**subject.info, "folds": held_out}
        _write_trials(unit.folder.subject, table, info, subject.summary)
    _write_trials(unit.folder, unit.trials.table, unit.trials.info, unit.trials.summary)


def _write_trials(
    folder: SubjectFolder, table: pd.DataFrame, info: dict[str, Any], summary: dict[str, np.ndarray]
) -> None:
    files.clean(folder.root)
    contents = {
        folder.summary: files.npz_bytes(summary),
        folder.trials: files.csv_bytes(table),
    }
    sha256 = {path.name: integrity.digest(content) for path, content in contents.items()}
    contents[folder.data] = files.json_bytes(records.as_record({**info, "sha256": sha256}))
    # trials.csv is written last: by it, other processes recognise a complete subject (`Study.subjects`).
    # It is absent while data.json vouches for other content.
    if folder.data.is_file() and folder.data.read_bytes() != contents[folder.data]:
        files.remove(folder.trials)
    for path in (folder.summary, folder.data, folder.trials):
        files.write_bytes(path, contents[path])
