"""Run a study: prepare, train missing fits, evaluate, report."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from eeg_sgdr import settings as config
from eeg_sgdr.data.cache import Trials
from eeg_sgdr.data.quality import rejection_warning
from eeg_sgdr.errors import CannotGoOnError, UserError
from eeg_sgdr.evaluation import tables
from eeg_sgdr.jobs.submit import Jobs, Unit, begin, cards, check, epochs_missing, processes
from eeg_sgdr.parallel.progress import Progress, say
from eeg_sgdr.parallel.workers import Pool, local_pool
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.storage import files
from eeg_sgdr.storage.folders import Study, SubjectFolder
from eeg_sgdr.storage.results import Results, Subject
from eeg_sgdr.storage.schemas import environment


def train(
    units: Mapping[str, Callable[[Settings], Trials]],
    subjects: Sequence[str],
    settings: Settings,
    study: Study,
    n_jobs: int | None,
    debug: bool,
) -> list[str]:
    """Make what is missing, and bring all reports up to date.

    Parameters
    ----------
    units : mapping of str to callable
        By label, what prepares each subject or fold that is to be done.
    subjects : sequence of str
        Labels of the study's subjects that are asked for.
    settings : Settings
        The configuration.
    study : Study
        The results folder.
    n_jobs : int | None
        Fits at a time, as asked for on the command line.
    debug : bool
        Whether to raise the first problem.

    Returns
    -------
    problems : list of str
        What kept single subjects, folds or fits from being done.

    Raises
    ------
    UserError
        If nothing can be done.
    """
    settings = grown_settings(settings, subjects, study)
    problems: list[str] = []
    evaluated = _make(units, subjects, settings, study, n_jobs, problems, debug)
    with told_at_the_end(problems, debug):
        from eeg_sgdr.evaluation.comparison import update

        compared = update(study.root, evaluated) if evaluated else None
        if compared:
            from eeg_sgdr.reports.study import publish

            print(compared, *publish(Results(study.root)), sep="\n")
    return problems


def _make(
    units: Mapping[str, Callable[[Settings], Trials]],
    subjects: Sequence[str],
    settings: Settings,
    study: Study,
    n_jobs: int | None,
    problems: list[str],
    debug: bool,
) -> list[str]:
    """Make what is missing, and report subject by subject; returns the labels of those that are evaluated."""
    folder_of = study.fold if settings.split.by == "subject" else study.subject
    evaluated: list[str] = []
    waiting: list[Unit] = []

    def complete(ended: Iterable[Unit]) -> None:
        for unit in ended:
            with told_at_the_end(problems, debug):
                if unit.failure:
                    raise unit.failure
                if unit.others:
                    waiting.append(unit)
                else:
                    problems.extend(_report(unit, study))
                    evaluated.append(unit.label)

    n_epochs = epochs_missing(map(folder_of, units), settings)
    with (
        _pool(settings, study.root, n_jobs, len(units)) as pool,
        Progress(n_epochs, settings.name, shared=_shared(settings)) as steps,
    ):
        jobs = Jobs(pool, steps)
        # Enough that no worker idles while the next is prepared, but not all at once: that takes memory.
        ahead = 2 * pool.size + len(plan.fits(settings))
        for label, prepare in units.items():
            with told_at_the_end(problems, debug):
                prepared = prepare(settings)
                check(prepared, folder_of(label), settings, pool)
                # Not before the first subject that something can be made of: what is refused leaves nothing.
                settings = record_settings(settings, subjects, study)
                warn_of_rejections(prepared)
                begin(Unit(label, prepared, folder_of(label), settings), jobs)
            complete(jobs.ended(at_most=ahead))
        complete(jobs.ended())
        for unit in list(waiting):
            say(f"{unit.prepared.title}: waiting for {len(unit.others)} fits of another process.", sys.stderr)
            jobs.wait_for_others(unit)
        complete(jobs.ended())
    return evaluated


def _report(unit: Unit, study: Study) -> list[str]:
    """Evaluate a subject or fold and write its report; returns what failed of it."""
    # Another process may have added to the study's lists.
    settings = Results(study.root).settings.model_copy(update={"compute": unit.settings.compute})
    subject = finish(unit.folder, settings)
    if subject.done:
        # Takes a second to import, which fits need not wait for.
        from eeg_sgdr.reports.folds import fold_report
        from eeg_sgdr.reports.subject import subject_report

        write = fold_report if subject.fold else subject_report
        write(Results(study.root), subject)
        say(str(subject.folder.report), sys.stdout)
    return [f"{subject.title}, {name}: {why}." for name, why in subject.failed.items()]


def _pool(settings: Settings, out: Path, n_jobs: int | None, n_units: int) -> AbstractContextManager[Pool]:
    """The workers."""
    compute = settings.compute
    if compute.backend == "dask":
        from eeg_sgdr.parallel.dask import dask_pool

        return dask_pool(compute.dask_address, [out, Path(compute.data_dir)])
    # They all begin at once: no more than there are fits and baselines.
    n_calls = n_units * (len(plan.fits(settings)) + 1)
    return local_pool(min(processes(settings, n_jobs or compute.jobs), n_calls), cards(settings))


def _shared(settings: Settings) -> Path | None:
    """A folder that all workers see, where they are not all here."""
    return Path(settings.compute.data_dir) if settings.compute.backend == "dask" else None


def warn_of_rejections(prepared: Trials) -> None:
    """Say so where most trials of a subject or fold are rejected."""
    if sentence := rejection_warning(prepared.table):
        say(f"{prepared.title}: {sentence}", sys.stderr)


@contextmanager
def told_at_the_end(problems: list[str], debug: bool) -> Iterator[None]:
    """Let one subject's problem not keep the others from being done."""
    try:
        yield
    except UserError as error:
        if debug or isinstance(error, CannotGoOnError):
            raise
        problems.append(str(error))


def record_settings(settings: Settings, subjects: Sequence[str], study: Study) -> Settings:
    """Write config.yaml and environment.json; lists grow by what is asked for now.

    Parameters
    ----------
    settings : Settings
        What is asked for.
    subjects : sequence of str
        Labels of the subjects that are asked for.
    study : store.Study
        The results folder.

    Returns
    -------
    settings : Settings
        With the union of the lists that the folder has and those that are asked for.

    Raises
    ------
    UserError
        If the folder was made with other settings.
    """
    with files.locked(study.root / ".config.lock"):
        files.clean(study.root)
        settings = grown_settings(settings, subjects, study)
        files.write_text(study.config, config.to_yaml(settings))
        files.write_json(study.environment, environment())
    return settings


def grown_settings(settings: Settings, subjects: Sequence[str], study: Study) -> Settings:
    """What `record_settings` would write to config.yaml, with nothing written."""
    recordings = settings.recordings.model_copy(update={"subjects": tuple(subjects)})
    settings = settings.model_copy(update={"recordings": recordings})
    there = config.read(study.config) if study.config.is_file() else settings
    return config.union(there, settings, str(study.root))


def finish(folder: SubjectFolder, settings: Settings) -> Subject:
    """Write evaluation.csv of a subject or fold whose fits have ended.

    Parameters
    ----------
    folder : store.SubjectFolder
        Where its results are.
    settings : Settings
        The configuration.

    Returns
    -------
    subject : Subject
        What is on disk now.
    """
    subject = Subject(folder)
    if subject.done:
        files.write_csv(folder.evaluation, tables.evaluation(subject, settings))
    return subject
