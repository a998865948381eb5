"""Several subjects on one pool: the same files however many processes; what a finished study is read for."""

import io
import os
import signal
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import killing
import pytest
from killing import SHORT
from results_folder import study_settings, write_study

from eeg_sgdr import pipeline
from eeg_sgdr.jobs.units import Unit
from eeg_sgdr.settings import plan
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import Subject


def test_two_processes_make_the_same_files(one_call):
    folder, expected, _ = one_call
    killing.run(killing.command(folder, "two", *SHORT, "--jobs", "2"))
    assert killing.differing(expected, killing.files(folder / "two")) == []
    assert {f"small/subjects/00{i}/report.html" for i in range(1, 5)} <= expected.keys()


def test_the_whole_study_has_one_line_of_progress(one_call):
    """4 subjects of 1 + 3 + 3 epochs."""
    lines = [line for line in one_call[2].splitlines() if "epochs" in line]
    assert lines[-1].startswith("small: 28 of 28 epochs, ")
    assert lines[-1].endswith(" 00:00 left")
    assert {line.split(":")[0] for line in lines} == {"small"}


def test_array_calls_and_one_that_compares_equal_one_call(one_call):
    """Two at a time on one folder, one of them killed and started again, as a cluster does."""
    folder, expected, _ = one_call
    calls = [
        killing.command(folder, "array", *SHORT, "--jobs", "1", "--subject", *subjects)
        for subjects in (["1", "2"], ["3", "4"])
    ]
    first, second = [killing.start(call) for call in calls]
    fits = folder / "array" / "small" / "subjects" / "003" / "fits"
    while not list(fits.glob("*/checkpoint")):
        assert second.poll() is None, second.stderr.read()
        time.sleep(0.02)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    killing.run(calls[1])
    _, errors = first.communicate()
    assert first.returncode == 0, errors
    killing.run(killing.command(folder, "array", *SHORT))
    assert killing.differing(expected, killing.files(folder / "array")) == []


SUBJECTS = ("01", "02")


@pytest.fixture
def reads(monkeypatch):
    """How often each file was opened to be read."""
    counts = Counter()
    opened = io.open

    def count(path, mode="r", *rest, **options):
        if isinstance(path, Path) and "r" in mode:
            counts[path] += 1
        return opened(path, mode, *rest, **options)

    monkeypatch.setattr(io, "open", count)
    return counts


@pytest.fixture
def writes(monkeypatch):
    """How often each file was written; they all appear by being renamed."""
    counts = Counter()
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (counts.update([Path(new)]), replace(old, new)))
    return counts


@pytest.mark.parametrize(("store", "n_seeds"), [("ends", 3), ("epochs", 1)])
def test_a_command_with_nothing_to_do_reads_each_fit_twice_and_writes_the_configuration_once(
    store, n_seeds, tmp_path, monkeypatch, reads, writes
):
    settings = study_settings(SUBJECTS, seeds=range(n_seeds), training={"store": store}, baseline=None)
    study = folders.Study(tmp_path)
    write_study(tmp_path, settings, lambda *_: [])
    monkeypatch.setattr(plan, "fingerprint", lambda *_: "made up")
    reported = []
    monkeypatch.setattr(
        "eeg_sgdr.reports.subject.subject_report",
        lambda results, subject: reported.append((subject.label, len(subject.done))),
    )
    units = []
    for label in SUBJECTS:
        unit = Unit(label, None, None, settings, study.subject(label))
        there = Subject(unit.folder)
        unit.trials = SimpleNamespace(
            title=there.title, info=there.data, table=there.trials, summary=there.summary
        )
        units.append(unit)
    n_fits = len(plan.fits(settings))
    reads.clear()
    writes.clear()
    assert pipeline.train(units, study, n_jobs=1, debug=True) == []
    assert reported == [(label, n_fits) for label in SUBJECTS]
    # 48 fits, or 16 whose probabilities are stored at every epoch.
    of_fits = [reads[path] for path in tmp_path.rglob("fit.json")]
    assert len(of_fits) == 2 * n_fits
    assert 1 <= min(of_fits) <= max(of_fits) <= 2
    assert writes[study.config] == 1
    assert writes[study.comparison] == 1
