"""What comparisons took: sums over the trainings of a predictor, prediction times the networks averaged."""

import json
import re

import pandas as pd
import pytest
from results_folder import BASELINE, edit_fits, study_settings, write_study

from eeg_sgdr.reports.study import timings
from eeg_sgdr.storage import files, folders, provenance
from eeg_sgdr.storage.results import Results

MANY = {"schedule": "restarts", "members": "cycles", "rates": "all"}
COMPARISONS = [
    {"name": "one against one", "a": {"schedule": "restarts"}, "b": {"schedule": "step", "budget": 3}},
    {"name": "many against the baseline", "a": MANY, "b": {"schedule": "baseline"}},
    {"name": "too few seeds", "a": {"schedule": "restarts", "seeds": 2}, "b": {"schedule": "step"}},
]


@pytest.fixture
def root(tmp_path):
    comparisons = {"comparisons": COMPARISONS}
    settings = study_settings(["01", "02"], budgets=(3, 15), epochs=15, evaluation=comparisons)
    lacking = [("02", key) for key in ("restarts-b15-r0.05-s0", "step-b3-r0.05-s0")]
    write_study(tmp_path, settings, lambda *_: [], missing=lacking)
    for folder in folders.Study(tmp_path).subjects():
        for fit in folder.fits():
            content = json.loads(fit.fit.read_text())
            seconds = {0.025: 1.0, 0.05: 3.0}[content["fit"]["rate"]]
            files.write_csv(fit.history, pd.read_csv(fit.history).assign(seconds=seconds))
            files.write_json(fit.fit, {**content, "seconds": provenance.durations(99, seconds / 1000)})
        files.write_json(
            folder.baseline("baseline").fit, {**BASELINE, "seconds": provenance.durations(0.25, 0.004)}
        )
    return tmp_path


def cells(root):
    """Rows of the table as texts."""
    body = re.findall(r"<tr>(.*?)</tr>", timings(Results(root)), re.DOTALL)[1:]
    return [re.findall(r"<td.*?>(.*?)</td>", row) for row in body]


def test_training_and_predicting_of_both_sides(root):
    assert "times the number of networks averaged" in timings(Results(root))
    assert cells(root) == [
        # 15 and 3 epochs: 15, 45 and 15 s, and 3, 9 and 3 s; 1, 3 and 1 ms.
        ["one against one", "25.00 s : 5.00 s", "none", "1.67 ms : 1.67 ms"],
        # Both rates together, two snapshots of each.
        ["many against the baseline", "60.00 s : 0.25 s", "none", "8.00 ms : 4.00 ms"],
    ]


def test_what_folders_made_before_do_not_hold_was_not_measured(root):
    edit_fits(root, seconds=12.5)
    one, many = cells(root)
    assert one[1:] == ["25.00 s : 5.00 s", "none", "not measured : not measured"]
    assert many[1] == "60.00 s : 12.50 s"


def test_without_both_sides_nothing_is_said(root):
    edit_fits(root, state="failed", why="it did")
    assert timings(Results(root)) == ""
