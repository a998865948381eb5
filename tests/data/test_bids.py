"""BIDS datasets that mne-bids writes here, read back through the source."""

import json

import eeg_formats
import mne
import mne_bids
import numpy as np
import pytest
from conftest import make_raw, positions

from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.sources.bids import Bids
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import BidsRecordings, LabRecordings

SFREQ = 128.0
ONSETS = [1.0, 3.5, 6.0]
CUES = ["left", "right", "left"]


def write(root, subject="01", session=None, run=None, task="motor", placed=True, bads=(), **entities):
    seed = [ord(letter) for letter in f"{subject}{session}{run}{task}"]
    data = 1e-5 * np.random.default_rng(seed).standard_normal((4, round(10 * SFREQ)))
    info = mne.create_info(["C3", "Cz", "C4", "EOG"], SFREQ, ["eeg", "eeg", "eeg", "eog"])
    raw = mne.io.RawArray(data, info, verbose="error").set_annotations(mne.Annotations(ONSETS, 2.0, CUES))
    if placed:
        raw.set_montage(montage_1005(), verbose="error")
    raw.info["line_freq"], raw.info["bads"] = 50.0, list(bads)
    entities |= {"subject": subject, "session": session, "run": run, "task": task}
    path = mne_bids.BIDSPath(root=root, datatype="eeg", **entities)
    options = {"format": "BrainVision", "allow_preload": True, "overwrite": True}
    mne_bids.write_raw_bids(raw, path, **options, verbose="error")
    return data


def samples(root, name):
    (path,) = root.rglob(f"{name}.eeg")
    return np.fromfile(path, "<f4").reshape(-1, 4).T.astype(float) * 1e-7  # 0.1 microvolts


@pytest.mark.parametrize(
    ("sessions", "runs", "expected"),
    [
        ([None], [None], [("0", "0")]),
        ([None], ["10", "9", "1"], [("0", "1"), ("0", "9"), ("0", "10")]),
        (["b", "a"], ["01", "02"], [("a", "01"), ("a", "02"), ("b", "01"), ("b", "02")]),
        (["2", "1"], [None], [("1", "0"), ("2", "0")]),
    ],
)
def test_recordings_are_those_written(tmp_path, sessions, runs, expected):
    written = {(s or "0", r or "0"): write(tmp_path, session=s, run=r) for s in sessions for r in runs}
    write(tmp_path, task="rest")
    source = Bids(tmp_path, "motor")
    recordings = list(source.recordings("01"))
    assert [(recording.session, recording.run) for recording in recordings] == expected
    assert source.runs("01") == expected
    for recording in recordings:
        raw = recording.raw
        assert not raw.preload
        assert recording.subject == "01"
        assert raw.ch_names == ["C3", "Cz", "C4", "EOG"]
        assert raw.get_channel_types() == ["eeg", "eeg", "eeg", "eog"]
        entities = ["sub-01", f"ses-{recording.session}", "task-motor", f"run-{recording.run}", "eeg"]
        name = "_".join(part for part in entities if part not in ("ses-0", "run-0"))
        np.testing.assert_allclose(raw.get_data(), samples(tmp_path, name), rtol=0, atol=1e-18)
        expected_data = written[recording.session, recording.run]
        np.testing.assert_allclose(raw.get_data(), expected_data, rtol=1e-6, atol=1e-15)
        np.testing.assert_allclose(raw.annotations.onset, ONSETS)
        np.testing.assert_allclose(raw.annotations.duration, 2.0)
        assert list(raw.annotations.description) == CUES


def test_bad_channels_and_positions(tmp_path):
    write(tmp_path, bads=["C4"])
    (recording,) = Bids(tmp_path, "motor").recordings("01")
    raw = recording.raw
    assert raw.info["bads"] == ["C4"]
    expected = make_raw().set_montage(montage_1005())
    np.testing.assert_allclose(positions(raw, 3), positions(expected, 3), atol=1e-4)


def test_what_the_settings_name_goes_over_the_dataset(tmp_path):
    data = write(tmp_path, run="1")
    next(tmp_path.rglob("*events.tsv")).unlink()
    names = {"rename": {"C3": "C5"}, "channel_types": {"C4": "stim"}, "montage": "standard_1005"}
    events = {"channel": "C4", "shortest_event": 0, "consecutive": False}
    settings = LabRecordings(classes={"one": "1", "two": "2"}, events=events, **names)
    (recording,) = Bids(tmp_path, "motor", settings).recordings("01")
    raw = recording.raw
    assert raw.ch_names == ["C5", "Cz", "C4", "EOG"]
    assert raw.get_channel_types() == ["eeg", "eeg", "stim", "eog"]
    assert not raw.preload
    assert list(raw.annotations.description) == []  # the markers in the EEG file are no cues, either
    np.testing.assert_allclose(raw.get_data(picks=["C5"])[0], data[0], rtol=1e-6, atol=1e-15)
    template = make_raw(names=("C5", "Cz", "C4")).set_montage(montage_1005())
    np.testing.assert_allclose(positions(raw, 1), positions(template, 1), atol=1e-6)


def test_runs_that_are_chosen(tmp_path):
    for run in ("1", "2", "10"):
        write(tmp_path, run=run)
    settings = LabRecordings(classes={"one": "1", "two": "2"}, runs=(10, 1))
    source = Bids(tmp_path, "motor", settings)
    assert [recording.run for recording in source.recordings("01")] == ["1", "10"]
    settings = LabRecordings(classes={"one": "1", "two": "2"}, exclude_runs=("01", "7"))
    assert Bids(tmp_path, "motor", settings).runs("01") == [("0", "2"), ("0", "10")]
    settings = LabRecordings(classes={"one": "1", "two": "2"}, runs=("3",))
    with pytest.raises(UserError, match=r"recordings.runs: subject 01, run '3' is not there; there are 1, 2"):
        Bids(tmp_path, "motor", settings).files("01")


def test_units_that_an_edf_file_does_not_tell(tmp_path):
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    eeg_formats.write_edf(folder / "sub-01_task-motor_run-1_eeg.edf", eeg_formats.made(), unit="")
    table = "onset\tduration\ttrial_type\n2.0\t2.0\tleft\n"
    (folder / "sub-01_task-motor_run-1_events.tsv").write_text(table)
    keys = {"classes": {"one": "left", "two": "right"}, "channel_types": {"EOG": "eog"}}
    with pytest.raises(UserError, match=r"run-1_eeg.edf: .*a thousand times what EEG .* recordings.units"):
        list(Bids(tmp_path, "motor", LabRecordings(**keys)).recordings("01"))
    (recording,) = Bids(tmp_path, "motor", LabRecordings(units="uV", **keys)).recordings("01")
    np.testing.assert_allclose(recording.raw.get_data("eeg") * 1e6, eeg_formats.made()[:3], atol=0.001)


def test_events_after_the_end(tmp_path, capsys):
    """Of events.tsv, not of the EEG file."""
    write(tmp_path)
    table = next(tmp_path.rglob("*events.tsv"))
    columns = table.read_text().splitlines()[-1].split("\t")
    table.write_text(table.read_text() + "\t".join(["10.5", columns[1], "stop", *columns[3:]]) + "\n")
    source = Bids(tmp_path, "motor", LabRecordings(classes={"one": "left", "two": "right"}))
    (recording,) = source.recordings("01")
    assert list(recording.raw.annotations.description) == CUES
    assert "annotations before its start or after its end are left out (stop)" in capsys.readouterr().err
    source = Bids(tmp_path, "motor", LabRecordings(classes={"one": "left", "two": "stop"}))
    with pytest.raises(UserError, match=r"1 events come .* after its end, cues among them \(stop\); fetch"):
        list(source.recordings("01"))


def test_template_positions_where_there_are_none(tmp_path):
    write(tmp_path, placed=False)
    assert not list(tmp_path.rglob("*electrodes.tsv"))
    (recording,) = Bids(tmp_path, "motor").recordings("01")
    assert np.isfinite(positions(recording.raw, 3)).all()


def test_subjects(tmp_path):
    write(tmp_path, "02")
    write(tmp_path, "ab")
    assert Bids(tmp_path, "motor").subjects() == ["02", "ab"]
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-ab\t3\nsub-02\tn/a\nsub-77\t4\n")
    assert Bids(tmp_path, "motor").subjects() == ["ab", "02", "77"]
    (tmp_path / "participants.tsv").unlink()
    assert Bids(tmp_path, "motor").subjects() == ["02", "ab"]


def test_files_are_those_that_determine_the_recordings(tmp_path):
    write(tmp_path, "01", run="1")
    write(tmp_path, "01", task="rest")
    write(tmp_path, "02", run="1")
    (tmp_path / "task-motor_events.json").write_text(json.dumps({"trial_type": {"Description": "cue"}}))
    (tmp_path / "task-rest_eeg.json").write_text("{}")
    classes = {"l": ("left",), "r": ("right",)}
    settings = BidsRecordings(source="bids", root=str(tmp_path), task="motor", classes=classes)
    source = open_source(settings, tmp_path / "unused")
    assert not settings.simulated
    files = source.files("01")
    run = "sub-01/eeg/sub-01_task-motor_run-1_"
    parts = ["eeg.vhdr", "eeg.vmrk", "eeg.eeg", "eeg.json", "events.tsv", "events.json", "channels.tsv"]
    placed = {name for name in files if "space-" in name}
    assert set(files) == {"task-motor_events.json", *(run + part for part in parts), *placed}
    assert {name.rsplit("_", 1)[1] for name in placed} >= {"electrodes.tsv", "coordsystem.json"}
    assert all(path == tmp_path / name and path.is_file() for name, path in files.items())


def test_sentences(tmp_path):
    with pytest.raises(UserError, match=r"^recordings.root: there is no folder .*nowhere; name that"):
        Bids(tmp_path / "nowhere", "motor")
    with pytest.raises(UserError, match="no participants, neither in"):
        Bids(tmp_path, "motor").subjects()

    write(tmp_path, run="1")
    source = Bids(tmp_path, "motor")
    with pytest.raises(UserError, match="subject 99 has no folder"):
        source.files("99")
    for ask in (source.files, lambda subject: list(source.recordings(subject))):
        source.task = "motr"
        with pytest.raises(UserError, match=r"subject 01 has no EEG of task 'motr'; correct recordings.task"):
            ask("01")
        source.task = "motor"

    events = next(tmp_path.rglob("*events.tsv"))
    kept = events.read_text()
    events.unlink()
    for _ in range(2):
        with pytest.raises(UserError, match=r"run-1_eeg.vhdr: there is no events.tsv beside it"):
            list(source.recordings("01"))
        write(tmp_path, run="2")  # the events of another run are no substitute
    events.write_text(kept)

    next(tmp_path.rglob("*run-1_eeg.vhdr")).write_text("no header")
    with pytest.raises(UserError, match=r"run-1_eeg.vhdr: cannot be read \("):
        list(source.recordings("01"))

    samples_file = next(tmp_path.rglob("*run-1_eeg.eeg"))
    samples_file.unlink()
    samples_file.symlink_to(tmp_path / "not-fetched")
    with pytest.raises(UserError, match="a link without its target; fetch"):
        source.files("01")

    for name in "ab":
        write(tmp_path, "05", run="1", acquisition=name)
    with pytest.raises(UserError, match=r"session 0, run 1 is also sub-05_task-motor_acq-a_run-1_eeg.vhdr"):
        list(source.recordings("05"))
