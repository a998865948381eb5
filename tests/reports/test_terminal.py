"""What stands at the end of a run, against comparison.csv."""

import re

import pytest
from results_folder import across, compare, study_settings, write_folds, write_study

from eeg_sgdr.reports import terminal

LABELS = [f"{i:02d}" for i in range(1, 13)]
FIRST = "restarts against step at equal epochs"


def wrong(label, key, epoch):
    """Step is wrong once more of 20, or three times."""
    return range(3 + int(label) % 3 + (1 + 2 * (int(label) % 2)) * (key.schedule == "step"))


def row_of(text, name):
    """Cells of a comparison's row, whose name is on one line."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}   ")]
    return re.split(" {3,}", line)[1:]


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_a_study_ends_with_its_comparisons_and_the_address_of_its_report(tmp_path, wide):
    results = compare(write_study(tmp_path, study_settings(LABELS), wrong))
    (tmp_path / "report.html").touch()
    text = terminal.answer(results, 8.24 * 60)
    assert row_of(text, FIRST) == ["20.0 : 30.0", "10.0", "6.7 to 13.3", "better"]
    assert row_of(text, "ensemble of snapshots against the last snapshot")[-1] == "undecided"
    assert "\nDifferences in points, means over subjects; equivalent is within 1 point.\n" in text
    assert text.endswith(f"\n\nThis took 8.2 min.\nReport: {(tmp_path / 'report.html').as_uri()}")
    tested = results.comparison.query("family == 'tested' and quantity == 'mean difference'")
    assert all(f"\n{name}   " in text for name in tested["comparison"])


def test_of_too_few_units_the_errors_are_shown_and_how_many_they_were(tmp_path, wide):
    results = write_study(tmp_path, study_settings(LABELS[:3]), wrong, missing=[("03", "step-b7-r0.05-s0")])
    text = terminal.answer(compare(results), 1)
    assert row_of(text, FIRST)[0::3] == ["22.5 : 32.5", "undecided, 2 subjects"]
    assert "Unfinished: of subject 03, these fits are missing: step-b7-r0.05-s0." in text


def test_folds_are_counted_as_folds(tmp_path, wide):
    settings = across(study_settings(LABELS[:4]), folds=2)
    results = write_folds(tmp_path, settings, lambda label, key, epoch: wrong("1", key, epoch))
    text = terminal.answer(compare(results), 1)
    assert row_of(text, FIRST)[-1] == "undecided, 2 folds"
    assert "means over folds" in text


def test_a_subject_alone_ends_with_the_sentences_of_its_page(tmp_path, wide):
    text = terminal.answer(write_study(tmp_path, study_settings(LABELS[:1]), wrong), 90)
    assert "Of 20 test trials of subject 01, the network trained with warm restarts was wrong on 4 (" in text
    page = (tmp_path / "subjects/001/report.html").as_uri()
    assert text.endswith(f"\n\nThis took 90 s.\nReport: {page}")


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_table_is_as_wide_as_the_terminal(width, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = terminal.answer(compare(write_study(tmp_path, study_settings(LABELS[:2]), wrong)), 1)
    *lines, _report = text.splitlines()
    assert max(map(len, lines)) <= max(width, 95)
    assert (f"\n{FIRST}   " in text) == (width == 200)
