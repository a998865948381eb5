"""A study that is killed again and again ends as one that was left alone; see benchmarks/kills.py."""

import random

import killing
import pytest

SHORT = (
    *("--jobs", "2", "--set", "training.initial_rates=[0.05]", "--set", "schedules.step.budgets=[7]"),
    *("--set", "schedules.restarts.epochs=7", "--set", "compute.checkpoint_minutes=0"),
    *("--set", "baseline=null"),
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Its folder, its files and its seconds."""
    folder = tmp_path_factory.mktemp("kills")
    seconds = killing.run(killing.command(folder, "undisturbed", *SHORT))
    return folder, killing.files(folder / "undisturbed"), seconds


def test_killed_at_five_moments_every_file_is_as_it_would_be(undisturbed):
    folder, expected, seconds = undisturbed
    rng = random.Random(20261123)
    arguments = killing.command(folder, "killed", *SHORT)
    assert killing.kill(arguments, "write", rng.randrange(5, 30), folder)
    assert len(list((folder / "killed").rglob(".*.part"))) == 1
    kinds = ["all", "all", "all", "first"]
    killed = [killing.kill(arguments, kind, rng.uniform(0.2, 0.7) * seconds, folder) for kind in kinds]
    killing.run(arguments)
    assert any(killed)
    assert killing.differing(expected, killing.files(folder / "killed")) == []


def test_two_processes_share_a_study_and_make_each_fit_once(undisturbed):
    folder, expected, _ = undisturbed
    arguments = killing.command(folder, "shared", *SHORT)
    log = folder / "shared.log"
    environment = killing.hook(folder, log)
    both = [killing.start(arguments, **environment) for _ in range(2)]
    told = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert killing.differing(expected, killing.files(folder / "shared")) == []
    made = [line for line in log.read_text().splitlines() if line.endswith("fit.json")]
    assert sorted(made) == sorted(str(path) for path in (folder / "shared").rglob("fit.json"))
