"""Steps are counted by any process, and read well in a file."""

from concurrent.futures import ProcessPoolExecutor

from eeg_sgdr.parallel.progress import Progress, tick


def test_lines_where_there_is_no_terminal(capfd):
    with Progress(20, "subject 1") as steps, ProcessPoolExecutor(2) as pool:
        list(pool.map(tick, [steps] * 20))
    shown = capfd.readouterr().err
    assert shown.endswith(" left\n")
    assert "subject 1: 20 of 20 epochs, 00:0" in shown
    assert "\r" not in shown


def test_a_bar_on_a_terminal(monkeypatch, capfd):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(3, "subject 1") as steps:
        for _ in range(3):
            tick(steps)
    assert "subject 1: 100%" in capfd.readouterr().err
