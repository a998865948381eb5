"""eeg-sgdr data: what it writes, what the report says without fits, and that nothing is trained."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import make_raw, make_settings
from pages import MADE, visible
from results_folder import SENSORS, MadeUp, write_folder

from eeg_sgdr import report
from eeg_sgdr.reports.data import page, recordings, rejections
from eeg_sgdr.reports.methods import preprocessing
from eeg_sgdr.run import main
from eeg_sgdr.storage.results import load_results
from eeg_sgdr.storage.subject import Subject

NAMES = (*SENSORS, "F3", "F4")


def untrained(root, **made_up):
    results, subject = write_folder(root, MadeUp(**made_up))
    shutil.rmtree(subject.folder.root / "fits")
    subject.folder.evaluation.unlink()
    return results, Subject(subject.folder)


def write_recordings(folder, n_subjects=1, **damage):
    for subject in range(1, n_subjects + 1):
        for run in range(3):
            name = f"sub{subject}_run{run}"
            raw = make_raw(names=NAMES, seed=10 * subject + run)
            damage.get(name, lambda raw: None)(raw)
            raw.save(folder / f"{name}_raw.fif", verbose="error")


def configuration(folder, **changes):
    settings = make_settings().model_dump(mode="json", exclude={"evaluation", "compute"})
    pattern, classes = str(folder / "sub{subject}_run{run}_raw.fif"), {"left": "l", "right": "r"}
    recordings = {"source": "files", "pattern": pattern, "classes": classes}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**settings, "recordings": recordings, **changes}))
    data = f"compute.data_dir={folder / 'data'}"
    return ["--config", str(path), "--out", str(folder / "out"), "--set", data]


def test_it_says_what_there_is_and_trains_nothing(tmp_path, capsys):
    def damage(raw):
        rng = np.random.default_rng(0)
        raw._data[5] = 1e-6
        raw._data[6] += rng.normal(scale=200e-6, size=raw.n_times)
        raw._data[8] = raw._data[7] + rng.normal(scale=0.2e-6, size=raw.n_times)

    write_recordings(tmp_path, sub1_run0=damage)
    assert main([*configuration(tmp_path), "--only", "data"]) == 0
    shown = capsys.readouterr()
    folder = load_results(tmp_path / "out").subject(1).folder
    assert shown.out == f"{folder.report}\n"
    assert "subject 1, preparing recordings: 6 of 6 steps" in shown.err
    made = {"trials.csv", "data.json", "summary.npz", "report.html"}
    assert {path.name for path in folder.root.iterdir()} == made
    data = json.loads(folder.data.read_text())
    assert data["flat"] == {"0/0": [NAMES[5]]}
    assert NAMES[6] in data["noisy"]["0/0"]
    assert data["bridged"] == {"0/0": [[NAMES[7], NAMES[8]]]}
    text = visible(folder.report.read_text(encoding="utf-8"))
    assert "Of 24 trials of subject 1, 24 can be used: 16 to train and 8 to test" in text
    noisy = "; ".join(f"session/run {run}: {', '.join(names)}" for run, names in data["noisy"].items())
    assert f"Noisy (local outlier factor) sensors: {noisy}." in text
    assert f"Bridged (showing the same) sensors: session/run 0/0: {NAMES[7]} with {NAMES[8]}." in text
    assert "Nothing has been trained on these recordings yet." in text
    assert "Mean spectrum of each class" in text


def test_fits_go_where_the_data_was_looked_at_and_are_not_lost_by_looking_again(tmp_path, capsys):
    write_recordings(tmp_path)
    arms = {"step": {"kind": "step", "budgets": [1]}, "restarts": {"kind": "warm_restarts", "epochs": 1}}
    training = {"initial_rates": [0.05], "batch_size": 4}
    arguments = configuration(tmp_path, schedules=arms, training=training)
    assert main([*arguments, "--only", "data"]) == 0
    assert main([*arguments, "--jobs", "1"]) == 0
    subject = load_results(tmp_path / "out").subject(1)
    before = subject.folder.report.read_bytes()
    assert b"Test error against epochs" in before
    assert main([*arguments, "--only", "data"]) == 0
    assert subject.folder.report.read_bytes() == before
    capsys.readouterr()
    other = [*arguments, "--set", "preprocessing.highpass_hz=8", "--only", "data"]
    assert main(other) == 2
    assert "holds results of other settings" in capsys.readouterr().err
    (tmp_path / "out/config.yaml").unlink()
    assert main(other) == 2
    assert "subjects/001/baseline: was made with other settings or recordings" in capsys.readouterr().err
    assert not (tmp_path / "out/config.yaml").exists()


def test_across_subjects_each_fold_names_its_people(tmp_path):
    def amplify(raw):
        raw._data[2] *= 1000

    write_recordings(tmp_path, n_subjects=3, sub3_run0=amplify, sub3_run1=amplify)
    arguments = configuration(tmp_path, split={"by": "subject", "folds": [["1"], ["2", "3"]]})
    assert main([*arguments, "--fold", "2", "--only", "data"]) == 0
    (fold,) = load_results(tmp_path / "out").subjects
    html = fold.folder.report.read_text(encoding="utf-8")
    assert "Of 72 trials of 3 subjects, 56 can be used: 24 to train and 32 to test" in visible(html)
    row = r"<tr( class=marked)?><td[^>]*>(\d)</td><td>(test|train)</td><td[^>]*>(\d+)</td>"
    usable, few = [("", "1", "train", "24"), ("", "2", "test", "24")], (" class=marked", "3", "test", "8")
    assert re.findall(row, html) == [*usable, few]
    assert f"amplitude {NAMES[2]} (16)" in html


def test_most_trials_rejected_is_said_first_and_whose_fault_it_is(tmp_path, capsys):
    def damage(raw):
        for cue in "lr":  # one of each class is left
            for onset in raw.annotations.onset[raw.annotations.description == cue][1:]:
                raw._data[3, round(100 * onset) + 50] += 5e-3

    write_recordings(tmp_path, **{f"sub1_run{run}": damage for run in range(3)})
    assert main([*configuration(tmp_path), "--only", "data"]) == 0
    sentence = f"18 of 24 trials are rejected, 18 of them for sensor {NAMES[3]}; mark it as bad"
    assert f"subject 1: {sentence}" in capsys.readouterr().err
    text = visible((tmp_path / "out/subjects/001/report.html").read_text(encoding="utf-8"))
    assert text.index(f"Few trials are left: {sentence}") < text.index("Of 24 trials of subject 1")


@pytest.mark.parametrize("across", [False, True])
def test_recordings_without_a_trial_are_reported_with_their_amplitudes(tmp_path, capsys, across):
    write_recordings(tmp_path, n_subjects=2 if across else 1)
    changes = {"split": {"by": "subject", "folds": [["1"], ["2"]]}} if across else {}
    arguments = [*configuration(tmp_path, **changes), "--set", "preprocessing.reject_uv=1"]
    arguments += ["--fold", "1"] if across else []
    refusal = r"subject (1|2): class 'left' has no trial to (train on|test) \(all \d+ were rejected, "
    assert main([*arguments, "--jobs", "1"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.match(rf"{refusal}.* eeg-sgdr data reports amplitudes.$", said)
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--only", "data"]) == 2
    shown = capsys.readouterr()
    assert re.match(refusal, shown.err.splitlines()[-1])
    assert re.search(r": Median peak-to-peak amplitude: [\d.]+ µV, by sensor from ", shown.err)
    page = Path(shown.out.strip())
    html = page.read_text(encoding="utf-8")
    text = visible(html)
    assert re.search(f"Nothing can be trained: {refusal}", text)
    assert re.search(r"Median peak-to-peak amplitude: [\d.]+ µV, by sensor from ", text)
    assert "0 can be used: 0 to train and 0 to test" in text
    assert "Rhythms and spectra are left out: a class has no training trial" in text
    assert main([*arguments, "--dry-run"]) == 2
    assert re.match(refusal, capsys.readouterr().err.splitlines()[-1])
    assert report.main([str(tmp_path / "out")]) == 0
    assert MADE.sub("", page.read_text(encoding="utf-8")) == MADE.sub("", html)


def test_the_page_is_the_same_whenever_it_is_made_but_for_one_element(tmp_path):
    results, subject = untrained(tmp_path / "study")
    pages = [MADE.sub("", page(results, Subject(subject.folder))) for _ in range(2)]
    assert pages[0] == pages[1]
    assert not re.search(r"20\d\d-\d\d-\d\d", pages[0].rpartition("</script>")[2])


def test_the_report_command_makes_it_again(tmp_path, capsys):
    _, subject = untrained(tmp_path)
    assert report.main([str(tmp_path)]) == 0
    assert str(subject.folder.report) in capsys.readouterr().out
    assert "Nothing has been trained" in subject.folder.report.read_text(encoding="utf-8")


def test_simulated_recordings_are_called_so(tmp_path):
    text = visible(page(*untrained(tmp_path, simulated=True)))
    assert "Simulated recordings: they say nothing of people's EEG." in text
    assert "simulated trials of subject 1" in text


def test_folders_of_an_earlier_version_say_nothing_of_what_they_do_not_know(tmp_path):
    _, subject = untrained(tmp_path)
    later = ("noisy", "bridged", "format", "digest")
    known = {key: value for key, value in subject.data.items() if key not in later}
    subject.folder.data.write_text(json.dumps(known))
    subject = Subject(subject.folder)
    assert not any("oisy" in text or "ridged" in text for text in rejections(subject))


def test_sensors_without_name_or_place_have_a_spectrum_all_the_same(tmp_path):
    sensors = tuple(f"E{i}" for i in range(8))
    _, subject = untrained(tmp_path, sensors=sensors, places=("nowhere",) * 8)
    html = visible(recordings(subject))
    assert "as the mean over all sensors, whose places are not known" in html


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reject_ptp_uv": 150}, "amplitude reached 800 µV or raw peak-to-peak amplitude exceeded 150 µV"),
        ({"reject_ptp_uv": 150, "reject_uv": None}, "in which any sensor's raw peak-to-peak amplitude"),
        ({"reference": "average"}, "referred to the average of all EEG sensors that were not bad"),
        ({"reference": ["A1", "A2"]}, "referred to the mean of A1 and A2"),
        ({"notch_hz": [50, 100]}, "notch filtered at 50 and 100 Hz (causal second-order filters"),
    ],
)  # fmt: skip
def test_methods_tell_what_was_done(tmp_path, settings, words):
    results, subject = untrained(tmp_path, settings={"preprocessing": settings})
    assert words in preprocessing(results.settings, subject)
