"""Progress bars with the time left, fed by several processes through files."""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from eeg_sgdr.storage.files import temporary_folder

#: Most seconds between two lines while steps are being done.
LINE_S = 600


def tick(folder: Path, n: int = 1) -> None:
    """Count ``n`` steps, from any process; errors of the file system are ignored."""
    # A file a process: on a network file system, appends of several processes overwrite each other.
    with suppress(OSError), (folder / f"{gethostname()}-{os.getpid()}").open("ab") as file:
        file.write(b"." * n)


def say(text: str, file: TextIO) -> None:
    """Print a line above the progress bars."""
    tqdm.write(text, file=file)


class Progress:
    """Progress bar on a terminal, lines elsewhere.

    Steps are bytes in files (`tick`), because every kind of worker can append to a file. The files are in
    ``shared``, a folder that all workers see; by default in a temporary folder of this machine.
    """

    def __init__(self, total: int, title: str, unit: str = "epoch", shared: Path | None = None) -> None:
        self.total = total
        self.title = title
        self.unit = unit
        self._folder = temporary_folder(shared)

    def __enter__(self) -> Path:
        """Start the display; returns the folder for `tick`."""
        self._path = self._folder.__enter__()
        self._stop = threading.Event()
        show = self._show_bar if sys.stderr and sys.stderr.isatty() else self._show_lines
        self._thread = threading.Thread(target=show, daemon=True)
        self._thread.start()
        return self._path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the final count and stop."""
        self._stop.set()
        self._thread.join()
        self._folder.__exit__(kind, error, trace)

    def _done(self) -> int:
        return sum(path.stat().st_size for path in self._path.iterdir())

    def _show_bar(self) -> None:
        with tqdm(
            total=self.total, desc=self.title, unit=self.unit, file=sys.stderr, disable=not self.total
        ) as bar:
            while not self._stop.wait(0.2):
                bar.update(self._done() - bar.n)
            bar.update(self._done() - bar.n)

    def _show_lines(self) -> None:
        """Print a line at every tenth of the total and every ten minutes, at most two a second."""
        began = shown_at = time.monotonic()
        shown = 0
        while True:
            stopped = self._stop.wait(0.5)
            done, now = self._done(), time.monotonic()
            due = done - shown >= self.total / 10 or now - shown_at >= LINE_S
            if done > shown and (due or stopped):
                passed = tqdm.format_interval(now - began)
                left = tqdm.format_interval((now - began) / done * max(0, self.total - done))
                print(
                    f"{self.title}: {done} of {self.total} {self.unit}s, {passed} passed, {left} left",
                    file=sys.stderr,
                    flush=True,
                )
                shown, shown_at = done, now
            if stopped:
                return
