"""Fits per minute by jobs and threads, on a machine that is otherwise idle.

    python benchmarks/jobs.py [--jobs 1 2 4] [--threads 1 2] [--subjects 2]

The demo with short budgets (step 3, cycles to 3, both rates: four fits a subject) and two seeds. Recordings
are simulated and prepared before anything is timed. Threads are those of one fit; they change its rounding.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHORT = (
    "schedules.step.budgets=[3]",
    "schedules.restarts.epochs=3",
    "training.seeds=[0, 1]",
    "baseline=null",
)


def command(folder: Path, subjects: int, jobs: int, threads: int) -> list[str]:
    values = [*SHORT, f"compute.data_dir={folder / 'data'}", f"training.numerics.threads={threads}"]
    return [
        *(sys.executable, "-m", "eeg_sgdr.run", "--subject", f"1-{subjects}", "--jobs", str(jobs)),
        *("--out", str(folder / f"results-{jobs}-{threads}")),
        *(word for value in values for word in ("--set", value)),
    ]


def timed(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--subjects", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = command(folder, given.subjects, jobs=1, threads=1)
        timed([*arguments, "--only", "data", "--out", str(folder / "data-only")])
        print("| jobs | threads of a fit | seconds | fits a minute |")
        print("|---|---|---|---|")
        for threads in given.threads:
            for jobs in given.jobs:
                seconds = timed(command(folder, given.subjects, jobs, threads))
                n = 8 * given.subjects
                print(f"| {jobs} | {threads} | {seconds:.0f} | {60 * n / seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
