"""The tables of the documentation's pages are those of comparison.csv."""

import runpy
from pathlib import Path

from results_folder import compare, study_settings, write_study

SCRIPT = Path(__file__).parents[1] / "docs" / "findings.py"


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
    script = runpy.run_path(str(SCRIPT))
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
    _, _, low, high, *_, restarts = script["by_rate"](results)
    assert low == "| step single | 7 | 0.025 | 25.0 % | 0.65 | 0 % |"
    assert high == "| step single | 7 | 0.05 | 35.0 % | 0.87 | 0 % |"
    assert restarts == "| restarts cycles | 7 | 0.05 | 25.0 % | 0.65 | 0 % |"
