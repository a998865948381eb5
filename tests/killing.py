"""A small study whose processes are killed, and its files compared with those of an undisturbed one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pandas as pd
import small_study
import yaml

from eeg_sgdr.parallel import interrupts
from eeg_sgdr.storage import files as storage

#: Longer than most tests need it: kills at random moments (benchmarks/kills.py) must meet fits.
STUDY = small_study.configuration(
    training={"batch_size": 3},
    schedules={
        "step": {"kind": "step", "budgets": [8, 31]},
        "restarts": {"kind": "warm_restarts", "epochs": 31},
    },
)
#: Two subjects of 1 + 3 + 3 epochs, with a checkpoint at every update.
SHORT = (
    *("--set", "training.initial_rates=[0.05]", "--subject", "1-2"),
    *("--set", "schedules.step.budgets=[1, 3]", "--set", "schedules.restarts.epochs=3"),
    *("--set", "compute.checkpoint_minutes=0"),
)

# Found by every Python of the command, worker processes too. It counts the files that are written; the
# process whose write is the n-th cuts the file in half and takes all others with it, or finds the disk full.
HOOK = """
import os, signal, stat
log, at, full = os.environ["WRITES_LOG"], int(os.environ["AT_WRITE"]), os.environ["DISK"] == "full"
fsync, replace = os.fsync, os.replace

def counting_fsync(handle):
    if at and not stat.S_ISDIR(os.fstat(handle).st_mode):
        with open(log, "a+") as file:
            file.write("\\n")
            file.flush()
            file.seek(0)
            number = len(file.readlines())
        if number >= at:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
            if full:
                raise OSError(28, "No space left on device")
            os.killpg(0, signal.SIGKILL)
    return fsync(handle)

def telling_replace(source, target):
    replace(source, target)
    if not at:
        with open(log, "a") as file:
            file.write(f"{target}\\n")

os.fsync, os.replace = counting_fsync, telling_replace
"""


#: More writes than there are: they are counted, and nobody is killed.
NEVER = 10**9


def command(folder: Path, out: str, *options: str) -> list[str]:
    """The command that makes the study in ``folder/out/small``; all share the recordings in ``folder``."""
    config = folder / "study.yaml"
    config.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    return [
        *(sys.executable, "-m", "eeg_sgdr.run", "--config", str(config), "--subject", "1"),
        *("--out", str(folder / out / "small"), "--set", f"compute.data_dir={folder / 'data'}", *options),
    ]


def start(arguments: list[str], **environment: str) -> subprocess.Popen:
    """Start a command in a group of its own, quietly."""
    return subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Who starts the tests in the background may ignore Ctrl-C for all that comes of it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def wait(process: subprocess.Popen, status: int = 0) -> str:
    """Wait for a command to end with a status, and return what it said; never with a traceback."""
    _, errors = process.communicate(timeout=120 if status else None)
    assert process.returncode == status, errors
    assert status == 0 or "Traceback" not in errors
    return errors


def run(arguments: list[str]) -> None:
    """Run a command to its end."""
    wait(start(arguments))


def hook(folder: Path, at: int = 0, disk: str = "") -> dict[str, str]:
    """The environment of a command that is killed in its n-th write, or from there on finds the disk full.

    With ``at`` 0 it goes its way; the files that it writes are named in ``folder/writes.log``.
    """
    (folder / "hook").mkdir(exist_ok=True)
    (folder / "hook" / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    log = folder / "writes.log"
    log.write_bytes(b"")
    path = os.pathsep.join([str(folder / "hook"), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path, "WRITES_LOG": str(log), "AT_WRITE": str(at), "DISK": disk}


def writes(environment: dict[str, str]) -> int:
    """How many writes a command with that environment has begun."""
    return Path(environment["WRITES_LOG"]).read_bytes().count(b"\n")


def files(root: Path) -> dict[str, object]:
    """Every file's content, the times that the design names taken out."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        if path.is_dir() or path.name == "environment.json":
            continue
        content: object = path.read_bytes()
        if path.name in ("fit.json", "evaluation.json"):
            content = json.loads(path.read_text())
            # The record's digest, and that of history.csv, are of times, too.
            content = {key: value for key, value in content.items() if key not in ("seconds", "digest")}
            content["sha256"].pop("history.csv", None)
        elif path.name == "history.csv":
            content = pd.read_csv(path, dtype=str).drop(columns="seconds").to_csv()
        elif path.name == "report.html":
            content, times = re.subn(r'<(\w+) id="made">.*?</\1>', "", path.read_text(), flags=re.DOTALL)
            assert times == 1
        found[path.relative_to(root).as_posix()] = content
    return found


def differing(expected: dict[str, object], found: dict[str, object]) -> list[str]:
    """Names of the files that only one has, or that differ."""
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


@contextmanager
def hold(lock: Path) -> Iterator[subprocess.Popen]:
    """A process that holds a lock, and is killed at the end."""
    code = (
        "import pathlib, sys, time; from eeg_sgdr.storage import files; "
        f"files.STALE_S = {storage.STALE_S}\n"
        "with files.lock(pathlib.Path(sys.argv[1]), 0): print('held', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


#: Signals that ask for the end, to the first process or to its whole group.
WAYS = [(sign, whole_group) for sign in interrupts.SIGNALS for whole_group in (False, True)]


def interrupt(arguments: list[str], seconds: float, sign: signal.Signals, whole_group: bool) -> str:
    """Send a signal to a command some seconds after its first statement; what was wrong with its answer.

    It is to say that it was interrupted, or to have named its report by then.
    """
    process = start(arguments)
    try:
        while not _handles(process.pid, signal.SIGTERM) and process.poll() is None:
            time.sleep(0.001)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.poll() is None:
            (os.killpg if whole_group else os.kill)(process.pid, sign)
        said = _available(process.stderr)
        errors = said + process.communicate(timeout=60)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    interrupted = process.returncode == interrupts.STATUS and errors.splitlines()[-1:] == [
        interrupts.SENTENCE
    ]
    done = process.returncode == 0 and "\nReport: " in said
    if (interrupted or done) and not re.search("Traceback|ignored|leaked", errors):
        return ""
    to = "all" if whole_group else "the first"
    return f"{sign.name} to {to} after {seconds:g} s: {process.returncode}, {errors}"


def _available(stream: IO[str]) -> str:
    """What a stream holds at the moment."""
    os.set_blocking(stream.fileno(), False)
    with suppress(BlockingIOError):
        return os.read(stream.fileno(), 1 << 20).decode()
    return ""


def _handles(pid: int, sign: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, as Linux says."""
    with suppress(OSError):
        caught = re.search(r"SigCgt:\s(\w+)", Path(f"/proc/{pid}/status").read_text())
        return bool(caught and int(caught[1], 16) >> (sign - 1) & 1)
    return False


def kill(arguments: list[str], kind: str, moment: float, folder: Path) -> bool:
    """Start a command and kill it; whether it was, or had ended before.

    Killed are all its processes, the first alone, or ("write") all of them in the middle of a write. The
    moment is counted in writes, which no load of the machine changes; its fraction are seconds that are let
    pass (in a write, none are). The hook is put into `folder`.
    """
    environment = hook(folder, int(moment) if kind == "write" else NEVER)
    process = start(arguments, **environment)
    if kind != "write":
        while process.poll() is None and writes(environment) < int(moment):
            time.sleep(0.005)
        time.sleep(moment % 1)
        if process.poll() is None:
            (os.kill if kind == "first" else os.killpg)(process.pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode != 0
