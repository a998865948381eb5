"""A request to stop is answered where nothing is half done."""

import gc
import importlib
import signal
import threading
import time
import weakref

import pytest
from fits import DENSE, TRAINING, make_data, same, without_times

from eeg_sgdr.parallel import interrupts
from eeg_sgdr.parallel.interrupts import Interrupted, defer_interrupts, stop
from eeg_sgdr.schedules import WarmRestarts
from eeg_sgdr.training import engines, loop
from eeg_sgdr.training.checkpoints import CheckpointFile
from eeg_sgdr.training.optimizers import SGD


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(interrupts, "_state", interrupts._State())


def test_what_is_held_together_is_done_first():
    done = []

    def hold():
        with defer_interrupts():
            with defer_interrupts():
                stop(signal.SIGTERM, None)
                done.append("inside")
            done.append("outside")

    with pytest.raises(Interrupted):
        hold()
    assert done == ["inside", "outside"]


def test_an_error_goes_before_it():
    def fail():
        with defer_interrupts():
            stop()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_it_is_answered_at_once_and_a_second_does_not_disturb_the_first():
    with pytest.raises(Interrupted):
        stop()
    stop()


def test_within_an_import_it_waits_for_its_end_and_an_error_that_follows_is_no_other(tmp_path, monkeypatch):
    code = "import signal\nsignal.raise_signal(signal.SIGTERM)\nwhole = True"
    (tmp_path / "interrupted.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]

    def work():
        interrupted = importlib.import_module("interrupted")
        try:
            time.sleep(60)
        finally:
            assert interrupted.whole
            raise ImportError("no numpy")

    with pytest.raises(Interrupted) as caught, interrupts.raise_on_signals():
        work()
    assert isinstance(caught.value.__cause__, ImportError)
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before
    with defer_interrupts():
        pass  # nothing is left of it


@pytest.mark.parametrize("moment", ["update", "scoring"])
def test_a_fit_that_is_stopped_keeps_its_checkpoint_and_loses_nothing(moment, tmp_path, monkeypatch):
    owner, name = (SGD, "step") if moment == "update" else (engines, "score")
    original = getattr(owner, name)
    calls, at = [], 2

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            stop()
        return original(*arguments)

    def train():
        checkpoints = CheckpointFile(tmp_path / "checkpoint", {}, 1e9)
        return loop.fit(make_data(), DENSE, TRAINING, WarmRestarts(0.05, 3), 1, checkpoints=checkpoints)

    expected = train()
    (tmp_path / "checkpoint").unlink()
    monkeypatch.setattr(owner, name, stopped)
    with pytest.raises(Interrupted):
        train()
    monkeypatch.setattr(interrupts, "_state", interrupts._State())
    calls, at = [], 0
    result = train()
    assert same(result, expected)
    assert without_times(result.history) == without_times(expected.history)
    assert len(calls) == (18 - 2 if moment == "update" else 1)


class _Finalised:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def _call_back():
    weakref.finalize(threading.Event(), signal.raise_signal, signal.SIGTERM)


@pytest.mark.parametrize("work", [_Finalised, _call_back])
def test_a_signal_where_python_ignores_exceptions_is_answered_after_it(work, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)

    def wait():
        work()
        time.sleep(60)

    with pytest.raises(Interrupted), interrupts.raise_on_signals():
        wait()
    assert not unraisable


def test_a_signal_in_the_with_statement_as_its_block_ends_is_told_once(monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]

    def work():
        block = interrupts.raise_on_signals()
        block.__enter__()
        stop()  # before __exit__ has resumed the block's generator, which is then closed

    with pytest.raises(Interrupted):
        work()
    gc.collect()
    assert not unraisable
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before
