"""A fit that is interrupted anywhere is resumed to the same result in every bit."""

import numpy as np
import pytest
import torch
from fits import DENSE, EEGNET, TRAINING, WHOLE, make_data, same, stack, without_times

from eeg_sgdr.parallel.interrupts import Interrupted
from eeg_sgdr.schedules import Step, WarmRestarts
from eeg_sgdr.training.checkpoints import CheckpointFile
from eeg_sgdr.training.engines import Member
from eeg_sgdr.training.loop import FitFailed, fit, train
from eeg_sgdr.training.optimizers import SGD

IDENTITY = {"versions": {"torch": "1"}, "cpu_capability": "AVX2"}
N_UPDATES = 6


class Crash(Exception):  # noqa: N818
    """As if the power had gone."""


@pytest.fixture
def crash_at(monkeypatch):
    """Crash at the n-th update, in the middle of it; return how to count anew."""
    step = SGD.step
    left = [0]

    def counted(self, rate):
        left[0] -= 1
        if left[0] == 0:
            with torch.no_grad():
                self.parameters[0].fill_(7.0)
            raise Crash
        step(self, rate)

    monkeypatch.setattr(SGD, "step", counted)

    def crash(n):
        left[0] = n

    return crash


def file(tmp_path, interval_s=0.0, identity=IDENTITY):
    return CheckpointFile(tmp_path / "checkpoint", identity, interval_s)


@pytest.mark.parametrize(
    ("network", "n_updates"), [(DENSE, 6), (WHOLE, 3), (EEGNET, 3)], ids=["dense", "whole", "EEGNet"]
)
@pytest.mark.parametrize(
    ("epoch", "update", "interval_s"),
    [(0, 1, 0.0), (0, 2, 0.0), (0, -1, 0.0), (1, 1, 1e9), (1, 1, 0.0), (2, 2, 0.0), (2, -1, 1e9)],
)
def test_a_fit_is_resumed_bit_for_bit(network, n_updates, epoch, update, interval_s, tmp_path, crash_at):
    at = epoch * n_updates + (update if update > 0 else n_updates)
    data, schedule = make_data(), WarmRestarts(0.05, 3)
    training = TRAINING.model_copy(update={"momentum_form": "paper"})
    expected = fit(data, network, training, schedule, seed=1)
    crash_at(at)
    with pytest.raises(Crash):
        fit(data, network, training, schedule, 1, checkpoints=file(tmp_path, interval_s))
    updates = [0]
    crash_at(10**9)
    torch.manual_seed(at)
    torch.rand(7)
    again = file(tmp_path, interval_s)
    result = fit(data, network, training, schedule, 1, lambda epoch: updates.append(epoch), again)
    assert list(result.scores) == list(expected.scores)
    assert same(result, expected)
    assert without_times(result.history) == without_times(expected.history)
    # Epochs that were done before are counted, too.
    assert updates == [0, 1, 2, 3]


def test_only_what_is_left_is_trained(tmp_path, crash_at, monkeypatch):
    data, schedule = make_data(), WarmRestarts(0.05, 3)
    crash_at(2 * N_UPDATES)
    with pytest.raises(Crash):
        fit(data, DENSE, TRAINING, schedule, 1, checkpoints=file(tmp_path))
    steps = []
    monkeypatch.setattr(SGD, "step", lambda self, rate: steps.append(rate))
    fit(data, DENSE, TRAINING, schedule, 1, checkpoints=file(tmp_path))
    assert len(steps) == N_UPDATES + 1


def test_crash_after_crash(tmp_path, crash_at):
    data, schedule = make_data(), WarmRestarts(0.05, 3)
    expected = fit(data, DENSE, TRAINING, schedule, seed=1)
    while True:
        crash_at(3)
        try:
            result = fit(data, DENSE, TRAINING, schedule, 1, checkpoints=file(tmp_path))
            break
        except Crash:
            pass
    assert same(result, expected)


def test_every_stored_epoch_survives(tmp_path, crash_at):
    data, schedule = make_data(), Step(0.05, 3)
    training = TRAINING.model_copy(update={"store": "epochs"})
    expected = fit(data, DENSE, training, schedule, seed=1)
    crash_at(2 * N_UPDATES + 2)
    with pytest.raises(Crash):
        fit(data, DENSE, training, schedule, 1, checkpoints=file(tmp_path))
    result = fit(data, DENSE, training, schedule, 1, checkpoints=file(tmp_path))
    assert list(result.scores) == [1, 2, 3]
    for epoch, score in expected.scores.items():
        np.testing.assert_array_equal(result.scores[epoch].probabilities, score.probabilities)
    assert all(torch.equal(result.scores[3].state[name], x) for name, x in expected.scores[3].state.items())


@pytest.mark.parametrize("at", [1, 2, 3, 4, 6, 8])
def test_a_stack_is_resumed_bit_for_bit(at, tmp_path, crash_at):
    """Members end at different epochs, and one fails."""
    first, second = make_data(), make_data(seed=1)
    members = [
        Member(first, WarmRestarts(0.05, 3), 0),
        Member(second, Step(0.05, 1), 0),
        Member(first, Step(1e30, 3), 1),
        Member(first, Step(0.02, 2), 5),
    ]
    expected = train(stack(members, EEGNET))
    crash_at(at)
    with pytest.raises(Crash):
        train(stack(members, EEGNET), checkpoints=file(tmp_path))
    crash_at(10**9)
    results = train(stack(members, EEGNET), checkpoints=file(tmp_path))
    assert isinstance(results[2], FitFailed)
    assert str(results[2]) == str(expected[2])
    for i in (0, 1, 3):
        assert list(results[i].scores) == list(expected[i].scores)
        assert same(results[i], expected[i])
        assert without_times(results[i].history) == without_times(expected[i].history)


def test_fits_that_are_stopped_when_they_are_done_are_not_trained_again(tmp_path, monkeypatch):
    """Members end at different epochs: what is left in the stack is not what a checkpoint begins with."""
    data = make_data()
    members = [Member(data, Step(0.02, 2), 0), Member(data, Step(0.02, 1), 0)]

    def stopped(epoch):
        if epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(stack(members, EEGNET), stopped, file(tmp_path, 1e9))
    monkeypatch.setattr(SGD, "step", None)
    results = train(stack(members, EEGNET), checkpoints=file(tmp_path, 1e9))
    assert [list(result.scores) for result in results] == [[2], [1]]


@pytest.fixture
def kept(tmp_path):
    file(tmp_path).save(
        {"a": {1: [torch.arange(3.0), torch.zeros(0)], "n": torch.tensor(2)}, "x": (0.1 + 0.2, None)}
    )
    return tmp_path / "checkpoint"


def test_a_checkpoint_comes_back(kept, tmp_path):
    state = file(tmp_path).load()
    assert state["x"] == (0.1 + 0.2, None)
    assert state["a"][1][0].tolist() == [0, 1, 2]
    assert state["a"]["n"].dtype == torch.int64


def test_none_is_none(tmp_path, capsys):
    assert file(tmp_path).load() is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("other", [{"cpu_capability": "AVX512"}, {"versions": {"torch": "2"}}])
def test_one_that_was_made_otherwise_is_left(other, kept, tmp_path, capsys):
    assert file(tmp_path, identity={**IDENTITY, **other}).load() is None
    assert "made by other versions" in capsys.readouterr().err


def test_one_of_the_form_before_is_left(tmp_path, capsys):
    """A line with the digest of the rest, one of JSON, safetensors: as it was written, for this identity."""
    identity = {"versions": {"torch": "1"}, "cpu_capability": "AVX2"}
    (tmp_path / "checkpoint").write_bytes(
        b"69a030e36ce47ff103b44275cac0abaf5262a7b9a1099271fe123334d306f981\n"
        b'{"identity": {"versions": {"torch": "1"}, "cpu_capability": "AVX2"}, "numbers": {"history": [], '
        b'"scored": [], "n_losses": 0, "seconds": 0.5}, "seconds": 0.00029387599988695}\n'
        b'\x80\x00\x00\x00\x00\x00\x00\x00{"module/w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"velocity/0":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}     \x00\x00\xc0?\x00\x00\x80>'
    )
    assert file(tmp_path, identity=identity).load() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "made by other versions, another kind of processor or other settings; the fit is begun again."
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "noise", "text"])
def test_a_damaged_one_is_left(damage, kept, tmp_path, capsys):
    content = bytearray(kept.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    changed = {"cut": content[:-5], "empty": b"", "noise": b"\xff\x00\n" * 9, "text": b"{}\n{}\n"}
    kept.write_bytes(changed.get(damage, content))
    assert file(tmp_path).load() is None
    assert capsys.readouterr().err.count("is damaged; the fit is begun again.") == 1


def test_seconds_are_those_of_all_attempts(kept, tmp_path):
    again = file(tmp_path)
    again._seconds_before = 1000.0
    again.save({})
    third = file(tmp_path)
    third.load()
    assert third.seconds >= 1000
