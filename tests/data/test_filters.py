"""Every step against an independent computation; filters and standardisation do not look ahead."""

import mne
import numpy as np
import pytest
from conftest import make_raw
from scipy import signal

from eeg_sgdr.data import filters
from eeg_sgdr.data.raw import load_microvolts
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing, Standardize

NAMES = ["C3", "Cz", "C4"]


def filtered(raw, names, config):
    sampled = load_microvolts(raw, names, config, "x")
    return filters.butterworth(sampled, config.highpass_hz, config.lowpass_hz, "x")


def test_filters_are_causal_butterworth_of_order_3_in_microvolts():
    raw = make_raw(sfreq=200.0)
    ours = filtered(raw, ["C4", "C3"], Preprocessing(highpass_hz=4, lowpass_hz=38)).get_data()
    expected = raw.get_data(picks=["C4", "C3"]) * 1e6
    for kind, corner in (("highpass", 4), ("lowpass", 38)):
        expected = signal.sosfilt(signal.butter(3, corner, kind, fs=200.0, output="sos"), expected)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


def test_standardisation_is_a_recursion_over_the_past():
    raw = make_raw(sfreq=100.0)
    ours = filters.standardize(raw, Standardize(factor_new=0.01, init_samples=300)).get_data()[0]
    x = raw.get_data()[0]
    expected = np.empty_like(x)
    total = weights = squares = 0.0
    for i, value in enumerate(x):
        total, weights = value + 0.99 * total, 1 + 0.99 * weights
        centred = value - total / weights
        squares = centred**2 + 0.99 * squares
        expected[i] = centred / max(1e-4, (squares / weights) ** 0.5)
    expected[:300] = (x[:300] - x[:300].mean()) / max(1e-4, x[:300].std())
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-12)


def test_the_recording_itself_is_never_changed():
    raw = make_raw()
    before = raw.get_data().copy()
    filters.standardize(filtered(raw, NAMES, Preprocessing()), Standardize())
    assert np.array_equal(raw.get_data(), before)
    assert raw.ch_names == NAMES


def test_a_sensor_that_some_recordings_lack_is_left_out():
    raws = [make_raw(), make_raw(names=("C3", "Cz", "CP4"))]
    assert filters.common_sensors(raws, Preprocessing(), "s") == ["C3", "Cz"]


def test_refusals():
    with pytest.raises(UserError, match="no EEG sensor Fz, Pz in every recording"):
        filters.common_sensors([make_raw()], Preprocessing(sensors=["C3", "Fz", "Pz"]), "subject 1")
    with pytest.raises(UserError, match="cannot be filtered at 60 Hz at a rate of 100 Hz"):
        filtered(make_raw(), NAMES, Preprocessing(highpass_hz=60))
    with pytest.raises(UserError, match="x: no notch at 50 Hz at a rate of 100 Hz; leave it out"):
        filters.notch(make_raw(), (50.0,), "x")


@pytest.mark.parametrize("notches", [(50.0,), (50.0, 25.0)])
def test_notches_are_causal_second_order_filters(notches):
    raw = make_raw(sfreq=200.0)
    expected = raw.get_data()
    for frequency in notches:
        b, a = signal.iirnotch(frequency, 30, fs=200.0)
        expected = signal.lfilter(b, a, expected)
    ours = filters.notch(raw.copy(), notches, "x").get_data()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-15)


def test_a_notch_takes_the_mains_and_leaves_the_rest():
    raw = make_raw(sfreq=200.0)
    raw._data[:2] = np.sin(2 * np.pi * np.array([[50], [20]]) * raw.times)
    mains, rhythm, _ = filters.notch(raw, (50.0,), "x").get_data()[:, 400:]
    assert np.abs(mains).max() < 1e-3
    assert abs(np.std(rhythm) - np.sqrt(0.5)) < 0.01


def test_positions():
    raw = make_raw().set_montage(montage_1005())
    places = filters.sensor_positions(raw.info, ["C4", "C3"])
    assert places[1, 0] < 0 < places[0, 0], "C3 is on the left"
    assert np.isnan(filters.sensor_positions(mne.create_info(["X1"], 100.0, "eeg"), ["X1"])).all()
