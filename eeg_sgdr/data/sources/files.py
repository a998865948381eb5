"""Source of recordings in files of any format that MNE reads."""

import glob
import os
import re
from collections.abc import Collection, Iterator
from functools import cached_property, partial
from pathlib import Path

import mne

from eeg_sgdr.data.sources import Recording, Run, Source, choose_runs, natural_key, require_file, require_text
from eeg_sgdr.data.sources.channels import apply_settings
from eeg_sgdr.data.sources.reading import FOLDERS, read
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import FilesRecordings

_FIELD = re.compile(r"[{](subject|session|run)[}]")

#: Formats of a single file; for others, ``raw.filenames`` lists the files.
_SINGLE_FILE = {".edf", ".bdf", ".gdf"}


class Files(Source):
    """Files that match a pattern, whose fields match as few characters as possible and no separators."""

    @classmethod
    def open(cls, settings: FilesRecordings, data_dir: Path) -> "Files":
        """See `Source.open`."""
        return cls(settings)

    def __init__(self, settings: FilesRecordings) -> None:
        self.settings = settings
        parts = _FIELD.split(settings.pattern)
        self.root = Path(os.path.dirname(parts[0]))
        self._glob = "".join("*" if number % 2 else glob.escape(part) for number, part in enumerate(parts))
        regex = ""
        for number, part in enumerate(parts):
            field = f"(?P={part})" if f"(?P<{part}>" in regex else f"(?P<{part}>[^/]+?)"
            regex += field if number % 2 else re.escape(part)
        self._regex = re.compile(regex)

    def subjects(self) -> list[str]:
        """Labels in the paths."""
        labels = sorted({subject for subject, _, _ in self._matches}, key=natural_key)
        if not labels:
            raise UserError(
                f"recordings.pattern: no file is called like {self.settings.pattern}; correct the pattern."
            )
        return labels

    def files(self, subject: str) -> dict[str, Path]:
        """See `Source.files`; with the files of samples and markers that a header names."""
        paths = {part for path in self._runs(subject).values() for part in _parts(path)}
        return {Path(os.path.relpath(path, self.root)).as_posix(): path for path in sorted(paths)}

    def recordings(self, subject: str) -> Iterator[Recording]:
        """See `Source.recordings`; the Raws are not loaded into memory."""
        for (session, run), path in self._runs(subject).items():
            yield Recording(subject, session, run, apply_settings(self._read(path), self.settings, str(path)))

    def runs(self, subject: str) -> list[Run]:
        """See `Source.runs`."""
        return [Run(*labels) for labels in self._runs(subject)]

    def local_recordings(self, subject: str) -> list[Recording]:
        """See `Source.local_recordings`."""
        return list(self.recordings(subject))

    def _runs(self, subject: str) -> dict[tuple[str, str], Path]:
        """Path of each session and run of a subject, in order."""
        runs = {key[1:]: path for key, path in self._matches.items() if key[0] == subject}
        if not runs:
            raise UserError(
                f"{self.settings.pattern}: no file is of subject {subject}; leave the subject out."
            )
        return choose_runs(runs, self.settings, subject)

    def _read(self, path: Path) -> mne.io.BaseRaw:
        """Read one recording; UserError if it is damaged, or a cue lies after its end."""
        cues = self.settings.cues if self.settings.events == "annotations" else None
        return _read(path, cues)

    @cached_property
    def _matches(self) -> dict[tuple[str, str, str], Path]:
        """Path by subject, session and run of every file that matches the pattern."""
        paths = {}
        for path in glob.glob(self._glob) if "\0" not in self._glob else ():
            match = self._regex.fullmatch(path)
            if match is None:  # a field that the pattern holds twice differs
                continue
            labels = match.groupdict()
            if ".." in labels["subject"] or "\\" in labels["subject"]:
                raise UserError(
                    f"{path}: {labels['subject']!r} cannot be the label of a subject; rename the file, "
                    "or correct recordings.pattern."
                )
            require_text(path)
            paths[labels["subject"], labels.get("session", "0"), labels.get("run", "0")] = Path(path)
        return paths


def _read(path: Path, cues: Collection[str] | None = None) -> mne.io.BaseRaw:
    """Read one file, by `reading.read`."""
    for part in (*_brainvision(path, "Data"), *_brainvision(path, "Marker")):
        require_file(part)
    reader = partial(mne.io.read_raw, path, preload=False, verbose="warning")
    return read(path, reader, "replace the file, or correct recordings.pattern", cues)


def _parts(path: Path) -> set[Path]:
    """All files of one recording."""
    if path.is_dir() and path.suffix.lower() in FOLDERS:
        return {part for part in path.rglob("*") if not part.is_dir()}
    if path.suffix.lower() in _SINGLE_FILE:
        return {path}
    named = (Path(name) for name in _read(path).filenames if name)
    return {path, *named, *_brainvision(path, "Marker")}


def _brainvision(path: Path, kind: str) -> list[Path]:
    """The file of samples ("Data") or markers ("Marker") of a BrainVision header; empty if there is none."""
    if path.suffix.lower() != ".vhdr" or not path.is_file():
        return []
    header = path.read_text(encoding="utf-8", errors="replace")
    names = re.findall(rf"(?m)^{kind}File=(.+)$", header)
    files = [path.parent / name.strip() for name in names]
    if kind == "Marker":  # if that file does not exist, MNE takes the one named like the header
        files.append(path.with_suffix(".vmrk"))
    return [file for file in files if file.exists()][:1]
