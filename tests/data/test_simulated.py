"""Simulated recordings: believable, the same bytes for the same seed, and written once."""

import json
import subprocess
import sys

import mne
import mne_bids
import numpy as np
import pandas as pd
import pytest
from conftest import positions
from scipy.signal import welch

from eeg_sgdr.data.sources import open_source, simulator
from eeg_sgdr.data.sources.bids import Bids
from eeg_sgdr.data.sources.simulated import Simulated
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import SimulatedRecordings

CLASSES = ["feet", "left_hand", "rest", "right_hand"]


def small(**changes):
    sizes = {"n_subjects": 3, "n_runs": 2, "n_trials": 4, "sfreq": 128, **changes}
    return SimulatedRecordings(source="simulated", **sizes)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    source = open_source(small(), tmp_path_factory.mktemp("data"))
    source.files("02")
    return source


@pytest.fixture(scope="module")
def raws():
    return list(simulator.runs(10, seed=0, n_runs=2, n_trials=40, sfreq=128.0))


def test_subjects_are_named_without_simulating(tmp_path):
    source = Simulated(small(n_subjects=14), tmp_path)
    assert source.subjects() == [f"{number:02d}" for number in range(1, 15)]
    assert source.settings.simulated
    assert not list(tmp_path.iterdir())


def test_the_dataset_is_bids_and_says_simulated(source):
    root = source.root
    assert root.parent.name == "simulated"
    assert root.name == f"3x2x4-128hz-seed0-revision{simulator.REVISION}"
    assert Bids(root, "motor").subjects() == ["01", "02", "03"]
    assert [path.name for path in sorted(root.glob("sub-*"))] == ["sub-02"]
    assert "simulated" in (root / "README").read_text()
    assert "Simulated" in json.loads((root / "dataset_description.json").read_text())["Name"]
    files = source.files("02")
    assert list(files) == sorted(name for name in contents(root) if name.startswith("sub-02/eeg/"))
    assert sum(name.endswith(".edf") for name in files) == 2


def test_recordings(source):
    recordings = list(source.recordings("02"))
    assert [(r.subject, r.session, r.run) for r in recordings] == [("02", "0", "01"), ("02", "0", "02")]
    assert source.runs("02") == [("0", "01"), ("0", "02")]
    for recording, expected in zip(recordings, simulator.runs(2, 0, 2, 4, 128.0), strict=True):
        raw = recording.raw
        assert not raw.preload
        assert raw.ch_names == [*simulator.SENSORS, "EOG"]
        assert raw.get_channel_types() == ["eeg"] * 44 + ["eog"]
        assert (raw.info["sfreq"], raw.info["line_freq"]) == (128, 50)
        # In volts, up to the 16 bits of the file.
        np.testing.assert_allclose(raw.get_data(), expected.get_data(), rtol=0, atol=1e-7)
        np.testing.assert_allclose(positions(raw, 44), positions(expected, 44), atol=1e-6)
        np.testing.assert_allclose(raw.annotations.onset, expected.annotations.onset, atol=1e-9)
        assert list(raw.annotations.description) == list(expected.annotations.description)


def test_events(source):
    paths = [path for name, path in source.files("02").items() if name.endswith("events.tsv")]
    assert len(paths) == 2
    for path in paths:
        events = pd.read_csv(path, sep="\t")
        assert sorted(events["trial_type"]) == CLASSES
        assert (events["duration"] == 4).all()
        assert events["onset"].diff().dropna().between(6.99, 8.01).all()
        assert events["onset"].min() >= 4  # past the block that standardisation scales by itself


def test_same_seed_same_bytes(source, tmp_path):
    def written(*subjects, **changes):
        made = Simulated(small(**changes), tmp_path)
        for subject in subjects:
            made.files(subject)
        return {name: data for name, data in contents(made.root).items() if not name.startswith("sub-03")}

    expected = contents(source.root)
    assert written("03", "02") == expected  # whoever was written before
    run = "sub-02/eeg/sub-02_task-motor_run-02_eeg.edf"
    assert written("02", n_runs=3, n_subjects=2)[run] == expected[run]
    assert written("02", seed=1)[run] != expected[run]


def test_other_samples_have_another_revision():
    """Where this fails on purpose, raise `simulator.REVISION`, and measure docs/simulated.md again."""
    assert simulator.REVISION == 1
    raw = next(simulator.runs(1, seed=0, n_runs=1, n_trials=4, sfreq=128.0))
    values = raw.get_data(["C3", "CPz", "EOG"], start=2000, stop=2002) * 1e6
    np.testing.assert_allclose(values, [[21.705, 17.783], [9.568, 2.572], [-17.245, -25.629]], atol=0.01)


def test_files_tell_neither_dates_nor_versions_nor_places(source):
    for name, data in contents(source.root).items():
        text = data[: 256 * 47] if name.endswith(".edf") else data
        for unwanted in (mne.__version__, mne_bids.__version__, str(source.root.parents[1])):
            assert unwanted.encode() not in text, name
        if name.endswith(".edf"):
            assert b"Startdate X X X X" in text
            assert text[168:184] == b"01.01.8500.00.00"


def test_rhythms_fade_over_the_contralateral_hand_and_the_foot(raws):
    mu = simulator.person(10, seed=0).mu_hz
    power = {name: [] for name in CLASSES}
    for raw in raws:
        x = raw.get_data(picks=["C3", "C4", "FCz", "CPz"])
        for onset, name in zip(raw.annotations.onset, raw.annotations.description, strict=True):
            trial = x[:, round((onset + 1) * 128) : round((onset + 4) * 128)]
            frequencies, spectrum = welch(trial, 128, nperseg=128)
            power[name].append(spectrum[:, abs(frequencies - mu) < 1.5].sum(axis=1))
    feet, left, rest, right = (np.median(power[name], axis=0) for name in CLASSES)
    assert right[0] < 0.6 * rest[0]
    assert left[1] < 0.6 * rest[1]
    assert feet[2:].sum() < 0.8 * rest[2:].sum()
    assert right[0] < 0.7 * left[0]
    assert left[1] < 0.7 * right[1]


def test_what_disturbs(raws):
    for raw in raws:
        data = raw.get_data()
        assert 3e-6 < np.median(data[:44].std(axis=1)) < 100e-6
        frequencies, spectra = welch(data[:44], 128, nperseg=256)
        spectrum = np.median(spectra, axis=0)
        assert spectrum[frequencies == 50] > 5 * spectrum[frequencies == 47]
        assert spectrum[frequencies == 3] > 5 * spectrum[frequencies == 40]
        blinks, frontal = data[44] - np.median(data[44]), data[raw.ch_names.index("FFC3h")]
        assert blinks.max() > 100e-6
        assert frontal[blinks > 150e-6].mean() - np.median(frontal) > 5e-6


def test_a_few_trials_are_above_the_mask():
    n_above = 0
    for raw in simulator.runs(1, seed=0, n_runs=2, n_trials=40, sfreq=128.0):
        data = np.abs(raw.get_data(picks="eeg"))
        for onset in raw.annotations.onset:
            n_above += data[:, round(onset * 128) : round((onset + 4) * 128)].max() >= 800e-6
    assert 1 <= n_above <= 8


def test_people_differ():
    people = [simulator.person(number, seed=0) for number in range(1, 15)]
    for values in zip(*((p.clarity, p.mu_hz, tuple(p.positions[0])) for p in people), strict=True):
        assert len(set(values)) == 14


def test_a_crash_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    source = Simulated(small(), tmp_path)
    whole = simulator.runs

    def crash(*args):
        yield next(whole(*args))
        raise RuntimeError("power cut")

    monkeypatch.setattr("eeg_sgdr.data.sources.simulated.runs", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        source.files("01")
    assert not (source.root / "sub-01").exists()
    monkeypatch.setattr("eeg_sgdr.data.sources.simulated.runs", whole)
    assert sum(name.endswith(".edf") for name in source.files("01")) == 2
    assert list(source.root.with_name(f".{source.root.name}").iterdir()) == []


def test_two_processes_simulate_a_subject_once(tmp_path):
    program = f"""
from pathlib import Path
from eeg_sgdr.data.sources import simulated
from eeg_sgdr.settings import SimulatedRecordings

runs = simulated.runs
def counted(*args):
    with open({str(tmp_path / "log")!r}, "a") as log:
        log.write("simulated\\n")
    return runs(*args)
simulated.runs = counted
settings = SimulatedRecordings.model_validate({small().model_dump(mode="json")!r})
print(len(simulated.Simulated(settings, Path({str(tmp_path)!r})).files("01")))
"""
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert len({process.communicate(timeout=120)[0] for process in processes}) == 1
    assert [process.returncode for process in processes] == [0, 0]
    assert (tmp_path / "log").read_text() == "simulated\n"


def test_sentences(tmp_path):
    for sfreq in (100.0, 250.5):
        with pytest.raises(UserError, match=r"recordings.sfreq: .* whole number above 100"):
            Simulated(small(sfreq=sfreq), tmp_path)
    with pytest.raises(UserError, match=r"subject '04' is not simulated; raise recordings.n_subjects"):
        Simulated(small(), tmp_path).files("04")
