"""Damaged results of the first format are refused by name with the remedy; `test_damage`: those of today."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from results_folder import BASELINE, MadeUp, write_folder

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import columns, files, folders, integrity, provenance
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import fit_seconds, trial_seconds
from eeg_sgdr.training.checkpoints import CheckpointFile

KEY = FitKey("restarts", 7, 0.05, 0)
WITHOUT_HASH = FitKey("step", 3, 0.05, 0)
FIT = f"subjects/001/fits/{KEY.name}"
READERS = {
    "config.yaml": lambda results, subject: results.settings,
    "comparison.csv": lambda results, subject: results.comparison,
    "subjects/001/trials.csv": lambda results, subject: subject.trials,
    "subjects/001/data.json": lambda results, subject: subject.data,
    "subjects/001/summary.npz": lambda results, subject: subject.summary,
    "subjects/001/evaluation.csv": lambda results, subject: subject.evaluation,
    "subjects/001/baseline/fit.json": lambda results, subject: subject.baselines,
    f"{FIT}/fit.json": lambda results, subject: subject.fits,
    f"{FIT}/history.csv": lambda results, subject: subject.history(KEY),
    f"{FIT}/predictions.npz": lambda results, subject: subject.predictions(KEY),
    f"{FIT}/snapshot-0007.safetensors": lambda results, subject: subject.weights(KEY, 7),
}
#: What a study of one subject has.
WRITTEN = [name for name in READERS if name != "comparison.csv"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    _, subject = write_folder(root, MadeUp())
    files.write_json(subject.folder.baseline("baseline").fit, BASELINE)
    folder = subject.folder.fit(KEY.name)
    files.write_json(folder.fit, {**json.loads(folder.fit.read_text()), "sha256": integrity.digests(folder)})
    return root


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "results")


def read_instead(root, name, content):
    path, results = root / name, Results(root)
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        return READERS[name](results, results.subject(1))
    finally:
        path.unlink() if before is None else path.write_bytes(before)


def check_refused(root, name, content):
    with pytest.raises(UserError) as refusal:
        read_instead(root, name, content)
    check_sentence(refusal.value, root / name)


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


def check_sentence(refusal, path):
    said = str(refusal)
    assert said.startswith(f"{path}: ")
    # What is wrong with a configuration is wrong in its own ways.
    assert said.endswith("." if path.name == "config.yaml" else "again.")
    assert said.isprintable()


CONTENTS = st.binary(max_size=64) | st.text(max_size=64).map(str.encode) | st.sampled_from(
    [b"[]", b"{}", b"null", b"0", b'{"fit": {}}', b"[" * 3000, b"a,b\n1,2\n", b"\n", b"PK\x03\x04"]
)  # fmt: skip


@limits(max_examples=25)
@given(content=CONTENTS)
@pytest.mark.parametrize("name", READERS)
def test_anything_else_is_refused(root, name, content):
    check_refused(root, name, content)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "config.yaml"])
@pytest.mark.parametrize("part", [0.3, 0.99])
def test_what_was_cut_off_is_refused(root, name, part):
    content = (root / name).read_bytes()
    check_refused(root, name, content[: int(part * len(content))])


@limits(max_examples=40)
@given(bit=st.integers(0, 10**6))
def test_arrays_of_folders_made_before_are_refused_or_the_same(root, bit):
    """Without a hash in fit.json, what tells a changed bit are the archive's own sums."""
    path = folders.Study(root).subject("1").fit(WITHOUT_HASH.name).predictions
    content = path.read_bytes()
    expected = dict(np.load(path))
    path.write_bytes(flipped(content, bit))
    try:
        found = Results(root).subject(1).predictions(WITHOUT_HASH)
        for name in columns.PREDICTIONS:
            np.testing.assert_array_equal(found[name], expected[name])
    except UserError as refusal:
        check_sentence(refusal, path)
    finally:
        path.write_bytes(content)


@limits(max_examples=25)
@given(content=CONTENTS)
def test_no_checkpoint_is_made_of_anything(root, content):
    path = root / "checkpoint"
    path.write_bytes(content)
    assert CheckpointFile(path, {}, 60).load() is None


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("subjects/001/trials.csv", ",left,", ",right,"),
        ("subjects/001/trials.csv", ",test,", ",train,"),
        ("subjects/001/data.json", '"left"', '"left_"'),
        (f"{FIT}/fit.json", '"rate": 0.05', '"rate": 0.04'),
        (f"{FIT}/fit.json", '"state": "done"', '"state": "failed"'),
    ],
)
def test_results_that_contradict_each_other_are_refused(copy, name, old, new):
    text = (copy / name).read_text(encoding="utf-8")
    assert old in text
    (copy / name).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match="run again"):
        Results(copy).subject(1).probabilities(KEY, "recomputed")


def test_folders_made_before_have_no_hashes_and_are_read(root):
    assert "sha256" not in (root / f"subjects/001/fits/{WITHOUT_HASH.name}/fit.json").read_text()
    assert len(Results(root).subject(1).predictions(WITHOUT_HASH)["epochs"]) == 1


def test_tables_keep_every_digit(tmp_path):
    table = pd.DataFrame({"label": ["007", "none"], "x": [0.1 + 0.2, np.nan]})
    files.write_csv(tmp_path / "t.csv", table)
    typed = {"label": str, "x": float}
    pd.testing.assert_frame_equal(integrity.read_table(tmp_path / "t.csv", typed, tmp_path), table)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "bad.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(UserError, match="bad.npz: is not as it was written .*allow_pickle=False"):
        integrity.read_arrays(tmp_path / "bad.npz", {"a": "n"}, tmp_path)


@pytest.mark.parametrize(("stored", "read"), [(12.5, (12.5, None)), (provenance.durations(9, 0.1), (9, 0.1))])
def test_seconds_are_read_in_folders_of_any_age(stored, read):
    content = {"seconds": stored}
    assert (fit_seconds(content), trial_seconds(content)) == read
