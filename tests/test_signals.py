"""Signals while a command starts: the sentence, status 130, no traceback; see benchmarks/kills.py."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import killing
import pytest


@pytest.fixture
def arguments(finished):
    options = ("--subject", "1", "--jobs", "1", "--set", f"compute.data_dir={finished / 'data'}")
    return ["--config", str(finished / "study.yaml"), "--out", str(finished / "done"), *options]


@pytest.fixture
def command(arguments):
    return [sys.executable, "-m", "eeg_sgdr.run", *arguments]


def test_signals_at_every_tenth_of_a_second_of_the_start(command):
    """Of a study with nothing to train; SIGINT and SIGTERM, to the process and to its group, in turn."""
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(killing.interrupt, command, n / 10, *killing.WAYS[n % 4]) for n in range(30)]
    assert {call.result() for call in calls} == {""}


def test_a_terminal_that_is_closed_is_answered_and_nohup_is_respected(command):
    assert killing.interrupt(command, 0.2, signal.SIGHUP, True) == ""
    code = "import signal, sys\nsys.argv[0] = '-m'\nimport eeg_sgdr\nsignal.raise_signal(signal.SIGHUP)"
    subprocess.run(["nohup", sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=True)


def test_imported_from_python_it_leaves_signals_alone():
    code = (
        "import signal\nbefore = [signal.getsignal(n) for n in (1, 2, 15)]\nimport eeg_sgdr.run\n"
        "assert before == [signal.getsignal(n) for n in (1, 2, 15)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_script_without_a_guard_is_told_about_the_guard(arguments, tmp_path):
    script = tmp_path / "mine.py"
    arguments += ["--out", str(tmp_path / "new"), "--jobs", "2"]
    script.write_text(f"from eeg_sgdr.run import main\nprint(main({arguments!r}))", encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "2\n"
    assert done.stderr.splitlines()[-1] == (
        f"{script}: every worker process imports it, and would begin its work again; put what it does "
        'under: if __name__ == "__main__":'
    )
    assert "Traceback" not in done.stderr
