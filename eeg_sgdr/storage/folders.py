"""Paths in a results folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eeg_sgdr.errors import UserError
from eeg_sgdr.storage.files import EMPTY_S, check_path, clean, lock, remove


@contextmanager
def fit_lock(folder: "FitFolder", patience_s: float) -> Iterator[bool]:
    """Lock a fit for writing; yields False if another process still holds it after the patience."""
    with lock(folder.lock, patience_s) as acquired:
        if acquired:
            clean(folder.root)
        yield acquired
        if acquired and folder.fit.is_file():
            remove(folder.checkpoint)


def tidy(folder: "FitFolder") -> None:
    """Remove the leftovers of a crash after a fit's last file was written."""
    if folder.lock.exists():
        # A power failure leaves an empty file, which is known for a leftover when it stays so.
        with suppress(FileNotFoundError), fit_lock(folder, 0 if folder.lock.stat().st_size else 3 * EMPTY_S):
            pass


class Study:
    """Paths in the results folder of a study; UserError if there can be none of its name."""

    def __init__(self, root: Path) -> None:
        check_path(root)
        self.root = root
        self.config = root / "config.yaml"
        self.plan = root / "plan.yaml"
        self.environment = root / "environment.json"
        self.comparison = root / "comparison.csv"
        self.comparison_record = root / "comparison.json"
        self.figure4 = (root / "figure4.svg", root / "figure4.png")
        self.report = root / "report.html"
        self.power = root / "power.csv"
        self.power_figure = root / "power.svg"

    def subject(self, label: str) -> "SubjectFolder":
        """The folder of a subject; digits are padded to three."""
        return SubjectFolder(self.root / "subjects" / folder_name(label))

    def fold(self, label: str) -> "SubjectFolder":
        """The folder of a fold, across subjects; numbers are padded to two."""
        return SubjectFolder(self.root / "folds" / label.zfill(2))

    def subjects(self) -> list["SubjectFolder"]:
        """The folders of all subjects, or folds, that have trials."""
        parents = [_folder(self.root / name) for name in ("subjects", "folds")]
        tables = [path for parent in parents for path in parent.glob("*/trials.csv")]
        return [SubjectFolder(path.parent) for path in sorted(tables)]


class SubjectFolder:
    """Paths in the folder of one subject, or of one fold: across subjects, or within a subject."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trials = root / "trials.csv"
        self.data = root / "data.json"
        self.summary = root / "summary.npz"
        self.evaluation = root / "evaluation.csv"
        self.evaluation_record = root / "evaluation.json"
        self.report = root / "report.html"
        self.rates = root / "rates.csv"

    def baseline(self, name: str) -> "FitFolder":
        """The folder of a baseline; the first kind's is from before there were others."""
        return FitFolder(self.root / name if name == "baseline" else self.root / "baselines" / name)

    @property
    def rate_choice(self) -> "SubjectFolder":
        """The folder of the fits by which rates are chosen."""
        return SubjectFolder(self.root / "rate_choice")

    def fold(self, label: str) -> "SubjectFolder":
        """The folder of a fold within the subject; numbers are padded to two."""
        return SubjectFolder(self.root / "folds" / label.zfill(2))

    def folds(self) -> list["SubjectFolder"]:
        """The folders of the folds within the subject that have trials."""
        tables = _folder(self.root / "folds").glob("*/trials.csv")
        by_number = sorted(tables, key=lambda path: (len(path.parent.name), path))
        return [SubjectFolder(path.parent) for path in by_number]

    @property
    def subject(self) -> "SubjectFolder":
        """Of a fold within a subject, the subject's folder."""
        return SubjectFolder(self.root.parents[1])

    @property
    def study(self) -> Path:
        """The results folder."""
        within = self.root.parent.name == "folds" and self.subject.trials.exists()
        return self.root.parents[3 if within else 1]

    def fit(self, name: str) -> "FitFolder":
        """The folder of a fit."""
        return FitFolder(self.root / "fits" / name)

    def fits(self) -> list["FitFolder"]:
        """The folders of all fits that have ended."""
        return [FitFolder(path.parent) for path in sorted(_folder(self.root / "fits").glob("*/fit.json"))]


class FitFolder:
    """Paths in the folder of one fit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fit = root / "fit.json"
        self.history = root / "history.csv"
        self.predictions = root / "predictions.npz"
        self.averages = root / "averaged.json"
        self.averaged_predictions = root / "averaged.npz"
        self.checkpoint = root / "checkpoint"
        self.lock = root / ".fit.lock"

    def snapshot(self, epoch: int) -> Path:
        """Weights at an epoch."""
        return self.root / f"snapshot-{epoch:04d}.safetensors"

    def averaged(self, epoch: int) -> Path:
        """Averaged weights of the last cycles' snapshots at an epoch."""
        return self.root / f"averaged-{epoch:04d}.safetensors"


def _folder(path: Path) -> Path:
    """The path of a folder; UserError if something else is there."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is no folder; move it away and run again.")
    return path


def folder_name(label: str) -> str:
    """Name of a label's folder, digits padded to three; UserError if it is unsafe as a name."""
    name = label.zfill(3) if label.isdigit() else label
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", name):
        raise UserError(
            f"subject {label[:100]!r}: cannot be the name of a folder; rename it (letters, digits, - _ .)."
        )
    return name
