"""Figures: deterministic bytes, no state left in pyplot, and marks where the numbers say."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import make_settings
from results_folder import MadeUp, rows, write_folder

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.patterns import Pattern
from eeg_sgdr.reports.figures import canvas, curves, heads


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("study"), MadeUp())[1]


def lines(axes, colour):
    return [line for line in axes.get_lines() if line.get_color() == colour and len(line.get_xdata()) > 1]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_saved_figure_is_the_same_bytes_each_time(tmp_path, ending):
    paths = [tmp_path / f"{i}.{ending}" for i in range(2)]
    for path in paths:
        curves.save(curves.schedules(make_settings()), path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert b"<dc:date>" not in first


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UserError, match="svg"):
        curves.save(curves.schedules(make_settings()), tmp_path / "rates.xyz")


def test_schedules_show_every_arm_and_start_at_the_initial_rates():
    step, restarts = curves.schedules(make_settings()).axes
    assert (step.get_title(), restarts.get_title()) == ("step", "restarts")
    assert len(step.get_lines()) == 4  # two budgets, two rates
    assert sorted(line.get_ydata()[0] for line in restarts.get_lines()) == [0.025, 0.05]


def test_executed_rates_are_those_of_the_history(subject):
    histories = {key: subject.history(key) for key in subject.done}
    figure = curves.executed(histories, dict.fromkeys(histories, 4))
    drawn = np.concatenate([line.get_ydata() for axes in figure.axes for line in axes.get_lines()])
    written = np.concatenate([h[["first_rate", "last_rate"]].to_numpy().ravel() for h in histories.values()])
    assert np.array_equal(np.sort(drawn), np.sort(written))


def test_errors_are_drawn_in_percent_with_chance(subject):
    first, second = curves.errors(subject.evaluation, 0.5).axes[:2]
    assert (first.get_title(), second.get_title()) == ("initial rate 0.025", "initial rate 0.05")
    assert first.get_xscale() == "log"
    (line,) = lines(first, canvas.COLOURS[0])
    expected = rows(subject.evaluation, rates="0.025", schedule="step")[["epoch", "error"]]
    assert np.allclose(line.get_xydata(), expected.to_numpy() * [1, 100])
    assert any(np.allclose(line.get_ydata(), 50) for line in first.get_lines())
    assert first.get_ylim()[0] < 0, "a line at zero would lie on the axis"


def test_several_seeds_are_averaged_and_shown():
    same = {"schedule": "step", "epoch": 3, "rates": "0.1", "members": "single"}
    table = pd.DataFrame({**same, "seeds": ["0", "1"], "error": [0.1, 0.3]})
    drawn = [list(line.get_ydata()) for line in curves.errors(table, 0.5).axes[0].get_lines()]
    assert [20.0] in drawn
    assert [10.0, 30.0] in drawn


def test_names_are_never_mathematics_and_never_left_out():
    classes = ["$\\frac$", "_hidden", "a$b"]
    y = np.arange(6) % 3
    figure = curves.confusion(y, {"$x_": np.eye(3)[y]}, classes)
    spectrum = heads.spectrum(classes, ["$"], np.arange(51.0), np.ones((3, 1, 51)))
    assert [text.get_text().strip() for text in spectrum.legends[0].get_texts()] == classes
    for drawn in (figure, spectrum):
        assert canvas.encode(drawn, "svg")


def test_confusions_count_trials():
    y, predicted = np.array([0, 0, 0, 1]), np.eye(2)[[0, 0, 1, 1]]
    axes = curves.confusion(y, {"a": predicted}, ["l", "r"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["2", "1", "0", "1"]


@pytest.mark.parametrize("inches", [3.6, 12.0])
def test_a_legend_has_the_columns_that_there_is_room_for(inches):
    figure = canvas.new_figure(inches, 3)
    panel = figure.subplots()
    handles = {f"subject in which the right is {word}": panel.plot([0])[0] for word in ("better", "worse")}
    canvas.legend(figure, handles)
    (legend,) = figure.legends
    assert legend.get_window_extent().width <= figure.bbox.width
    assert legend._ncols == (1 if inches < 5 else 2)


def test_heads_have_fpz_in_front_and_the_left_ear_on_the_left(subject):
    figure = heads.sensors(subject.data["sensors"], subject.summary["positions"])
    places = {text.get_text().strip(): text.get_position() for text in figure.axes[0].texts}
    assert places["Fpz"][1] > places["Cz"][1] > places["Oz"][1]
    assert places["C3"][0] < places["Cz"][0] < places["C4"][0]
    middle = (places["Fpz"][1] + places["Oz"][1]) / 2
    assert abs(places["Cz"][1] - middle) < 0.1 * (places["Fpz"][1] - places["Oz"][1])


def test_band_power_is_relative_to_the_mean_over_classes():
    spectra = np.ones((2, 3, 51))
    spectra[0, 1, 8:13] = 3.0
    power = heads.band_power(np.arange(51.0), spectra)
    assert np.allclose(power["mu"][:, 1], 10 * np.log10([3 / 2, 1 / 2]))
    assert np.allclose(power["mu"][:, [0, 2]], 0)
    assert np.allclose(power["beta"], 0)


def test_maps_have_symmetric_colours_and_units(subject):
    summary, data = subject.summary, subject.data
    of_summary = (summary[name] for name in ("positions", "frequencies", "spectra"))
    figure = heads.rhythms(data["classes"], data["sensors"], *of_summary)
    images = [image for axes in figure.axes for image in axes.get_images()]
    assert images
    assert all(image.get_clim()[0] == -image.get_clim()[1] for image in images)
    assert [axes.get_title() for axes in figure.axes[:2]] == data["classes"]
    assert "Power (dB)" in [axes.get_ylabel() for axes in figure.axes]


def test_the_nearest_sensors_stand_in_for_those_that_are_missing(subject):
    positions = subject.summary["positions"]
    names = ["A", "left", "Cz", "right", "B", "C", "D", "E"]
    assert [names[i] for i in heads.central_sensors(names, positions)] == ["left", "Cz", "right"]
    assert heads.central_sensors(["A", "B"], np.full((2, 3), np.nan)) == []


def test_sensors_without_position_are_left_out_of_maps(subject):
    positions = subject.summary["positions"].copy()
    positions[2] = np.nan
    pattern = Pattern(0, np.arange(8.0), 10.0, 1.0, 0.5)
    figure = heads.patterns([pattern], subject.data["sensors"], positions)
    assert canvas.encode(figure, "png")
    assert not heads.can_be_drawn(np.full((8, 3), np.nan))


def test_pyplot_and_global_settings_are_left_alone(subject):
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    curves.reliability(np.array([0, 1]), {"a": np.eye(2)})
    heads.sensors(subject.data["sensors"], subject.summary["positions"])
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
