"""The page of findings says what its studies say, and tables are those of comparison.csv."""

import runpy
import shutil
from functools import partial
from pathlib import Path

import pytest
from results_folder import compare, study_settings, write_study

from eeg_sgdr import UserError

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def docs(tmp_path):
    """A copy of the script, its pages, the template and the studies."""
    copy = tmp_path / "docs"
    copy.mkdir()
    shutil.copy(DOCS.parent / "README.md", tmp_path)
    for path in (*DOCS.glob("findings.*"), DOCS / "index.md"):
        shutil.copy(path, copy)
    shutil.copytree(DOCS / "studies", copy / "studies")
    return copy


def run(docs, *arguments):
    return runpy.run_path(str(docs / "findings.py"))["main"](arguments)


@pytest.mark.parametrize("name", ["findings.md", "index.md", "../README.md"])
def test_a_number_of_a_page_that_no_study_says_is_found(docs, capsys, name):
    assert run(docs, "--check") == 0
    page = (docs / name).read_text(encoding="utf-8")
    changed = page.replace(" points better (", "0 points better (", 1)
    assert changed != page
    (docs / name).write_text(changed, encoding="utf-8")
    assert run(docs, "--check") == 2
    told = capsys.readouterr().err
    assert f"{name}, line " in told.replace(str(docs.parent), "..")
    assert "is not what the studies say" in told
    assert run(docs) == 0
    assert (docs / name).read_text(encoding="utf-8") == page


def test_a_line_too_many_is_found(docs, capsys):
    with (docs / "findings.md").open("a", encoding="utf-8") as file:
        file.write("In people it is all the same.\n")
    assert run(docs, "--check") == 2
    assert "is not what the studies say" in capsys.readouterr().err


def test_a_table_that_does_not_follow_from_the_errors_is_found(docs, capsys):
    path = next((docs / "studies").glob("*/evaluation.csv"))
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (i,) = [lines[0].rstrip().split(",").index("error")]
    changed = [line.split(",") for line in lines[1:]]
    for cells in changed:
        cells[i] = "0.25"
    path.write_text(lines[0] + "".join(map(",".join, changed)), encoding="utf-8")
    assert run(docs, "--check") == 2
    assert "by evaluation.csv" in capsys.readouterr().err


def test_a_study_is_kept_without_its_fits(docs, tmp_path, capsys):
    results = compare(
        write_study(tmp_path / "made_up", study_settings(("01", "02", "03"), baseline=None), None)
    )
    assert run(docs, "--archive", str(results.root)) == 0
    kept = docs / "studies" / "made_up"
    assert {path.name for path in kept.iterdir()} == {
        *("config.yaml", "comparison.csv", "comparison.json", "evaluation.csv")
    }
    study = runpy.run_path(str(docs / "findings.py"))["Study"]("made_up")
    study.check()
    assert study.evaluation.equals(results.evaluation)


def test_a_row_for_each_tested_comparison_and_each_rate(tmp_path):
    """Step errs in 5 and 7 of 20 trials at its rates, restarts in 4, 5 and 6: 5 points on average."""

    def wrong(label, key, epoch):
        of_step = 5 if key.rate == 0.025 else 7
        return range(of_step if key.schedule == "step" else 3 + int(label))

    comparisons = [
        {"name": "equal epochs", "a": {"schedule": "restarts"}, "b": {"schedule": "step"}},
        {"name": "seeds", "a": {"schedule": "restarts"}, "b": {"schedule": "step", "seeds": 2}},
    ]
    evaluation = {"comparisons": comparisons}
    settings = study_settings(("01", "02", "03"), baseline=None, evaluation=evaluation)
    script = runpy.run_path(str(DOCS / "findings.py"))
    results = compare(write_study(tmp_path, settings, wrong))
    lines = script["findings"](results.comparison)
    assert {line.count("|") for line in lines} == {14}
    assert lines[2] == (
        "| restarts single | step single | 7 | each | 3 | 25.0 % | 30.0 % | +5.0 (-7.4 to +17.4) "
        "| 0.500 (0.500) | 0.850 (0.850) | undecided | -19.8 to +29.8 | 2 : 1 : 0 |"
    )
    left_out = "| restarts single | step single, 2 seeds | 7 | each | left out: needs 2 seeds"
    assert lines[3].startswith(left_out)
    # Made-up probabilities are 0.9 of one class: the NLL is 0.105 where it is right, 2.303 where it is wrong.
    _, _, low, high, *_, restarts = script["by_rate"](results.evaluation, results.comparison)
    assert low == "| step single | 7 | 0.025 | 25.0 % | 0.65 | 0 % |"
    assert high == "| step single | 7 | 0.05 | 35.0 % | 0.87 | 0 % |"
    assert restarts == "| restarts cycles | 7 | 0.05 | 25.0 % | 0.65 | 0 % |"


def test_two_studies_of_the_same_trainings_are_compared_unit_by_unit(docs, tmp_path):
    """A subject errs in 1, 2 and 3 of 20 trials less: 10 points on average, t interval by hand."""
    for name, less in (("exact", 0), ("rounded", 1)):
        wrong = partial(_wrong, less)
        results = compare(
            write_study(tmp_path / name, study_settings(("01", "02", "03"), baseline=None), wrong)
        )
        assert run(docs, "--archive", str(results.root)) == 0
    script = runpy.run_path(str(docs / "findings.py"))
    row = script["difference"](script["Study"]("rounded"), script["Study"]("exact"))
    assert row["n_units"] == 3
    assert row["estimate"] == pytest.approx(0.1)
    assert row["high"] == pytest.approx(0.1 + 4.302653 * 0.05 / 3**0.5)
    assert row["low"] == pytest.approx(0.1 - 4.302653 * 0.05 / 3**0.5)
    with pytest.raises(UserError, match="different units or trainings"):
        script["difference"](script["Study"]("rounded"), script["Study"]("demo14"))


def _wrong(less, label, key, epoch):
    return range(8 - less * int(label))
