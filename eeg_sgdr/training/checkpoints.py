"""Checkpoints of a running fit: one nested dictionary in one file."""

import hashlib
import sys
import time
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from eeg_sgdr.parallel.interrupts import defer_interrupts
from eeg_sgdr.storage import files


class Checkpoints:
    """Interface of checkpoints; this class keeps none."""

    def load(self) -> dict[str, Any] | None:
        """The state of the last checkpoint that can be resumed."""
        return None

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return False

    def save(self, state: dict[str, Any]) -> None:
        """Replace the last checkpoint."""


NO_CHECKPOINTS = Checkpoints()


class CheckpointFile(Checkpoints):
    """The last checkpoint, in a file: a line with the digest of the rest, then torch's format.

    It is resumed only if its ``identity``, plain data, equals that of the fit.
    """

    def __init__(self, path: Path, identity: dict[str, Any], interval_s: float) -> None:
        self.path = path
        self.identity = identity
        self.interval_s = interval_s
        self._started = self._saved = time.monotonic()
        self._seconds_before = 0.0

    @property
    def seconds(self) -> float:
        """Duration of the fit so far, including the time before the checkpoint that it resumed."""
        return self._seconds_before + time.monotonic() - self._started

    def load(self) -> dict[str, Any] | None:
        """See `Checkpoints.load`; one that is damaged or of another identity is reported and ignored."""
        if not self.path.is_file():
            return None
        digest, _, content = self.path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            self._report("is damaged")
            return None
        try:
            checkpoint = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        except UnpicklingError:  # undamaged, but in the format of another version
            checkpoint = {"identity": None}
        if checkpoint["identity"] != self.identity:
            self._report("was made by other versions, another kind of processor or other settings")
            return None
        self._seconds_before = checkpoint["seconds"]
        return checkpoint["state"]

    def due(self) -> bool:
        """See `Checkpoints.due`."""
        return time.monotonic() - self._saved >= self.interval_s

    def save(self, state: dict[str, Any]) -> None:
        """See `Checkpoints.save`. Raises `UserError` if it cannot be written."""
        buffer = BytesIO()
        torch.save({"identity": self.identity, "seconds": self.seconds, "state": state}, buffer)
        content = buffer.getvalue()
        with defer_interrupts():
            files.write_bytes(self.path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        self._saved = time.monotonic()

    def _report(self, why: str) -> None:
        print(f"{self.path}: {why}; the fit is begun again.", file=sys.stderr, flush=True)
