"""Every step against an independent computation, and nothing looks ahead."""

import mne
import numpy as np
import pytest
from conftest import make_raw
from scipy import signal

from eeg_sgdr import preprocessing
from eeg_sgdr.errors import UserError
from eeg_sgdr.recordings.positions import montage_1005
from eeg_sgdr.settings import Preprocessing, Standardize

NAMES = ["C3", "Cz", "C4"]


def prepare(raw, names, config, where="x"):
    sampled = preprocessing.sampled(raw, names, config, where)
    return preprocessing.filtered(sampled, config.highpass_hz, config.lowpass_hz, where)


def test_filters_are_causal_butterworth_of_order_3_in_microvolts():
    raw = make_raw(sfreq=200.0)
    config = Preprocessing(highpass_hz=4, lowpass_hz=38)
    ours = prepare(raw, ["C4", "C3"], config, "x").get_data()
    expected = raw.get_data(picks=["C4", "C3"]) * 1e6
    for kind, corner in (("highpass", 4), ("lowpass", 38)):
        expected = signal.sosfilt(signal.butter(3, corner, kind, fs=200.0, output="sos"), expected)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


def test_resampling_is_polyphase():
    raw = make_raw(sfreq=200.0)
    config = Preprocessing(highpass_hz=None, resample_hz=100)
    ours = prepare(raw, NAMES, config, "x")
    assert ours.info["sfreq"] == 100.0
    expected = signal.resample_poly(raw.get_data() * 1e6, 1, 2, axis=1, padtype="reflect")
    middle = slice(50, -50)  # how the ends are padded is MNE's own affair
    np.testing.assert_allclose(ours.get_data()[:, middle], expected[:, middle], rtol=1e-9, atol=1e-9)


def test_standardisation_is_a_recursion_over_the_past():
    raw = make_raw(sfreq=100.0)
    config = Standardize(factor_new=0.01, init_samples=300)
    ours = preprocessing.standardized(raw, config).get_data()[0]
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
    preprocessing.standardized(prepare(raw, NAMES, Preprocessing(), "x"), Standardize())
    assert np.array_equal(raw.get_data(), before)
    assert raw.ch_names == NAMES


def test_bad_channels_are_interpolated_dropped_or_kept():
    raw = make_raw(names=("C3", "Cz", "C4", "FCz", "CPz")).set_montage(montage_1005())
    raw.info["bads"] = ["Cz"]
    raw._data[1] = 1.0
    results = {}
    for bads in ("interpolate", "drop", "keep"):
        config = Preprocessing(bads=bads, highpass_hz=None)
        names = preprocessing.common_sensors([raw], config, "x")
        results[bads] = prepare(raw, names, config)
    assert results["drop"].ch_names == ["C3", "C4", "FCz", "CPz"]
    assert (results["keep"].get_data()[1] == 1e6).all()
    assert np.abs(results["interpolate"].get_data()[1]).max() < 1e3


def test_interpolation_without_positions_is_refused():
    raw = make_raw()
    raw.info["bads"] = ["Cz"]
    with pytest.raises(UserError, match="Cz cannot be interpolated"):
        prepare(raw, NAMES, Preprocessing(), "subject 1, run 2")


def test_sensors_that_are_nowhere_are_named():
    with pytest.raises(UserError, match="no EEG sensor Fz, Pz in every recording"):
        preprocessing.common_sensors([make_raw()], Preprocessing(sensors=["C3", "Fz", "Pz"]), "subject 1")
    with pytest.raises(UserError, match="no EEG sensor C4 in every recording"):
        preprocessing.common_sensors([make_raw(), make_raw(names=("C3", "Cz", "CP4"))], Preprocessing(), "s")


def test_only_eeg_is_left_and_must_be_finite():
    raw = make_raw(names=("C3", "Cz", "EOG"))
    raw.set_channel_types({"EOG": "eog"})
    assert preprocessing.eeg_only(raw, "x").ch_names == ["C3", "Cz"]
    raw._data[1, 5] = np.nan
    with pytest.raises(UserError, match="NaN or infinite values in Cz"):
        preprocessing.eeg_only(raw, "x")
    raw.info["bads"] = ["Cz"]
    preprocessing.eeg_only(raw, "x")
    with pytest.raises(UserError, match="has no EEG channels"):
        preprocessing.eeg_only(raw.copy().pick("EOG"), "x")


def test_a_filter_above_half_the_rate_is_refused():
    with pytest.raises(UserError, match="cannot be filtered at 60 Hz at a rate of 100 Hz"):
        prepare(make_raw(), NAMES, Preprocessing(highpass_hz=60), "x")


def test_flat_sensors_and_positions():
    raw = make_raw().set_montage(montage_1005())
    raw._data[2] = 3e-6
    assert preprocessing.flat_sensors(raw) == ["C4"]
    places = preprocessing.positions(raw.info)
    assert places[0, 0] < 0 < places[2, 0], "C3 is on the left"
    assert np.isnan(preprocessing.positions(mne.create_info(["X1"], 100.0, "eeg"))).all()
