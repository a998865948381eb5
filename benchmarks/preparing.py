"""Peak memory of preparing one recording of High-Gamma size, by the command --only data.

    python benchmarks/preparing.py [--minutes 120] [--sources bids files] [--scratch FOLDER] [--json]

Simulated: noise of 133 sensors at 500 Hz with a cue every 7.5 s is written as BrainVision, a piece at a
time, into a folder that is deleted at the end (two hours are 1 GB). It trains; ten minutes more of the same
kind test. Preprocessing is that of configs/high_gamma.yaml. The peak is the resident set of all processes of
the command together (PSS: each shared page counted once), from its start to the report.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from memory import watch

from eeg_sgdr import settings as config

RATE, N_SENSORS, CUE_S, TEST_MINUTES = 500, 133, 7.5, 10.0
CLASSES = ("right_hand", "left_hand", "feet", "rest")

HEADER = """Brain Vision Data Exchange Header File Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={name}.eeg
MarkerFile={name}.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels={n}
SamplingInterval={interval}

[Binary Infos]
BinaryFormat=INT_16

[Channel Infos]
{channels}
"""

MARKERS = """Brain Vision Data Exchange Marker File, Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={name}.eeg

[Marker Infos]
Mk1=New Segment,,1,1,0
{markers}
"""


def write(folder: Path, name: str, sensors: list[str], minutes: float) -> None:
    """One recording of noise, 20 microvolts, with its header, markers and BIDS events."""
    onsets = np.arange(5, 60 * minutes - 5, CUE_S)
    cues = [CLASSES[i % len(CLASSES)] for i in range(len(onsets))]
    channels = "\n".join(f"Ch{i + 1}={sensor},,0.1,µV" for i, sensor in enumerate(sensors))
    header = HEADER.format(name=name, n=len(sensors), interval=1_000_000 // RATE, channels=channels)
    markers = "\n".join(
        f"Mk{i + 2}=Stimulus,{cue},{round(at * RATE) + 1},1,0"
        for i, (at, cue) in enumerate(zip(onsets, cues, strict=True))
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.vhdr").write_text(header, encoding="utf-8")
    (folder / f"{name}.vmrk").write_text(MARKERS.format(name=name, markers=markers), encoding="utf-8")
    events = "".join(f"{at:.3f}\t4.0\t{cue}\n" for at, cue in zip(onsets, cues, strict=True))
    (folder / f"{name.removesuffix('eeg')}events.tsv").write_text("onset\tduration\ttrial_type\n" + events)
    rng = np.random.default_rng(0)
    with (folder / f"{name}.eeg").open("wb") as file:
        for _ in range(round(minutes * 6)):  # ten seconds at a time
            noise = rng.normal(scale=200, size=(10 * RATE, len(sensors)))
            file.write(noise.astype("<i2").tobytes())


def configuration(folder: Path, source: str) -> Path:
    """High-Gamma's, reading what was written here."""
    settings = config.load("high_gamma", []).model_dump(mode="json")
    classes = {name: [name if source == "bids" else f"Stimulus/{name}"] for name in CLASSES}
    where = {"root": str(folder), "task": "motor"}
    if source == "files":
        where = {"pattern": str(folder / "sub-{subject}/eeg/sub-01_task-motor_run-{run}_eeg.vhdr")}
    settings["recordings"] = {"source": source, "classes": classes, **where}
    settings["split"] = {"by": "run", "test": ["2"]}
    settings["compute"] = {"data_dir": str(folder / f"data-{source}")}
    path = folder / f"{source}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--minutes", type=float, default=120)
    options.add_argument("--sources", nargs="+", default=["bids", "files"], choices=["bids", "files"])
    options.add_argument("--scratch", type=Path, default=None)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    wanted = config.load("high_gamma", []).preprocessing.sensors
    sensors = [*wanted, *(f"X{i}" for i in range(N_SENSORS - len(wanted)))]
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name)
        for run, minutes in ((1, given.minutes), (2, TEST_MINUTES)):
            write(folder / "sub-01" / "eeg", f"sub-01_task-motor_run-{run}_eeg", sensors, minutes)
        (folder / "dataset_description.json").write_text('{"Name": "noise", "BIDSVersion": "1.8.0"}')
        print("| source | minutes | peak (MB, PSS) | processes |\n|---|---|---|---|", flush=True)
        for source in given.sources:
            out = ["--out", str(folder / f"results-{source}"), "--only", "data"]
            command = [sys.executable, "-m", "eeg_sgdr.run", "--config", str(configuration(folder, source))]
            _, peak, n = watch([*command, *out])
            row = {"source": source, "minutes": given.minutes, "peak_mb": peak / 1e6, "processes": n}
            print(f"| {source} | {given.minutes:g} | {peak / 1e6:.0f} | {n} |", flush=True)
            if given.json:
                print(json.dumps(row))


if __name__ == "__main__":
    main()
