"""Commands whose standard streams are closed, broken or full: nothing is lost but what they would say."""

import os
import pty
import shutil
import subprocess
import sys

import pytest

from eeg_sgdr.storage.results import load_results

RUN = "python -m eeg_sgdr.run --config study.yaml --subject 1 --jobs 1 --set compute.data_dir=data"
#: Two fits of one epoch.
TINY = (
    "--set training.initial_rates=[0.05] --set schedules.step.budgets=[1] "
    "--set schedules.restarts.epochs=1 --set baseline=null --out new"
)


def shell(line, folder):
    """Run a line of bash; its status is that of the first command to fail in a pipe."""
    python = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    call = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("streams", ["2>&1 | true", "<&- > /dev/full 2>&-"])
def test_it_trains_whatever_becomes_of_its_output(streams, finished):
    shutil.rmtree(finished / "new", ignore_errors=True)
    done = shell(f"{RUN} {TINY} {streams}", finished)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    results = load_results(finished / "new")
    assert len(results.subject(1).done) == 2
    assert results.subject(1).folder.report.is_file()


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("python -m eeg_sgdr.report done > /dev/full 2>&1", 0, ""),
        ("python -m eeg_sgdr.report nothing >&-", 2, "nothing/config.yaml: is not there"),
        (f"{RUN} --dry-run --out done | true", 0, ""),
        (f"{RUN} --set training.batch_size=0 2> /dev/full", 2, ""),
        (f"{RUN} --set training.batch_size=0 2>&1 | true", 2, ""),
        ("python -m eeg_sgdr.run --help | true", 0, ""),
        ("python -m eeg_sgdr.run --help > /dev/full", 0, ""),
        ("python -m eeg_sgdr.run --bogus 2>&-", 2, ""),
    ],
)
def test_the_exit_status_is_that_of_the_results(line, status, said, finished):
    done = shell(line, finished)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(said)
    assert bool(done.stderr) == bool(said)


def test_a_terminal_is_one_and_lines_are_in_their_order(tmp_path):
    code = (
        "import sys\nfrom eeg_sgdr.parallel.streams import guard\nguard()\n"
        "print(sys.stdout.isatty())\nprint('\\ud800', file=sys.stderr)\nprint(sys.stdin.isatty())\n"
        "import os; os._exit(0)"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    assert os.read(ours, 1000).decode().split() == ["True", "\\ud800", "True"]
    os.close(ours)
