"""Time to bring results up to date, by their numbers of subjects and of fits; nothing is trained.

    python benchmarks/growth.py [--subjects 125 250 500 1000] [--fits 100 200 400 800]

Results are made up (tests/results_folder.py), which takes longer than what is timed. Of a study of so many
subjects of 8 fits, the last has just been trained: it is evaluated and reported; comparison.csv, the pictures
and the study's page follow. One subject of so many fits is evaluated and reported. Seconds are those of this
process; "wall" counts its waiting for a busy machine, too.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from results_folder import study_settings, write_study

from eeg_sgdr import pipeline
from eeg_sgdr.evaluation import stored
from eeg_sgdr.storage.folders import Study
from eeg_sgdr.storage.results import Results

#: Fits of one seed: step at three budgets and restarts, at two rates.
PER_SEED = 8


@contextmanager
def unflushed() -> Iterator[None]:
    """Made-up folders need not survive a power failure."""
    with patch.object(os, "fsync", lambda handle: None):
        yield


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the process, and of the clock on the wall."""
    started, at = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - started, time.perf_counter() - at


def up_to_date(root: Path, label: str) -> None:
    """What a run does when the fits of one subject are done."""
    results = Results(root)
    subject = results.subject(label)
    stored.bring_up_to_date(subject, results.settings)
    pipeline._report(results, subject)
    with redirect_stdout(StringIO()):
        pipeline._compare(Study(root))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--subjects", type=int, nargs="*", default=[125, 250, 500, 1000])
    options.add_argument("--fits", type=int, nargs="*", default=[100, 200, 400, 800])
    given = options.parse_args()
    sizes = [(n, PER_SEED) for n in given.subjects] + [(1, n) for n in given.fits]
    print("| subjects | fits of each | seconds | wall |")
    print("|---|---|---|---|")
    for n_subjects, n_fits in sizes:
        labels = [str(i + 1) for i in range(n_subjects)]
        settings = study_settings(labels, seeds=range(n_fits // PER_SEED))
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            with unflushed():
                write_study(root, settings, wrong=None)
            Study(root).subject(labels[-1]).evaluation_record.unlink()
            process, wall = seconds(lambda root=root, label=labels[-1]: up_to_date(root, label))
        print(f"| {n_subjects} | {n_fits} | {process:.1f} | {wall:.1f} |", flush=True)


if __name__ == "__main__":
    main()
