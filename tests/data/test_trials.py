"""Windows and their table: rejections, labels, and causality from end to end."""

from dataclasses import replace

import mne
import numpy as np
import pytest
from conftest import make_raw, make_settings
from scipy import signal

from eeg_sgdr.data import filters
from eeg_sgdr.data.raw import load_microvolts
from eeg_sgdr.data.sources import Recording
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.errors import UserError

RESAMPLED = make_settings(preprocessing={"resample_hz": 80})
REACH_S = 10 / 80


def test_arrays_and_table_agree(recordings):
    trials = make_trials(recordings, make_settings())
    assert trials.train.x.shape == (16, 3, 250)
    assert trials.test.x.shape == (8, 3, 250)
    assert trials.train.x.dtype == np.float32
    assert trials.train.x.flags.c_contiguous
    table = trials.table
    assert list(table) == ["trial", "split", "subject", "session", "run", "onset_s", "class", "rejected"]
    assert table["trial"].tolist() == list(range(24))
    assert table.loc[trials.test.trials, "run"].unique().tolist() == ["2"]
    cues = [cue for recording in recordings for cue in recording.raw.annotations.description]
    assert table["class"].tolist() == [{"l": "left", "r": "right"}[cue] for cue in cues]
    assert (np.array(["left", "right"])[trials.train.y] == table.loc[trials.train.trials, "class"]).all()
    assert trials.info["classes"] == ["left", "right"]
    assert trials.info["window_samples"] == [-50, 200]


def test_windows_are_slices_of_the_preprocessed_recording(recordings):
    settings = make_settings()
    trials = make_trials(recordings, settings)
    config = settings.preprocessing
    raw = recordings[2].raw
    sampled = load_microvolts(raw, raw.ch_names, config, "x")
    filtered = filters.butterworth(sampled, config.highpass_hz, config.lowpass_hz, "x")
    whole = filters.standardize(filtered, config.standardize).get_data()
    for window, onset in zip(trials.test.x, raw.annotations.onset, strict=True):
        at = round(onset * 100)
        np.testing.assert_array_equal(window, whole[:, at - 50 : at + 200].astype(np.float32))


def test_nothing_of_a_trial_depends_on_what_comes_after_it(recordings):
    """Beyond the resampler's reach; trials in the first block are excepted, and named."""
    before = make_trials(recordings, RESAMPLED)
    named = before.info["not_causal"]
    first_block = 200 / 80
    expected = [i for i, onset in enumerate(before.table["onset_s"]) if onset - 0.5 < first_block]
    assert named == expected
    unbounded = make_settings(preprocessing={"resample_hz": 80, "reject_uv": None})
    for number in (1, 4, 12, 20):
        assert number not in named
        trial = before.table.loc[number]
        altered = list(recordings)
        raw = recordings[int(trial["run"])].raw.copy()
        later = round((trial["onset_s"] + 2.0 + REACH_S) * 100) + 1
        raw._data[:, later:] = 5e-3 * np.random.default_rng(0).normal(size=raw._data[:, later:].shape)
        altered[int(trial["run"])] = replace(recordings[int(trial["run"])], raw=raw)
        after = make_trials(altered, unbounded)
        side = trial["split"]
        a, b = (getattr(trials, side).x[getattr(trials, side).trials == number] for trials in (before, after))
        assert len(a) == 1
        assert np.array_equal(a, b), f"trial {number}"
        a, b = (
            getattr(trials, side).covariances[getattr(trials, side).trials == number]
            for trials in (before, after)
        )
        assert np.array_equal(a, b), f"trial {number}, baseline"
    assert not np.array_equal(before.test.x, after.test.x), "later trials did change"


def test_a_changed_test_run_changes_no_training_trial(recordings):
    before = make_trials(recordings, RESAMPLED)
    noisy = replace(recordings[2], raw=make_raw(seed=99))
    after = make_trials([*recordings[:2], noisy], RESAMPLED)
    assert np.array_equal(before.train.x, after.train.x)
    for key, value in before.summary.items():
        np.testing.assert_array_equal(value, after.summary[key])
    assert not np.array_equal(before.test.x, after.test.x)


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
    reasons = trials.table["rejected"][:10].tolist()
    outside, amplitude = "outside recording", "amplitude Cz"
    assert reasons == [outside, "", amplitude, "", "", "annotation BAD_muscle", "",
                       "annotation EDGE boundary", "", outside]  # fmt: skip
    assert trials.train.trials.tolist() == [1, 3, 4, 6, 8]
    assert len(trials.train.x) == 5


def test_bad_channels_do_not_reject_and_are_named():
    names = ("C3", "Cz", "C4", "FCz", "CPz")
    raws = [make_raw(names=names, seed=run).set_montage(montage_1005()) for run in range(3)]
    recordings = [Recording("1", "0", str(run), raw) for run, raw in enumerate(raws)]
    raw = raws[0]
    raw._data[1] = 5e-3 * np.sin(np.arange(raw.n_times))
    raw.info["bads"] = ["Cz"]
    trials = make_trials(recordings, make_settings())
    assert (trials.table["rejected"] == "").all()
    assert trials.info["interpolated"] == {"0/0": ["Cz"]}
    recordings[1].raw._data[0] = 0
    assert make_trials(recordings, make_settings()).info["flat"] == {"0/1": ["C3"]}


def test_a_recording_that_was_cropped_keeps_its_cues(recordings):
    """first_samp is not zero in what MNE crops; the same samples must give the same windows."""
    settings = make_settings(preprocessing={"standardize": None, "highpass_hz": None})
    whole = make_trials(recordings, settings)
    cropped = [replace(r, raw=r.raw.copy().crop(tmin=1.0)) for r in recordings]
    later = make_trials(cropped, settings)
    np.testing.assert_array_equal(whole.train.x, later.train.x)
    np.testing.assert_allclose(whole.table["onset_s"] - 1.0, later.table["onset_s"])


def test_spectra_show_the_rhythm_where_it_is(recordings):
    trials = make_trials(recordings, make_settings())
    frequencies, spectra = trials.summary["frequencies"], trials.summary["spectra"]
    ten = np.flatnonzero(frequencies == 10)[0]
    assert spectra[0, 0, ten] > 10 * spectra[1, 0, ten], "left: C3"
    assert spectra[1, 2, ten] > 10 * spectra[0, 2, ten], "right: C4"
    # In square microvolts per hertz, by scipy, of one class's raw trials (the filter does little at 10 Hz).
    raws = [r.raw for r in recordings[:2]]
    cut = [raw.get_data()[:, round(at * 100) :][:, :200] * 1e6
           for raw in raws for at, cue in zip(raw.annotations.onset, raw.annotations.description, strict=True)
           if cue == "l"]  # fmt: skip
    _, expected = signal.welch(np.array(cut), fs=100.0, nperseg=100, axis=2)
    np.testing.assert_allclose(spectra[0, 0, ten], expected.mean(0)[0, ten], rtol=0.1)
    x = trials.train.x.transpose(1, 0, 2).reshape(3, -1)
    np.testing.assert_allclose(trials.summary["covariance"], np.cov(x), rtol=1e-5)


def no_cues(raw):
    return raw.copy().set_annotations(mne.Annotations([1.0], [0.0], ["other"]))


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda r: [r[0], replace(r[1], raw=no_cues(r[1].raw)), r[2]], {},
         "run 1: no annotation matches a class"),
        (lambda r: [*r[:2], replace(r[2], raw=make_raw(sfreq=120.0))], {}, "recordings at 100 and 120 Hz"),
        (lambda r: r, {"preprocessing": {"reject_uv": 1.0}},
         "no trial to train on .all 8 were rejected, . of them for sensor C"),
        (lambda r: r, {"recordings": {"source": "bids", "root": "x", "task": "y",
                                      "classes": {"left": "l", "feet": "f"}}}, "class 'feet' has no trial"),
        (lambda r: r, {"split": {"by": "run", "test": ["7"]}}, "run '7' is not there"),
        (lambda r: [], {}, "the source yields none"),
    ],
)  # fmt: skip
def test_refusals(recordings, change, settings, message):
    with pytest.raises(UserError, match=message):
        make_trials(change(recordings), make_settings(**settings))
