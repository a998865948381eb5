"""Files of a finished study that the same command reads and writes again: each as seldom as it can."""

import io
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from study_folder import DATA, study_settings, write_study

from eeg_sgdr import pipeline
from eeg_sgdr.jobs.submit import Unit
from eeg_sgdr.settings import plan
from eeg_sgdr.storage import folders
from eeg_sgdr.storage.results import Subject

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


@pytest.mark.parametrize(("store", "n_seeds"), [("ends", 13), ("epochs", 1)])
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
        info = {"subject": label, **DATA}
        unit.trials = SimpleNamespace(
            title=f"subject {label}", info=info, table=Subject(unit.folder).trials, summary={}
        )
        units.append(unit)
    n_fits = len(plan.fits(settings))
    reads.clear()
    writes.clear()
    assert pipeline.train(units, study, n_jobs=1, debug=True) == []
    assert reported == [(label, n_fits) for label in SUBJECTS]
    # 208 fits, or 16 whose probabilities are stored at every epoch.
    of_fits = [reads[path] for path in tmp_path.rglob("fit.json")]
    assert len(of_fits) == 2 * n_fits
    assert 1 <= min(of_fits) <= max(of_fits) <= 2
    assert writes[study.config] == 1
    assert writes[study.comparison] == 1
