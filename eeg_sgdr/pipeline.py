"""Run a study: prepare, check, train missing fits, evaluate and report each unit; then compare."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from eeg_sgdr.data.quality import lacking_class, mains_warning, rejection_warning
from eeg_sgdr.errors import FatalError, UserError
from eeg_sgdr.evaluation import stored
from eeg_sgdr.evaluation.predictors import to_average
from eeg_sgdr.jobs.submit import Jobs, gpus, processes
from eeg_sgdr.jobs.units import Unit, check, check_same, union_with, write_trials
from eeg_sgdr.networks import kernels
from eeg_sgdr.parallel.progress import Progress, say
from eeg_sgdr.parallel.workers import Pool, local_pool
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import files, provenance, records, study_plan
from eeg_sgdr.storage.folders import Study
from eeg_sgdr.storage.results import Results, load_results
from eeg_sgdr.storage.subject import Subject

# Reports and comparisons take seconds to import, which fits need not wait for: imported beside them, or where
# used.


def train(units: Sequence[Unit], study: Study, n_jobs: int | None, debug: bool) -> list[str]:
    """Train missing fits of a study and update its reports; returns the errors as sentences."""
    began = time.monotonic()
    settings, recorded = units[0].settings, None
    problems: list[str] = []
    evaluated: list[str] = []
    waiting: list[Unit] = []
    # Folds within a subject are of the same recordings, which are warned of once.
    first_of = {unit.label: unit for unit in reversed(units)}
    # A subject's report is made once, with the last of its folds.
    left = Counter(unit.label for unit in units)

    def complete(trained: Iterable[Unit]) -> None:
        for unit in trained:
            with collect_errors(problems, debug):
                if unit.failure:
                    left[unit.label] -= 1
                    raise unit.failure
                if unit.others:
                    waiting.append(unit)
                elif unit.outer:  # its rates can be chosen now
                    problems.extend(_failures(unit.results()))
                    del unit.trials, unit.subject  # they hold those of the outer unit
                    jobs.begin(unit.outer)
                else:
                    left[unit.label] -= 1
                    subject = unit.results()
                    problems.extend(_failures(subject))
                    if not left[unit.label]:
                        _evaluate(subject, study)
                    evaluated.append(unit.label)
                    # A fold holds the tables of all its subjects.
                    del unit.trials, unit.subject

    to_train = sum(map(_epochs_missing, units))
    with collect_errors(problems, debug):
        warn_of_missing_kernels(settings, to_train)
    if problems:
        return problems
    with (
        _pool(settings, study.root, n_jobs, len(units)) as pool,
        Progress(to_train, settings.name, shared=_shared_folder(settings)) as steps,
    ):
        jobs = Jobs(pool, steps)
        # Enough calls that no worker idles while the next unit is prepared; more would take memory.
        ahead = 2 * pool.size + len(plan.fits(settings))
        for unit in units:
            left[unit.label] -= 1
            with collect_errors(problems, debug):
                check(unit, pool)
                # Not before a first unit has passed its checks: a refused run writes nothing.
                if not recorded:
                    study_plan.record(unit.study_plan, study)
                    recorded = record_settings(settings, study)
                if unit is first_of[unit.label]:
                    warn_of_recordings(unit)
                write_trials(unit)
                if unit.inner:
                    write_trials(unit.inner)
                jobs.begin(unit.inner or unit)
                left[unit.label] += 1
            complete(jobs.completed(max_pending=ahead))
        if recorded:
            import eeg_sgdr.reports.folds  # noqa: F401 (beside the fits)
        complete(jobs.completed())
        while waiting:
            unit = waiting.pop(0)
            say(f"{unit.trials.title}: waiting for {len(unit.others)} fits of another process.", sys.stderr)
            jobs.wait_for_others(unit)
            if not waiting:
                complete(jobs.completed())
    with collect_errors(problems, debug):
        if evaluated:
            _conclude(study, began)
    return problems


def describe_recordings(units: Sequence[Unit], study: Study, debug: bool) -> list[str]:
    """Prepare, check and report the recordings of a study; returns the errors as sentences."""
    from eeg_sgdr.reports.data import amplitudes, data_report

    recorded = None
    problems: list[str] = []
    reported: set[Path] = set()
    for unit in units:
        with collect_errors(problems, debug):
            check_same(unit)
            recorded = recorded or record_settings(unit.settings, study)
            write_trials(unit)
            results = Results(study.root)
            subject = results.subject(unit.label) if unit.held_out else unit.subject
            if subject.folder.root not in reported:
                warn_of_recordings(unit)
                if not subject.done:  # the report of fits includes that of data
                    data_report(results, subject)
                if sentence := amplitudes(subject):
                    say(f"{subject.title}: {sentence}", sys.stderr)
                print(subject.folder.report)
                reported.add(subject.folder.root)
            if sentence := lacking_class(unit.trials.table, unit.trials.info["classes"]):
                problems.append(sentence)
    return problems


def report(study: Study) -> bool:
    """Evaluate and report a study again from its folder alone; returns whether no report is missing."""
    from eeg_sgdr.reports.data import data_report

    began = time.monotonic()
    results = load_results(study.root)
    if not results.subjects:
        raise UserError(f"{study.root}: holds no subjects yet; run eeg_sgdr.run with --out {study.root}.")
    for subject in results.subjects:
        for fold in subject.folds:
            if fold.done:
                stored.evaluate(fold, results.settings)
    untrained = [
        subject
        for subject in results.subjects
        if not subject.done and any(part.fits for part in subject.parts)
    ]
    lacking: list[tuple[Subject, FitKey]] = []
    for subject in results.subjects:
        if subject in untrained:
            all_folds = " in all of its folds" if subject.folds else ""
            print(f"{subject.title}: no fit is done{all_folds}; run it again.", file=sys.stderr)
            continue
        if subject.done:
            stored.evaluate(subject, results.settings)
            _report(results, subject)
            lacking += [(subject, key) for key in to_average(subject, results.settings)]
        else:
            data_report(results, subject)
        print(subject.folder.report)
    if any(subject.done for subject in results.subjects):
        _conclude(study, began)
    if lacking:
        first = f"{lacking[0][1].name} of {lacking[0][0].title}"
        print(
            f"{study.root}: averaged weights are missing of {len(lacking)} fits ({first} first); run the "
            "study again, which trains nothing for them.",
            file=sys.stderr,
        )
    return not untrained


def _evaluate(trained: Subject, study: Study) -> None:
    """Evaluate and report a subject or fold, or the subject whose fold it is."""
    # Settings are read again: another process may have extended their lists.
    results = Results(study.root)
    subject = results.subject(trained.label) if trained.fold_of_subject else trained
    stored.bring_folds_up_to_date(subject, results.settings)
    if subject.done:
        stored.bring_up_to_date(subject, results.settings)
        _report(results, subject)
        say(str(subject.folder.report), sys.stdout)


def _failures(subject: Subject) -> list[str]:
    """A sentence for each failed fit."""
    return [f"{subject.title}, {name}: {why}." for name, why in subject.failed.items()]


def _report(results: Results, subject: Subject) -> None:
    """Write report.html of an evaluated subject or fold."""
    from eeg_sgdr.reports.folds import fold_report
    from eeg_sgdr.reports.subject import subject_report

    write = fold_report if subject.fold else subject_report
    write(results, subject)


def _conclude(study: Study, began: float) -> None:
    """Update what is of all units, and say what was found; ``began`` is a time of `time.monotonic`."""
    from eeg_sgdr.evaluation.comparison import update
    from eeg_sgdr.reports import terminal

    if results := update(study.root):
        from eeg_sgdr.reports.study import publish

        print(study.comparison, *publish(results), sep="\n")
    print(terminal.answer(results or Results(study.root), time.monotonic() - began), file=sys.stderr)


def record_settings(settings: Settings, study: Study) -> Settings:
    """Write environment.json and config.yaml, the union with the folder's previous settings."""
    with files.lock(study.root / ".config.lock"):
        files.clean(study.root)
        settings = union_with(study, settings)
        records.write_settings(study.config, settings)
        records.write_record(study.environment, provenance.environment())
    return settings


@contextmanager
def collect_errors(problems: list[str], debug: bool) -> Iterator[None]:
    """Collect the error of one unit, so that the others are done nevertheless."""
    try:
        yield
    except UserError as error:
        if debug or isinstance(error, FatalError):
            raise
        problems.append(str(error))


def warn_of_recordings(unit: Unit) -> None:
    """Warn if most trials of a unit are rejected, or most of the rest is mains."""
    for sentence in filter(None, [rejection_warning(unit.trials.table), mains_warning(unit.trials.summary)]):
        say(f"{'fold' if unit.fold else 'subject'} {unit.label}: {sentence}", sys.stderr)


def warn_of_missing_kernels(settings: Settings, n_epochs: int) -> None:
    """Say where training takes longer than it need. Raises `UserError` for kernels of another source."""
    name, numerics = settings.network.name, settings.training.numerics
    wanted = (numerics.device, numerics.precision, numerics.threads) == ("cpu", "float32", 1)
    if n_epochs and wanted and name in kernels.NETWORKS and kernels.missing():
        say(
            f"This installation has no compiled kernels: {name} trains as well, in two to four times the "
            "time (docs/network.md).",
            sys.stderr,
        )


def _epochs_missing(unit: Unit) -> int:
    """Epochs of a unit's missing fits; 0 for a damaged folder, which is reported later."""
    with suppress(UserError):
        inner = unit.inner.missing if unit.inner else []
        return sum(key.budget for key in (*inner, *unit.foreseen))
    return 0


def _pool(settings: Settings, out: Path, n_jobs: int | None, n_units: int) -> AbstractContextManager[Pool]:
    """Pool of local workers or of a Dask cluster."""
    compute = settings.compute
    if compute.backend == "dask":
        from eeg_sgdr.parallel.dask import dask_pool

        return dask_pool(compute.dask_address, [out, compute.data_folder])
    # All processes start at once: no more than there are fits and baselines.
    n_calls = n_units * (len(plan.fits(settings)) + 1)
    return local_pool(min(processes(settings, n_jobs or compute.jobs), n_calls), gpus(settings))


def _shared_folder(settings: Settings) -> Path | None:
    """A folder that all workers of a cluster see; None on one machine."""
    return settings.compute.data_folder if settings.compute.backend == "dask" else None
