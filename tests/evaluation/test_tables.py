"""Rows of evaluation.csv that say something of their own."""

from results_folder import study_settings, write_study

from eeg_sgdr.evaluation import tables
from eeg_sgdr.evaluation.metrics import METRICS
from eeg_sgdr.storage.results import Results

SETTINGS = study_settings(["01"], seeds=(0, 1), budgets=(15,), epochs=15)


def test_rows_seed_by_seed_are_distinct_and_average_no_seeds(tmp_path):
    evaluation = write_study(tmp_path, SETTINGS, lambda *_: range(5)).evaluation
    found = tables.seed_by_seed(evaluation)
    assert "0+1" in set(evaluation["seeds"])
    assert set(found["seeds"]) == {"0", "1"}
    # Of the ends 1, 3, 7 and 15, two snapshots are averaged at the last alone.
    assert set(found.loc[found["members"] == "cycles", "epoch"]) == {15}
    assert set(found.loc[found["members"] == "single", "epoch"]) == {1, 3, 7, 15}


def test_which_predictors_are_reported_is_fixed_before_a_test_label_is_read(tmp_path):
    """Whatever comes out: here one schedule is right where the other is wrong, and the other way round."""
    one, other = (
        write_study(tmp_path / str(i), SETTINGS, lambda _, key, epoch, n=n: range(n[key.schedule])).evaluation
        for i, n in enumerate(({"step": 1, "restarts": 9}, {"step": 9, "restarts": 1}))
    )
    which = ["schedule", "budget", "epoch", "rates", "seeds", "members", "n_fits", "n_snapshots"]
    assert one[which].equals(other[which])
    assert not one["error"].equals(other["error"])


def test_a_metric_is_entered_in_one_place(tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "number", lambda y, probabilities: len(y))
    write_study(tmp_path, study_settings(["01"]), lambda *_: range(5))
    read = Results(tmp_path).evaluation
    assert list(read.columns)[-len(METRICS) :] == list(METRICS)
    assert set(read["number"]) == {20.0}
    assert read["number"].dtype == float
