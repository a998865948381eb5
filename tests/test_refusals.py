"""Bad input, as a user meets it: one sentence (what, where, remedy), status 2, and nothing written."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import eeg_formats
import mne_bids
import numpy as np
import pooch
import pytest
import yaml
from conftest import make_raw, make_settings

from eeg_sgdr import run
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.storage.results import load_results

CONFIG = {
    "name": "small",
    "recordings": {"source": "bids", "root": "dataset", "task": "motor",
                   "classes": {"left": "l", "right": "r"}},
    "split": {"by": "run", "test": ["2"]},
    "preprocessing": {"reject_uv": None, "standardize": {"init_samples": 200}, "window_s": [-0.5, 2.0]},
    "training": {"batch_size": 4, "initial_rates": [0.05]},
    "schedules": {"step": {"kind": "step", "budgets": [1]},
                  "restarts": {"kind": "warm_restarts", "epochs": 1}},
}  # fmt: skip
EACH = {"by": "run", "folds": "each"}
RUN = "dataset/sub-{0}/eeg/sub-{0}_task-motor_run-{1}_{2}"


@dataclass(frozen=True)
class Case:
    #: What the sentence holds: what, where, and the remedy, separated by " ... ".
    said: str
    #: Of the command, beyond configuration, subject 1 and a new folder.
    arguments: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    #: Done in the user's folder before.
    damage: Callable[[Path], object] = lambda folder: None


def write_subject(root, subject, form):
    for number in (1, 2):
        raw = make_raw(seed=number)
        raw.info["line_freq"] = 50.0
        path = mne_bids.BIDSPath(subject=subject, task="motor", run=str(number), datatype="eeg", root=root)
        mne_bids.write_raw_bids(raw, path, format=form, allow_preload=True, verbose="error")


def configuration(folder, settings):
    data = yaml.safe_load(yaml.safe_dump(CONFIG))
    for path, value in settings.items():
        *sections, last = path.split(".")
        node = data
        for section in sections:
            node = node.setdefault(section, {})
        node[last] = value
    (folder / "mine.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    write_subject(folder / "dataset", "01", "BrainVision")
    write_subject(folder / "dataset", "02", "EDF")
    configuration(folder, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(["--config", "mine.yaml", "--subject", "1", "--jobs", "1"]) == 0
    return folder


def rewrite(name, change):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def replace(name, old, new):
    def change(content):
        assert old in content
        return content.replace(old, new)

    return rewrite(name, change)


def remove(name):
    return lambda folder: (folder / name).unlink()


def samples(run_number, change):
    def changed(content):
        data = np.frombuffer(content, "<f4").reshape(-1, 3).copy()
        change(data)
        return data.tobytes()

    return rewrite(RUN.format("01", run_number, "eeg.eeg"), changed)


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def instead(name, make):
    return several(remove(name), lambda folder: make(folder / name))


def several(*damages):
    return lambda folder: [damage(folder) for damage in damages]


def sensors(*names):
    pairs = zip((b"C3", b"Cz", b"C4"), names, strict=True)
    files = [RUN.format("01", 2, name) for name in ("eeg.vhdr", "channels.tsv")]
    return several(*(replace(file, old, new) for old, new in pairs for file in files))


def pipe(name):
    return several(remove(name), lambda folder: os.mkfifo(folder / name))


def make_folder(name):
    return lambda folder: (folder / name).mkdir()


def own_files(**keys):
    """A lab's own recordings, in EDF."""

    def made(folder):
        (folder / "own").mkdir()
        for number in (1, 2):
            path = folder / f"own/S1_{number}.edf"
            eeg_formats.write_edf(path, eeg_formats.made(number), **keys)

    return made


def own(**keys):
    section = {"source": "files", "pattern": "own/S{subject}_{run}.edf", "classes": {"left": 1, "right": 2}}
    return {"recordings": {**section, **keys}}


def not_a_number(data):
    data[50, 1] = np.nan
    data[60, 2] = np.inf


VHDR, EVENTS = RUN.format("01", 1, "eeg.vhdr"), RUN.format("01", 1, "events.tsv")
TESTED = RUN.format("01", 2, "events.tsv")
EDF = RUN.format("02", 1, "eeg.edf")
LONG = "x" * 300
FIT = "results/small/subjects/001/fits/step-b1-r0.05-s0"
OTHER_FIT = FIT.replace("step", "restarts")

# fmt: off
CASES = {
    "no configuration": Case("--config nothing.yaml ... shipped ... demo", "--config nothing.yaml"),
    "configuration is a folder": Case("--config dataset ... neither a file", "--config dataset"),
    "configuration is no text": Case("mine.yaml: cannot be read ... correct or replace it",
        damage=write("mine.yaml", b"\xff\xfe\x00")),
    "configuration is no YAML": Case("mine.yaml: not readable as YAML ... line 1 ... correct it there",
        damage=write("mine.yaml", b"a: [1")),
    "configuration is too deep": Case("mine.yaml: not readable as YAML ... correct it there",
        damage=write("mine.yaml", b"[" * 5000)),
    "configuration with endless aliases": Case("mine.yaml: holds more than 30000 values, aliases expanded",
        damage=write("mine.yaml", b"a0: &a0 [x, x, x, x]\n" + b"".join(
            b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 9)))),
    "configuration within itself": Case("mine.yaml: nests more than 30 levels, or a value within itself",
        damage=write("mine.yaml", b"network: {arguments: {x: &a [*a]}}")),
    "arguments are too deep": Case("--set network.arguments: not readable ... values or 30 levels",
        f"--set network.arguments={'[' * 300}{']' * 300}"),
    "configuration is too large": Case("mine.yaml: is larger than 500000 bytes ... shorten it",
        damage=write("mine.yaml", b"#" * 20_000_000)),
    "configuration is a pipe": Case("--config pipe: neither a file", "--config pipe",
        damage=lambda folder: os.mkfifo(folder / "pipe")),
    "configuration is a device": Case("--config /dev/zero: neither a file", "--config /dev/zero"),
    "configuration is a list": Case("mine.yaml: holds no table of settings ... see the shipped",
        damage=write("mine.yaml", b"- 1")),
    "unknown key": Case("training.batchsize is no setting ... the nearest is batch_size",
        settings={"training.batchsize": 3}),
    "key of another section": Case("training.epochs is no setting ... remove it",
        settings={"training.epochs": 3}),
    "unknown key of an arm": Case("schedules.restarts.tmult is no setting ... the nearest is t_mult",
        settings={"schedules.restarts.tmult": 2}),
    "unknown value": Case("preprocessing.bads ... 'drop' ... not 'interpolat' ... the nearest is interpolate",
        settings={"preprocessing.bads": "interpolat"}),
    "unknown split": Case("split.by: there is no 'runs' ... the nearest is run",
        settings={"split.by": "runs"}),
    "unknown source": Case(
        "recordings.source: there is no 'bidz', only 'simulated', 'physionet' ... the nearest is bids",
        settings={"recordings.source": "bidz"}),
    "unknown kind": Case("schedules.restarts.kind: there is no 'restarts' ... the nearest is warm_restarts",
        settings={"schedules.restarts.kind": "restarts"}),
    "unknown network": Case("network.name ... no network 'ShalowFBCSPNet' ... did you mean ShallowFBCSPNet",
        settings={"network.name": "ShalowFBCSPNet"}),
    "value of another type": Case("training.batch_size ... valid integer ... not 'many'",
        settings={"training.batch_size": "many"}),
    "no cycle grows": Case("schedules.restarts.t_mult ... greater than or equal to 1, not 0",
        settings={"schedules.restarts.t_mult": 0}),
    "no cycle end": Case("schedules.restarts ... 30 is not the end of a cycle ... 15 and 31",
        settings={"schedules.restarts.epochs": 30}),
    "name leads elsewhere": Case("name ... not '../up'", settings={"name": "../up"}),
    "no test runs": Case("split.test ... at least 1", settings={"split.test": []}),
    "override without value": Case("--set training.batch_size ... write it as", "--set training.batch_size"),
    "no process": Case("--jobs 0 ... at least 1", "--jobs 0"),
    "trials assumed of no dry run": Case(
        "--assume-trials: is of no use without --dry-run", "--assume-trials 880 160"
    ),
    "no trials assumed": Case(
        "--assume-trials: takes two numbers of at least 1", "--dry-run --assume-trials 0 160"
    ),
    "too many processes": Case("--jobs 100000: must be at least 1 and at most 1024", "--jobs 100000"),
    "number is true": Case("training.batch_size: must be a number, not true",
        settings={"training.batch_size": True}),
    "number of many digits": Case("training.batch_size: input ... equal to 1000000, not 1000",
        settings={"training.batch_size": 10**4000}),
    "weight decay beyond bounds": Case("training.weight_decay: input ... equal to 1000, not 1e+308",
        settings={"training.weight_decay": 1e308}),
    "seed beyond 64 bits": Case("training.seeds.0: input should be less than 18446744073709551616, not",
        settings={"training.seeds": [2**64]}),
    "thousands of threads": Case("training.numerics.threads: input should be less than or equal to 1024",
        settings={"training.numerics": {"threads": 100_000}}),
    "device of no machine": Case("training.numerics.device: must be cpu, cuda ... not 'cuda:99999999999'",
        settings={"training.numerics": {"device": "cuda:99999999999"}}),
    "endless window": Case("preprocessing.window_s.1: input should be a finite number, not inf",
        settings={"preprocessing.window_s": [0, float("inf")]}),
    "window beyond bounds": Case("preprocessing.window_s.1: input ... equal to 86400, not 1e+300",
        settings={"preprocessing.window_s": [0, 1e300]}),
    "window without samples": Case("preprocessing.window_s: has no two samples ... at 100 Hz ... lengthen",
        settings={"preprocessing.window_s": [-1e-9, 1e-9]}),
    "fraction without end": Case("schedules.step.drops.0: must be a number or a fraction",
        settings={"schedules.step.drops": ["1e-999999999"]}),
    "more fits than anyone has": Case("training: budgets, rates and seeds make 1000000 fits ... shorten",
        settings={"training.seeds": list(range(1000)), "schedules.step.budgets": list(range(1, 1000))}),
    "arguments that are no numbers": Case("network.arguments: holds a number that is not finite",
        settings={"network.arguments": {"drop_prob": float("nan")}}),
    "resampled without need": Case("preprocessing.resample_hz: 100000 Hz is more than 10 times the 100 Hz",
        settings={"preprocessing.resample_hz": 100_000}),
    "unknown subject": Case("subject '99' is not there ... there are 01, 02", "--subject 99"),
    "endless range": Case("subject '3' is not there ... there are 01, 02", "--subject 1-9999999999"),
    "endless range of folds": Case("fold '11' is not there",
        "--config physionet_across_subjects --fold 1-9999999999"),
    "endless range in the configuration": Case("subject '3' is not there", "--subject all",
        settings={"recordings.subjects": ["1-9999999999"]}),
    "empty range": Case("--subject 5-3 ... a range goes from low to high", "--subject 5-3"),
    "folds beside a test set": Case("split: give either test, the runs ... or folds: each",
        settings={"split.folds": "each"}),
    "neither folds nor a test set": Case("split: give either test, the sessions ... or folds: each",
        settings={"split": {"by": "session"}}),
    "so many folds of runs": Case("split.folds: input should be 'each', not 3",
        settings={"split": {"by": "run", "folds": 3}}),
    "folds in a folder of a fixed test set": Case(
        "results/small: holds results of other settings (split.folds: None here, each asked for ... --out",
        "--out results/small", settings={"split": EACH}),
    "folds of one session": Case("split.folds: subject 01 has one session alone (0) ... leave it out",
        settings={"split": {"by": "session", "folds": "each"}}),
    "unknown fold of a subject": Case("subject 01: fold '3' is not there; there are 1, 2",
        "--subject 1 --fold 3", settings={"split": EACH}),
    "empty range of a subject's folds": Case("--fold 2-1 ... a range goes from low to high",
        "--subject 1 --fold 2-1", settings={"split": EACH}),
    "all runs excluded": Case("recordings.exclude_runs: subject 01 has no other runs; exclude fewer",
        settings={"recordings.exclude_runs": ["1", "02"]}),
    "fold without folds": Case("--fold ... choose with --subject", "--fold 1"),
    "subject with folds": Case("--subject ... choose these with --fold",
        settings={"split": {"by": "subject", "folds": 2}}),
    "unknown fold": Case("fold '11' is not there ... there are 1, 2",
        "--config physionet_across_subjects --fold 11"),
    "override of an unknown key": Case("training.batchsize is no setting ... the nearest is batch_size",
        "--set training.batchsize=3"),
    "figure of unknown kind": Case("rates.txt ... svg", "--schedule-figure rates.txt"),
    "figure in no folder": Case("mine.yaml/rates.svg: cannot be written ... move away what lies",
        "--schedule-figure mine.yaml/rates.svg"),
    "superscript digit": Case("subject '²' is not there; there are 01, 02", "--subject ²"),
    "range to a superscript digit": Case("subject '1-²' is not there; there are 01, 02", "--subject 1-²"),
    "digit of another script": Case("subject '٢' is not there; there are 01, 02", "--subject ٢"),
    "label of 5000 digits": Case("subject '111 ... 1...' is not there; there are 01, 02",
        f"--subject {'1' * 5000}"),
    "range of 5000 digits": Case("1-999 ... more digits than any label ... shorter range",
        f"--subject 1-{'9' * 5000}"),
    "superscript fold": Case("fold '²' is not there; there are 1, 2", "--fold ²",
        settings={"split": {"by": "subject", "folds": 2}}),
    "participant of a superscript digit": Case("subject '²' ... cannot be the name of a folder ... rename it",
        "--subject all", damage=write("dataset/participants.tsv", "participant_id\nsub-²\n".encode())),
    "results folder of 300 characters": Case("xxx ... is too long ... give another", f"--out {LONG}"),
    "results folder with a null byte": Case(r"a\x00b: holds a null byte ... give another", "--out a\0b"),
    "results folder not in UTF-8": Case(r"a\udcff: is no text in UTF-8 ... give another", "--out a\udcff"),
    "configuration of 300 characters": Case("neither a file nor a shipped", f"--config {LONG}"),
    "configuration with a null byte": Case("neither a file nor a shipped", "--config a\0b"),
    "figure of 300 characters": Case("xxx ... is too long ... give another", f"--schedule-figure {LONG}.svg"),
    "figure with a null byte": Case("null byte ... give another", "--schedule-figure a\0.svg"),
    "figure not in UTF-8": Case("UTF-8 ... give another", "--schedule-figure a\udcff.svg"),
    "data folder of 300 characters": Case("(File name too long) ... give another ... compute.data_dir",
        settings={"compute.data_dir": LONG}),
    "data folder with a null byte": Case(r"'\x00' holds a null byte ... line 1 ... correct it",
        r'--set compute.data_dir="\0"'),
    "half a character": Case(r"'\ud83d' ... is no text in Unicode ... line 1 ... correct it",
        r'--set compute.data_dir="\ud83d"'),
    "dataset of 300 characters": Case("recordings.root: there is no folder xxx ... name that of a BIDS",
        settings={"recordings.root": LONG}),
    **{f"unfit value of {tag}": Case("mine.yaml: not readable as YAML ... line 1 ... correct it there",
        damage=write("mine.yaml", f'name: {tag} ""'.encode()))
        for tag in ("!!int", "!!float", "!!bool", "!!timestamp", "!!binary", "!!set")},
    "results folder is a file": Case("mine.yaml", "--out mine.yaml"),
    "unknown test run": Case("split.test: subject 01, run '7' is not there ... there are 1, 2",
        settings={"split.test": ["7"]}),
    "no run trains": Case("split.test: subject 01 has no run left to train on ... name fewer of 1, 2",
        settings={"split.test": ["1", "2"]}),
    "no dataset": Case("recordings.root: there is no folder elsewhere ... name that of a BIDS dataset",
        settings={"recordings.root": "elsewhere"}),
    "a root of 300 characters": Case("recordings.root: there is no folder rr ... name that of a BIDS dataset",
        settings={"recordings.root": "r" * 300}),
    "a null byte in a pattern": Case(r"'own\x00/S{subject}_{run}' holds a null byte ... correct it there",
        settings=own(pattern="own\0/S{subject}_{run}")),
    "a montage of 300 characters": Case("recordings.montage: mm ... neither a file nor one of MNE's montages",
        settings=own(montage="m" * 300), damage=own_files()),
    "no such task": Case("subject 01 has no EEG of task 'rest' ... correct recordings.task",
        settings={"recordings.task": "rest"}),
    "BrainVision without its data": Case(f"{VHDR}: cannot be read ... fetch it again",
        damage=remove(RUN.format("01", 1, "eeg.eeg"))),
    "BrainVision cut off": Case(f"{VHDR} ... after its end ... fetch it again",
        damage=rewrite(RUN.format("01", 1, "eeg.eeg"), lambda content: content[:12000])),
    "EDF cut off": Case(f"{EDF} ... not as long as its header says ... fetch it again", "--subject 2",
        damage=rewrite(EDF, lambda content: content[:-3000])),
    "EDF without samples": Case(f"{EDF} ... fetch it again", "--subject 2",
        damage=rewrite(EDF, lambda content: content[:1000])),
    "a pipe among the recordings": Case("eeg.eeg: is a pipe or a device, not a file ... move it away",
        damage=pipe(RUN.format("01", 2, "eeg.eeg"))),
    "a pipe as a recording": Case("S1_2.edf: is a pipe or a device, not a file ... move it away",
        settings=own(), damage=several(own_files(), pipe("own/S1_2.edf"))),
    "a folder as a recording": Case("S1_1.edf: is a folder, not a file ... move it away",
        settings=own(), damage=several(own_files(), remove("own/S1_1.edf"), make_folder("own/S1_1.edf"))),
    "a name that is no text": Case(r"S1_\udcff.edf: its name is not in UTF-8 ... rename it",
        settings=own(), damage=several(own_files(), write("own/S1_\udcff.edf", b""))),
    "EDF without a unit": Case(
        "S1_1.edf: its EEG is of ... a thousand times what EEG can be ... recordings.units (uV?)",
        settings=own(), damage=own_files(unit="")),
    "another unit than the file tells": Case("S1_1.edf: says itself ... C3 is uV, not V ... recordings.units",
        settings=own(units="V"), damage=own_files()),
    "unknown unit": Case("recordings.units ... input should be 'V', 'mV' or 'uV', not 'kV'",
        settings=own(units="kV")),
    "a run that is not there": Case("recordings.runs: subject 01, run '3' is not there; there are 1, 2",
        settings={"recordings.runs": [1, 3]}),
    "a cue after the end": Case("S1_1.edf: 1 events come ... after its end, cues among them (1) ... correct",
        settings=own(), damage=own_files(events=[*eeg_formats.EVENTS, (9999, 1)])),
    "EDF overwritten": Case(f"{EDF}: cannot be read ... fetch it again", "--subject 2",
        damage=rewrite(EDF, lambda content: b"\x00" * 512 + content[512:])),
    "no events": Case(f"{VHDR}: there is no events.tsv beside it ... add one", damage=remove(EVENTS)),
    "events are no table": Case(f"{VHDR}: cannot be read ... validator",
        damage=write(EVENTS, b"\xff\xfe\x00\x01")),
    "participants are no text": Case("participants.tsv: cannot be read ... UTF-8",
        damage=write("dataset/participants.tsv", b"\xff\xfe\x00")),
    "participant without folder": Case("sub-07: subject 07 has no folder ... leave the subject out",
        "--subject 7", damage=write("dataset/participants.tsv", b"participant_id\nsub-07\n")),
    "participant leads elsewhere": Case("subject '../x' ... cannot be the name of a folder ... rename it",
        "--subject all", damage=write("dataset/participants.tsv", b"participant_id\nsub-../x\n")),
    "no cue matches": Case(
        "subject 01, session 0, run 1: no annotation matches a class ... recordings.classes ... "
        "annotations: l, r",
        settings={"recordings.classes": {"left": "left", "right": "right"}}),
    "no training trial of a class": Case(
        "subject 01: class 'right' has no trial to train on ... there are none ... change the split",
        damage=replace(EVENTS, b"\tr\t", b"\to\t")),
    "no test trial of a class": Case("subject 01: class 'left' has no trial to test ... change the split",
        damage=replace(TESTED, b"\tl\t", b"\to\t")),
    "windows leave the recording": Case(
        "class 'left' has no trial to train on ... the windows of 4 leave the recording ... "
        "preprocessing.window_s",
        settings={"preprocessing.window_s": [-0.5, 100.0]}),
    "all trials too large": Case("class 'left' has no trial to train on ... for sensor ... reject_uv",
        settings={"preprocessing.reject_uv": 1.0}),
    "other rate": Case("subject 01: recordings at 80 and 100 Hz ... set preprocessing.resample_hz",
        damage=several(replace(RUN.format("01", 2, "eeg.vhdr"), b"10000", b"12500"),
                       replace(RUN.format("01", 2, "eeg.json"), b"100.0", b"80.0"))),
    "no such sensor": Case("subject 01: no EEG sensor C5 ... preprocessing.sensors ... C3, Cz, C4",
        settings={"preprocessing.sensors": ["C3", "C5"]}),
    "no common sensor": Case("subject 01 ... no EEG sensor ... every recording",
        damage=sensors(b"F3", b"Fz", b"F4")),
    "not a number": Case(
        "subject 01, session 0, run 1 ... NaN or infinite values in Cz, C4 ... mark them as bad",
        damage=samples(1, not_a_number)),
    "flat": Case("subject 01, session 0, run 2 ... C3, Cz, C4 ... never change",
        damage=samples(2, lambda data: data.fill(0))),
    "filter above half the rate": Case(
        "run 1: cannot be filtered at 60 Hz ... change preprocessing.highpass_hz",
        settings={"preprocessing.highpass_hz": 60}),
    "crop longer than the window": Case(
        "network.crop_samples: a crop of 300 samples ... window of 250 ... shorten it",
        settings={"network.crop_samples": 300}),
    "window too short for the network": Case(
        "network: ShallowFBCSPNet cannot be built for 3 sensors, 50 samples ... "
        "change network.arguments or the window",
        settings={"preprocessing.window_s": [0.0, 0.5]}),
    "unknown argument": Case(
        "network: ShallowFBCSPNet cannot be built ... n_filters ... change network.arguments",
        settings={"network.arguments": {"n_filters": 4}}),
    "fewer crops than a batch": Case("training.batch_size: 60 is more than the 8 training crops ... smaller",
        settings={"training.batch_size": 60}),
    "no CUDA": Case("training.numerics.device: cuda is asked for ... set it to cpu",
        settings={"training.numerics": {"device": "cuda"}}),
    "no internet": Case("EEGMMIDB: subject 1, run 5 ... cannot be downloaded ... set MNE_DATA",
        "--config physionet_fists_feet"),
    "other settings in the folder": Case(
        "results/small: holds results of other settings ... training.batch_size: 4 here, 3 asked for ... "
        "another --out",
        "--out results/small", settings={"training.batch_size": 3}),
    "changed source file": Case("001/ ... made with other settings or recordings ... another --out",
        "--out results/small", damage=samples(1, lambda data: np.negative(data, out=data))),
    "config.yaml changed by hand": Case(
        "results/small/config.yaml: was changed since it was written ... move the file ... with --config",
        "--out results/small", damage=replace("results/small/config.yaml", b"_size: 4", b"_size: 3")),
    "config.yaml without its last line": Case("results/small/config.yaml: was changed since it was written",
        "--out results/small",
        damage=rewrite("results/small/config.yaml", lambda content: content[:content.index(b"#")])),
    "config.yaml of a newer version": Case(
        "results/small/config.yaml: was written by a newer version ... format 3 ... update eeg_sgdr",
        "--out results/small", damage=replace("results/small/config.yaml", b"# format 2", b"# format 3")),
    "config.yaml is a FIFO": Case("results/small/config.yaml: ... no regular file ... delete ... run again",
        "--out results/small", damage=instead("results/small/config.yaml", os.mkfifo)),
    "damaged fit.json": Case(f"{FIT}/fit.json: is not as it was written ... delete ... run again",
        "--out results/small", damage=rewrite(f"{FIT}/fit.json", lambda content: content[:-20])),
    "fit.json of another fit": Case(f"{FIT}/fit.json: is not as it was written ... restarts-b1-r0.05-s0",
        "--out results/small",
        damage=lambda folder: shutil.copy(folder / OTHER_FIT / "fit.json", folder / FIT)),
    "another digit in fit.json": Case(f"{FIT}/fit.json: is not as it was written (it was changed)",
        "--out results/small", damage=replace(f"{FIT}/fit.json", b'"budget": 1', b'"budget": 2')),
    "another letter in a key of fit.json": Case(f"{FIT}/fit.json: ... it lacks the key sha256 ... run again",
        "--out results/small", damage=replace(f"{FIT}/fit.json", b'"sha256"', b'"sha255"')),
    "no format in fit.json": Case(f"{FIT}/fit.json: is not as it was written (it lacks the key format)",
        "--out results/small", damage=replace(f"{FIT}/fit.json", b'  "format": 2,\n', b"")),
    "fit.json of a newer version": Case(
        f"{FIT}/fit.json: was written by a newer version ... format 3 ... update eeg_sgdr",
        "--out results/small", damage=replace(f"{FIT}/fit.json", b'"format": 2', b'"format": 3')),
    "fit.json is a FIFO": Case(f"{FIT}/fit.json: ... no regular file ... delete ... run again",
        "--out results/small", damage=instead(f"{FIT}/fit.json", os.mkfifo)),
    "fit.json is a folder": Case(f"{FIT}/fit.json: ... it is a folder ... delete ... run again",
        "--out results/small", damage=instead(f"{FIT}/fit.json", os.mkdir)),
    "baseline's fit.json is a FIFO": Case("baseline/fit.json: ... no regular file ... delete ... run again",
        "--out results/small", damage=instead("results/small/subjects/001/baseline/fit.json", os.mkfifo)),
    "predictions are a FIFO": Case(f"{FIT}/predictions.npz: ... no regular file ... delete {FIT} and run",
        "--out results/small", damage=instead(f"{FIT}/predictions.npz", os.mkfifo)),
    "a file in place of the folder": Case("results/new/ ... cannot be written (File exists) ... move away",
        "--out results/new", damage=write("results/new", b"")),
    "changed predictions": Case(
        f"{FIT}/predictions.npz: is not as it was written (it was changed ... delete {FIT} and run again",
        "--out results/small", damage=rewrite(f"{FIT}/predictions.npz", lambda content: content[:-1] + b"x")),
    "no predictions": Case(f"{FIT}/predictions.npz: is not as it was written ... delete {FIT} and run again",
        "--out results/small", damage=remove(f"{FIT}/predictions.npz")),
}
# fmt: on


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def user(finished, tmp_path, monkeypatch):
    folder = tmp_path / "user"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr(pooch.get_logger(), "disabled", True)
    for name in ("MNE_DATA", "MNE_DATASETS_EEGBCI_PATH"):
        monkeypatch.setenv(name, str(folder / "data"))
    return folder


def arguments_of(case):
    words = case.arguments.split()
    given = {"--config": "mine.yaml", "--subject": "1", "--out": "results/new", "--jobs": "1"}
    if "--fold" in words:
        del given["--subject"]
    return [word for name, value in given.items() if name not in words for word in (name, value)] + words


def as_a_command(arguments):
    return subprocess.run([sys.executable, "-m", "eeg_sgdr.run", *arguments]).returncode


AS_A_COMMAND = ["unknown key", "fewer crops than a batch"]


@pytest.mark.parametrize(
    ("name", "command"),
    [*((name, run.main) for name in CASES), *((name, as_a_command) for name in AS_A_COMMAND)],
)
def test_refused(name, command, user, capfd):
    case = CASES[name]
    configuration(user, case.settings)
    case.damage(user)
    before = contents(user / "results")
    status = command(arguments_of(case))
    out, said = capfd.readouterr()
    # Less the lines that tell how far the recordings are prepared, and what is installed.
    said = re.sub(r".*, preparing recordings: .* left\n", "", said)
    said = re.sub(r"This installation has no compiled kernels: .*\n", "", said)
    assert all(part in said for part in case.said.split(" ... ")), said
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert "Traceback" not in out + said
    assert out == "" or command is run.main  # within tests, MNE logs to it
    assert status == 2
    assert contents(user / "results") == before


def test_a_rate_that_diverges_fails_its_fits_alone(user, capfd):
    configuration(user, {"training.initial_rates": [0.05, 1e30]})
    assert run.main(["--config", "mine.yaml", "--subject", "1", "--out", "results/new", "--jobs", "1"]) == 2
    said = capfd.readouterr().err
    subject = load_results("results/new").subject(1)
    fits = [f"{schedule}-b1-r1e+30-s0" for schedule in ("step", "restarts")]
    assert {key.name for key in subject.fits.keys() - {*subject.done}} == {*fits} == {*subject.failed}
    for fit in fits:
        why = "the loss is not finite in epoch 1, at a rate of 1e+30; lower training.initial_rates.\n"
        assert f"subject 01, {fit}: {why}" in said
    assert set(subject.evaluation["rates"]) == {"0.05", ""}
    assert subject.folder.report.is_file()


def test_empty_locks_of_the_future_hold_nobody(user, monkeypatch, capfd):
    """A power failure has left them, and the clock was set back."""
    monkeypatch.setattr("eeg_sgdr.storage.files.EMPTY_S", 0.1)
    monkeypatch.setattr("filelock._soft.MALFORMED_LOCK_AGE_THRESHOLD", 0.1)
    locks = [Path("results/small/.config.lock"), Path(FIT, ".fit.lock"), Path("data/cache/hashes.lock")]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        os.utime(lock, (time.time() + 1e8,) * 2)
    assert run.main(["--config", "mine.yaml", "--subject", "1", "--out", "results/small"]) == 0
    assert [lock for lock in locks if lock.exists()] == []


def test_a_sensor_that_some_recordings_lack_is_left_out_and_named(recordings):
    raw = make_raw(names=("C3", "Fz", "C4"), seed=2)
    info = make_trials([*recordings[:2], dataclasses.replace(recordings[2], raw=raw)], make_settings()).info
    assert info["sensors"] == ["C3", "C4"]
    assert info["lacking"] == {"0/0": ["Fz"], "0/1": ["Fz"], "0/2": ["Cz"]}
