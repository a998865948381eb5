"""Peak memory of preparing recordings of High-Gamma size, by the command --only data.

    python benchmarks/preparation.py [--minutes 120] [--test-minutes 10] [--sources bids files moabb reading]
                                   [--scratch FOLDER] [--json]

Simulated: noise of 133 sensors at 500 Hz with a cue every 7.5 s is written, in chunks, into a folder
that is deleted at the end (two hours are 1 GB): as BrainVision for ``bids``, as EDF for ``files``, and this
in the place of MOABB's download for ``moabb``. Beside it, ``reading`` is what MOABB itself takes to read the
same files. One recording trains, another tests. Preprocessing is that of configs/high_gamma.yaml. The peak is
the resident set of all processes of the command together (PSS: each shared page counted once), from its
start to the report.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import yaml
from memory import watch
from noise import CLASSES, N_SENSORS, write_bids, write_edf

from eeg_sgdr import settings as config

#: Where MOABB keeps its download of the High-Gamma recordings.
DOWNLOAD = "MNE-schirrmeister2017-data/robintibor/high-gamma-dataset/raw/master/data"

#: MOABB alone.
ALONE = """
import mne
from moabb.datasets import Schirrmeister2017
mne.set_log_level("error")
Schirrmeister2017().get_data([1])
"""
READING = [sys.executable, "-W", "ignore", "-c", ALONE]


def recordings(folder: Path, source: str, sensors: list[str]) -> dict:
    """The section ``recordings`` that reads what was written here."""
    classes = {name: [name] for name in CLASSES}
    if source == "bids":
        return {"source": "bids", "root": str(folder), "task": "motor", "classes": classes}
    if source == "files":
        rename = {f"EEG {sensor}": sensor for sensor in sensors}
        pattern = str(folder / DOWNLOAD / "{run}" / "{subject}.edf")
        return {"source": "files", "pattern": pattern, "rename": rename, "classes": classes}
    return {"source": "moabb", "dataset": "Schirrmeister2017", "classes": classes}


def configuration(folder: Path, source: str, sensors: list[str]) -> Path:
    """High-Gamma's, reading what was written here."""
    settings = config.load("high_gamma", []).model_dump(mode="json")
    settings["recordings"] = recordings(folder, source, sensors)
    settings["split"] = {"by": "run", "test": [{"bids": "2", "files": "test", "moabb": "1test"}[source]]}
    settings["compute"] = {"data_dir": str(folder / f"data-{source}")}
    path = folder / f"{source}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--minutes", type=float, default=120)
    options.add_argument("--test-minutes", type=float, default=10)
    sources = ["bids", "files", "moabb", "reading"]
    options.add_argument("--sources", nargs="+", default=sources, choices=sources)
    options.add_argument("--scratch", type=Path, default=None)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    wanted = config.load("high_gamma", []).preprocessing.sensors
    sensors = [*wanted, *(f"X{i}" for i in range(N_SENSORS - len(wanted)))]
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name)
        os.environ |= {"MNE_DATA": name, "MOABB_DOWNLOAD_PROVIDER": "upstream"}
        for run, part, minutes in ((1, "train", given.minutes), (2, "test", given.test_minutes)):
            if "bids" in given.sources:
                write_bids(folder / "sub-1" / "eeg", f"sub-1_task-motor_run-{run}_eeg", sensors, minutes)
            if {"files", "moabb", "reading"} & set(given.sources):
                write_edf(folder / DOWNLOAD / part / "1.edf", sensors, minutes)
        (folder / "dataset_description.json").write_text('{"Name": "noise", "BIDSVersion": "1.8.0"}')
        print("| source | minutes | peak (MB, PSS) | processes |\n|---|---|---|---|", flush=True)
        for source in given.sources:
            out = ["--out", str(folder / f"results-{source}"), "--only", "data", "--subject", "1"]
            command = READING
            if source != "reading":
                made = str(configuration(folder, source, sensors))
                command = [sys.executable, "-m", "eeg_sgdr.run", "--config", made, *out]
            _, peak, n = watch(command)
            row = {"source": source, "minutes": given.minutes, "test_minutes": given.test_minutes,
                   "peak_mb": peak / 1e6, "processes": n}  # fmt: skip
            print(
                f"| {source} | {given.minutes:g} + {given.test_minutes:g} | {peak / 1e6:.0f} | {n} |",
                flush=True,
            )
            if given.json:
                print(json.dumps(row))


if __name__ == "__main__":
    main()
