"""Run a tiny study with numbers of its configuration at their extremes, drawn at random.

    python benchmarks/extremes.py [--examples 200] [--seed 0]

Each example is a number of a section (tests/extremes.py) at its bounds, just inside or just outside, or no
such number at all. The command has to end with status 0, or with 2 and a sentence; a line is printed for each
example that does not, and the status is 1 if there is one. Recordings that take long to simulate are only
validated; many epochs are counted by --dry-run.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> int:
    # Imported here: worker processes import this file.
    import extremes
    import mne

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--examples", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    mne.set_log_level("ERROR")
    os.environ.update(http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    drawn, n_wrong = extremes.draw(given.examples, given.seed), 0
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        extremes.write_recordings(Path(name))
        for number, example in enumerate(drawn):
            folder = Path(name) / str(number)
            folder.mkdir()
            if wrong := extremes.problem(example, folder):
                n_wrong += 1
                print(f"{example}: {wrong}", flush=True)
    print(f"{len(drawn)} examples, {n_wrong} of them wrong")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
