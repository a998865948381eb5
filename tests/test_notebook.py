"""The notebook: it runs on a study of the shape that it names, and its stored outputs tell no tales."""

import json
import re
import shlex
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from results_folder import study_settings, write_study

from eeg_sgdr import settings as config
from eeg_sgdr.run import parser

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "analysis.ipynb"
SUBJECTS = ("01", "02", "03")
#: A budget for people who read it on a slow line, with its pictures.
MOST_BYTES = 600_000


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def wrong(label, key, epoch):
    n = int(label) + (epoch < 7) + (key.schedule == "step")
    return range(key.seed, key.seed + n)


def test_it_runs_on_a_study_of_its_shape(tmp_path, notebook):
    (line,) = re.findall(r"^python -m eeg_sgdr.run (.*)$", notebook.cells[0].source, re.MULTILINE)
    options = parser().parse_args(shlex.split(line))
    asked = config.load(options.config, options.set)
    training, arms = asked.training, asked.schedules
    shape = (training.seeds, training.initial_rates, arms["step"].budgets, arms["restarts"].epochs)
    settings = study_settings(SUBJECTS, *shape, training={"store": training.store}, baseline=None)
    write_study(tmp_path / options.out, settings, wrong)
    here = tmp_path / NOTEBOOK.parent.name
    here.mkdir()
    ran = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(here)}}).execute()
    outputs = [output for cell in ran.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 7


def test_its_outputs_were_made_in_one_go_and_hold_nothing_of_the_machine(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert all(cell.outputs for cell in code)
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data", "stream"}
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert not any(cell.metadata for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    texts = re.sub(r'"image/png": "[^"]*"', "", json.dumps(notebook))
    assert not re.search(r"(?<![\w.<])/(?:home|root|tmp|work|Users|usr|opt|var|mnt)\b|[A-Z]:\\\\", texts)
    assert NOTEBOOK.stat().st_size < MOST_BYTES
