"""Time and memory of a study by its numbers of subjects and seeds.

    python benchmarks/study.py [--subjects 1 2 4 8] [--seeds 1 2 4]

The demo with short budgets (step 3, cycles to 3, both rates: four fits a subject and seed), on recordings
that are simulated before anything is timed; prepared trials are made anew in every run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from memory import watch

SHORT = ["--set", "schedules.step.budgets=[3]", "--set", "schedules.restarts.epochs=3"]


def command(subjects: int, seeds: int, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "eeg_sgdr.run", "--subject", f"1-{subjects}"),
        *(
            "--out",
            str(folder / f"results-{subjects}-{seeds}"),
            "--set",
            f"compute.data_dir={folder / 'data'}",
        ),
        *("--set", f"training.seeds={list(range(seeds))}", *SHORT),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--subjects", type=int, nargs="+", default=[1, 2, 4, 8])
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 4])
    given = options.parse_args()
    sizes = [(n, 1) for n in given.subjects] + [(1, n) for n in given.seeds if n > 1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            command(max(given.subjects), 1, folder),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        shutil.rmtree(folder / f"results-{max(given.subjects)}-1")
        print("| subjects | seeds | fits | seconds | seconds a fit | peak (MB, PSS) |")
        print("|---|---|---|---|---|---|")
        for subjects, seeds in sizes:
            shutil.rmtree(folder / "data" / "cache")
            seconds, peak, _ = watch(command(subjects, seeds, folder))
            n = 4 * subjects * seeds
            print(
                f"| {subjects} | {seeds} | {n} | {seconds:.0f} | {seconds / n:.1f} | {peak / 1e6:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
