"""Sources of recordings, one module each; all yield annotated MNE Raws."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings.types import is_number, label_value

if TYPE_CHECKING:
    import mne

    from eeg_sgdr.settings import LabRecordings, Recordings

T = TypeVar("T")


@dataclass(frozen=True)
class Recording:
    """One run of one subject; a source without sessions labels them "0"."""

    subject: str
    session: str
    run: str
    #: EEG in volts, sensors named and placed as in the 10-05 system where known, other channels typed,
    #: cues as annotations whose descriptions the configuration's ``classes`` name; not necessarily in
    #: memory
    raw: "mne.io.BaseRaw"


class Run(NamedTuple):
    """Labels of a recording within its subject."""

    session: str
    run: str


class Source(ABC):
    """The recordings that a configuration names."""

    @classmethod
    def open(cls, settings: Any, data_dir: Path) -> "Source":
        """The source of a section ``recordings``."""
        return cls(settings, data_dir)  # type: ignore[call-arg]

    @abstractmethod
    def subjects(self) -> list[str]:
        """Labels of all subjects, without reading a recording."""

    @abstractmethod
    def files(self, subject: str) -> dict[str, Path]:
        """A subject's files, made or downloaded if missing, by path relative to the source's root (with "/").

        Raises UserError if a file is not available.
        """

    @abstractmethod
    def recordings(self, subject: str) -> Iterator[Recording]:
        """Yield a subject's recordings in order of session and run; UserError if a file cannot be read."""

    def runs(self, subject: str) -> list[Run] | None:
        """Session and run of a subject's recordings, in order; None where only its files tell."""
        return None

    def local_recordings(self, subject: str) -> list[Recording] | None:
        """A subject's recordings if nothing has to be written or downloaded, else None."""
        return None


def open_source(settings: "Recordings", data_dir: Path) -> Source:
    """Source of the section ``recordings``; ``data_dir`` is for downloads and simulated recordings."""
    # Imported where used: each source brings heavy libraries of its own.
    module, _, name = settings.reader.partition(":")
    source: type[Source] = getattr(import_module(module), name)
    return source.open(settings, data_dir)


def require_file(path: Path) -> None:
    """Refuse a folder, and a pipe or a device, which may take for ever to open."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise UserError(f"{path}: is {kind}, not a file; move it away, or put the recording there.")


def require_text(path: Path | str) -> None:
    """Refuse a path whose bytes are not UTF-8, as the files of results are, which name it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: its name is not in UTF-8; rename it.") from error


def natural_key(label: str) -> tuple[bool, int, str, str]:
    """Sort key of labels: numbers by value and first, so that run 10 follows run 9."""
    number = label.lstrip("0") if is_number(label) else ""  # digits may be more than int takes
    return not is_number(label), len(number), number, label


def choose_runs(
    runs: dict[tuple[str, str], T], settings: "LabRecordings | None", subject: str
) -> dict[tuple[str, str], T]:
    """A subject's recordings by session and run, in order; only the runs wanted, which must be there."""
    in_order = sorted(runs, key=lambda key: [*map(natural_key, key)])
    if settings is None:
        return {key: runs[key] for key in in_order}
    labels = sorted({run for _, run in runs}, key=natural_key)
    if settings.runs is not None:
        where = f"recordings.runs: subject {subject}, run"
        labels = [find_label(run, labels, where) for run in settings.runs]
    excluded = set(map(label_value, settings.exclude_runs))
    labels = [run for run in labels if label_value(run) not in excluded]
    if not labels:
        raise UserError(f"recordings.exclude_runs: subject {subject} has no other runs; exclude fewer.")
    return {key: runs[key] for key in in_order if key[1] in labels}


def find_label(wanted: str, labels: list[str], kind: str) -> str:
    """The label that matches: an equal one, or the only one of the same integer value ("1" for "01").

    Raises UserError, in whose sentence it is a ``kind``, if none or several match.
    """
    if wanted in labels:
        return wanted
    key = natural_key(wanted)[:3]
    same = [label for label in labels if is_number(wanted) and natural_key(label)[:3] == key]
    if len(same) == 1:
        return same[0]
    shown = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
    problem = f"means {' and '.join(same)}" if same else "is not there"
    name = repr(wanted if len(wanted) <= 100 else f"{wanted[:50]}...")
    raise UserError(f"{kind} {name} {problem}; there are {shown or 'none'}.")
