"""MOABB's datasets: real and laid-out files against independent readings of them."""

import os

import edfio
import layouts
import numpy as np
import pytest
from eeg_formats import read_edf

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import MoabbRecordings

CLASSES = {"left": "left_hand", "right": "right_hand"}


@pytest.fixture
def downloads(offline, tmp_path, monkeypatch):
    monkeypatch.setenv("MNE_DATA", str(tmp_path / "downloads"))
    (tmp_path / "downloads").mkdir()
    return tmp_path / "downloads"


def dataset(name, folder, **arguments):
    settings = MoabbRecordings(source="moabb", dataset=name, classes=CLASSES, arguments=arguments)
    return open_source(settings, folder)


@pytest.mark.recordings
def test_physionet_equals_an_independent_reading(recordings_folder, tmp_path):
    source = dataset("PhysionetMI", tmp_path)
    assert source.subjects() == [str(number) for number in range(1, 110)]
    place = "MNE-eegbci-data/files/eegmmidb/1.0.0/S001/S001R{:02d}.edf"
    assert list(source.files("1")) == [place.format(run) for run in (1, 2, 4, 6, 8, 10, 12, 14)]
    hands, feet = ("left_hand", "right_hand"), ("hands", "feet")
    recordings = list(source.recordings("1"))
    assert [(r.session, r.run) for r in recordings] == [("0", str(run)) for run in range(6)]
    for recording, run in zip(recordings, (4, 8, 12, 6, 10, 14), strict=True):
        microvolts, names, cues = read_edf(recordings_folder / place.format(run))
        raw = recording.raw
        assert [name.lower() for name in raw.ch_names[:64]] == [name.lower() for name in names]
        assert raw.get_channel_types() == ["eeg"] * 64 + ["stim"]
        np.testing.assert_allclose(raw.get_data("eeg") * 1e6, microvolts, rtol=1e-6, atol=1e-9)
        meaning = dict(zip(("T1", "T2"), hands if run in (4, 8, 12) else feet, strict=True), T0="rest")
        expected = sorted((onset, meaning[cue]) for onset, cue in cues if onset > 0)
        assert list(raw.annotations.description) == [name for _, name in expected]
        np.testing.assert_allclose(raw.annotations.onset, [onset for onset, _ in expected], atol=1e-9)


def test_high_gamma_by_its_configuration(downloads, tmp_path):
    layouts.high_gamma(downloads, {"train": 8, "test": 4}, artefacts=(2,))
    settings = config.load("high_gamma")
    source = open_source(settings.recordings, tmp_path)
    assert source.subjects() == [str(number) for number in range(1, 15)]
    assert list(source.files("1")) == [f"{layouts.HIGH_GAMMA}/{name}/1.edf" for name in ("test", "train")]
    recordings = list(source.recordings("1"))
    assert [(r.session, r.run) for r in recordings] == [("0", "0train"), ("0", "1test")]
    for recording, name in zip(recordings, ("train", "test"), strict=True):
        file = edfio.read_edf(downloads / layouts.HIGH_GAMMA / name / "1.edf")
        expected = [signal.data for signal in file.signals if signal.label.startswith("EEG")]
        raw, cues = recording.raw, [(cue.onset, cue.text) for cue in file.annotations]
        np.testing.assert_allclose(raw.get_data() * 1e6, expected, rtol=1e-6, atol=1e-9)
        assert [f"EEG {name}" for name in raw.ch_names] == [*layouts.HIGH_GAMMA_NAMES[:-2]]
        assert [(cue["onset"], cue["description"]) for cue in raw.annotations] == cues
    trials = make_trials(recordings, settings)
    assert (trials.train.x.shape, trials.test.x.shape) == ((7, 44, 1125), (4, 44, 1125))
    assert trials.info["sensors"] == list(settings.preprocessing.sensors)
    assert trials.table["class"].tolist() == [layouts.MOVEMENTS[i % 4] for i in (*range(8), *range(4))]
    assert trials.table["rejected"].tolist() == ["", "", "amplitude Fp1", *[""] * 9]


def test_bnci2014_001_by_its_configuration(downloads, tmp_path):
    written = layouts.bnci2014_001(downloads, n_runs=2, n_trials=4)
    settings = config.load("bnci2014_001")
    source = open_source(settings.recordings, tmp_path)
    assert list(source.files("1")) == [f"{layouts.BNCI}/A01{letter}.mat" for letter in "ET"]
    recordings = list(source.recordings("1"))
    assert [(r.session, r.run) for r in recordings] == [(s, r) for s in ("0train", "1test") for r in "01"]
    for recording, expected in zip(recordings, [*written["T"], *written["E"]], strict=True):
        np.testing.assert_allclose(recording.raw.get_data("eeg") * 1e6, expected[:22], rtol=1e-6, atol=1e-9)
        # The cue comes two seconds after a trial's begin.
        np.testing.assert_allclose(recording.raw.annotations.onset, 4.0 + 8 * np.arange(4))
        assert list(recording.raw.annotations.description) == ["left_hand", "right_hand", "feet", "tongue"]
    trials = make_trials(recordings, settings)
    assert trials.train.x.shape == trials.test.x.shape == (8, 22, 1125)
    assert trials.train.y.tolist() == [0, 1, 2, 3] * 2


def test_arguments_and_what_moabb_marks_as_bad(downloads, tmp_path):
    layouts.bnci2014_001(downloads, n_runs=1, n_trials=4)
    source = dataset("BNCI2014_001", tmp_path, artifact_handling="annotate_bad")
    classes = "{one: [left_hand, feet], two: [right_hand, tongue]}"
    settings = config.load("bnci2014_001", [f"recordings.classes={classes}"])
    trials = make_trials(list(source.recordings("1")), settings)
    assert trials.table["rejected"].tolist() == ["", "annotation BAD_artifact", "", ""] * 2


def test_what_is_not_there_is_not_at_hand_and_named(downloads, tmp_path):
    source = dataset("BNCI2014_001", tmp_path)
    before = dict(os.environ)
    assert source.local_recordings("1") is None
    assert [path for path in downloads.rglob("*") if path.is_file()] == []
    with pytest.raises(UserError, match=r"BNCI2014_001: subject 1 is not under .*downloads and cannot be"):
        source.files("1")
    layouts.bnci2014_001(downloads, n_runs=1, n_trials=2)
    assert [(r.session, r.run) for r in source.local_recordings("1")] == [("0train", "0"), ("1test", "0")]
    (downloads / layouts.BNCI / "A01T.mat").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"BNCI2014_001: subject 1 cannot be read by MOABB \(.*; delete its"):
        list(source.recordings("1"))
    assert dict(os.environ) == before


def test_where_nothing_is_configured_files_are_under_the_data_folder(downloads, tmp_path, monkeypatch):
    monkeypatch.delenv("MNE_DATA")
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))  # without a configuration of MNE's
    layouts.bnci2014_001(tmp_path / "data", n_runs=1, n_trials=2)
    files, folder = dataset("BNCI2014_001", tmp_path / "data").files("1"), tmp_path / "data" / layouts.BNCI
    assert list(files.values()) == [folder / "A01E.mat", folder / "A01T.mat"]
    with pytest.raises(UserError, match="subject 1 is not under .*elsewhere and cannot be downloaded"):
        dataset("BNCI2014_001", tmp_path / "elsewhere").files("1")


def test_sentences(tmp_path):
    with pytest.raises(UserError, match=r"MOABB has no BNCI2014001; the nearest are BNCI2014_001"):
        dataset("BNCI2014001", tmp_path)
    with pytest.raises(UserError, match=r"recordings.arguments: BNCI2014_001 refuses them \(.*runs.*\)"):
        dataset("BNCI2014_001", tmp_path, runs=3)
