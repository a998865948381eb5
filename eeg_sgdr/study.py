"""Which fits of a study are missing, and their training in parallel."""

from collections.abc import Sequence
from typing import Any

from eeg_sgdr import plan, store, tables, workers
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey
from eeg_sgdr.pooled import Pooled
from eeg_sgdr.prepared import Prepared
from eeg_sgdr.progress import Progress
from eeg_sgdr.provenance import environment
from eeg_sgdr.results import Subject
from eeg_sgdr.settings import Settings


def record_settings(settings: Settings, subjects: Sequence[str], study: store.Study) -> Settings:
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
    with store.locked(study.root / ".config.lock"):
        store.clean(study.root)
        settings = grown_settings(settings, subjects, study)
        store.write_text(study.config, config.to_yaml(settings))
        store.write_json(study.environment, environment())
    return settings


def grown_settings(settings: Settings, subjects: Sequence[str], study: store.Study) -> Settings:
    """What `record_settings` would write to config.yaml, with nothing written."""
    recordings = settings.recordings.model_copy(update={"subjects": tuple(subjects)})
    settings = settings.model_copy(update={"recordings": recordings})
    there = config.read(study.config) if study.config.is_file() else settings
    return config.union(there, settings, str(study.root))


def check(prepared: Prepared | Pooled, folder: store.SubjectFolder, settings: Settings) -> None:
    """See that whatever is missing of a subject or fold can be made, before anything is written.

    Parameters
    ----------
    prepared : Prepared or Pooled
        Its trials.
    folder : store.SubjectFolder
        Where results would go.
    settings : Settings
        The configuration.

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
        workers.run_all(_check_fits, [(prepared, settings)], 1)


def begin(
    prepared: Prepared | Pooled, folder: store.SubjectFolder, settings: Settings, jobs: int | None
) -> list[FitKey]:
    """Make baseline and fits of a subject or fold where they are missing and nobody else is making them.

    Parameters
    ----------
    prepared : Prepared or Pooled
        Its trials.
    folder : store.SubjectFolder
        Where results go.
    settings : Settings
        The configuration.
    jobs : int | None
        Fits at a time; None is one per core.

    Returns
    -------
    others : list of FitKey
        Fits that another process is making.

    Raises
    ------
    UserError
        If the folder holds fits made with other settings or other data.
    """
    store.clean(folder.root)
    subject = Subject(folder)
    missing = missing_fits(subject, settings, prepared)
    for key in subject.fits.keys() - set(missing):
        store.tidy(folder.fit(key.name))
    store.tidy(folder.baseline)
    without_baseline = baseline_is_missing(subject, settings, prepared)
    store.write_csv(folder.trials, prepared.table)
    store.write_npz(folder.summary, prepared.summary)
    store.write_json(folder.data, prepared.info)
    if without_baseline:
        workers.run_all(make_baseline, [(settings, prepared, folder.baseline)], 1)
    return train(missing, settings, prepared, folder, jobs)


def finish(
    others: Sequence[FitKey],
    prepared: Prepared | Pooled,
    folder: store.SubjectFolder,
    settings: Settings,
    jobs: int | None,
) -> Subject:
    """Wait for the fits that another process is making, or make them should it end; write evaluation.csv.

    Parameters
    ----------
    others : sequence of FitKey
        What `begin` returned; its other arguments follow.

    Returns
    -------
    subject : Subject
        What is on disk now.
    """
    train(others, settings, prepared, folder, jobs, patience_s=-1)
    subject = Subject(folder)
    if subject.done:
        store.write_csv(folder.evaluation, tables.evaluation(subject, settings))
    return subject


def run(
    prepared: Prepared | Pooled, folder: store.SubjectFolder, settings: Settings, jobs: int | None
) -> Subject:
    """Make whatever is missing of a subject or fold, see `begin`, and finish it, see `finish`."""
    return finish(begin(prepared, folder, settings, jobs), prepared, folder, settings, jobs)


def missing_fits(subject: Subject, settings: Settings, prepared: Prepared | Pooled) -> list[FitKey]:
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


def baseline_is_missing(subject: Subject, settings: Settings, prepared: Prepared | Pooled) -> bool:
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


def _made_otherwise(folder: store.FitFolder) -> UserError:
    return UserError(f"{folder.root}: was made with other settings or recordings; give another --out.")


def make_baseline(*arguments: object) -> None:
    """Fit the baseline, see `eeg_sgdr.tasks.make_baseline`."""
    from eeg_sgdr import tasks

    tasks.make_baseline(*arguments)  # type: ignore[arg-type]


def train(
    keys: Sequence[FitKey],
    settings: Settings,
    prepared: Prepared | Pooled,
    folder: store.SubjectFolder,
    jobs: int | None,
    patience_s: float = 0.0,
) -> list[FitKey]:
    """Make fits of a subject in parallel, the longest first.

    Parameters
    ----------
    keys : sequence of FitKey
        Which fits.
    settings : Settings
        The configuration.
    prepared : Prepared or Pooled
        The trials of the subject or fold.
    folder : store.SubjectFolder
        Where results go.
    jobs : int | None
        Processes; None is one per core.
    patience_s : float
        How long to wait for each that another process is making; for ever if negative.

    Returns
    -------
    others : list of FitKey
        Those that another process is still making.
    """
    if not keys:
        return []
    longest_first = sorted(keys, key=lambda key: -key.budget)
    n_processes = processes(settings, jobs)
    size = 1 if settings.training.numerics.device == "cpu" else settings.compute.stack
    groups = [longest_first[i : i + size] for i in range(0, len(keys), size)]
    with Progress(sum(key.budget for key in keys), prepared.title) as steps:
        others = workers.run_all(
            _make_fits,
            [(group, settings, prepared, folder, steps, patience_s) for group in groups],
            min(n_processes, len(groups)),
        )
    return [key for of_group in others for key in of_group]


def processes(settings: Settings, jobs: int | None) -> int:
    """Processes that train: as many as are asked for, or one a core; one a card, with many fits in it."""
    numerics = settings.training.numerics
    if numerics.device != "cpu":
        return 1
    return jobs or max(1, workers.n_cores() // numerics.threads)


def _check_fits(*arguments: Any) -> None:
    """Call `eeg_sgdr.tasks.check`, which only workers import."""
    from eeg_sgdr import tasks

    tasks.check(*arguments)


def _make_fits(*arguments: Any) -> list[FitKey]:
    """Call `eeg_sgdr.tasks.make_fits`, which only workers import: it takes seconds and much memory."""
    from eeg_sgdr import tasks

    return tasks.make_fits(*arguments)
