"""The command as a user runs it, killed again and again, shared, interrupted; see benchmarks/kills.py.

What is a variation of the others is marked as crashes; `test_tasks` does it to fits alone, quickly.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import killing
import psutil
import pytest

from eeg_sgdr.storage import files as storage

SHORT = (
    *("--jobs", "2", "--set", "training.initial_rates=[0.05]", "--set", "schedules.step.budgets=[7]"),
    *("--set", "schedules.restarts.epochs=7", "--set", "compute.checkpoint_minutes=0"),
    *("--set", "baseline=null"),
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    killing.run(killing.command(folder, "undisturbed", *SHORT))
    return folder, killing.files(folder / "undisturbed")


@pytest.fixture
def temporary(monkeypatch):
    """A folder for temporary files; its path is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


def test_killed_at_five_moments_every_file_is_as_it_would_be(undisturbed, temporary):
    folder, expected = undisturbed
    rng = random.Random(20261123)
    arguments = killing.command(folder, "killed", *SHORT)
    # Checkpoints are written by then: before, it is the description of the trials.
    assert killing.kill(arguments, "write", rng.randrange(8, 12), folder)
    # Of whoever is in a write at the time.
    assert len(list((folder / "killed").rglob(".*.part"))) in (1, 2)
    for kind in ("all", "all", "all", "first"):
        # No seconds later: in one, what is left of so small a study may be done.
        assert killing.kill(arguments, kind, rng.randrange(1, 10), folder)
    left = {path.name for path in temporary.iterdir()}
    assert left
    killing.run(arguments)
    assert killing.differing(expected, killing.files(folder / "killed")) == []
    assert list(temporary.iterdir()) == []
    assert not any(name in path.name for path in storage.SEMAPHORES.glob("*") for name in left)


@pytest.mark.crashes
def test_two_processes_share_a_study_and_make_each_fit_once(undisturbed):
    folder, expected = undisturbed
    arguments = killing.command(folder, "shared", *SHORT)
    environment = killing.hook(folder)
    for process in [killing.start(arguments, **environment) for _ in range(2)]:
        killing.wait(process)
    assert killing.differing(expected, killing.files(folder / "shared")) == []
    made = [line for line in (folder / "writes.log").read_text().splitlines() if line.endswith("fit.json")]
    assert sorted(made) == sorted(str(path) for path in (folder / "shared").rglob("fit.json"))


@pytest.mark.crashes
@pytest.mark.parametrize("number", [2, 15])
def test_a_full_disk_ends_in_one_sentence_and_loses_nothing(undisturbed, number):
    folder, expected = undisturbed
    out = folder / f"full-{number}"
    arguments = killing.command(folder, out.name, *SHORT)
    errors = killing.wait(killing.start(arguments, **killing.hook(folder, number, disk="full")), 2)
    assert "cannot be written (No space left on device); make room" in errors.splitlines()[-1]
    assert list(out.rglob("*.part")) == []
    killing.run(arguments)
    assert killing.differing(expected, killing.files(out)) == []


@pytest.fixture
def under_way(undisturbed):
    folder, _ = undisturbed
    long = ("--set", "schedules.step.budgets=[1023]", "--set", "schedules.restarts.epochs=1023")
    rates = ("--set", "training.initial_rates=[0.05, 0.1]")
    shutil.rmtree(folder / "long", ignore_errors=True)
    process = killing.start(killing.command(folder, "long", *SHORT, *long, *rates))
    while len(list((folder / "long").rglob("checkpoint"))) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    yield process, folder / "long"
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize(
    ("sign", "whole_group"),
    [
        pytest.param(signal.SIGINT, True, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, False, id="SIGTERM to the first", marks=pytest.mark.crashes),
        pytest.param(signal.SIGINT, False, id="SIGINT to the first", marks=pytest.mark.crashes),
        pytest.param(signal.SIGTERM, True, id="SIGTERM to all", marks=pytest.mark.crashes),
    ],
)
def test_interrupted_it_keeps_checkpoints_and_says_how_to_go_on(under_way, sign, whole_group):
    process, out = under_way
    (os.killpg if whole_group else os.kill)(process.pid, sign)
    said = killing.wait(process, 130).splitlines()[-1]
    assert said == "Interrupted; the same command goes on where this one was."
    assert len(list(out.rglob("checkpoint"))) >= 2


@pytest.mark.crashes
def test_a_worker_that_is_killed_ends_it_in_one_sentence(under_way):
    process, out = under_way
    everyone = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in everyone if child.ppid() != process.pid]  # forked by the server
    assert len(workers) == 2
    workers[0].kill()
    assert "a worker process was killed" in killing.wait(process, 2).splitlines()[-1]
    assert len(list(out.rglob("checkpoint"))) >= 2
    _, alive = psutil.wait_procs(everyone, timeout=20)
    assert alive == []
