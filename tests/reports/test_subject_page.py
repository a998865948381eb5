"""The subject's report: its numbers are the tables', and it says what a reader must know."""

import base64
import re

import numpy as np
import pytest
from pages import MADE, visible
from results_folder import (
    SENSORS,
    MadeUp,
    edit_fits,
    one,
    rows,
    study_settings,
    write_baseline,
    write_folder,
    write_study,
)

from eeg_sgdr import report
from eeg_sgdr.evaluation.statistics import binomial_interval, mcnemar
from eeg_sgdr.evaluation.stored import evaluate
from eeg_sgdr.reports.data import recordings
from eeg_sgdr.reports.headline import headline, side_by_side
from eeg_sgdr.reports.methods import bibtex, deviations, methods, references
from eeg_sgdr.reports.subject import activation_patterns, page, result, warnings
from eeg_sgdr.settings import (
    CosineArm,
    CyclicArm,
    FilesRecordings,
    LinearArm,
    MoabbRecordings,
    OneCycleArm,
    TrapezoidArm,
    WarmRestartsArm,
)
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject

NAME = "study"  # a folder's name stands in its report
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("made_up") / NAME, MadeUp())


@pytest.fixture(scope="module")
def html(plain):
    return page(*plain)


def comparison(name, b, **a):
    return {"evaluation": {"comparisons": [{"name": name, "a": {"schedule": "restarts", **a}, "b": b}]}}


def test_a_report_is_the_same_whenever_it_is_made_but_for_one_element(tmp_path, html):
    results, subject = write_folder(tmp_path / NAME, MadeUp())
    edit_fits(results.root, seconds=1234.5)
    again = page(results, Subject(subject.folder))
    (first,), (second,) = MADE.findall(html), MADE.findall(again)
    assert "took 8 s" in first
    assert "took 9876 s" in second
    assert MADE.sub("", again) == MADE.sub("", html)


def test_the_first_sentence_has_the_numbers_of_the_table(plain, html):
    results, subject = plain
    sentence = result(subject, results.settings, headline(subject, results.settings))[0]
    for schedule in ("step", "restarts"):
        row = one(subject.evaluation, schedule=schedule, epoch=7, rates="0.025", members="single")
        count = round(row["error"] * row["n_test"])
        error, low, high = (f"{100 * of:.1f}" for of in (row["error"], *binomial_interval(count, 20)))
        assert f"was wrong on {count} ({error} %, 95 % interval {low} to {high} %)" in sentence
    assert "always naming the commonest class would be wrong on 10 (50.0 %)" in sentence
    assert sentence in visible(html)


def test_the_test_is_that_of_the_stored_predictions(plain, html):
    results, subject = plain
    stored = (results.probabilities(1, schedule, 7, 0.025)[1][-1] for schedule in ("restarts", "step"))
    expected = mcnemar(*(of.argmax(axis=1) == np.arange(12, 32) % 2 for of in stored))
    assert headline(subject, results.settings).test == expected
    assert f"was right on {expected.only_a} trial" in visible(html)
    assert "with seed 0, can say of one subject" in visible(html)


def test_every_comparison_is_listed_with_the_errors_of_the_table(plain, html):
    results, subject = plain
    compared = side_by_side(subject, results.settings)
    assert len(compared) == 5
    name, _, _, errors = compared[-1]
    assert "at equal cost" in name
    at_end = rows(subject.evaluation, rates="0.025+0.05", epoch=7)
    a, b = (("restarts", "cycles"), ("step", "single"))
    a, b = (round(20 * one(at_end, schedule=of, members=members)["error"]) for of, members in (a, b))
    assert errors == [f"{a} : {b}"]
    assert errors[0] in visible(html)


def test_one_seed_is_called_one_and_several_are_counted(tmp_path, html):
    assert "One seed (0): variation between trainings was not measured." in visible(html)
    results, subject = write_folder(tmp_path, MadeUp(seeds=(0, 3)))
    found = headline(subject, results.settings)
    assert list(found.by_seed) == [0, 3]
    a, b = zip(*found.by_seed.values(), strict=True)
    expected = f"Errors with seeds 0 and 3: warm restarts {a[0]}, {a[1]}; step schedule {b[0]}, {b[1]}."
    assert result(subject, results.settings, found)[-1] == expected


def test_texts_of_recordings_and_configuration_are_escaped(tmp_path):
    made_up = MadeUp(
        classes=(HOSTILE, "a & b"),
        sensors=(f"Cz {HOSTILE}", *SENSORS[1:]),
        rejected=f"annotation BAD {HOSTILE}",
        settings=comparison(HOSTILE, {"schedule": "step", "budget": 7}),
    )
    html = page(*write_folder(tmp_path, made_up))
    assert HOSTILE not in html
    assert f"Cz {HOSTILE}" in visible(html)
    assert visible(html).count(HOSTILE) >= 4
    assert f"Rejected: 1 of 32 trials; annotation BAD {HOSTILE} (1)." in visible(html)


def test_the_page_loads_nothing_from_elsewhere(html):
    html = re.sub(r"(<script\b[^>]*>).*?</script>", r"\1", html, flags=re.DOTALL)
    assert not re.findall(r"<(?:link|iframe|object|embed)\b", html)
    assert not re.findall(r"<(?:script|img|source)\b[^>]*\bsrc=[\"'](?!data:)", html)
    assert not re.findall(r"url\([\"']?(?!data:)\w", html)
    assert "@import" not in html


def test_simulated_recordings_are_called_so_everywhere(tmp_path, html):
    assert "simulated" not in visible(html).lower()
    simulated = page(*write_folder(tmp_path, MadeUp(simulated=True)))
    text = visible(simulated)
    assert "simulated recordings, subject 1" in re.search("<title>(.*?)</title>", simulated).group(1)
    warning = text.index("Simulated recordings: they say nothing")
    assert warning < text.index("Of 20 simulated test trials")
    pictures = re.findall(r"<svg.*?</svg>", simulated, re.DOTALL)
    assert len(pictures) >= 5
    assert all("<!-- simulated recordings -->" in picture for picture in pictures)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"missing": ("step-b3-r0.05-s0",)}, "Unfinished: 1 of 8 fits are missing (step-b3-r0.05-s0)."),
        ({"failed": ("step-b3-r0.05-s0",)}, "Failed: step-b3-r0.05-s0 (the loss is not finite in epoch 1"),
        ({"capability": {"step-b3-r0.05-s0": "AVX512"}}, "Mixed: the fits were not all made with the same"),
        ({"form": {"step-b3-r0.05-s0": "compiled"}}, "Mixed: the fits were not all made with the same"),
        ({"n_updates": 3}, "Few updates: an epoch has only 3 (fewer than 4)"),
    ],
)
def test_what_a_reader_must_know_is_said(tmp_path, plain, changes, sentence):
    results, subject = write_folder(tmp_path, MadeUp(**changes))
    before, now = (
        warnings(unit, of.settings, headline(unit, of.settings)) for of, unit in (plain, (results, subject))
    )
    assert before == []
    assert [text.startswith(sentence) for text in now] == [True]


def test_networks_that_err_more_than_the_baseline_are_warned_of(tmp_path):
    results = write_study(tmp_path, study_settings(["1"]), lambda *_: range(5))
    subject = results.subject("1")
    write_baseline(subject.folder.baseline("baseline"), n_wrong=2)
    evaluate(subject, results.settings)
    subject = Results(tmp_path).subject("1")
    (warning,) = warnings(subject, results.settings, headline(subject, results.settings))
    expected = "Far above the classical baseline's error of 10.0 %: the network trained with warm restarts"
    assert warning.startswith(expected)


def test_warnings_come_first_and_without_the_compared_fits_there_is_no_test(tmp_path):
    missing = ("step-b7-r0.025-s0", "step-b7-r0.05-s0")
    results, subject = write_folder(tmp_path, MadeUp(missing=missing))
    text = visible(page(results, subject))
    assert text.index("Unfinished: 2 of 8 fits are missing") < text.index("Of 20 test trials")
    assert "McNemar test, p" not in text
    assert "missing" in side_by_side(subject, results.settings)[0][3]


def test_without_positions_maps_are_left_out(tmp_path):
    results, subject = write_folder(tmp_path, MadeUp(places=("nowhere",) * len(SENSORS)))
    html = recordings(subject)
    assert "Maps are left out: the recordings do not say where the sensors are." in html
    assert "Mean spectrum of each class" in html  # C3, Cz and C4 are known by name
    patterns = activation_patterns(subject, results.settings, headline(subject, results.settings))
    assert "No patterns: the recordings do not say where the sensors are." in patterns


def test_networks_that_cannot_be_read_have_no_patterns(tmp_path):
    results, subject = write_folder(tmp_path, MadeUp(settings={"network": {"name": "EEGTCNet"}}))
    html = activation_patterns(subject, results.settings, headline(subject, results.settings))
    assert "No patterns: they are known for ShallowFBCSPNet, Deep4Net and EEGNet, not for EEGTCNet" in html
    assert "Haufe" not in " ".join(methods(results.settings, subject))


def test_running_statistics_change_numbers_and_sentences(tmp_path, plain):
    running = {"evaluation": {"batch_norm_statistics": "running"}}
    results, subject = write_folder(tmp_path, MadeUp(settings=running))
    ours = headline(subject, results.settings).contenders[0].probabilities
    theirs = headline(plain[1], plain[0].settings).contenders[0].probabilities
    assert not np.array_equal(ours, theirs)
    assert "kept in training" in " ".join(methods(results.settings, subject))
    assert "running batch-norm statistics" in " ".join(deviations(results.settings, subject))


def test_methods_state_nothing_that_was_not_done(tmp_path, plain):
    everything = " ".join(methods(plain[0].settings, plain[1]))
    assert "high-pass filtered at 4 Hz" in everything
    bare = {"preprocessing": {"highpass_hz": None, "standardize": None, "reject_uv": None}}
    results, subject = write_folder(tmp_path, MadeUp(settings=bare))
    text = " ".join(methods(results.settings, subject))
    for step in ("filtered", "standardised", "amplitude", "resampled", "crops"):
        assert step not in text
    assert "no high-pass" in " ".join(deviations(results.settings, subject))


def test_methods_name_where_recordings_are_from(plain):
    settings, subject = plain[0].settings, plain[1]
    classes = {"left": "l", "right": "r"}
    high_gamma = MoabbRecordings(source="moabb", dataset="Schirrmeister2017", classes=classes)
    files = FilesRecordings(source="files", pattern="{subject}_{run}.edf", classes=classes)
    for source, words, cited in (
        (high_gamma, "EEG of subject 1 of the dataset Schirrmeister2017, read by MOABB", "Jayaram"),
        (files, "EEG of subject 1, read from files by MNE", "Gramfort"),
    ):
        other = settings.model_copy(update={"recordings": source})
        text = methods(other, subject)[0]
        assert text.startswith(words)
        assert cited in [reference.split(",")[0] for reference in references([text], other)]


def test_references_are_there_in_bibtex(html):
    (address,) = re.findall(r'<a download="references.bib" href="(.*?)">', html)
    entries = base64.b64decode(address.removeprefix("data:application/x-bibtex;base64,")).decode()
    listed = html.partition("<h4>References</h4>")[2].partition("</ul>")[0].count("<li>")
    assert entries.count("\n@") + 1 == listed > 5
    assert (
        """@article{Clopper1934,
  author = {Clopper, C. J. and Pearson, E. S.},
  year = {1934},
  title = {{The use of confidence or fiducial limits illustrated in the case of the binomial}},
  journal = {Biometrika},
  volume = {26},
  pages = {404--413},
}
"""
        in entries
    )


@pytest.mark.parametrize(
    ("reference", "entry"),
    [
        (
            "Hägele, A., Ben Allal, L., & Jaggi, M. (2024). A & b: the laws. NeurIPS.",
            "@inproceedings{Hagele2024,\n  author = {Hägele, A. and Ben Allal, L. and Jaggi, M.},\n"
            "  year = {2024},\n  title = {{A \\& b: the laws}},\n  booktitle = {NeurIPS},\n}\n",
        ),
        (
            "Goyal, P. A., et al. (2017). Large batches. arXiv:1706.02677.",
            "@misc{Goyal2017,\n  author = {Goyal, P. A. and others},\n  year = {2017},\n"
            "  title = {{Large batches}},\n  eprint = {1706.02677},\n  archiveprefix = {arXiv},\n}\n",
        ),
        ("Somebody's website", "@misc{Somebodyswebsite,\n  note = {Somebody's website},\n}\n"),
    ],
)
def test_bibtex_of_other_kinds_of_references(reference, entry):
    assert bibtex([reference]) == entry


def test_methods_say_how_every_kind_of_schedule_goes(plain):
    settings, subject = plain[0].settings, plain[1]
    soft = CyclicArm(kind="cyclic", budgets=[3], period=2)
    arms = {**settings.schedules, "soft": soft, "one": CosineArm(kind="cosine", budgets=[3, 7])}
    more = settings.model_copy(update={"schedules": arms})
    text = " ".join(methods(more, subject))
    assert "The cosine schedule was one cycle of cosine annealing" in text
    assert "warm-up" not in text
    assert "with a period of 2 epochs (triangular, Smith, 2017; down first), over budgets of 3 epochs" in text
    assert any(reference.startswith("Smith") for reference in references([text], more))


@pytest.mark.parametrize(
    ("arm", "words", "cited"),
    [
        (
            LinearArm(kind="linear", budgets=[3, 7]),
            "The linear schedule fell in a straight line to zero (Defazio et al., 2023) over budgets of 3 "
            "and 7 epochs.",
            "Defazio",
        ),
        (
            OneCycleArm(kind="one_cycle", budgets=[7]),
            "The one-cycle schedule rose along half a cosine from 1/25 of the initial rate to that rate over "
            "the first 0.3 of budgets of 7 epochs, and fell along another to 1/250000 of it (Smith and Topin",
            "Smith, L. N., & Topin",
        ),
        (
            TrapezoidArm(kind="trapezoid", budgets=[7], cooldown=0.2),
            "The trapezoid schedule held the initial rate and let it fall to zero over the last 1/5 of "
            "budgets of 7 epochs, in a straight line (Hägele et al., 2024).",
            "Hägele",
        ),
        (
            TrapezoidArm(kind="trapezoid", budgets=[7], cooldown="1/3", shape="1-sqrt"),
            "over the last 1/3 of budgets of 7 epochs, multiplied by 1 - sqrt(x) when x of that was done",
            "Hägele",
        ),
        (
            WarmRestartsArm(kind="warm_restarts", epochs=7, warmup=0.5, warmup_restarts=True),
            "In a warm-up of 0.5 epochs at the beginning of every cycle the rate was multiplied by a factor "
            "that rose in a straight line from 0.01 to 1 (Goyal et al., 2017).",
            "Goyal",
        ),
        (
            CosineArm(kind="cosine", budgets=[7], warmup=1),
            "In a warm-up of 1 epoch at the beginning of training the rate was multiplied",
            "Goyal",
        ),
    ],
)
def test_methods_describe_and_cite_schedules_and_warm_ups(plain, arm, words, cited):
    settings, subject = plain[0].settings, plain[1]
    more = settings.model_copy(update={"schedules": {**settings.schedules, "more": arm}})
    text = " ".join(methods(more, subject))
    assert words in text
    assert any(reference.startswith(cited) for reference in references([text], more))


def test_the_command_makes_table_and_report_again(tmp_path, capsys):
    _, subject = write_folder(tmp_path, MadeUp())
    table = subject.folder.evaluation.read_bytes()
    subject.folder.evaluation.unlink()
    assert report.main([str(tmp_path)]) == 0
    assert subject.folder.evaluation.read_bytes() == table
    assert subject.folder.report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert str(subject.folder.report) in capsys.readouterr().out


def test_the_command_refuses_in_one_sentence(tmp_path, capsys):
    def refusal(folder):
        assert report.main([str(folder)]) == 2
        (error,) = capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()
        return error

    nothing = refusal(tmp_path / "nothing")
    assert "nothing/config.yaml: is not there, so nothing is no results folder" in nothing
    _, subject = write_folder(tmp_path, MadeUp())
    snapshot = subject.folder.fit("restarts-b7-r0.025-s0").snapshot(7)
    snapshot.unlink()
    assert str(snapshot.relative_to(tmp_path)) in refusal(tmp_path)
    edit_fits(tmp_path, state="failed", why="x")
    assert "subject 1: no fit is done" in refusal(tmp_path)


def test_without_comparisons_the_reference_is_reported(tmp_path):
    results, subject = write_folder(tmp_path, MadeUp(settings={"evaluation": {"comparisons": []}}))
    found = headline(subject, results.settings)
    assert [of.predictor.fits[0].name for of in found.contenders] == ["step-b7-r0.025-s0"]
    assert found.test is None
    first, *others = result(subject, results.settings, found)
    assert "after 7 epochs from an initial rate of 0.025" in first
    assert not any("McNemar" in text for text in others)


def test_sides_that_differ_in_epochs_or_rates_say_so_each(tmp_path):
    unequal = comparison("unequal", {"schedule": "step", "budget": 1}, rates="all")
    results, subject = write_folder(tmp_path, MadeUp(settings=unequal))
    sentence = result(subject, results.settings, headline(subject, results.settings))[0]
    assert "one at each rate, after 7 epochs from initial rates 0.025 and 0.05, was wrong on" in sentence
    assert "the step schedule, after 1 epoch from an initial rate of 0.025, was wrong on" in sentence
