"""Units of work (subjects or folds): their selection, trials, missing fits, and checks before training."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials, prepare, prepare_fold
from eeg_sgdr.data.quality import lacking_class
from eeg_sgdr.data.sources import Source, find_label, open_source
from eeg_sgdr.data.splits import Fold, folds
from eeg_sgdr.data.validation import InnerTrials, split_seed
from eeg_sgdr.errors import UserError
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
from eeg_sgdr.storage.results import Subject, chosen_rates
from eeg_sgdr.storage.study_plan import StudyPlan, planned

#: Most subjects that a plan lists.
MOST_NAMED = 100_000


@dataclass(eq=False)
class Unit:
    """A subject or fold to be trained: its recordings, settings and results.

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
        data_dir = self.settings.compute.data_folder
        if self.fold:
            return prepare_fold(self.fold, self.source, self.settings, data_dir)
        return prepare(self.source, self.label, self.settings, data_dir)

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
) -> list[Unit]:
    """Units selected by the arguments of --subject and --fold; their settings include the folder's lists."""
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
        if fold_numbers:
            raise UserError("--fold: there are folds only with split.by subject; choose with --subject.")
        people = select(subjects, configured, available)
        chosen = dict.fromkeys(people)
    intended = planned(settings, _named(configured, available))
    recordings = settings.recordings.model_copy(update={"subjects": tuple(people)})
    settings = union_with(study, settings.model_copy(update={"recordings": recordings}))
    return [
        Unit(label, fold, source, settings, study.fold(label) if fold else study.subject(label), intended)
        for label, fold in chosen.items()
    ]


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
        raise UserError(f"--{noun} {' '.join(words)}: names nobody; a range goes from low to high.")
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
    """Write trials.csv, data.json and summary.npz of a unit."""
    folder, trials = unit.folder, unit.trials
    files.clean(folder.root)
    contents = {
        folder.summary: files.npz_bytes(trials.summary),
        folder.trials: files.csv_bytes(trials.table),
    }
    sha256 = {path.name: integrity.digest(content) for path, content in contents.items()}
    contents[folder.data] = files.json_bytes(records.as_record({**trials.info, "sha256": sha256}))
    # trials.csv is written last: by it, other processes recognise a complete subject (`Study.subjects`).
    # It is absent while data.json vouches for other content.
    if folder.data.is_file() and folder.data.read_bytes() != contents[folder.data]:
        files.remove(folder.trials)
    for path in (folder.summary, folder.data, folder.trials):
        files.write_bytes(path, contents[path])
