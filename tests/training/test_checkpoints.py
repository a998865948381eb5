"""A fit that is interrupted anywhere goes on to the same result in every bit."""

import numpy as np
import pytest
import torch
from fits import DENSE, TRAINING, WHOLE, make_data, same, without_times

from eeg_sgdr.schedules import Step, WarmRestarts
from eeg_sgdr.settings import NetworkSettings
from eeg_sgdr.training.checkpoints import Checkpoint, FileKeeper
from eeg_sgdr.training.engines import Member, fit_stack
from eeg_sgdr.training.loop import FitFailed, fit
from eeg_sgdr.training.optimizers import SGD

IDENTITY = {"versions": {"torch": "1"}, "cpu_capability": "AVX2"}
N_UPDATES = 6
EEGNET = NetworkSettings(name="EEGNet")


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


def keeper(tmp_path, interval_s=0.0, identity=IDENTITY):
    return FileKeeper(tmp_path / "checkpoint", identity, interval_s)


@pytest.mark.parametrize(
    ("network", "n_updates"), [(DENSE, 6), (WHOLE, 3), (EEGNET, 3)], ids=["dense", "whole", "EEGNet"]
)
@pytest.mark.parametrize(
    ("epoch", "update", "interval_s"),
    [(0, 1, 0.0), (0, 2, 0.0), (0, -1, 0.0), (1, 1, 1e9), (1, 1, 0.0), (2, 2, 0.0), (2, -1, 1e9)],
)
def test_a_fit_goes_on_bit_for_bit(network, n_updates, epoch, update, interval_s, tmp_path, crash_at):
    at = epoch * n_updates + (update if update > 0 else n_updates)
    data, schedule = make_data(), WarmRestarts(0.05, 3)
    training = TRAINING.model_copy(update={"momentum_form": "paper"})
    expected = fit(data, network, training, schedule, seed=1)
    crash_at(at)
    with pytest.raises(Crash):
        fit(data, network, training, schedule, 1, keeper=keeper(tmp_path, interval_s))
    updates = [0]
    crash_at(10**9)
    torch.manual_seed(at)
    torch.rand(7)
    again = keeper(tmp_path, interval_s)
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
        fit(data, DENSE, TRAINING, schedule, 1, keeper=keeper(tmp_path))
    steps = []
    monkeypatch.setattr(SGD, "step", lambda self, rate: steps.append(rate))
    fit(data, DENSE, TRAINING, schedule, 1, keeper=keeper(tmp_path))
    assert len(steps) == N_UPDATES + 1


def test_crash_after_crash(tmp_path, crash_at):
    data, schedule = make_data(), WarmRestarts(0.05, 3)
    expected = fit(data, DENSE, TRAINING, schedule, seed=1)
    while True:
        crash_at(3)
        try:
            result = fit(data, DENSE, TRAINING, schedule, 1, keeper=keeper(tmp_path))
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
        fit(data, DENSE, training, schedule, 1, keeper=keeper(tmp_path))
    result = fit(data, DENSE, training, schedule, 1, keeper=keeper(tmp_path))
    assert list(result.scores) == [1, 2, 3]
    for epoch, score in expected.scores.items():
        np.testing.assert_array_equal(result.scores[epoch].probabilities, score.probabilities)
    assert all(torch.equal(result.scores[3].state[name], x) for name, x in expected.scores[3].state.items())


@pytest.mark.parametrize("at", [1, 2, 3, 4, 6, 8])
def test_a_stack_goes_on_bit_for_bit(at, tmp_path, crash_at):
    """Members end at different epochs, and one fails."""
    first, second = make_data(), make_data(seed=1)
    members = [
        Member(first, WarmRestarts(0.05, 3), 0),
        Member(second, Step(0.05, 1), 0),
        Member(first, Step(1e30, 3), 1),
        Member(first, Step(0.02, 2), 5),
    ]
    expected = fit_stack(members, EEGNET, TRAINING)
    crash_at(at)
    with pytest.raises(Crash):
        fit_stack(members, EEGNET, TRAINING, keeper=keeper(tmp_path))
    crash_at(10**9)
    results = fit_stack(members, EEGNET, TRAINING, keeper=keeper(tmp_path))
    assert isinstance(results[2], FitFailed)
    assert str(results[2]) == str(expected[2])
    for i in (0, 1, 3):
        assert list(results[i].scores) == list(expected[i].scores)
        assert same(results[i], expected[i])
        assert without_times(results[i].history) == without_times(expected[i].history)


@pytest.fixture
def kept(tmp_path):
    tensors = {"a": torch.arange(3.0), "empty": torch.zeros(0), "n": torch.tensor(2)}
    keeper(tmp_path).save(Checkpoint(tensors, {"x": [0.1 + 0.2, None]}))
    return tmp_path / "checkpoint"


def test_a_checkpoint_comes_back(kept, tmp_path):
    checkpoint = keeper(tmp_path).load()
    assert checkpoint.numbers == {"x": [0.1 + 0.2, None]}
    assert checkpoint.tensors["a"].tolist() == [0, 1, 2]
    assert checkpoint.tensors["n"].dtype == torch.int64


def test_none_is_none(tmp_path, capsys):
    assert keeper(tmp_path).load() is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("other", [{"cpu_capability": "AVX512"}, {"versions": {"torch": "2"}}])
def test_one_that_was_made_otherwise_is_left(other, kept, tmp_path, capsys):
    assert keeper(tmp_path, identity={**IDENTITY, **other}).load() is None
    assert "made by other versions" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "noise", "text"])
def test_a_damaged_one_is_left(damage, kept, tmp_path, capsys):
    content = bytearray(kept.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    changed = {"cut": content[:-5], "empty": b"", "noise": b"\xff\x00\n" * 9, "text": b"{}\n{}\n"}
    kept.write_bytes(changed.get(damage, content))
    assert keeper(tmp_path).load() is None
    assert capsys.readouterr().err.count("is damaged; the fit is begun again.") == 1


def test_seconds_are_those_of_all_attempts(kept, tmp_path):
    again = keeper(tmp_path)
    again._seconds_before = 1000.0
    again.save(Checkpoint({}, {}))
    third = keeper(tmp_path)
    third.load()
    assert third.seconds >= 1000
