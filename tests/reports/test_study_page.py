"""The study's report and Figure 4: each number is one of comparison.csv, nothing unfinished is hidden."""

import codecs
import re

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup as Html
from pages import MADE, MARKED, check_numbers, visible
from results_folder import (
    across,
    compare,
    edit_fits,
    study_settings,
    write_baseline,
    write_folds,
    write_study,
    wrong_at_end,
)

from eeg_sgdr.evaluation.inference import pairs
from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.report import main
from eeg_sgdr.reports.figures.canvas import encode
from eeg_sgdr.reports.figures.figure4 import MOST_ARMS, curve_points, figure4, reference_row
from eeg_sgdr.reports.figures.surface import surface
from eeg_sgdr.reports.methods import recording_warnings
from eeg_sgdr.reports.study import page, publish
from eeg_sgdr.reports.warnings import study_warnings
from eeg_sgdr.storage import columns, folders
from eeg_sgdr.storage.results import Results

LABELS = list(columns.LABELS)

SUBJECTS = ("01", "02", "03")
WRONG = wrong_at_end(step={"01": 8, "02": 6, "03": 5}, restarts={"01": 4, "02": 5, "03": 6})
#: One subject without any fit, and one without the pair of one seed.
MISSING = ["03", ("02", "step-b7-r0.05-s1")]


def study(root, missing=(), wrong=WRONG, **changes):
    settings = study_settings(SUBJECTS, **{"baseline": None, **changes})
    return compare(write_study(root, settings, wrong, missing))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return study(tmp_path_factory.mktemp("made_up") / "study")


@pytest.fixture(scope="module")
def html(results):
    return page(results)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    root = tmp_path_factory.mktemp("made_up") / "unfinished"
    return study(root, MISSING, seeds=(0, 1), training={"store": "epochs"})


def lines(panel):
    """What a panel draws, as (x, y) by order of drawing; level lines left out."""
    return [line.get_xydata().tolist() for line in panel.lines if len(line.get_xydata()) > 2]


def test_figure_4_draws_the_curves_of_the_comparison(results):
    figure = figure4(results.comparison, results.settings)
    top, _, bottom, _ = figure.axes
    points = curve_points(results.comparison)
    for panel, arms in ((top, ["step", "restarts"]), (bottom, ["restarts"])):
        for arm, drawn in zip(arms, lines(panel), strict=False):
            of = points.query(f"arm_a == '{arm}' and snapshots_a == 'single' and rates_a == '0.025'")
            assert drawn == of.sort_values("epochs_a")[["epochs_a", "estimate"]].to_numpy(float).tolist()
    # Step, 8, 6 and 5 wrong of 20; restarts 4, 5 and 6: the median improvement is one trial.
    assert lines(top)[1][-1] == pytest.approx([7, 5])
    assert reference_row(records(results.comparison), results.settings)["estimate"] == pytest.approx(0.3)
    chance = [line for line in top.lines if line.get_linestyle() == ":"]
    assert chance[0].get_ydata()[0] == pytest.approx(-20)
    assert "step, 7 epochs, rate 0.025" in figure.get_supylabel()


@pytest.mark.parametrize("kind", ["svg", "png"])
@pytest.mark.parametrize("draw", [figure4, surface])
def test_pictures_are_the_same_bytes_whenever_they_are_drawn(unfinished, draw, kind):
    first, second = (encode(draw(unfinished.comparison, unfinished.settings), kind) for _ in range(2))
    assert first == second


def test_figure_4_names_the_arms_that_it_leaves_out(tmp_path):
    more = {f"arm{i}": {"kind": "cosine", "budgets": [3, 7]} for i in range(MOST_ARMS)}
    results = study(tmp_path, wrong=lambda *_: range(3), schedules=more)
    arms = list(results.settings.schedules)
    assert len(arms) == MOST_ARMS + 2
    texts = [text.get_text() for text in figure4(results.comparison, results.settings).legends[0].get_texts()]
    assert f"not drawn: {', '.join(arms[MOST_ARMS:])}" in texts


def test_every_number_is_one_of_the_comparison(results, html):
    found = check_numbers(html, pd.read_csv(folders.Study(results.root).comparison))
    families = {results.comparison["family"].iloc[int(line) - 2] for _, line, _, _ in found}
    assert families == {"tested", "likelihood", "curve", "descriptive", "ensemble", "anytime", "learned"}


def test_no_number_stands_unmarked(results, html):
    """What is left without marks, settings and citations has no digits but those of names and labels."""
    tables = [found for found in re.findall(r"<tbody>.*?</tbody>", html, re.DOTALL) if "<data" in found]
    answers = re.findall(r'<p class="result">.*?</p>', html, re.DOTALL)
    assert (len(tables), len(answers)) == (10, 2)
    labels = {*SUBJECTS, *map(str, results.settings.training.initial_rates), "1", "2", "95"}
    for part in [*tables, *answers]:
        text = visible(re.sub(r"<data .*?</data>", "", part))
        assert set(re.findall(r"\d[\d.]*\d|\d", text)) <= labels


def test_the_picture_of_ensembles_says_what_it_stands_on(unfinished, html):
    stands = "It stands on 3 subjects, 1 seed, 20 test trials in a subject (median; quartiles 20 to 20)."
    assert stands in visible(html)
    assert "the paper's control" not in visible(html)
    text = visible(page(unfinished))
    assert "It stands on 1 to 2 subjects, 1 to 2 seeds, 20 test trials in a subject" in text
    assert "the paper's control" in text
    check_numbers(page(unfinished), unfinished.comparison)


def test_labels_for_people_are_read_by_nobody(unfinished):
    """With other labels, and other words for what is missing, just these change on the page."""
    before, after = unfinished, Results(unfinished.root)
    table = before.comparison.copy()
    table[LABELS] = table[LABELS].map(rot13)
    vars(after)["comparison"] = table
    for draw in (figure4, surface):
        drawn = [encode(draw(of.comparison, of.settings), "svg") for of in (before, after)]
        assert drawn[0] == drawn[1]
    expected, shown = (MADE.sub("", page(of)) for of in (before, after))
    assert visible(expected) != visible(shown)
    for label in sorted(set(before.comparison[LABELS].to_numpy().ravel()) - {""}, key=len, reverse=True):
        shown = shown.replace(rot13(label), label)
    assert visible(expected) == visible(shown)
    assert MARKED.findall(expected) == MARKED.findall(shown)


def rot13(text):
    return codecs.encode(text, "rot13")


def test_pictures_are_named_in_plain_text(html):
    names = re.findall(r' alt="([^"]*)"', html)
    assert names
    assert not [name for name in names if "&lt;" in name]


def test_without_any_ensemble_there_is_a_table_alone(tmp_path):
    missing = [(label, name) for label in SUBJECTS for name in ("step-b7-r0.05-s0", "restarts-b7-r0.05-s0")]
    results = study(tmp_path, missing)
    html = page(results)
    assert "Figure 3 and Table 2" not in visible(html)
    assert "Mean error over subjects (%) when the last M snapshots" in visible(html)
    check_numbers(html, results.comparison)


def test_the_answer_comes_first_and_with_its_reservations(results, html):
    first = "comparison == 'restarts against step at equal epochs' and quantity == 'mean difference'"
    (row,) = results.comparison.query(first).to_dict("records")
    # (8 - 4 + 6 - 5 + 5 - 6) / 3 trials of 20.
    assert row["estimate"] == pytest.approx(4 / 60)
    text = visible(html)
    answer = text.index(
        f"Restarts against step at equal epochs: 6.7 points better (95 % interval {100 * row['low']:.1f} to "
        f"{100 * row['high']:.1f}); verdict: undecided. Over 3 subjects and 1 seed."
    )
    reservations = [
        "With one seed, variation between trainings was not measured",
        "With so few subjects no test can reach 5 % after correction",
    ]
    assert answer < min(map(text.index, reservations))
    for cells in ("27.5 : 34.2", "2 : 0 : 1", "7 : 7"):
        assert cells in text


@pytest.mark.parametrize("picture", ["forest", "figure4", "slopes"])
def test_every_mark_of_a_subject_leads_to_its_page(results, html, picture):
    order = ["forest", "figure4", "slopes"]
    drawn = re.findall(r"<svg.*?</svg>", html, re.DOTALL)[order.index(picture)]
    links = re.findall(r'<a xlink:href="([^"]*)"><title>([^<]*)</title>', drawn)
    errors = pairs(results.comparison, results.settings)["restarts against step at equal epochs"].errors
    for label, (a, b) in errors[["a", "b"]].mul(100).iterrows():
        of_sides = f"{b:.1f} to {a:.1f} %" if picture == "slopes" else f"{b - a:+.1f} points"
        assert (f"subjects/{label.zfill(3)}/report.html", f"subject {label}: {of_sides}") in links
    assert (results.root / "subjects/001").is_dir()


def test_a_page_is_read_in_minutes(html):
    text = visible(re.sub(r"<(table|pre)\b.*?</\1>", "", html, flags=re.DOTALL))
    assert 500 < len(text.split()) <= 1500


def test_a_page_leads_to_pages_of_its_folder_alone(html):
    content = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    addresses = set(re.findall(r'(?:href|src)="(?!#|data:)([^"]+)"', content))
    assert addresses == {f"subjects/{label.zfill(3)}/report.html" for label in SUBJECTS}


def test_networks_that_learned_nothing_are_warned_of_before_their_comparisons(tmp_path):
    # Of 20 trials, 5 wrong or fewer are rarer than 5 % by guessing.
    wrong = {"step": 5, "restarts": 7}
    results = write_study(tmp_path, study_settings(SUBJECTS), lambda _, key, __: range(wrong[key.schedule]))
    for label in SUBJECTS:
        write_baseline(folders.Study(tmp_path).subject(label).baseline("baseline"), n_wrong=4)
    found = study_warnings(compare(results))
    assert [Html(one).striptags().partition(".")[0] for one in found[:2]] == [
        "In most subjects, networks are not told apart from guessing; subjects in which they are: restarts 0",
        "Networks err far more than the classical baseline: restarts by 15",
    ]
    html = page(Results(tmp_path))
    assert all(visible(one) in visible(html) for one in found)
    check_numbers(html, Results(tmp_path).comparison)


def test_a_finished_study_says_so_and_names_what_could_not_be_asked(tmp_path):
    # Of four cycles two are averaged, which takes two seeds of the step schedule.
    text = visible(page(study(tmp_path, budgets=(3, 15), epochs=15)))
    assert "Complete: no fit is missing of any subject or seed" in text
    assert "Unfinished" not in text
    assert "not answered (left out: needs 2 seeds, there are 1)" in text


def test_an_unfinished_study_says_so_first(unfinished):
    text = visible(page(unfinished))
    first = text.index("Unfinished: no fit is done of subject 03.")
    assert first < text.index("of subject 02, these fits are missing: step-b7-r0.05-s1.")
    assert first < text.index("verdict:")
    assert "Complete" not in text
    assert "subject 02: seed 1; subject 03. It stands on 2 subjects and 1 seed." in text


def test_a_baseline_that_is_not_there_is_missing(tmp_path):
    text = visible(page(study(tmp_path, baseline={})))
    assert "Complete" not in text
    assert "subject 01; subject 02; subject 03. It stands on 0 subjects and 0 seeds." in text
    assert "not answered (nothing of it is there)." in text


def test_a_failed_fit_is_told_with_its_reason_and_escaped(tmp_path):
    fit = study(tmp_path).subject("01").folder.fit("step-b1-r0.05-s0").fit
    edit_fits(fit.parent, state="failed", why="<b>no loss</b>")
    html = page(Results(tmp_path))
    assert "Failed: subject 01, step-b1-r0.05-s0 (<b>no loss</b>)." in visible(html)
    assert "<b>no loss" not in html


def test_names_of_the_configuration_are_escaped(tmp_path):
    hostile = "<script>alert('x')</script>"
    sides = {"a": {"schedule": "restarts"}, "b": {"schedule": "step", "budget": 7}}
    results = study(tmp_path, evaluation={"comparisons": [{"name": hostile, **sides}]})
    assert hostile.lower() not in page(results).lower()


def test_what_was_not_reached_is_said(tmp_path):
    # Restarts stay at chance.
    results = study(tmp_path, wrong=lambda _, key, epoch: range(10 if key.schedule == "restarts" else 3))
    html = page(results)
    assert "not reached (not reached to not reached)" in visible(html)
    check_numbers(html, results.comparison)


def test_subjects_reports_are_linked_relatively(html):
    for label in SUBJECTS:
        assert f'<a href="subjects/{label.zfill(3)}/report.html">{label}</a>' in html


def test_the_report_is_the_same_whenever_it_is_made_but_for_one_element(tmp_path, html):
    study(tmp_path / "study")
    edit_fits(tmp_path, seconds=1234.5)
    again = page(Results(tmp_path / "study"))
    assert "took 24 s" in MADE.findall(html)[0]
    assert "took 24 s" not in again
    # Seven epochs of half a second; what one trial takes is not in these folders.
    cells = [">3.50 s : 3.50 s<", ">none<", ">not measured : not measured<"]
    assert all(cell in MADE.findall(html)[0] for cell in cells)
    assert MADE.sub("", again) == MADE.sub("", html)


def test_one_subject_with_the_reference_is_no_comparison(tmp_path):
    missing = [(label, "step-b7-r0.025-s0") for label in SUBJECTS[1:]]
    assert publish(study(tmp_path, missing)) == []
    assert not folders.Study(tmp_path).report.exists()


def test_the_command_writes_figure_and_report(tmp_path, monkeypatch, capsys):
    tmp_path /= "two words"
    study(tmp_path)
    monkeypatch.setattr("eeg_sgdr.reports.subject.subject_report", lambda *_: None)
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    for name in ("comparison.csv", "figure4.svg", "figure4.png", "report.html"):
        assert (tmp_path / name).is_file()
        assert str(tmp_path / name) in printed
    text = visible((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"python -m eeg_sgdr.report '{tmp_path}'\n" in text
    assert f"python -m eeg_sgdr.run --config '{tmp_path}'/config.yaml --out '{tmp_path}'\n" in text


def test_across_subjects_folds_are_counted(tmp_path):
    settings = across(study_settings(SUBJECTS, baseline=None), folds=3)
    html = page(compare(write_folds(tmp_path, settings, lambda *_: range(3), missing=["3"])))
    text = visible(html)
    assert "Unfinished: no fit is done of fold 3." in text
    assert "It stands on 2 folds and 1 seed." in text
    assert "0.0 points better; verdict: " in text
    assert "Training sets of folds overlap" in text
    assert "error of each fold" in text
    assert "subjects/" not in html


def test_mains_in_a_person_s_eeg_come_before_what_networks_made_of_it(tmp_path):
    results = write_study(tmp_path, study_settings(SUBJECTS), lambda *_: range(5))
    path = results.subject(SUBJECTS[1]).folder.summary
    summary = dict(np.load(path))
    summary["spectra"][..., summary["frequencies"] == 50] = 1e3
    np.savez(path, **summary)
    results = compare(Results(tmp_path))
    told = f"Most of the power of the filtered EEG is that of the mains in subject {SUBJECTS[1]}, of 3: "
    assert any(one.startswith(told) for one in study_warnings(results))
    assert told.strip() in visible(page(results))
    named, none = (recording_warnings(results.subject(label)) for label in SUBJECTS[1::-1])
    assert "is that of the mains (50 Hz)" in named[0]
    assert not none
