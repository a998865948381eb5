"""A schedule kind and a source that the package does not know: a study of both is run and reported right."""

import re

import extension  # noqa: F401 (what it defines is known from then on)
import pytest

from eeg_sgdr.errors import UserError
from eeg_sgdr.reports.figures.curves import schedules
from eeg_sgdr.run import main
from eeg_sgdr.settings import load
from eeg_sgdr.storage.results import load_results

CONFIG = """
name: extended
recordings: {source: generated, classes: {left: l, right: r}}
split: {by: run, test: ["2"]}
preprocessing: {standardize: {init_samples: 200}, window_s: [-0.5, 2.0]}
network: {name: EEGNet, arguments: {F1: 2, D: 1, F2: 2, kernel_length: 16}}
training: {initial_rates: [0.05], batch_size: 4}
schedules:
  step: {kind: step, budgets: [3]}
  curve: {kind: quadratic, budgets: [1, 2, 3], warmup: 0.5}
  restarts: {kind: warm_restarts, epochs: 3}
evaluation:
  comparisons: [{name: a curve against steps, a: {schedule: curve}, b: {schedule: step}}]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("extended") / "extended.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def out(config):
    out, data = config.parent / "results", f"compute.data_dir={config.parent / 'data'}"
    assert main(["--config", str(config), "--set", data, "--out", str(out), "--jobs", "2"]) == 0
    return out


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text()).split())


def test_methods_describe_the_schedule_and_the_source(out):
    text = words(out / "subjects/001/report.html")
    assert "Rhythms in noise (seed 0) stood for subject 1. Classes were left and right." in text
    arm = "The quadratic schedule fell along a parabola to zero (Nobody, 1999) over budgets of 1 epochs."
    assert arm in text
    assert "In a warm-up of 0.5 epochs at the beginning of training the rate was multiplied" in text
    assert "Nobody, N. (1999). On parabolas. Journal of Tests 1, 1-2." in text


def test_it_is_warmed_up_as_any_other(out):
    history = load_results(out).history
    rows = history[(history["schedule"] == "curve") & (history["budget"] == 3)]
    # Of two subjects.
    assert rows["first_rate"].tolist() == pytest.approx([0.0005, 0.05 * 4 / 9, 0.05 / 9] * 2)


def test_figures_and_tables_name_the_schedule(out, config):
    assert [axes.get_title() for axes in schedules(load(config)).axes] == ["step", "curve", "restarts"]
    assert set(load_results(out).evaluation["schedule"]) == {"step", "curve", "restarts", "baseline"}
    assert "a curve against steps" in words(out / "report.html")
    assert "curve" in re.findall(r"<!-- (.*?) -->", (out / "figure4.svg").read_text())


def test_keys_of_a_kind_that_is_not_the_packages_are_refused_in_words(config):
    with pytest.raises(UserError, match=r"schedules.curve.budget is no setting; the nearest is budgets"):
        load(config, ["schedules.curve.budget=3"])
    with pytest.raises(UserError, match="recordings.sead is no setting; the nearest is seed"):
        load(config, ["recordings.sead=3"])
    with pytest.raises(
        UserError, match="there is no 'quadartic', only .*'quadratic'.*; the nearest is quadratic"
    ):
        load(config, ["schedules.curve.kind=quadartic"])
