"""A progress bar with the time left, fed by several processes through a file."""

import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from types import TracebackType

from tqdm import tqdm

from eeg_sgdr.wholefiles import told


def tick(path: Path) -> None:
    """Count one step; any process may do so at any time. Nothing fails because it cannot be counted."""
    with suppress(OSError), path.open("ab") as file:
        file.write(b".")


class Progress:
    """Shows how many steps are done: as a bar on a terminal, as lines elsewhere.

    Steps are bytes in a file (`tick`), because every kind of worker can append to a file.

    Parameters
    ----------
    total : int
        Steps in all.
    what : str
        What is going on, and the unit.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total = total
        self.what = what

    def __enter__(self) -> Path:
        """Start showing; returns the file for `tick`."""
        with told(Path(gettempdir())):
            self._folder = TemporaryDirectory(prefix="eeg_sgdr-")
            self._path = Path(self._folder.name) / "steps"
            self._path.touch()
        self._stop = threading.Event()
        show = self._show_bar if sys.stderr.isatty() else self._show_lines
        self._thread = threading.Thread(target=show, daemon=True)
        self._thread.start()
        return self._path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last count and stop."""
        self._stop.set()
        self._thread.join()
        self._folder.cleanup()

    def _done(self) -> int:
        return self._path.stat().st_size

    def _show_bar(self) -> None:
        with tqdm(total=self.total, desc=self.what, unit="epoch", file=sys.stderr) as bar:
            while not self._stop.wait(0.2):
                bar.update(self._done() - bar.n)
            bar.update(self._done() - bar.n)

    def _show_lines(self) -> None:
        """A line at every tenth of the way, at most two a second."""
        started = time.monotonic()
        shown = 0
        while True:
            stopped = self._stop.wait(0.5)
            done = self._done()
            if done - shown >= self.total / 10 or (stopped and done > shown):
                passed = time.monotonic() - started
                left = passed / done * (self.total - done)
                print(
                    f"{self.what}: {done} of {self.total} epochs, {tqdm.format_interval(passed)} passed, "
                    f"{tqdm.format_interval(left)} left",
                    file=sys.stderr,
                    flush=True,
                )
                shown = done
            if stopped:
                return
