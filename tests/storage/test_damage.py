"""Random changes to the files of a finished study are refused, or change nothing that is read."""

import json
import os
import random
import shutil

import pytest

from eeg_sgdr import report
from eeg_sgdr.errors import UserError
from eeg_sgdr.storage.results import load_results

SEED = 20261128


@pytest.fixture(scope="module")
def folder(small_study, tmp_path_factory):
    _, out = small_study
    return shutil.copytree(out, tmp_path_factory.mktemp("damaged") / "results")


def content(root):
    """All that reports and classifiers read of a folder, in a form that can be compared."""
    results = load_results(root)
    (subject,) = results.subjects
    arrays = {
        "summary": subject.summary,
        "baseline": {"probabilities": subject.baseline_probabilities("baseline")},
        **{key: subject.predictions(key) for key in subject.done},
        **{
            (key, path.name): subject.weights(key, int(path.stem[-4:]))
            for key in subject.done
            for path in subject.folder.fit(key.name).root.glob("snapshot-*")
        },
    }
    for key in subject.done:
        subject.probabilities(key, "recomputed")
    return {
        "settings": results.settings.model_dump_json(),
        "tables": [table.to_csv() for table in (results.trials, results.history, results.evaluation)],
        "records": [subject.data, subject.baselines, subject.fits],
        "arrays": {
            (name, each): (str(array.dtype), array.shape, array.tobytes())
            for name, group in arrays.items()
            for each, array in group.items()
        },
    }


def bit_flipped(rng, data):
    at = rng.randrange(8 * len(data))
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


def byte_replaced(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def digit_changed(rng, data):
    at = rng.choice([i for i, byte in enumerate(data) if chr(byte).isdigit()])
    return data[:at] + rng.choice(b"0123456789").to_bytes() + data[at + 1 :]


def cut_off(rng, data):
    return data[: rng.randrange(1, len(data))]


def emptied(rng, data):
    return b""


def line_removed(rng, data):
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def line_duplicated(rng, data):
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return b"".join([*lines[: at + 1], *lines[at:]])


def letter_of_a_key_changed(rng, data):
    """Keys of JSON and YAML; the first line of a table."""
    lines = data.splitlines(keepends=True)
    numbers = [i for i, line in enumerate(lines) if b":" in line] or [0]
    at = rng.choice(numbers)
    name = lines[at].partition(b":")[0]
    place = rng.choice([i for i, byte in enumerate(name) if chr(byte).isalpha()] or [0])
    lines[at] = lines[at][:place] + b"x" + lines[at][place + 1 :]
    return b"".join(lines)


OF_BYTES = [bit_flipped, byte_replaced, digit_changed, cut_off, emptied]
OF_LINES = [line_removed, line_duplicated, letter_of_a_key_changed]


def damaged(rng, root, paths):
    """The contents of files after a random change to one, or after two were swapped; by path."""
    path, other = rng.sample(paths, 2)
    data = path.read_bytes()
    texts = path.suffix in {".json", ".yaml", ".csv"}
    change = rng.choice([None, *OF_BYTES, *(OF_LINES * 2 if texts else ())])
    if change is None:
        return "swapped", {path: other.read_bytes(), other: data}
    return change.__name__, {path: change(rng, data)}


def test_no_change_to_a_finished_study_is_read_without_a_word(folder):
    expected = content(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    read, n_refused = [], 0
    for number in range(182):
        rng = random.Random(f"{SEED} {number}")
        change, contents = damaged(rng, folder, paths)
        before = {path: path.read_bytes() for path in contents}
        for path, data in contents.items():
            path.write_bytes(data)
        try:
            if content(folder) != expected:
                read.append((number, change, *(str(path.relative_to(folder)) for path in contents)))
        except UserError:
            n_refused += 1
        finally:
            for path, data in before.items():
                path.write_bytes(data)
    assert read == []
    assert n_refused > 150
    assert content(folder) == expected


UNIT = "subjects/001"
FIT = f"{UNIT}/fits/restarts-b3-r0.05-s0"


@pytest.fixture
def aside(folder, tmp_path):
    """Move what is at a path of the folder away until the test is over."""
    moved = []

    def move(name):
        moved.append(folder / name)
        return shutil.move(folder / name, tmp_path / "aside")

    yield move
    for path in moved:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
        shutil.move(tmp_path / "aside", path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize(
    "name",
    [
        *("config.yaml", f"{UNIT}/trials.csv", f"{UNIT}/data.json", f"{UNIT}/summary.npz"),
        *(f"{UNIT}/baseline/fit.json", f"{UNIT}/baseline/predictions.npz", f"{FIT}/fit.json"),
        *(f"{FIT}/history.csv", f"{FIT}/predictions.npz", f"{FIT}/snapshot-0003.safetensors"),
    ],
)
def test_what_is_no_file_is_refused_before_it_is_opened(name, make, folder, aside):
    aside(name)
    make(folder / name)
    with pytest.raises(UserError, match=r"\(it is (a folder|no regular file)\); delete .* run again\."):
        content(folder)


@pytest.mark.parametrize("name", ["subjects", f"{UNIT}/fits"])
def test_a_file_in_the_place_of_a_folder_is_refused(name, folder, aside):
    aside(name)
    (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"{name}: is no folder; move it away and run again\."):
        content(folder)


def test_half_a_character_in_a_file_of_the_first_format_is_refused(folder, aside):
    data = json.loads(aside(f"{UNIT}/data.json").read_text())
    first = {key: value for key, value in data.items() if key not in ("format", "digest", "sha256")}
    (folder / UNIT / "data.json").write_text(json.dumps({**first, "flat": {"0/1": ["\ud800"]}}))
    with pytest.raises(UserError, match=r"data\.json: .*surrogates not allowed\); delete .* run again\."):
        content(folder)


def test_the_command_refuses_another_digit_in_history(folder, aside, capsys):
    table = aside(f"{FIT}/history.csv").read_text()
    assert ",0.05," in table
    (folder / FIT / "history.csv").write_text(table.replace(",0.05,", ",0.06,"))
    assert report.main([str(folder)]) == 2
    said = capsys.readouterr().err
    assert f"{FIT}/history.csv: is not as it was written (it was changed or replaced); delete" in said
    assert said.count("\n") == 1
