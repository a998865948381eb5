"""The picture of ensembles: every mark is a row of comparison.csv, at its N and M."""

import numpy as np
import pytest
from results_folder import rows, study_settings, write_study

from eeg_sgdr.evaluation.comparison import comparison
from eeg_sgdr.reports.figures.figure4 import figure4
from eeg_sgdr.reports.figures.surface import surface, surface_points

SUBJECTS = ("01", "02")


def wrong(label, key, epoch):
    n = (8 if key.schedule == "step" else 9) - epoch + 4 * key.seed
    return (np.arange(n) + 3 * epoch + 5 * key.seed + (key.rate == 0.05)) % 20


def table_of(root, **changes):
    settings = study_settings(SUBJECTS, **{"seeds": (0, 1), "baseline": None, **changes})
    return comparison(write_study(root, settings, wrong)), settings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return table_of(tmp_path_factory.mktemp("made_up") / "study", training={"store": "epochs"})


def marks(panel):
    return {
        (float(x), float(y), line.get_markerfacecolor() == "white")
        for line in panel.lines
        if line.get_marker() != "None"
        for x, y in line.get_xydata()
    }


def test_every_mark_is_a_row_and_every_row_a_mark(made):
    table, settings = made
    each, both = surface(table, settings).axes
    assert each.get_title() == "restarts, each initial rate alone"
    assert both.get_title() == "restarts, rates 0.025 and 0.05 averaged"
    errors = rows(table, family="ensemble", quantity="mean error")
    for panel, rate in ((each, "each"), (both, "0.025+0.05")):
        expected = set()
        for row in rows(errors, rates_a=rate).to_dict("records"):
            x = -0.5 if row["arm_a"] == "step" else row["n_snapshots_a"]
            expected.add((x, 100 * row["estimate"], row["snapshots_a"] == "consecutive"))
        assert marks(panel) == expected


def test_trainings_and_snapshots_are_told_apart(made):
    points = surface_points(made[0])
    assert set(points["snapshots_a"]) == {"single", "cycles", "consecutive"}
    both = rows(points, rates_a="0.025+0.05")
    assert set(both["n_fits_a"]) == {2, 4}
    assert set(rows(both, snapshots_a="cycles")["n_snapshots_a"]) == {1, 2, 3}
    assert set(rows(both, arm_a="step")["n_snapshots_a"]) == {1}


def test_the_legend_names_trainings_and_the_control_where_there_is_one(made, tmp_path):
    def texts(figure):
        return [text.get_text() for text in figure.legends[0].get_texts()]

    trainings = ["N = 1 training", "N = 2 trainings", "N = 4 trainings"]
    control = ["ends of the last M cycles", "last M epochs (control)"]
    assert texts(surface(*made)) == [*trainings, *control]
    assert texts(surface(*table_of(tmp_path))) == trainings


def test_a_study_without_warm_restarts_has_its_arms_alone(tmp_path):
    settings = study_settings(SUBJECTS, seeds=(0, 1), rates=(0.05,), baseline=None)
    evaluation = settings.evaluation.model_copy(update={"comparisons": ()})
    schedules = {"step": settings.schedules["step"]}
    settings = settings.model_copy(update={"schedules": schedules, "evaluation": evaluation})
    table = comparison(write_study(tmp_path, settings, wrong))
    assert len(figure4(table, settings).axes) == 1
    (panel,) = surface(table, settings).axes
    assert panel.get_title() == "initial rate 0.05"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["step,\n7 epochs"]


def test_names_of_many_arms_stand_upright(tmp_path):
    more = {f"arm{i}": {"kind": "cosine", "budgets": [7]} for i in range(3)}
    table, settings = table_of(tmp_path, schedules=more)
    labels = surface(table, settings).axes[0].get_xticklabels()
    found = [(text.get_text(), text.get_rotation()) for text in labels[3:5]]
    assert found == [("arm2, 7 epochs", 90), ("1", 0)]
