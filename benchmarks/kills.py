"""Kill a small study repeatedly, and compare every file with that of an uninterrupted run.

    python benchmarks/kills.py [--kills 100] [--minutes M] [--seed 0] [--jobs 2]
    python benchmarks/kills.py --signals 0.1

Kills (SIGKILL) are of three kinds, drawn at random: of all processes of the command, of the first alone
(its workers have to end by themselves), and of all in the middle of a write, with half of the file on the
disk. Moments are uniform over as many writes as the study has files (what is resumed makes others than
these), and up to a second later. After each kill the same command is started again, until it ends by itself;
then its files are compared byte by byte but for the times, and the study begins again. Between two
checkpoints are three minutes or nothing.

With --signals, SIGINT, SIGTERM and SIGHUP are sent instead, to the first process and to all, at each
multiple of so many seconds in the first ten of a new study; each must be answered in the sentence, with
status 130.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import killing


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--minutes", type=float, default=float("inf"), help="stop when these have passed")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--signals", type=float, metavar="SECONDS", help="send signals instead, so often")
    given = options.parse_args()
    if given.signals:
        return sweep(given.signals)
    rng = random.Random(given.seed)
    end = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = ("--jobs", str(given.jobs))
        killing.run(killing.command(folder, "undisturbed", *jobs))
        expected = killing.files(folder / "undisturbed")
        kills: Counter[str] = Counter()
        studies = 0
        while kills.total() < given.kills and time.monotonic() < end:
            survived = round_of_kills(folder, jobs, len(expected), rng, given.kills - kills.total(), end)
            kills += survived
            studies += 1
            different = killing.differing(expected, killing.files(folder / "killed"))
            print(f"study {studies}: {dict(survived)} kills, {len(different)} files differ", flush=True)
            if different:
                print(*different, sep="\n")
                return 1
            shutil.rmtree(folder / "killed")
    print(f"{kills.total()} kills survived ({dict(kills)}) in {studies} studies of {len(expected)} files")
    return 0


def sweep(step: float) -> int:
    """Interrupt a study at each step of its first ten seconds, two at a time; returns the exit status."""
    cases = [(n * step, *way) for n in range(round(10 / step)) for way in killing.WAYS]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as threads:
        calls = [
            threads.submit(killing.interrupt, killing.command(Path(name), str(n), "--jobs", "2"), *case)
            for n, case in enumerate(cases)
        ]
        wrong = [answer for call in calls if (answer := call.result())]
    print(*wrong, f"{len(cases)} signals, {len(wrong)} wrong answers", sep="\n")
    return 1 if wrong else 0


def round_of_kills(
    folder: Path,
    jobs: tuple[str, ...],
    n_files: int,
    rng: random.Random,
    at_most: int,
    end: float,
) -> Counter[str]:
    """Kill one study until it ends by itself; returns how often, by kind."""
    kills: Counter[str] = Counter()
    while True:
        minutes = rng.choice(("0", "3"))
        arguments = killing.command(folder, "killed", *jobs, "--set", f"compute.checkpoint_minutes={minutes}")
        kind = rng.choice(("all", "all", "first", "write"))
        moment = rng.uniform(1, n_files)
        if kills.total() == at_most or time.monotonic() > end:
            killing.run(arguments)
            return kills
        if not killing.kill(arguments, kind, moment, folder):
            return kills
        kills[kind] += 1
        print(f"killed: {kind}, write {moment:.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
