"""Which subjects are evaluated again: those whose settings, trials or predictions have changed."""

import shutil
from unittest.mock import patch

import pandas as pd
import pytest
from results_folder import study_settings, write_baseline, write_study, wrong_at_end

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.evaluation import stored, tables
from eeg_sgdr.evaluation.comparison import comparison, update
from eeg_sgdr.evaluation.metrics import METRICS
from eeg_sgdr.evaluation.predictors import read_stored
from eeg_sgdr.storage import files, folders, integrity, records
from eeg_sgdr.storage.results import Results, load_results

LABELS = ("01", "02", "03")
SETTINGS = study_settings(LABELS, rates=(0.05,), budgets=(3, 7), baseline=None)
WRONG = wrong_at_end({"01": 8, "02": 6, "03": 6}, {"01": 4, "02": 5, "03": 6})


@pytest.fixture(scope="module")
def two_of_three(tmp_path_factory):
    """A study of three subjects, whose third has no results yet; and the results of all three."""
    root = tmp_path_factory.mktemp("study")
    write_study(root / "all", SETTINGS, WRONG)
    write_study(root / "two", SETTINGS, WRONG, missing=["03"])
    for name in ("all", "two"):
        update(root / name)
    return root


@pytest.fixture
def root(two_of_three, tmp_path):
    return shutil.copytree(two_of_three / "two", tmp_path / "two")


@pytest.fixture
def evaluated(monkeypatch):
    """Labels of the subjects that are evaluated."""
    labels = []
    evaluation = tables.evaluation

    def counting(subject, *rest):
        labels.append(subject.label)
        return evaluation(subject, *rest)

    monkeypatch.setattr(tables, "evaluation", counting)
    return labels


def subject_of(root, label="01"):
    return folders.Study(root).subject(label)


def write_settings(root, **evaluation):
    data = SETTINGS.model_dump(mode="json")
    data["evaluation"] |= evaluation
    files.write_text(folders.Study(root).config, config.to_yaml(config.validate(data, "test")))


def test_of_a_study_with_one_more_subject_that_one_alone_is_evaluated(
    root, two_of_three, evaluated, monkeypatch
):
    shutil.copytree(subject_of(two_of_three / "all", "03").root, subject_of(root, "03").root)
    subject_of(root, "03").evaluation_record.unlink()
    read = []
    read_record = records.read_record
    monkeypatch.setattr(
        records, "read_record", lambda path, schema: (read.append(path), read_record(path, schema))[1]
    )
    update(root)
    assert evaluated == ["03"]
    of_fits = [path for path in read if path.name == "fit.json"]
    assert len(of_fits) == len(set(of_fits)) == 3 * 3
    for path in ("comparison.csv", *(f"subjects/{label.zfill(3)}/evaluation.csv" for label in LABELS)):
        assert (root / path).read_bytes() == (two_of_three / "all" / path).read_bytes()


def test_with_nothing_new_nothing_is_evaluated_and_the_tables_are_those_computed_afresh(root, evaluated):
    before = folders.Study(root).comparison.read_bytes()
    update(root)
    assert evaluated == []
    for subject in Results(root).subjects:
        subject.folder.evaluation_record.unlink()
    afresh = comparison(Results(root))
    assert files.csv_bytes(afresh) == before == folders.Study(root).comparison.read_bytes()


def replace_fit(root):
    write_study(root / "other", SETTINGS, lambda *_: range(2))
    there, here = (subject_of(of).fit("step-b7-r0.05-s0").root for of in (root / "other", root))
    shutil.rmtree(here)
    there.rename(here)


def change_table(root):
    path = subject_of(root).evaluation
    files.write_csv(path, pd.read_csv(path, dtype=str).assign(error="0.9"))


def between_the_writes(root):
    """What a kill between evaluation.json and evaluation.csv leaves of another evaluation; it is read."""
    write_settings(root, batch_norm_statistics="running")
    results, write = Results(root), files.write_bytes

    def killed(path, content):
        if path.name == "evaluation.csv":
            raise KeyboardInterrupt
        write(path, content)

    with patch.object(files, "write_bytes", killed), pytest.raises(KeyboardInterrupt):
        stored.evaluate(results.subject("01"), results.settings)
    assert set(load_results(root).evaluation["subject"]) == {"02"}
    write_settings(root)


CHANGES = {
    "a replaced fit": (replace_fit, ["01"]),
    "a fit that is gone": (lambda root: shutil.rmtree(subject_of(root).fit("step-b7-r0.05-s0").root), ["01"]),
    "a baseline": (lambda root: write_baseline(subject_of(root).baseline("baseline"), 3), ["01"]),
    "a table that was changed": (change_table, ["01"]),
    "a kill between the writes": (between_the_writes, ["01"]),
    "a table that is gone": (lambda root: subject_of(root).evaluation.unlink(), ["01"]),
    "a record that is gone": (lambda root: subject_of(root).evaluation_record.unlink(), ["01"]),
    "a record that was changed": (lambda root: subject_of(root).evaluation_record.write_text("{}"), ["01"]),
    "other statistics": (lambda root: write_settings(root, batch_norm_statistics="running"), ["01", "02"]),
    "other comparisons": (lambda root: write_settings(root, comparisons=[]), ["01", "02"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_evaluated_again(change, root, evaluated):
    made, expected = CHANGES[change]
    made(root)
    evaluated.clear()
    update(root)
    assert evaluated == expected
    results = Results(root)
    for subject in results.subjects:
        stored_now = read_stored(subject, results.settings, subject.done, {})
        table = tables.evaluation(subject, results.settings, stored_now, {})
        assert subject.folder.evaluation.read_bytes() == files.csv_bytes(table)


def test_another_metric_or_version_evaluates_again(root, evaluated, monkeypatch):
    monkeypatch.setattr(stored, "VERSION", stored.VERSION + 1)
    update(root)
    monkeypatch.setitem(METRICS, "number", lambda y, probabilities: len(y))
    update(root)
    assert evaluated == ["01", "02"] * 2


@pytest.mark.parametrize("name", ["subjects/001/evaluation.csv", "comparison.csv"])
@pytest.mark.parametrize("change", ["changed", "record is gone"])
def test_tables_that_their_record_does_not_vouch_for_are_refused_with_the_remedy(name, change, root):
    path = root / name
    if change == "changed":
        path.write_bytes(path.read_bytes().replace(b"0.", b"1.", 1))
    else:
        path.with_suffix(".json").unlink()
        folder = subject_of(root)
        sha256 = {path.name: integrity.file_digest(path) for path in (folder.trials, folder.summary)}
        records.write_record(folder.data, Results(root).subject("01").data | {"sha256": sha256})
    with pytest.raises(UserError) as refusal:
        _ = load_results(root).evaluation if "evaluation" in name else load_results(root).comparison
    assert str(refusal.value).startswith(f"{path}: ")
    assert f"run python -m eeg_sgdr.report {root}," in str(refusal.value)
    update(root)
    assert len(load_results(root).evaluation)
    assert len(load_results(root).comparison)
