"""Time of `python -m eeg_sgdr.run --subject 1` by stage, from the command line to the report.

    python benchmarks/startup.py [--repeats 3] [--json]

Recordings are simulated before anything is timed; nothing prepared from them is kept, so that the time
before the first epoch holds imports, preprocessing and the start of the workers. The reference beside it
is what the machine needs to import torch and braindecode once.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd

from eeg_sgdr.storage.subject import fit_seconds


def steps(folder: Path) -> int:
    """Epochs done, as the progress bar's files count them."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.glob("eeg_sgdr-epochs-*/*"))
    return 0


def run_demo(data_dir: Path, out: Path) -> dict[str, float]:
    """Run the command once and split its time."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        command = [sys.executable, "-m", "eeg_sgdr.run", "--subject", "1", "--out", str(out)]
        process = subprocess.Popen(
            [*command, "--set", f"compute.data_dir={data_dir}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": folder},
        )
        first = None
        while process.poll() is None:
            if first is None and steps(Path(folder)):
                first = time.time()
            time.sleep(0.02)
        ended = time.time()
    if process.returncode or first is None:
        raise SystemExit("the demo did not run; try the command by hand")
    last = max(path.stat().st_mtime for path in out.glob("subjects/*/fits/*/fit.json"))
    fits = [json.loads(path.read_text()) for path in out.glob("subjects/*/fits/*/fit.json")]
    epochs = pd.concat([pd.read_csv(path) for path in out.glob("subjects/*/fits/*/history.csv")])
    training = epochs["seconds"].sum()
    # The first epoch is over when it is counted; what came before it is the start.
    return {
        "before_first_epoch_s": first - started - epochs["seconds"].max(),
        "fits_s": last - first,
        "report_s": ended - last,
        "total_s": ended - started,
        "training_process_s": training,
        "scoring_process_s": sum(map(fit_seconds, fits)) - training,
    }


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    imports = "from eeg_sgdr.compat import import_braindecode; import_braindecode()"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        for repeat in range(given.repeats + 1):
            row = {
                "help_s": seconds([sys.executable, "-m", "eeg_sgdr.run", "--help"]),
                "reference_s": seconds([sys.executable, "-c", imports]),
                **run_demo(data_dir, Path(folder) / f"results{repeat}"),
            }
            subprocess.run(["rm", "-rf", data_dir / "cache"], check=True)
            if repeat:  # the first one simulates the recordings
                rows.append(row)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(f"| what | median of {len(rows)} (s) | least | most |\n|---|---|---|---|")
    for name, median in medians.items():
        values = [row[name] for row in rows]
        what = name.removesuffix("_s").replace("_", " ")
        print(f"| {what} | {median:.1f} | {min(values):.1f} | {max(values):.1f} |")
    if given.json:
        print(json.dumps(medians))


if __name__ == "__main__":
    main()
