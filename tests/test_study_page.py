"""The study's report and Figure 4: each number is one of comparison.csv, nothing unfinished is hidden."""

import numpy as np
import pytest
from study_folder import study_settings, write_study

from eeg_sgdr.comparison import update
from eeg_sgdr.figures.canvas import encode
from eeg_sgdr.figures.figure4 import MOST_ARMS, curve_points, figure4, reference_row
from eeg_sgdr.results import Results

SUBJECTS = ("01", "02", "03")
STEP = {"01": 8, "02": 6, "03": 5}
RESTARTS = {"01": 4, "02": 5, "03": 6}


def counts(label, key, epoch):
    """Wrong trials of 20: at chance after one epoch, less after more, at a rate of 0.05 one more."""
    at_the_end = STEP if key.schedule == "step" else RESTARTS
    n = 10 if epoch == 1 else at_the_end[label] + (epoch == 3) + (key.rate == 0.05) + key.seed
    return np.arange(n)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("made_up") / "study"
    write_study(root, study_settings(SUBJECTS), counts)
    update(root, SUBJECTS)
    return Results(root)


def lines(panel):
    """What a panel draws, as (x, y) by order of drawing; level lines left out."""
    return [line.get_xydata().tolist() for line in panel.lines if len(line.get_xydata()) > 2]


def test_figure_4_draws_the_curves_of_the_comparison(results):
    top, _, bottom, _ = figure4(results.comparison, results.settings).axes
    points = curve_points(results.comparison)
    for panel, names in ((top, ["step single", "restarts single"]), (bottom, ["restarts single"])):
        for name, drawn in zip(names, lines(panel), strict=False):
            of = points[(points["a"] == name) & (points["rate"] == "0.025")].sort_values("epoch_a")
            assert drawn == of[["epoch_a", "estimate"]].to_numpy(float).tolist()
    # Step, 8, 6 and 5 wrong of 20; restarts 4, 5 and 6: the median improvement is one trial.
    assert lines(top)[1][-1] == pytest.approx([7, 5])
    assert reference_row(results.comparison, results.settings)["estimate"] == pytest.approx(0.3)
    chance = [line for line in top.lines if line.get_linestyle() == ":"]
    assert chance[0].get_ydata()[0] == pytest.approx(-20)
    assert "step, 7 epochs, rate 0.025" in top.get_ylabel()


def test_figure_4_is_the_same_bytes_whenever_it_is_drawn(results):
    for kind in ("svg", "png"):
        first, second = (encode(figure4(results.comparison, results.settings), kind) for _ in range(2))
        assert first == second


def test_figure_4_names_the_arms_that_it_leaves_out(tmp_path):
    more = {f"arm{i}": {"kind": "cosine", "budgets": [3, 7]} for i in range(MOST_ARMS)}
    settings = study_settings(SUBJECTS, schedules=more)
    assert len(settings.schedules) == MOST_ARMS + 2
    write_study(tmp_path, settings, lambda *_: np.arange(3))
    update(tmp_path, SUBJECTS)
    results = Results(tmp_path)
    figure = figure4(results.comparison, settings)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    left_out = list(settings.schedules)[MOST_ARMS:]
    assert f"not drawn: {', '.join(left_out)}" in texts


def test_figure_4_of_one_rate_without_restarts_has_one_panel(tmp_path):
    settings = study_settings(SUBJECTS, rates=(0.05,))
    settings = settings.model_copy(update={"schedules": {"step": settings.schedules["step"]}})
    evaluation = settings.evaluation.model_copy(update={"comparisons": ()})
    settings = settings.model_copy(update={"evaluation": evaluation})
    write_study(tmp_path, settings, counts)
    update(tmp_path, SUBJECTS)
    assert len(figure4(Results(tmp_path).comparison, settings).axes) == 1
