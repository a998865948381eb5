"""Files of each format, written here without MNE, read back through the source `files`."""

import os
import re

import eeg_formats
import mne
import numpy as np
import pytest
from conftest import make_raw, make_settings
from eeg_formats import EVENTS, NAMES, SFREQ

from eeg_sgdr import settings as config
from eeg_sgdr.data import cache
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.errors import UserError


def write_fif(path, recording):
    """FIF is MNE's own format; there is no other writer."""
    info = mne.create_info(list(NAMES), SFREQ, "eeg")
    raw = mne.io.RawArray(recording * 1e-6, info, first_samp=500, verbose="error")
    samples, codes = np.array(EVENTS).T
    raw.set_annotations(mne.Annotations(samples / SFREQ, 2.0, codes.astype(str)))
    raw.save(path, verbose="error")


WRITERS = {
    "edf": (eeg_formats.write_edf, {}),
    "bdf": (eeg_formats.write_bdf, {"events": {"channel": "Status", "mask": 255}}),
    "vhdr": (eeg_formats.write_vhdr, {"classes": {"left": "Stimulus/S  1", "right": "Stimulus/S  2"}}),
    "set": (eeg_formats.write_set, {}),
    "gdf": (eeg_formats.write_gdf, {}),
    "fif": (write_fif, {}),
}


def source(pattern, **changes):
    recordings = {"source": "files", "pattern": str(pattern), "classes": {"left": 1, "right": 2}, **changes}
    return open_source(settings(recordings).recordings, pattern.parent / "unused")


def settings(recordings, **changes):
    data = config.parse_yaml(config.to_yaml(make_settings(**changes)))
    return config.validate({**data, "recordings": recordings}, "test")


def written(extension, folder, *runs):
    write, changes = WRITERS[extension]
    name = f"S{{subject}}_{{run}}{'_raw' if extension == 'fif' else ''}.{extension}"
    recordings = {run: eeg_formats.made(seed) for seed, run in enumerate(runs)}
    for run, recording in recordings.items():
        write(folder / name.format(subject="07", run=run), recording)
    return source(folder / name, channel_types={"EOG": "eog"}, **changes), recordings


@pytest.mark.parametrize("extension", WRITERS)
def test_samples_and_cues_of_each_format(extension, tmp_path):
    files, recordings = written(extension, tmp_path, "1", "10", "9")
    assert files.subjects() == ["07"]
    there = list(files.recordings("07"))
    assert [(r.subject, r.session, r.run) for r in there] == [("07", "0", run) for run in ("1", "9", "10")]
    for recording in there:
        raw = recording.raw
        assert raw.preload == (extension == "set")  # MNE reads a .set that holds samples as a whole
        assert tuple(raw.ch_names[:4]) == NAMES
        assert raw.get_channel_types()[:4] == ["eeg", "eeg", "eeg", "eog"]
        microvolts = raw.get_data(picks=NAMES) * 1e6
        np.testing.assert_allclose(microvolts, recordings[recording.run], rtol=0, atol=5e-5)
        np.testing.assert_allclose((raw.annotations.onset - raw.first_time) * SFREQ, [s for s, _ in EVENTS])
        named = [text.removeprefix("Stimulus/S  ") for text in raw.annotations.description]
        assert named == [str(code) for _, code in EVENTS]


@pytest.mark.parametrize("extension", WRITERS)
def test_trials_of_each_format_are_the_same(extension, tmp_path):
    files, recordings = written(extension, tmp_path, "1", "2")
    plain = {"highpass_hz": None, "standardize": None, "window_s": [-0.5, 2.0]}
    study = settings(files.settings.model_dump(), preprocessing=plain, baseline=None)
    trials = make_trials(list(files.recordings("07")), study)
    assert trials.table["class"].tolist() == [("left", "right")[code - 1] for _, code in EVENTS] * 2
    for windows, recording in zip((trials.train, trials.test), recordings.values(), strict=True):
        assert windows.y.tolist() == [code - 1 for _, code in EVENTS]
        expected = [recording[:3, at - SFREQ // 2 : at + 2 * SFREQ] for at, _ in EVENTS]
        np.testing.assert_allclose(windows.x, expected, rtol=1e-5, atol=1e-4)


def test_patterns(tmp_path):
    for name in ("A/b1/A_b1_x[1]_3.edf", "A/b2/A_b2_x[1]_1.edf", "9/b/9_b_x[1]_1.edf", "10/b/10_b_x[1]_1.edf",
                 "A/b1/B_b1_x[1]_4.edf", "A/b1/A_b1_x1_5.edf", "A/b1/deeper/A_b1_x[1]_3.edf"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        eeg_formats.write_edf(tmp_path / name, eeg_formats.made())
    files = source(tmp_path / "{subject}/{session}/{subject}_{session}_x[1]_{run}.edf")
    assert files.subjects() == ["9", "10", "A"]
    assert list(files.files("A")) == ["A/b1/A_b1_x[1]_3.edf", "A/b2/A_b2_x[1]_1.edf"]
    assert [(r.session, r.run) for r in files.recordings("A")] == [("b1", "3"), ("b2", "1")]


def test_files_of_a_recording(tmp_path, monkeypatch):
    header, pattern = tmp_path / "S1_1.vhdr", tmp_path / "S{subject}_{run}.vhdr"
    eeg_formats.write_vhdr(header, eeg_formats.made())
    (tmp_path / "S1_1.txt").write_text("notes")
    parts = ["S1_1.eeg", "S1_1.vhdr", "S1_1.vmrk"]
    assert list(source(pattern).files("1")) == parts
    header.write_text(header.read_text().replace("MarkerFile=S1_1.vmrk", "MarkerFile=other.vmrk"))
    assert list(source(pattern).files("1")) == parts
    (tmp_path / "S1_1.vmrk").rename(tmp_path / "other.vmrk")
    assert list(source(pattern).files("1")) == [*parts[:2], "other.vmrk"]


@pytest.mark.parametrize("label", ["..", "a..b", "a\\b"])
def test_labels_that_lead_elsewhere_are_refused(label, tmp_path):
    (tmp_path / f"S{label}_1.edf").touch()
    with pytest.raises(UserError, match=re.escape(f"{label!r} cannot be the label of a subject")):
        source(tmp_path / "S{subject}_{run}.edf").subjects()


def test_a_pattern_that_goes_up_names_its_files_from_its_own_root(tmp_path):
    """Names that lead out of a folder could lead elsewhere on another machine."""
    for folder in ("A", "eeg"):
        (tmp_path / folder).mkdir()
    eeg_formats.write_edf(tmp_path / "eeg" / "SA_1.edf", eeg_formats.made())
    files = source(tmp_path / "A" / ".." / "{subject}" / ".." / "eeg" / "S{subject}_{run}.edf")
    assert files.subjects() == ["A"]
    assert list(files.files("A")) == ["eeg/SA_1.edf"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{run}.edf", "must hold {subject}"),
        ("{subject}.edf", "must hold {subject}, and {run} or {session}"),
        ("{subject}/{runs}/{run}.edf", "holds other fields than"),
    ],
)
def test_patterns_that_are_refused(pattern, message, tmp_path):
    with pytest.raises(UserError, match=f"recordings: pattern: {message}"):
        source(tmp_path / pattern)


def test_files_that_are_not_there_or_damaged(tmp_path):
    files = source(tmp_path / "S{subject}_{run}.edf")
    with pytest.raises(UserError, match="recordings.pattern: no file is called like"):
        files.subjects()
    eeg_formats.write_edf(tmp_path / "S1_1.edf", eeg_formats.made())
    files = source(tmp_path / "S{subject}_{run}.edf")
    with pytest.raises(UserError, match="is of subject 2; leave the subject out"):
        files.files("2")
    (tmp_path / "S1_1.edf").write_bytes(b"no header")
    with pytest.raises(UserError, match=r"S1_1.edf: cannot be read \("):
        list(files.recordings("1"))


@pytest.mark.parametrize("extension", ["edf", "vhdr"])
def test_an_annotation_after_the_end_is_refused_only_if_it_is_a_cue(extension, tmp_path, capsys):
    name = "Stimulus/S  3" if extension == "vhdr" else "3"
    (write, keys), path = WRITERS[extension], tmp_path / f"S1_1.{extension}"
    late = [*EVENTS, (20 * SFREQ - 1, 4)] + [(20 * SFREQ + 1, 3)] * (extension == "edf")
    write(path, eeg_formats.made(), events=late)
    if extension == "vhdr":  # pybv refuses such a marker
        markers = tmp_path / "S1_1.vmrk"
        markers.write_text(markers.read_text() + f"Mk9=Stimulus,S  3,{20 * SFREQ + 2},1,0\n")
    files = source(tmp_path / f"S{{subject}}_{{run}}.{extension}", **keys)
    files.files("1")
    assert capsys.readouterr().err == ""
    (recording,) = files.recordings("1")
    assert len(recording.raw.annotations) == len(EVENTS) + 1
    said = f"{path}: annotations before its start or after its end are left out ({name}); no class"
    assert capsys.readouterr().err.startswith(said)
    classes = {"left": 1, "right": [2, name]}
    files = source(tmp_path / f"S{{subject}}_{{run}}.{extension}", classes=classes)
    with pytest.raises(UserError, match=r"1 events come .*after its end, cues among them \(.*3\); fetch"):
        list(files.recordings("1"))


def write_as_volts(path, recording):
    """As `write_fif`, by somebody who forgot that MNE holds volts."""
    write_fif(path, recording * 1e6)


WITHOUT_UNIT = {
    "edf": lambda path, recording: eeg_formats.write_edf(path, recording, unit=""),
    "fif": write_as_volts,
    "set": lambda path, recording: eeg_formats.write_set(path, recording * 1e6),
}


UNITS = [*((extension, "uV") for extension in WITHOUT_UNIT), ("edf", "mV"), ("edf", {})]


@pytest.mark.parametrize(("extension", "units"), UNITS)
def test_units_that_the_files_do_not_tell(extension, units, tmp_path):
    expected = eeg_formats.made()
    expected[:3] += 1000.0 * (extension != "edf")  # an offset of a millivolt
    path = tmp_path / f"S1_1{'_raw' if extension == 'fif' else ''}.{extension}"
    WITHOUT_UNIT[extension](path, expected / (1000 if units == "mV" else 1))
    pattern, keys = tmp_path / path.name.replace("1_1", "{subject}_{run}"), {"channel_types": {"EOG": "eog"}}
    asked = "mV" if units == "mV" else "uV"
    with pytest.raises(UserError, match=rf"a thousand times what .* recordings.units \({asked}\?\)"):
        list(source(pattern, **keys).recordings("1"))
    units = units or {"C3": "uV", "Cz": "uV", "C4": "uV"}
    (recording,) = source(pattern, units=units, **keys).recordings("1")
    raw, tolerance = recording.raw, 0.05 * (1000 if units == "mV" else 1e-3)
    np.testing.assert_allclose(raw.get_data(picks=NAMES[:3]) * 1e6, expected[:3], rtol=1e-6, atol=tolerance)
    part = raw.copy().pick(["C4", "C3"]).get_data(start=200, stop=300) * 1e6
    np.testing.assert_allclose(part, expected[[2, 0], 200:300], rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize(
    ("extension", "units", "message"),
    [
        ("edf", "uV", None),
        ("vhdr", {"C3": "uV"}, None),
        ("edf", "mV", r"says itself that the unit of C3 is uV, not mV; correct recordings.units"),
        ("gdf", "uV", r"of 2e-11 V .*, a thousandth of what EEG can be; correct recordings.units"),
        ("edf", {"Oz": "uV"}, r"no channel Oz; correct recordings.units"),
    ],
)
def test_units_beside_what_the_files_tell(extension, units, message, tmp_path):
    files, recordings = written(extension, tmp_path, "1")
    section = {**files.settings.model_dump(), "units": units}
    files = open_source(settings(section).recordings, tmp_path)
    if message is None:
        (recording,) = files.recordings("07")
        np.testing.assert_allclose(recording.raw.get_data(picks=NAMES) * 1e6, recordings["1"], atol=5e-5)
        return
    with pytest.raises(UserError, match=message):
        list(files.recordings("07"))


def test_runs_that_are_chosen(tmp_path):
    for run in ("001", "2", "10", "x"):
        eeg_formats.write_edf(tmp_path / f"S1_{run}.edf", eeg_formats.made())
    pattern = tmp_path / "S{subject}_{run}.edf"
    files = source(pattern, runs=["x", 10, 1])
    assert [recording.run for recording in files.recordings("1")] == ["001", "10", "x"]
    assert list(files.files("1")) == ["S1_001.edf", "S1_10.edf", "S1_x.edf"]
    with pytest.raises(
        UserError, match="recordings.runs: subject 1, run '3' is not there; there are 001, 2, 10"
    ):
        source(pattern, runs=[1, 3]).files("1")


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("extension", "part"), [("edf", "S07_1.edf"), ("vhdr", "S07_1.eeg"), ("vhdr", "S07_1.vmrk")]
)
def test_pipes_are_refused_before_they_are_opened(extension, part, tmp_path):
    files, _ = written(extension, tmp_path, "1")
    pipe(tmp_path / part)
    assert files.subjects() == ["07"]
    with pytest.raises(UserError, match=rf"{part}: is a pipe or a device, not a file; move it away"):
        list(files.recordings("07"))
    with pytest.raises(UserError, match=rf"{part}: is a pipe or a device, not a file; move it away"):
        cache.prepare(files, "07", settings(files.settings.model_dump()), tmp_path / "data")


def test_folders_are_recordings_in_formats_that_are_folders(tmp_path):
    for name in ("S1_1.mff", "S1_1.edf"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "signal1.bin").touch()
    assert list(source(tmp_path / "S{subject}_{run}.mff").files("1")) == ["S1_1.mff/sub/signal1.bin"]
    with pytest.raises(UserError, match=r"S1_1.edf: is a folder, not a file; move it away"):
        list(source(tmp_path / "S{subject}_{run}.edf").recordings("1"))


@pytest.mark.parametrize("name", [b"S1_\xff.edf", b"S\xff_1.edf"])
def test_names_that_are_no_text_are_refused(name, tmp_path):
    (tmp_path / os.fsdecode(name)).touch()
    with pytest.raises(UserError, match=r"\\udcff.*: its name is not in UTF-8; rename it"):
        source(tmp_path / "S{subject}_{run}.edf").subjects()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda content: content[:1403], r"AssertionError: raised by _read_edf_header in edf\.py"),
        (lambda content: content[:236] + b"0".ljust(8) + content[244:1536], "IndexError: ."),
        (lambda content: content[:256] + b"\xff" * 1000, "Error: ."),
        (lambda content: b"", "Bad EDF file"),
    ],
)
def test_a_damaged_edf_file_is_refused_with_a_reason(content, reason, tmp_path):
    path = tmp_path / "S1_1.edf"
    eeg_formats.write_edf(path, eeg_formats.made())
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(UserError, match=rf"S1_1.edf: cannot be read \(.*{reason}.*; replace the file"):
        list(source(tmp_path / "S{subject}_{run}.edf").recordings("1"))


def test_without_positions_a_bad_sensor_is_not_interpolated(tmp_path):
    for run in (1, 2):
        raw = make_raw(seed=run)
        raw.info["bads"] = ["Cz"]
        raw.save(tmp_path / f"S1_{run}_raw.fif", verbose="error")
    files = source(tmp_path / "S{subject}_{run}_raw.fif", classes={"left": "l", "right": "r"})
    recordings, section = list(files.recordings("1")), files.settings.model_dump()
    with pytest.raises(UserError, match="Cz cannot be interpolated .*; give the sensors' positions, or set"):
        make_trials(recordings, settings(section))
    trials = make_trials(recordings, settings(section, preprocessing={"bads": "drop"}))
    assert trials.info["sensors"] == ["C3", "C4"]
    assert np.isnan(trials.summary["positions"]).all()
