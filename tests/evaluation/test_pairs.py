"""Both sides' errors, read back from comparison.csv."""

import pytest
from results_folder import study_settings, write_study

from eeg_sgdr.evaluation.comparison import comparison
from eeg_sgdr.evaluation.inference import pairs
from eeg_sgdr.reports.figures.canvas import COLOURS
from eeg_sgdr.reports.figures.curves import slopes
from eeg_sgdr.settings import SubjectSplit

SUBJECTS = ("01", "02", "10")
WRONG = {"step": {"01": 8, "10": 5}, "restarts": {"01": 4, "10": 6}}
NAME = "restarts against step at equal epochs"


@pytest.fixture
def made(tmp_path):
    settings = study_settings(SUBJECTS, baseline=None)
    results = write_study(tmp_path, settings, lambda label, key, _: range(WRONG[key.schedule][label]), ["02"])
    return comparison(results), settings


def test_errors_of_both_sides_by_label(made):
    found = pairs(*made)
    # The fourth needs more seeds than there are: nothing has both sides.
    assert list(found) == [one.name for one in made[1].evaluation.comparisons][: len(found)]
    pair = found[NAME]
    assert (pair.a, pair.b) == ("restarts single", "step single")
    assert (pair.errors.index.name, *pair.errors.index) == ("subject", "01", "10")
    assert pair.errors["a"].to_list() == pytest.approx([0.2, 0.3])
    assert pair.errors["b"].to_list() == pytest.approx([0.4, 0.25])
    assert pair.difference == pytest.approx([0.2, -0.05])


def test_what_no_unit_has_is_left_out(made):
    table, settings = made
    assert pairs(table, settings.model_copy(update={"split": SubjectSplit(by="subject", folds=3)})) == {}


def test_slopes_go_from_b_to_a_in_percent(made):
    panel = slopes(pairs(*made)).axes[0]
    worse, better = (
        [line.get_ydata().tolist() for line in panel.lines if line.get_color() == colour]
        for colour in (COLOURS[1], COLOURS[0])
    )
    assert (worse, better) == ([pytest.approx([25, 30])], [pytest.approx([40, 20])])
    assert [text.get_text() for text in panel.get_xticklabels()] == ["step single", "restarts single"]
