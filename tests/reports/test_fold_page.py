"""A fold's report and the study's across subjects: true of folds, their people named and counted."""

import re

import pandas as pd
import pytest
from pages import MADE, check_numbers, visible
from results_folder import DATA, across, compare, one, rows, study_settings, write_folds, wrong_in_folds

from eeg_sgdr.evaluation.statistics import binomial_interval
from eeg_sgdr.report import main
from eeg_sgdr.reports.data import rejections, resampled_subjects
from eeg_sgdr.reports.folds import page
from eeg_sgdr.reports.headline import headline
from eeg_sgdr.reports.methods import deviations, methods
from eeg_sgdr.reports.study import page as study_page
from eeg_sgdr.reports.study import publish
from eeg_sgdr.reports.subject import result
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.subject import Subject

PEOPLE = ("1", "2", "3", "10")
SETTINGS = across(study_settings(PEOPLE, baseline=None), folds=[["1", "2"], ["3", "10"]])


def write_fold(root, **data):
    settings = across(study_settings(PEOPLE), folds=[["2", "10"], ["1", "3"]])
    results = write_folds(root / "study", settings, None, missing=["2"])
    (fold,) = results.subjects
    files.write_json(fold.folder.data, {**fold.data, "interpolated": {"3/0/1": ["C3"]}, **data})
    return results, Subject(fold.folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_fold(tmp_path_factory.mktemp("made_up"), resampled={"3/0/1": 128.0, "3/0/2": 128.0})


@pytest.fixture(scope="module")
def html(made):
    return page(*made)


def test_the_first_sentence_counts_all_test_trials_of_the_fold(made, html):
    results, fold = made
    row = one(fold.evaluation, subject="all", schedule="step", epoch=7, rates="0.025")
    sentence, tested, _ = result(fold, results.settings, headline(fold, results.settings))
    assert sentence.startswith("Of 20 test trials of the 2 subjects of fold 1, the network trained with")
    assert f"the step schedule was wrong on {round(20 * row['error'])} (" in sentence
    assert "can say of these 2 subjects: neither the intervals nor the test" in tested
    assert sentence in visible(html)
    assert "small: fold 1" in re.search("<title>(.*?)</title>", html).group(1)


def test_every_test_subject_has_its_errors_and_all_theirs(made, html):
    at_end = rows(made[1].evaluation, epoch=7, rates="0.025", members="single")
    lines = re.findall(r"<tr[^>]*><td[^>]*>(2|10|all)</td>(.*?)</tr>", html)
    assert [label for label, _ in lines] == ["2", "10", "all"]
    for label, cells in lines:
        n = 20 if label == "all" else 10
        found = re.findall(r"<td[^>]*>(.*?)</td>", cells)
        assert found[0] == str(n)
        for cell, schedule in zip(found[1:], ("restarts", "step"), strict=True):
            error = one(at_end, subject=label, schedule=schedule)["error"]
            low, high = binomial_interval(round(n * error), n)
            expected = f"{round(n * error)} ({100 * error:.1f} %, {100 * low:.1f} to {100 * high:.1f} %)"
            assert cell == expected


def test_tables_and_curves_are_over_all_test_trials_once(made, html):
    """A predictor has one row, not one for each subject."""
    table = re.search(r"<caption>Every predictor on 20 test trials.*?</table>", html, re.DOTALL).group()
    # At two rates and over both: step has three budgets, restarts three ends, and ensembles of one network.
    assert table.count("<tr") - 1 == 3 * (3 + 3)


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_who_trains_and_who_tests(html):
    text = words(html)
    assert "Split How many Subjects test 2 2, 10 train 2 1, 3" in text
    assert "Resampled to 100 Hz: subject 3 (recorded at 128 Hz)." in visible(html)


def test_no_sentence_speaks_of_one_subject(html):
    text = visible(html)
    for untrue in ("subject 1,", "one subject", "One subject", "of subject 1", "over subjects can"):
        assert untrue not in text


def test_methods_say_how_folds_were_made(made):
    results, fold = made
    text = " ".join(methods(results.settings, fold))
    assert "EEG of 4 subjects of a BIDS dataset" in text
    assert "Subjects 2 and 10 tested (20 trials after rejection), all others trained (12 trials)." in text
    assert "one of 2 folds that were named in the configuration" in text
    assert "resampled to 100 Hz (polyphase) where recorded at another rate" in text
    assert "hold for these subjects and these trained networks alone" in text
    drawn = " ".join(methods(across(results.settings, folds=2), fold))
    assert "one of 2 folds into which subjects were divided at random (seed 0)" in drawn


def test_runs_are_named_with_their_subject(made):
    assert "Interpolated sensors: subject/session/run 3/0/1: C3." in rejections(made[1])
    untrained_on = "tested on people of whom they have seen nothing"
    assert untrained_on in " ".join(deviations(made[0].settings, made[1]))


def test_many_trials_that_look_ahead_are_counted_and_not_named(tmp_path):
    _, fold = write_fold(tmp_path, not_causal=list(range(21)))
    (text,) = [text for text in rejections(fold) if text.startswith("Not causal")]
    assert text.startswith("Not causal: 21 trials (12 for training and 9 for testing)")
    assert text.endswith("not_causal in data.json lists them.")


@pytest.mark.parametrize(
    ("rates", "sentences"),
    [
        ({}, []),
        (dict.fromkeys(("3", "88", "92", "7"), 250.0), ["all subjects (recorded at 250 Hz)."]),
        (
            {"88": 128.0, "92": 128.0, "3": 250.0},
            ["subjects 88 and 92 (recorded at 128 Hz); subject 3 (recorded at 250 Hz)."],
        ),
    ],
)
def test_other_rates_are_grouped_and_none_says_nothing(tmp_path, rates, sentences):
    fold = Subject(folders.SubjectFolder(tmp_path))
    people = {"fold": "1", "test_subjects": ["3", "88"], "train_subjects": ["92", "7"]}
    resampled = {f"{label}/0/{run}": rate for label, rate in rates.items() for run in (4, 8)}
    files.write_json(fold.folder.data, {**DATA, **people, "resampled": resampled, "sfreq": 160.0})
    assert resampled_subjects(fold) == [f"Resampled to 160 Hz: {sentence}" for sentence in sentences]


def test_the_command_makes_a_folds_report_again(tmp_path, capsys):
    results, fold = write_fold(tmp_path)
    pages = []
    for _ in range(2):
        assert main([str(results.root)]) == 0
        assert str(fold.folder.report) in capsys.readouterr().out
        pages.append(MADE.sub("", fold.folder.report.read_text(encoding="utf-8")))
    assert pages[0] == pages[1]


def test_the_study_counts_folds_and_then_people(tmp_path):
    study = compare(write_folds(tmp_path / "study", SETTINGS, wrong_in_folds))
    html = study_page(study)
    text = visible(html)
    assert "verdict: undecided. Over 2 folds and 1 seed." in text
    assert {"2 : 0 : 0", "2 : 1 : 1"} <= set(re.findall(r"\d : \d : \d", text)), "of folds, and of subjects"
    assert "1 3, 10" not in text
    assert "How many train 1 1, 2 2 2 2 3, 10 2 2" in words(html)
    assert "Training sets of folds overlap" in text
    assert "The configuration has 2 folds; with fewer than ten" in text
    assert "Here it is 4 subjects in 2 folds, left and right." in text
    assert "over 4 subjects and 1 seed." in text, "Figure 4"
    assert "Over subjects, given these trained networks" in text
    check_numbers(html, pd.read_csv(folders.Study(study.root).comparison))
    for label in ("1", "2"):
        assert f'<a href="folds/0{label}/report.html">{label}</a>' in html
    assert "A fold's name leads to its report." in text


def test_marks_lead_to_the_fold_or_to_the_fold_that_a_subject_tests_in(tmp_path):
    """Folds and people bear the same labels: fold 1 tests 2 and 10, fold 2 tests 1 and 3."""
    settings = across(study_settings(PEOPLE, baseline=None), folds=[["2", "10"], ["1", "3"]])
    html = study_page(compare(write_folds(tmp_path, settings, wrong_in_folds)))
    forest, figure4, slopes = re.findall(r"<svg.*?</svg>", html, re.DOTALL)[:3]
    titled = r'<a xlink:href="folds/0(\d)/report.html"><title>(?:fold|subject) (\d+):'
    for picture in (forest, slopes):
        assert set(re.findall(titled, picture)) == {("1", "1"), ("2", "2")}
    assert set(re.findall(titled, figure4)) == {("1", "2"), ("1", "10"), ("2", "1"), ("2", "3")}
    assert re.findall(r'<a href="folds/0(\d)/report.html">(\d)</a>', html) == [("1", "1"), ("2", "2")]


def test_one_fold_is_no_study(tmp_path):
    study = compare(write_folds(tmp_path, SETTINGS, wrong_in_folds, missing=["2"]))
    assert publish(study) == [], "its two subjects share their networks"
