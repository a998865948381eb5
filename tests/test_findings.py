"""The tables of the documentation's pages are those of comparison.csv."""

import runpy
from pathlib import Path

from results_folder import compare, study_settings, write_study

SCRIPT = Path(__file__).parents[1] / "docs" / "findings.py"


def test_a_row_for_each_tested_comparison(tmp_path):
    """Step errs in 6 of 20 trials, restarts in 4, 5 and 6: 5 points on average."""

    def wrong(label, key, epoch):
        return range(6 if key.schedule == "step" else 3 + int(label))

    comparisons = [
        {"name": "equal epochs", "a": {"schedule": "restarts"}, "b": {"schedule": "step"}},
        {"name": "seeds", "a": {"schedule": "restarts"}, "b": {"schedule": "step", "seeds": 2}},
    ]
    evaluation = {"comparisons": comparisons}
    settings = study_settings(("01", "02", "03"), baseline=None, evaluation=evaluation)
    findings = runpy.run_path(str(SCRIPT))["findings"]
    lines = findings(compare(write_study(tmp_path, settings, wrong)).comparison)
    assert {line.count("|") for line in lines} == {11}
    assert lines[2] == (
        "| restarts single | step single | 7 | each | 3 | 25.0 % | 30.0 % | +5.0 (-7.4 to +17.4) "
        "| 0.500 (0.500) | 2 : 1 : 0 |"
    )
    left_out = "| restarts single | step single, 2 seeds | 7 | each | left out: needs 2 seeds"
    assert lines[3].startswith(left_out)
