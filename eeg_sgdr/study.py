"""What of a study is missing, and what is written of a subject before and after its fits."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from eeg_sgdr import plan, store, tables, workers
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs import Jobs, Unit, check_fits
from eeg_sgdr.plan import FitKey
from eeg_sgdr.pooled import Pooled
from eeg_sgdr.prepared import Prepared
from eeg_sgdr.provenance import environment
from eeg_sgdr.settings import Settings
from eeg_sgdr.subjects import Subject


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


def check(
    prepared: Prepared | Pooled, folder: store.SubjectFolder, settings: Settings, pool: workers.Pool
) -> None:
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
    store.clean(folder.root)
    subject = Subject(folder)
    missing = missing_fits(subject, settings, prepared)
    for key in subject.fits.keys() - set(missing):
        store.tidy(folder.fit(key.name))
    store.tidy(folder.baseline)
    without_baseline = baseline_is_missing(subject, settings, prepared)
    _write_trials(prepared, folder)
    jobs.begin(unit, missing, without_baseline)


def check_sameness(prepared: Prepared | Pooled, folder: store.SubjectFolder, settings: Settings) -> None:
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


def describe(prepared: Prepared | Pooled, folder: store.SubjectFolder) -> Subject:
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
    store.clean(folder.root)
    _write_trials(prepared, folder)
    return Subject(folder)


def _write_trials(prepared: Prepared | Pooled, folder: store.SubjectFolder) -> None:
    store.write_npz(folder.summary, prepared.summary)
    store.write_json(folder.data, prepared.info)
    # The last: by it, another process that compares knows that there is a subject (`store.Study.subjects`).
    store.write_csv(folder.trials, prepared.table)


def finish(folder: store.SubjectFolder, settings: Settings) -> Subject:
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
        store.write_csv(folder.evaluation, tables.evaluation(subject, settings))
    return subject


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


def epochs_missing(folders: Iterable[store.SubjectFolder], settings: Settings) -> int:
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
