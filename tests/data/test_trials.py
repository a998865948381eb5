"""Trials of a subject: arrays and their table, causality from end to end, and refusals."""

from dataclasses import replace

import mne
import numpy as np
import pytest
from conftest import make_raw, make_settings
from scipy import signal

from eeg_sgdr.data.sources import Recording
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.errors import UserError

RESAMPLED = make_settings(preprocessing={"resample_hz": 80})
REACH_S = 10 / 80


def test_arrays_and_table_agree(recordings):
    trials = make_trials(recordings, make_settings())
    assert (trials.train.x.shape, trials.test.x.shape) == ((16, 3, 250), (8, 3, 250))
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


def test_nothing_of_a_trial_depends_on_what_comes_after_it(recordings):
    """Beyond the resampler's reach; trials in the first block are excepted, and named."""
    before = make_trials(recordings, RESAMPLED)
    named, first_block = before.info["not_causal"], 200 / 80
    assert named == [i for i, onset in enumerate(before.table["onset_s"]) if onset - 0.5 < first_block]
    unbounded = make_settings(preprocessing={"resample_hz": 80, "reject_uv": None})
    for number in (1, 4, 12, 20):
        assert number not in named
        trial = before.table.loc[number]
        altered, run = list(recordings), int(trial["run"])
        raw = recordings[run].raw.copy()
        later = round((trial["onset_s"] + 2.0 + REACH_S) * 100) + 1
        raw._data[:, later:] = 5e-3 * np.random.default_rng(0).normal(size=raw._data[:, later:].shape)
        altered[run] = replace(recordings[run], raw=raw)
        after = make_trials(altered, unbounded)
        a, b = (getattr(trials, trial["split"]) for trials in (before, after))
        assert np.sum(a.trials == number) == 1
        for name in ("x", "covariances"):
            of_trial = (getattr(side, name)[side.trials == number] for side in (a, b))
            assert np.array_equal(*of_trial), f"trial {number}: {name}"
    assert not np.array_equal(before.test.x, after.test.x), "later trials did change"


def test_a_changed_test_run_changes_no_training_trial(recordings):
    before = make_trials(recordings, RESAMPLED)
    after = make_trials([*recordings[:2], replace(recordings[2], raw=make_raw(seed=99))], RESAMPLED)
    assert np.array_equal(before.train.x, after.train.x)
    for key, value in before.summary.items():
        np.testing.assert_array_equal(value, after.summary[key])
    assert not np.array_equal(before.test.x, after.test.x)


def test_bad_channels_do_not_reject_and_are_named():
    names = ("C3", "Cz", "C4", "FCz", "CPz")
    raws = [make_raw(names=names, seed=run).set_montage(montage_1005()) for run in range(3)]
    recordings = [Recording("1", "0", str(run), raw) for run, raw in enumerate(raws)]
    raws[0]._data[1] = 5e-3 * np.sin(np.arange(raws[0].n_times))
    raws[0].info["bads"] = ["Cz"]
    trials = make_trials(recordings, make_settings())
    assert (trials.table["rejected"] == "").all()
    assert trials.info["interpolated"] == {"0/0": ["Cz"]}
    raws[1]._data[0] = 0
    assert make_trials(recordings, make_settings()).info["flat"] == {"0/1": ["C3"]}


def test_spectra_show_the_rhythm_where_it_is(recordings):
    trials = make_trials(recordings, make_settings())
    frequencies, spectra = trials.summary["frequencies"], trials.summary["spectra"]
    ten = np.flatnonzero(frequencies == 10)[0]
    assert spectra[0, 0, ten] > 10 * spectra[1, 0, ten], "left: C3"
    assert spectra[1, 2, ten] > 10 * spectra[0, 2, ten], "right: C4"
    # In square microvolts per hertz, by scipy, of one class's raw trials (the filter does little at 10 Hz).
    cut = [recording.raw.get_data()[:, round(cue["onset"] * 100) :][:, :200] * 1e6
           for recording in recordings[:2] for cue in recording.raw.annotations
           if cue["description"] == "l"]  # fmt: skip
    _, expected = signal.welch(np.array(cut), fs=100.0, nperseg=100, axis=2)
    np.testing.assert_allclose(spectra[0, 0, ten], expected.mean(0)[0, ten], rtol=0.1)
    x = trials.train.x.transpose(1, 0, 2).reshape(3, -1)
    np.testing.assert_allclose(trials.summary["covariance"], np.cov(x), rtol=1e-5)


@pytest.mark.parametrize("reject_uv", [None, 1.0])
def test_peak_to_peak_amplitudes_are_those_of_all_training_trials(reject_uv):
    names = ("C3", "Cz", "C4", "FCz", "CPz")
    raws = [make_raw(names=names, seed=run).set_montage(montage_1005()) for run in range(3)]
    raws[0].info["bads"] = ["Cz"]
    settings = make_settings(preprocessing={"sensors": ["C4", "Cz", "C3"], "reject_uv": reject_uv})
    recordings = [Recording("1", "0", str(run), raw) for run, raw in enumerate(raws)]
    summary = make_trials(recordings, settings).summary
    cut = [raw.get_data([2, 1, 0])[:, round(100 * onset) :][:, :200] * 1e6
           for raw in raws[:2] for onset in raw.annotations.onset]  # fmt: skip
    heights = np.ptp(cut, axis=2)
    heights[:8, 1] = np.nan
    np.testing.assert_allclose(summary["peak_to_peak"], np.nanmedian(heights, axis=0))
    for name, shape in {"spectra": (2, 3, 51), "covariance": (3, 3)}.items():
        assert summary[name].shape == shape
        assert np.isfinite(summary[name]).all() == (reject_uv is None)


def no_cues(raw):
    return raw.copy().set_annotations(mne.Annotations([1.0], [0.0], ["other"]))


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda r: [r[0], replace(r[1], raw=no_cues(r[1].raw)), r[2]], {},
         "run 1: no annotation matches a class"),
        (lambda r: [*r[:2], replace(r[2], raw=make_raw(sfreq=120.0))], {}, "recordings at 100 and 120 Hz"),
        (lambda r: r, {"split": {"by": "run", "test": ["7"]}}, "run '7' is not there"),
        (lambda r: [], {}, "the source yields none"),
    ],
)  # fmt: skip
def test_refusals(recordings, change, settings, message):
    with pytest.raises(UserError, match=message):
        make_trials(change(recordings), make_settings(**settings))
