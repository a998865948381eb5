"""Progress bars with the time left, and what each worker does, fed by several processes through files."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from eeg_sgdr.storage.files import temporary_folder

#: Of files that say what a process does, and their size.
NOW, MOST_BYTES = ".now", 120

#: Seconds between two looks.
LOOK_S = 0.5

#: Least and most seconds between two lines while steps are being done.
LEAST_LINE_S, LINE_S = 5, 600


def tick(folder: Path, n: int = 1) -> None:
    """Count ``n`` steps, from any process; errors of the file system are ignored."""
    # A file a process: on a network file system, appends of several processes overwrite each other.
    with suppress(OSError), (folder / _process()).open("ab") as file:
        file.write(b"." * n)


def tell(folder: Path, text: str) -> None:
    """Say what this process does now, nothing if empty; errors of the file system are ignored."""
    with suppress(OSError):
        # Written over, never emptied, so that it can be read at any time.
        number = os.open(folder / f"{_process()}{NOW}", os.O_WRONLY | os.O_CREAT, 0o666)
        with open(number, "wb", buffering=0) as file:
            file.write(text.encode(errors="replace").ljust(MOST_BYTES)[:MOST_BYTES])


def _process() -> str:
    return f"{gethostname()}-{os.getpid()}"


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
        return sum(path.stat().st_size for path in self._path.iterdir() if path.suffix != NOW)

    def _doing(self) -> list[str]:
        """What each process does that says so."""
        texts = []
        for path in sorted(self._path.glob(f"*{NOW}")):
            with suppress(OSError):
                texts.append(path.read_text(encoding="utf-8", errors="replace").rstrip())
        return [text for text in texts if text]

    def _show_bar(self) -> None:
        """Show the bar and below it, in columns, what the workers do."""
        rows: list[tqdm] = []
        with tqdm(
            total=self.total,
            desc=self.title,
            unit=self.unit,
            file=sys.stderr,
            disable=not self.total,
            dynamic_ncols=True,
        ) as bar:
            stopped = False
            while not stopped:
                stopped = self._stop.wait(LOOK_S)
                bar.update(self._done() - bar.n)
                bar.refresh()  # the time moves even where no step ends
                width, height = shutil.get_terminal_size()
                lines = [] if stopped else in_columns(self._doing(), width, height)
                while len(rows) < len(lines):
                    rows.append(tqdm(bar_format="{desc}", file=sys.stderr, leave=False, dynamic_ncols=True))
                for i, row in enumerate(rows):
                    # Over all that a bar which was closed may have left there.
                    row.set_description_str((lines[i] if i < len(lines) else "").ljust(width - 1))
            for row in reversed(rows):
                row.close()

    def _show_lines(self) -> None:
        """Print a line at every tenth of the total and every ten minutes, at most one in five seconds."""
        began = shown_at = time.monotonic()
        shown = 0
        while True:
            stopped = self._stop.wait(LOOK_S)
            done, now = self._done(), time.monotonic()
            since = now - shown_at
            due = (done - shown >= self.total / 10 and since >= LEAST_LINE_S) or since >= LINE_S
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


def in_columns(texts: Sequence[str], width: int, height: int) -> list[str]:
    """Lines of texts side by side, on at most half of a terminal; the last says how many are left out."""
    if not texts:
        return []
    widest = min(max(map(len, texts)), width - 1) + 2
    n_columns = max(1, (width + 1) // widest)
    most = max(1, height // 2)
    n_shown = len(texts) if len(texts) <= most * n_columns else (most - 1) * n_columns
    lines = [
        "".join(text.ljust(widest) for text in texts[i : min(i + n_columns, n_shown)]).rstrip()
        for i in range(0, n_shown, n_columns)
    ]
    left_out = len(texts) - n_shown
    return [*lines, f"and {left_out} more"] if left_out else lines
