"""Selection of subjects by labels, ranges and all; trials that are written again."""

import shutil
from contextlib import suppress
from types import SimpleNamespace

import pytest

from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs.units import Unit, select, write_trials
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import load_results

LABELS = ["01", "02", "03", "10"]


@pytest.mark.parametrize(
    ("asked", "configured", "expected"),
    [
        (None, "all", LABELS),
        (["all"], ["02", "10"], ["02", "10"]),
        (["1", "10"], "all", ["01", "10"]),
        (["1-3"], "all", ["01", "02", "03"]),
        (["3", "1-3", "03"], "all", ["03", "01", "02"]),
    ],
)
def test_subjects_are_selected(asked, configured, expected):
    assert select(asked, configured, LABELS) == expected


@pytest.mark.parametrize("asked", [["7"], ["3-5"], ["3-1"], ["x"]])
def test_unknown_subjects_are_refused(asked):
    with pytest.raises(UserError, match="subject"):
        select(asked, "all", LABELS)


@pytest.mark.parametrize("first_format", [False, True])
@pytest.mark.parametrize("n_writes", range(4))
def test_a_kill_while_other_trials_are_written_leaves_a_folder_that_is_read(
    n_writes, first_format, small_study, tmp_path, monkeypatch
):
    root = shutil.copytree(small_study[1], tmp_path / "results")
    (there,) = load_results(root).subjects
    unit = Unit("01", None, None, None, there.folder, None)
    other = there.trials.assign(onset_s=there.trials["onset_s"] + 1)
    info = {key: value for key, value in there.data.items() if key not in ("format", "digest", "sha256")}
    unit.trials = SimpleNamespace(table=other, info=info, summary=there.summary)
    if first_format:
        files.write_json(there.folder.data, info)
    write, written = files.write_bytes, []

    def killed(path, content):
        if len(written) == n_writes:
            raise InterruptedError
        written.append(path)
        write(path, content)

    with monkeypatch.context() as patch, suppress(InterruptedError):
        patch.setattr(files, "write_bytes", killed)
        write_trials(unit)
    assert len(written) == n_writes
    results = load_results(root)
    assert [subject.trials.equals(other) for subject in results.subjects] == [True] * (n_writes == 3)
    assert all(subject.summary for subject in results.subjects)
    write_trials(unit)
    assert load_results(root).trials.equals(other)
