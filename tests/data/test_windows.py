"""Windows of a recording: slices, rejections, and covariances of the baseline's band."""

from dataclasses import replace

import numpy as np
from conftest import make_raw, make_settings
from scipy import signal
from sklearn.covariance import oas

from eeg_sgdr.data import filters, windows
from eeg_sgdr.data.raw import load_microvolts
from eeg_sgdr.data.sources import Recording
from eeg_sgdr.data.trials import make_trials


def test_windows_are_slices_of_the_preprocessed_recording(recordings):
    settings, raw = make_settings(), recordings[2].raw
    trials, config = make_trials(recordings, settings), settings.preprocessing
    sampled = load_microvolts(raw, raw.ch_names, config, "x")
    filtered = filters.butterworth(sampled, config.highpass_hz, config.lowpass_hz, "x")
    whole = filters.standardize(filtered, config.standardize).get_data()
    starts = np.round(raw.annotations.onset * 100).astype(int) - 50
    expected = np.array([whole[:, start : start + 250] for start in starts], np.float32)
    np.testing.assert_array_equal(trials.test.x, expected)


def test_rejections_have_their_reasons():
    raw = make_raw(n_trials=8)
    onsets = raw.annotations.onset.copy()
    raw._data[1, round((onsets[1] + 1) * 100)] = -801e-6  # within the trial
    raw._data[1, round((onsets[2] - 0.3) * 100)] = 900e-6  # before the cue: does not count
    raw._data[0, round((onsets[3] + 1) * 100)] = 799e-6  # below the bound
    raw.annotations.append(onsets[4] + 1.9, 0.5, "BAD_muscle")
    raw.annotations.append(onsets[5] - 0.6, 0.05, "bad before the window")
    raw.annotations.append(onsets[6] - 0.4, 0.05, "EDGE boundary")
    raw.annotations.append(0.2, 0.0, "l")  # its window begins before the recording
    raw.annotations.append(raw.times[-1] - 1.0, 0.0, "r")  # its window ends after it
    runs = [Recording("1", "0", "1", raw), Recording("1", "0", "2", make_raw(seed=1))]
    trials = make_trials(runs, make_settings())
    outside, muscle, edge = "outside recording", "annotation BAD_muscle", "annotation EDGE boundary"
    expected = [outside, "", "amplitude Cz", "", "", muscle, "", edge, "", outside]
    assert trials.table["rejected"][:10].tolist() == expected
    assert trials.train.trials.tolist() == [1, 3, 4, 6, 8]
    assert len(trials.train.x) == 5


def test_a_recording_that_was_cropped_keeps_its_cues(recordings):
    """first_samp is not zero in what MNE crops; the same samples must give the same windows."""
    settings = make_settings(preprocessing={"standardize": None, "highpass_hz": None})
    cropped = [replace(r, raw=r.raw.copy().crop(tmin=1.0)) for r in recordings]
    whole, later = (make_trials(r, settings) for r in (recordings, cropped))
    np.testing.assert_array_equal(whole.train.x, later.train.x)
    np.testing.assert_allclose(whole.table["onset_s"] - 1.0, later.table["onset_s"])


def test_covariances_are_those_of_oas():
    x = np.random.default_rng(0).normal(size=(3, 5, 40))
    expected = [oas(trial.T - trial.T.mean(axis=0), assume_centered=True)[0] for trial in x]
    np.testing.assert_allclose(windows.covariances(x), expected, rtol=1e-10)
    assert windows.covariances(x[:0]).shape == (0, 5, 5)


def test_trials_have_the_covariances_of_their_band(recordings):
    """Against scipy's filters; from the cue on, in microvolts, and nothing when there is no baseline."""
    trials = make_trials(recordings, make_settings(baseline={"band_hz": [9, 20]}))
    assert trials.train.covariances.shape == (16, 3, 3)
    raw = recordings[2].raw
    whole = raw.get_data() * 1e6
    for kind, corner in (("highpass", 9), ("lowpass", 20)):
        whole = signal.sosfilt(signal.butter(3, corner, kind, fs=100, output="sos"), whole)
    cut = [whole[:, round(onset * 100) :][:, :200] for onset in raw.annotations.onset]
    np.testing.assert_allclose(trials.test.covariances, windows.covariances(np.array(cut)), rtol=1e-6)
    without = make_trials(recordings, make_settings(baseline=None))
    assert without.train.covariances.shape == (16, 0, 0)
    assert np.array_equal(without.train.x, trials.train.x)
