"""The command eeg-sgdr: its sub-commands, their examples as their help shows them, and completion."""

import os
import shlex
import shutil
import subprocess
import sys

import jsonschema
import pytest
import yaml
from documents import blocks
from results_folder import study_settings, write_study

from eeg_sgdr import __version__, report, run
from eeg_sgdr import settings as config
from eeg_sgdr.__main__ import COMMANDS, main, parser

pytestmark = pytest.mark.xdist_group("commands")

EXAMPLES = [example for command in COMMANDS.values() for example in command.examples]
#: These would train for hours, or need recordings that are not there.
ONLY_UNDERSTOOD = ("high_gamma", "1-14", "5-9")


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """A user's folder with a configuration and its results, and a study of four made-up subjects."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(finished / "data", folder / "data")
    shutil.copytree(finished / "done", folder / "results/demo")
    shutil.copytree(finished / "done", folder / "results/small")
    study = yaml.safe_load((finished / "study.yaml").read_text())
    (folder / "mine.yaml").write_text(yaml.safe_dump({**study, "compute": {"data_dir": "data", "jobs": 1}}))
    labels = ["01", "02", "03", "04"]
    worse = {"01": 4, "02": 2, "03": 2, "04": 1}
    write_study(
        folder / "results/demo14",
        study_settings(labels, seeds=(0, 1)),
        lambda label, key, epoch: range(5 + key.seed + worse[label] * (key.schedule == "step")),
    )
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_help_are_what_can_be_typed(example, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    command, _, target = example.partition(" > ")
    program, *words = shlex.split(command, comments=True)
    assert program == "eeg-sgdr"
    options = parser().parse_args(words)
    if any(words in example for words in ONLY_UNDERSTOOD):
        if options.config != "mine.yaml":
            config.load(options.config, options.set)
        return
    # The small study in place of the demo, but where an example is of a configuration that is shipped.
    if options.command in ("run", "data", "dry-run") and options.config == "demo":
        words += ["--config", "mine.yaml"]
    assert main(words) == 0
    said = capsys.readouterr().out
    if target and target != "mine.yaml":
        assert said
    if options.command == "schedules":
        assert options.figure.stat().st_size > 1000


def test_there_is_an_example_of_every_command():
    assert all(
        any(example.startswith(f"eeg-sgdr {name}") for example in command.examples)
        for name, command in COMMANDS.items()
    )


def test_help_and_version(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"    {name} " in shown or f"    {name}\n" in shown for name in COMMANDS)
    for words, expected in (["--help"], shown), (["--version"], f"eeg_sgdr {__version__}\n"):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert (ended.value.code, capsys.readouterr().out) == (0, expected)


def test_older_commands_have_the_options_of_the_new_ones_and_their_own():
    def options(of):
        return {option for action in of._actions for option in action.option_strings or [action.dest]}

    subs = parser()._subparsers._group_actions[0].choices
    instead = {"--only", "--dry-run", "--assume-trials", "--schedule-figure"}
    assert options(run.parser()) == options(subs["run"]) | instead
    assert options(subs["data"]) < options(run.parser()) > options(subs["dry-run"])
    assert options(report.parser()) == options(subs["report"]) | {"--power"}


def test_options_without_a_command_are_those_of_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--config", "demo", "--schedule-figure", "rates.svg"]) == 0
    assert (tmp_path / "rates.svg").stat().st_size > 1000
    assert main(["--jobs", "0"]) == 2
    assert capsys.readouterr().err == "--jobs 0: must be at least 1 and at most 1024.\n"


def test_a_run_ends_with_the_answer_and_quietly_with_paths_alone(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    path = "results/small/subjects/001/report.html"
    for words in ["run", "--config", "mine.yaml", "--subject", "1"], ["report", "results/small"]:
        assert main(words) == 0
        said = capsys.readouterr()
        assert said.out == f"{path}\n"
        assert "the network trained with warm restarts was wrong on" in " ".join(said.err.split())
        assert said.err.endswith(f" s.\nReport: {(folder / path).as_uri()}\n")
        assert main([*words, "--quiet"]) == 0
        assert capsys.readouterr() == (f"{path}\n", "")
    assert main(["run", "--config", "mine.yaml", "--subject", "9", "--quiet"]) == 2
    assert "subject '9' is not there" in capsys.readouterr().err


@pytest.mark.parametrize("name", config.shipped())
def test_a_configuration_that_is_shown_is_the_same_configuration(name, tmp_path, capsys):
    changes = ["--set", "training.batch_size=31"]
    assert main(["configs", "show", name, *changes]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert config.load(tmp_path / "mine.yaml") == config.load(name, changes[1:])


def test_configurations_are_validated_one_by_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wrong = config.shipped()["demo"].read_text().replace("batch_size", "batch_sizes")
    (tmp_path / "wrong.yaml").write_text(wrong)
    assert main(["configs", "validate", "demo", "wrong.yaml", "schedules"]) == 2
    said = capsys.readouterr()
    assert said.out == "demo: valid\nschedules: valid\n"
    assert said.err.startswith("wrong.yaml: training.batch_sizes is no setting; the nearest is batch_size")


@pytest.fixture(scope="module")
def schema():
    return jsonschema.Draft202012Validator(config.json_schema())


CONFIGURATIONS = {
    "tutorial": blocks("tutorial", "yaml")[0],
    **{name: path.read_text() for name, path in config.shipped().items()},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_schema_is_that_of_configurations(name, schema):
    data = config.parse_yaml(CONFIGURATIONS[name])
    assert [error.message for error in schema.iter_errors(data)] == []


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"training": {"batch_sizes": 3}}, "training"),
        ({"recordings": {"source": "simulated", "n_subject": 3}}, "recordings"),
        ({"schedules": {"mine": {"kind": "stairs"}}}, "schedules"),
        ({"split": {"by": "run", "test": []}}, "split"),
        ({"training": {"seeds": []}}, "training"),
    ],
)
def test_the_schema_refuses_what_the_program_refuses(wrong, where, schema):
    data = {**config.parse_yaml(CONFIGURATIONS["demo"]), **wrong}
    assert {error.absolute_path[0] for error in schema.iter_errors(data)} == {where}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("eeg-sgdr r", ["report", "run"]),
        ("eeg-sgdr run --config high", ["high_gamma"]),
        ("eeg-sgdr configs show mine", ["mine.yaml"]),
    ],
)
def test_a_shell_completes_commands_and_configurations(line, expected, tmp_path):
    (tmp_path / "mine.yaml").touch()
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "IFS": "\n"}
    asked["_ARGCOMPLETE_STDOUT_FILENAME"] = str(tmp_path / "words")
    call = [sys.executable, "-m", "eeg_sgdr"]
    subprocess.run(call, cwd=tmp_path, env={**os.environ, **asked}, check=True)
    assert sorted((tmp_path / "words").read_text().split()) == expected
