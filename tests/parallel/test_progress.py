"""Steps are counted by any process, and read well on a terminal and in a file."""

import io
import re
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from eeg_sgdr.parallel.progress import Progress, in_columns, tell, tick


def test_lines_where_there_is_no_terminal(capfd):
    with Progress(20, "subject 1") as steps, ProcessPoolExecutor(2) as pool:
        list(pool.map(tick, [steps] * 20))
        tell(steps, "subject 1, restarts-b31: 12 of 31 epochs")
    shown = capfd.readouterr().err
    assert shown.endswith(" left\n")
    assert "subject 1: 20 of 20 epochs, 00:0" in shown
    assert "\r" not in shown
    assert "restarts" not in shown


@pytest.mark.parametrize(("least", "n_lines"), [(0, 4), (60, 1)])
def test_what_is_done_soon_takes_one_line(monkeypatch, least, n_lines):
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr("eeg_sgdr.parallel.progress.LOOK_S", 0.02)
    monkeypatch.setattr("eeg_sgdr.parallel.progress.LEAST_LINE_S", least)
    with Progress(4, "subject 1, preparing recordings", unit="step") as steps:
        for done in range(1, 5):
            tick(steps)
            while not least and f"{done} of 4" not in shown.getvalue():
                time.sleep(0.01)
    assert len(shown.getvalue().splitlines()) == n_lines
    assert "subject 1, preparing recordings: 4 of 4 steps" in shown.getvalue()


def test_a_bar_on_a_terminal_moves_and_says_what_workers_do(monkeypatch, capfd):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("eeg_sgdr.parallel.progress.LOOK_S", 0.02)
    shown = ""
    with Progress(3, "subject 1") as steps:
        tell(steps, "subject 1, step-b3: starting")
        while "step-b3: starting" not in shown or len(re.findall(r"subject 1:   0%", shown)) < 3:
            shown += capfd.readouterr().err  # no step is done, but the time goes on
        for _ in range(3):
            tick(steps)
        tell(steps, "short")
        while "short" not in shown:
            shown += capfd.readouterr().err
        tell(steps, "")
    assert "short: starting" not in shown
    assert "subject 1: 100%" in shown + capfd.readouterr().err


def test_what_cannot_be_written_is_not_said(tmp_path):
    tell(tmp_path / "nowhere", "text")
    tick(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("n", "width", "n_lines", "left_out"),
    [(0, 80, 0, 0), (2, 80, 1, 0), (4, 40, 4, 0), (32, 80, 12, 10), (32, 160, 8, 0), (2, 10, 2, 0)],
)
def test_workers_fill_at_most_half_of_a_terminal(n, width, n_lines, left_out):
    texts = [f"{i:02d} restarts-b31-r0.025: 12 of 31" for i in range(n)]
    lines = in_columns(texts, width, height=24)
    assert len(lines) == n_lines <= 12
    shown = re.findall(r"\d\d restarts-b31-r0\.025: 12 of 31", "\n".join(lines))
    assert shown == texts[: n - left_out]
    assert (f"and {left_out} more" in lines) == bool(left_out)
    assert all(len(line) <= max(width, 33) for line in lines)
