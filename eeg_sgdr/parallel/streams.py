"""Standard streams whose output may be lost, which ends nothing."""

import io
import os
import sys
from typing import TextIO


class _Lossy(io.FileIO):
    """A stream that says nothing of a reader that is gone, a full disk, or a terminal that was closed."""

    def write(self, data) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def guard() -> None:
    """Open closed standard streams as the null device, and lose output that cannot be written."""
    # Else the next file to be opened gets a standard stream's number, and what is written there.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 (open till the end)
    sys.stdout, sys.stderr = _output(1, sys.stdout), _output(2, sys.stderr)


def _output(number: int, before: TextIO | None) -> TextIO:
    """Python's own stream, but lossy, flushed at each line, and able to say every character."""
    file = io.BufferedWriter(_Lossy(number, "w", closefd=False))
    encoding = before.encoding if before else None
    return io.TextIOWrapper(file, encoding, errors="backslashreplace", line_buffering=True)
