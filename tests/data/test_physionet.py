"""EEGMMIDB: which runs, and real recordings against an independent reading of their files."""

from unittest.mock import Mock

import mne
import numpy as np
import pytest
from conftest import make_settings
from eeg_formats import read_edf
from scipy import signal

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.sources.physionet import run_numbers
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import PhysioNetRecordings

FISTS_FEET = {"both_fists": "both_fists", "both_feet": "both_feet"}


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        ({"task": "left_right", "execution": "imagined"}, (4, 8, 12)),
        ({"task": "left_right", "execution": "executed"}, (3, 7, 11)),
        ({"task": "fists_feet"}, (5, 6, 9, 10, 13, 14)),
        ({"runs": [13, 5, 9], "classes": FISTS_FEET}, (5, 9, 13)),
    ],
)
def test_runs_by_task_or_number(settings, runs):
    assert run_numbers(PhysioNetRecordings(source="physionet", **settings)) == runs


@pytest.mark.parametrize(
    "settings", [{}, {"task": "left_right", "runs": [3]}, {"runs": [1], "classes": FISTS_FEET}, {"runs": [5]}]
)
def test_unclear_runs_are_refused(settings):
    with pytest.raises(UserError):
        make_settings(recordings={"source": "physionet", **settings, "root": None})


def test_what_cannot_be_downloaded_is_said_in_one_sentence(offline, tmp_path, monkeypatch):
    monkeypatch.setenv("MNE_DATA", str(tmp_path))
    monkeypatch.setattr(mne.datasets.eegbci, "load_data", Mock(side_effect=ConnectionError("no route")))
    source = open_source(PhysioNetRecordings(source="physionet", task="left_right"), tmp_path)
    assert len(source.subjects()) == 109
    with pytest.raises(UserError, match="subject 7, run 3 is not under .* cannot be downloaded"):
        source.files("7")


@pytest.mark.recordings
def test_trials_equal_an_independent_reading(recordings_folder, tmp_path):
    """Labels by EDF annotations, windows by scipy, from the bytes of the files."""
    settings = config.load("physionet_fists_feet")
    source = open_source(settings.recordings, tmp_path)
    recordings = list(source.recordings("1"))
    assert source.runs("1") == [(recording.session, recording.run) for recording in recordings]
    trials = make_trials(recordings, settings)
    assert (len(trials.train.x), len(trials.test.x)) == (60, 30)
    folder = recordings_folder / "MNE-eegbci-data" / "files" / "eegmmidb" / "1.0.0" / "S001"
    expected = []
    windows = iter([*trials.train.x, *trials.test.x])
    for run in (5, 6, 9, 10, 13, 14):
        data, names, cues = read_edf(folder / f"S001R{run:02d}.edf")
        cues = sorted((onset, cue) for onset, cue in cues if cue in ("T1", "T2"))
        expected += [(onset, {"T1": "both_fists", "T2": "both_feet"}[cue]) for onset, cue in cues]
        x = signal.sosfilt(signal.butter(3, 4, "highpass", fs=160, output="sos"), data)
        weights = signal.lfilter([1], [1, -0.999], np.ones(x.shape[1]))
        centred = x - signal.lfilter([1], [1, -0.999], x) / weights
        standard = centred / np.maximum(1e-4, np.sqrt(signal.lfilter([1], [1, -0.999], centred**2) / weights))
        block = x[:, :640]
        standard[:, :640] = (block - block.mean(1, keepdims=True)) / block.std(1, keepdims=True)
        order = [[name.lower() for name in names].index(sensor.lower()) for sensor in trials.info["sensors"]]
        for onset, _ in cues:
            at = round(onset * 160)
            window = standard[order, at - 80 : at + 640]
            np.testing.assert_allclose(next(windows), window, rtol=1e-4, atol=1e-4)
    onsets, classes = zip(*expected, strict=True)
    assert trials.table["class"].tolist() == [*classes]
    np.testing.assert_allclose(trials.table["onset_s"], onsets)


@pytest.mark.recordings
def test_sensors_have_their_names_and_places(recordings_folder, tmp_path):
    source = open_source(PhysioNetRecordings(source="physionet", task="left_right"), tmp_path)
    first = next(source.recordings("1"))
    assert (first.subject, first.session, first.run) == ("1", "0", "3")
    assert {"FC5", "Cz", "Iz", "Fp1", "T10"} <= set(first.raw.ch_names)
    places = first.raw.get_montage().get_positions()["ch_pos"]
    assert places["C3"][0] < -0.03 < 0.03 < places["C4"][0]
    assert set(first.raw.annotations.description) == {"rest", "left_fist", "right_fist"}
    assert list(source.files("1")) == [f"S001/S001R{run:02d}.edf" for run in (3, 4, 7, 8, 11, 12)]
