"""The documentation: what its pages show is run, in the order of the page, and every page can be found."""

import re
import shlex
from pathlib import Path

import pytest
from documents import DOCS, blocks

import eeg_sgdr
from eeg_sgdr import compat, run
from eeg_sgdr import settings as config
from eeg_sgdr.__main__ import main, parser

pytestmark = pytest.mark.xdist_group("documentation")

PAGES = sorted(path.stem for path in DOCS.glob("*.md"))
#: Their Python needs a cluster, or real recordings (test_ensemble_in_moabb.py, test_moabb.py).
NOT_RUN = {"cluster", "moabb"}
#: The tutorial's study, as far as other pages speak of it.
SHORTER = ["training.seeds=[0]", "training.initial_rates=[0.05]", "schedules.step.budgets=[31]"]


def commands(page):
    """Words of every command of a page, as eeg-sgdr takes them."""
    text = re.sub(r"\$\w+", "1", "\n".join(blocks(page, "bash")).replace("\\\n", ""))
    lines = re.findall(r"(?:python -m eeg_sgdr\.run|^eeg-sgdr) (.*)", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("data/cache").mkdir(parents=True)  # so that trials are kept here, not in the user's cache folder
        exec(blocks("tutorial", "python")[-1], {})  # makes its recordings
        Path("lab.yaml").write_text(blocks("tutorial", "yaml")[0])
        changes = [word for change in (*SHORTER, "compute.jobs=1") for word in ("--set", change)]
        for arguments in commands("tutorial"):
            if arguments[0] in ("data", "run") and "lab.yaml" in arguments:
                assert main([*arguments, "--subject", "1", *changes]) == 0
    return folder


def test_the_tutorial_ends_with_a_report(folder):
    assert (folder / "results/lab/subjects/001/report.html").is_file()
    found = eeg_sgdr.load_results(folder / "results/lab").evaluation
    assert found.query("schedule == 'restarts' and epoch == 31")["error"].max() < 0.4


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python") and page not in NOT_RUN])
def test_examples_run_and_print_what_the_page_says(folder, page, monkeypatch, capsys):
    compat.import_braindecode()
    monkeypatch.chdir(folder)
    names = {"__name__": f"docs.{page}"}
    codes = blocks(page, "python")
    for code in codes[: -1 if page == "tutorial" else None]:
        exec(compile(code, page, "exec"), names)
    printed = capsys.readouterr().out
    if page != "tutorial":  # whose study was shorter
        assert all(text in printed for text in blocks(page, "text"))


@pytest.mark.parametrize("page", [page for page in (*PAGES, "../README") if commands(page)])
def test_commands_are_understood(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lab.yaml").write_text(blocks("tutorial", "yaml")[0])
    for arguments in commands(page):
        options = (run.parser() if arguments[0].startswith("-") else parser()).parse_args(arguments)
        if "config" in options and options.config != "mine.yaml":
            config.load(options.config, options.set)


def test_every_page_is_in_a_table_of_contents():
    tables = "\n".join(table for page in PAGES for table in blocks(page, "{toctree}"))
    listed = re.findall(r"^(?:.* <)?(\w+)>?$", tables, re.MULTILINE)
    assert sorted([*listed, "index"]) == PAGES


def test_everything_public_is_in_the_reference():
    reference = (DOCS / "python.md").read_text()
    assert [name for name in eeg_sgdr.__all__ if f":: eeg_sgdr.{name}\n" not in reference] == []


def test_every_configuration_that_comes_with_the_program_is_shown():
    page = (DOCS / "configurations.md").read_text()
    assert set(re.findall(r"\.\./configs/(\w+)\.yaml", page)) == set(config.shipped())
