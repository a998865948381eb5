"""One and the same recording through three sources."""

import shutil

import mne
import mne_bids
import numpy as np
import pytest
from mne.datasets import eegbci

from eeg_sgdr import settings as config
from eeg_sgdr.data.sources import open_source
from eeg_sgdr.data.trials import make_trials

RUNS = (5, 9)


@pytest.mark.recordings
def test_files_bids_and_physionet_give_the_same_trials(recordings_folder, tmp_path):
    classes = {"fists": "T1", "feet": "T2"}
    rename = {}
    for run in RUNS:
        name = f"S001R{run:02d}.edf"
        there = recordings_folder / "MNE-eegbci-data" / "files" / "eegmmidb" / "1.0.0" / "S001" / name
        shutil.copy(there, tmp_path / name)
        raw = mne.io.read_raw_edf(tmp_path / name, verbose="error")
        path = mne_bids.BIDSPath(subject="001", run=f"{run:02d}", task="motor", datatype="eeg",
                                 root=tmp_path / "dataset")  # fmt: skip
        raw.info["line_freq"] = 60
        mne_bids.write_raw_bids(raw, path, verbose="error")
        standard = raw.copy()
        eegbci.standardize(standard)
        rename = dict(zip(raw.ch_names, standard.ch_names, strict=True))
    made = {}
    for recordings in (
        {"source": "files", "pattern": str(tmp_path / "S{subject}R{run}.edf"), "rename": rename,
         "montage": "standard_1005", "classes": classes},
        {"source": "bids", "root": str(tmp_path / "dataset"), "task": "motor", "rename": rename,
         "classes": classes},
        {"source": "physionet", "runs": list(RUNS), "classes": {"fists": "both_fists", "feet": "both_feet"}},
    ):  # fmt: skip
        data = config.load("physionet_fists_feet", ["baseline=null"]).model_dump(mode="json")
        data = {**data, "recordings": recordings, "split": {"by": "run", "test": [9]}, "evaluation": {}}
        settings = config.validate(data, "test")
        source = open_source(settings.recordings, tmp_path)
        subject = "1" if recordings["source"] == "physionet" else "001"
        made[recordings["source"]] = make_trials(list(source.recordings(subject)), settings)
    expected = made.pop("physionet")
    assert expected.train.x.shape == expected.test.x.shape == (15, 64, 720)
    for name, trials in made.items():
        for part in ("train", "test"):
            ours, theirs = getattr(trials, part), getattr(expected, part)
            np.testing.assert_array_equal(ours.x, theirs.x, err_msg=name)
            np.testing.assert_array_equal(ours.y, theirs.y, err_msg=name)
        assert trials.table["class"].tolist() == expected.table["class"].tolist()
        np.testing.assert_array_equal(trials.table["onset_s"], expected.table["onset_s"])
        np.testing.assert_allclose(trials.summary["positions"], expected.summary["positions"], atol=1e-6)
        assert trials.info["sensors"] == expected.info["sensors"]
