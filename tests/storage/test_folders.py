"""Who holds a fit, what is left of it, and names that lead nowhere else."""

import threading

import pytest
from killing import hold

from eeg_sgdr.errors import UserError
from eeg_sgdr.storage import files, folders


@pytest.fixture
def fit(tmp_path):
    return folders.FitFolder(tmp_path / "fit")


def test_a_fit_is_held_by_one_and_free_when_that_dies(fit):
    with hold(fit.lock), folders.fit_lock(fit, 0) as mine:
        assert not mine
    with folders.fit_lock(fit, 0) as mine:
        assert mine


def test_who_waits_gets_it_when_the_other_dies(fit):
    with hold(fit.lock) as process:
        threading.Timer(0.5, lambda: (process.kill(), process.wait())).start()
        with folders.fit_lock(fit, -1) as mine:
            assert mine


def test_who_holds_a_fit_removes_what_a_crash_has_left(fit):
    for path in (fit.root / ".history.csv.abc.part", fit.checkpoint):
        files.write_text(path, "x")
    with folders.fit_lock(fit, 0):
        assert {*fit.root.iterdir()} == {fit.lock, fit.checkpoint}
        files.write_json(fit.fit, {})
    assert list(fit.root.iterdir()) == [fit.fit]


def test_what_fails_keeps_its_checkpoint(fit):
    def fail():
        with folders.fit_lock(fit, 0):
            files.write_text(fit.checkpoint, "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert fit.checkpoint.read_text() == "x"


def test_a_crash_after_the_last_file_is_tidied(fit):
    for path in (fit.fit, fit.checkpoint):
        files.write_text(path, "{}")
    with hold(fit.lock):
        pass
    assert fit.lock.is_file()
    folders.tidy(fit)
    assert list(fit.root.iterdir()) == [fit.fit]


def test_folders_of_subjects():
    study = folders.Study(folders.Path("results/x"))
    assert study.subject("7").root.as_posix() == "results/x/subjects/007"
    assert study.subject("A01").root.as_posix() == "results/x/subjects/A01"


@pytest.mark.parametrize("label", ["../x", "a/b", "", ".hidden", "a b", "é", "²", "1" * 5000])
def test_labels_cannot_lead_elsewhere(label):
    with pytest.raises(UserError, match="cannot be the name of a folder"):
        folders.folder_name(label)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\udcff", "/".join(["x"] * 5000)])
def test_results_folders_that_cannot_be_are_refused(name):
    with pytest.raises(UserError, match="cannot be a path; give another"):
        folders.Study(folders.Path(name))
