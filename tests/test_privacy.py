"""Nothing personal in a recording's header reaches a file that the program writes."""

import base64
import datetime
import re

import edfio
import pybv
import pytest
import yaml
from conftest import make_raw, make_settings

from eeg_sgdr.run import main

#: What no file may hold: a word for each field that can take one, and dates as formats write them.
BIRTH = datetime.date(1951, 5, 2)
MEASURED = datetime.datetime(1987, 3, 12, 10, 11, 12, tzinfo=datetime.UTC)
DATES = (
    *("1951-05-02", "19510502", "02-MAY-1951", "02.05.51"),
    *("1987-03-12", "19870312", "12-MAR-1987", "12.03.87", "10:11:12", "10.11.12"),
    str(int(MEASURED.timestamp())),
)
WORD = "Qzx"


def edf(path, raw):
    """EDF+ with every field of patient and recording filled in."""
    signals = [
        edfio.EdfSignal(
            values * 1e6, raw.info["sfreq"], label=name, physical_dimension="uV",
            transducer_type="QzxTransducer", prefiltering="QzxPrefilter",
        )
        for name, values in zip(raw.ch_names, raw.get_data(), strict=True)
    ]  # fmt: skip
    patient = edfio.Patient(code="QzxId", sex="F", birthdate=BIRTH, name="QzxName", additional=["QzxNote"])
    recording = edfio.Recording(
        startdate=MEASURED.date(),
        hospital_administration_code="QzxHospital",
        investigator_technician_code="QzxTechnician",
        equipment_code="QzxSerial",
        additional=["QzxRecordingId"],
    )
    start = MEASURED.time().replace(tzinfo=None)
    cues = [edfio.EdfAnnotation(cue["onset"], 2.0, cue["description"]) for cue in raw.annotations]
    edfio.Edf(signals, patient=patient, recording=recording, starttime=start, annotations=cues).write(path)


def brainvision(path, raw):
    cues = [(annotation["onset"], annotation["description"]) for annotation in raw.annotations]
    events = [
        {"onset": round(100 * at), "duration": 1, "description": description, "type": "Comment"}
        for at, description in [*cues, (0.1, "QzxTyped by QzxTechnician")]
    ]
    pybv.write_brainvision(
        data=raw.get_data(), sfreq=100, ch_names=raw.ch_names, fname_base=path.stem, folder_out=path.parent,
        events=events, meas_date=MEASURED.replace(tzinfo=None),
    )  # fmt: skip
    with path.open("a", encoding="utf-8") as file:
        file.write(
            "\nName: QzxName\nBirth date: 1951-05-02\nSerial number: QzxSerial\n"
            "Patient: QzxPatientId\nHospital: QzxHospital\n"
        )


def fif(path, raw):
    raw.set_meas_date(MEASURED)
    raw.info["subject_info"] = {
        "id": 1, "his_id": "QzxPatientId", "last_name": "QzxName", "first_name": "QzxFirst",
        "middle_name": "QzxMiddle", "birthday": BIRTH, "sex": 2,
    }  # fmt: skip
    raw.info["device_info"] = {
        "type": "QzxDevice", "model": "QzxModel", "serial": "QzxSerial", "site": "QzxHospital",
    }  # fmt: skip
    raw.info["experimenter"] = "QzxTechnician"
    raw.info["description"] = "QzxRecordingId"
    raw.save(path, verbose="error")


def texts(path):
    content = path.read_bytes()
    yield content
    for encoded in re.findall(rb"data:image/svg[+]xml;base64,([A-Za-z0-9+/=]+)", content):
        yield base64.b64decode(encoded)


def found(folder):
    wanted = [WORD.encode(), *(date.encode() for date in DATES)]
    return {
        (str(path.relative_to(folder)), word.decode())
        for path in folder.rglob("*")
        if path.is_file()
        for text in texts(path)
        for word in wanted
        if word in text
    }


@pytest.mark.parametrize(
    ("write", "suffix"), [(edf, ".edf"), (brainvision, ".vhdr"), (fif, "_raw.fif")], ids=["edf", "bv", "fif"]
)
def test_no_file_holds_anything_personal(tmp_path, write, suffix):
    source, written = tmp_path / "source", tmp_path / "written"
    source.mkdir()
    for run in range(3):
        write(source / f"S1_run{run}{suffix}", make_raw(n_trials=4, seed=run))
    there = {word for _, word in found(source)}
    assert WORD in there
    assert len(there) > 1 or write is fif, "FIF holds dates as numbers"
    settings = make_settings().model_dump(mode="json", exclude={"evaluation", "compute"})
    settings["recordings"] = {
        "source": "files",
        "pattern": str(source / f"S{{subject}}_run{{run}}{suffix}"),
        "classes": {"left": ["l", "Comment/l"], "right": ["r", "Comment/r"]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    arguments = ["--config", str(tmp_path / "mine.yaml"), "--out", str(written / "results"), "--jobs", "1"]
    arguments += ["--set", f"compute.data_dir={written / 'data'}", "--set", "training.initial_rates=[0.05]"]
    arguments += ["--set", "schedules.step.budgets=[1]", "--set", "schedules.restarts.epochs=1"]
    assert main([*arguments, "--only", "data"]) == 0
    assert found(written) == set()
    assert main(arguments) == 0
    assert (written / "results/subjects/001/fits").is_dir()
    assert list((written / "data/cache").rglob("x_train.npy"))
    assert found(written) == set()
