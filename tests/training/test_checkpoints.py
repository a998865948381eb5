"""A fit that is interrupted anywhere is resumed to the same result in every bit."""

from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch
from fits import DENSE, EEGNET, EPOCHS, TRAINING, WHOLE, make_data, same, stack, without_times

from eeg_sgdr.parallel.interrupts import Interrupted
from eeg_sgdr.schedules import Step, WarmRestarts
from eeg_sgdr.settings.optimizers import AdamWSettings
from eeg_sgdr.settings.training import Numerics
from eeg_sgdr.training.checkpoints import CheckpointFile
from eeg_sgdr.training.engines import AS_TRAINING, Member
from eeg_sgdr.training.loop import FitFailed, fit, train
from eeg_sgdr.training.optimizers import SGD, AdamW

IDENTITY = {"versions": {"torch": "1"}, "cpu_capability": "AVX2"}
N_UPDATES = 6
ADAMW = AdamWSettings(kind="adamw", weight_decay=0.5, decay="normalized")
DATA, RESTARTS = make_data(), WarmRestarts(0.05, 3)


class Crash(Exception):  # noqa: N818
    """As if the power had gone."""


@pytest.fixture
def crash_at(monkeypatch):
    steps = {optimizer: optimizer.step for optimizer in (SGD, AdamW)}

    def crash(n):
        left = iter(range(n - 1))

        def counted(self, rate):
            if next(left, None) is None:
                with torch.no_grad():
                    self.parameters[0].fill_(7.0)
                raise Crash
            steps[type(self)](self, rate)

        for optimizer in steps:
            monkeypatch.setattr(optimizer, "step", counted)

    return crash


@pytest.fixture
def file(tmp_path):
    return lambda interval_s=0.0, **other: CheckpointFile(
        tmp_path / "checkpoint", {**IDENTITY, **other}, interval_s
    )


@pytest.fixture
def resumed(crash_at, file):
    def crash_and_resume(at, attempt, interval_s=0.0):
        crash_at(at)
        with pytest.raises(Crash):
            attempt(file(interval_s))
        crash_at(10**9)
        return attempt(file(interval_s))

    return crash_and_resume


@pytest.mark.parametrize(
    ("network", "n_updates", "precision"),
    [(DENSE, 6, "float32"), (WHOLE, 3, "float32"), (WHOLE, 3, "mixed"), (EEGNET, 3, "float32")],
    ids=["dense", "whole", "whole, mixed", "EEGNet"],
)
@pytest.mark.parametrize(
    ("epoch", "update", "interval_s"),
    [(0, 1, 0.0), (0, 2, 0.0), (0, -1, 0.0), (1, 1, 1e9), (1, 1, 0.0), (2, 2, 0.0), (2, -1, 1e9)],
)
def test_a_fit_is_resumed_bit_for_bit(network, n_updates, precision, epoch, update, interval_s, resumed):
    at = epoch * n_updates + (update if update > 0 else n_updates)
    numerics = Numerics(precision=precision)
    training = TRAINING.model_copy(update={"momentum_form": "paper", "numerics": numerics})
    expected = fit(DATA, network, training, RESTARTS, seed=1)
    epochs = []

    def attempt(checkpoints):
        epochs.clear()
        torch.manual_seed(at)
        torch.rand(7)
        return fit(DATA, network, training, RESTARTS, 1, epochs.append, checkpoints)

    result = resumed(at, attempt, interval_s)
    assert same(result, expected)
    assert without_times(result.history) == without_times(expected.history)
    assert epochs == [1, 2, 3], "epochs that were done before are counted, too"


def test_only_what_is_left_is_trained(file, crash_at, monkeypatch):
    crash_at(2 * N_UPDATES)
    with pytest.raises(Crash):
        fit(DATA, DENSE, TRAINING, RESTARTS, 1, checkpoints=file())
    steps = []
    monkeypatch.setattr(SGD, "step", lambda self, rate: steps.append(rate))
    fit(DATA, DENSE, TRAINING, RESTARTS, 1, checkpoints=file())
    assert len(steps) == N_UPDATES + 1


def test_crash_after_crash(file, crash_at):
    expected, result = fit(DATA, DENSE, TRAINING, RESTARTS, seed=1), None
    while result is None:
        crash_at(3)
        with suppress(Crash):
            result = fit(DATA, DENSE, TRAINING, RESTARTS, 1, checkpoints=file())
    assert same(result, expected)


def test_every_stored_epoch_survives(resumed):
    every = partial(fit, DATA, DENSE, EPOCHS, Step(0.05, 3), seed=1)
    expected = every()
    result = resumed(2 * N_UPDATES + 2, lambda file: every(checkpoints=file))
    assert list(result.scores) == [1, 2, 3]
    for epoch, score in expected.scores.items():
        np.testing.assert_array_equal(result.scores[epoch].probabilities, score.probabilities)
    assert all(torch.equal(result.scores[3].state[name], x) for name, x in expected.scores[3].state.items())


@pytest.mark.parametrize(
    ("at", "optimizer"), [*((at, AS_TRAINING) for at in (1, 2, 3, 4, 6, 8)), (3, ADAMW), (8, ADAMW)]
)
def test_a_stack_is_resumed_bit_for_bit(at, optimizer, resumed):
    """Members end at different epochs, and one fails."""
    members = [
        Member(DATA, RESTARTS, 0, optimizer),
        Member(make_data(seed=1), Step(0.05, 1), 0, optimizer),
        Member(DATA, Step(1e300, 3), 1, optimizer),
        Member(DATA, Step(0.02, 2), 5, optimizer),
    ]
    expected = train(stack(members, EEGNET))
    results = resumed(at, lambda file: train(stack(members, EEGNET), checkpoints=file))
    assert isinstance(results[2], FitFailed)
    assert str(results[2]) == str(expected[2])
    for i in (0, 1, 3):
        assert same(results[i], expected[i])
        assert without_times(results[i].history) == without_times(expected[i].history)


def test_fits_that_are_stopped_when_they_are_done_are_not_trained_again(file, monkeypatch):
    """Members end at different epochs: what is left in the stack is not what a checkpoint begins with."""
    members = [Member(DATA, Step(0.02, 2), 0), Member(DATA, Step(0.02, 1), 0)]

    def stopped(epoch):
        if epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(stack(members, EEGNET), stopped, file(1e9))
    monkeypatch.setattr(SGD, "step", None)
    results = train(stack(members, EEGNET), checkpoints=file(1e9))
    assert [list(result.scores) for result in results] == [[2], [1]]


@pytest.fixture
def kept(file, tmp_path):
    tensors = {1: [torch.arange(3.0), torch.zeros(0)], "n": torch.tensor(2)}
    file().save({"a": tensors, "x": (0.1 + 0.2, None)})
    return tmp_path / "checkpoint"


def test_a_checkpoint_comes_back(kept, file):
    state = file().load()
    assert state["x"] == (0.1 + 0.2, None)
    assert state["a"][1][0].tolist() == [0, 1, 2]
    assert state["a"]["n"].dtype == torch.int64


def test_none_is_none(file, capsys):
    assert file().load() is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("other", [{"cpu_capability": "AVX512"}, {"versions": {"torch": "2"}}])
def test_one_that_was_made_otherwise_is_left(other, kept, file, capsys):
    assert file(**other).load() is None
    assert "made by other versions" in capsys.readouterr().err


def test_one_of_the_format_before_is_left(file, tmp_path, capsys):
    """A line with the digest of the rest, one of JSON, safetensors: as it was written, for this identity."""
    (tmp_path / "checkpoint").write_bytes(
        b"69a030e36ce47ff103b44275cac0abaf5262a7b9a1099271fe123334d306f981\n"
        b'{"identity": {"versions": {"torch": "1"}, "cpu_capability": "AVX2"}, "numbers": {"history": [], '
        b'"scored": [], "n_losses": 0, "seconds": 0.5}, "seconds": 0.00029387599988695}\n'
        b'\x80\x00\x00\x00\x00\x00\x00\x00{"module/w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"velocity/0":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}     \x00\x00\xc0?\x00\x00\x80>'
    )
    assert file().load() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "made by other versions, another kind of processor or other settings; the fit is begun again."
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "noise", "text"])
def test_a_damaged_one_is_left(damage, kept, file, capsys):
    content = bytearray(kept.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    changed = {"cut": content[:-5], "empty": b"", "noise": b"\xff\x00\n" * 9, "text": b"{}\n{}\n"}
    kept.write_bytes(changed.get(damage, content))
    assert file().load() is None
    assert capsys.readouterr().err.count("is damaged; the fit is begun again.") == 1


def test_seconds_are_those_of_all_attempts(kept, file):
    again = file()
    again._seconds_before = 1000.0
    again.save({})
    third = file()
    third.load()
    assert third.seconds >= 1000
