"""Source of recordings in files of any format that MNE reads."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

import mne

from eeg_sgdr.data.sources import Recording, Source, natural_key
from eeg_sgdr.data.sources.channels import apply_settings, refuse_truncated
from eeg_sgdr.errors import UserError, in_words
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
        labels = sorted({subject for subject, _, _ in self._matches()}, key=natural_key)
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
            yield Recording(subject, session, run, apply_settings(_read(path), self.settings, str(path)))

    def local_recordings(self, subject: str) -> list[Recording]:
        """See `Source.local_recordings`."""
        return list(self.recordings(subject))

    def _runs(self, subject: str) -> dict[tuple[str, str], Path]:
        """Path of each session and run of a subject, in order."""
        runs = {key[1:]: path for key, path in self._matches().items() if key[0] == subject}
        if not runs:
            raise UserError(
                f"{self.settings.pattern}: no file is of subject {subject}; leave the subject out."
            )
        return dict(sorted(runs.items(), key=lambda item: [natural_key(label) for label in item[0]]))

    def _matches(self) -> dict[tuple[str, str, str], Path]:
        """Path by subject, session and run of every file that matches the pattern."""
        paths = {}
        for path in glob.glob(self._glob):
            match = self._regex.fullmatch(path)
            if match is None:  # a field that the pattern holds twice differs
                continue
            labels = match.groupdict()
            if ".." in labels["subject"] or "\\" in labels["subject"]:
                raise UserError(
                    f"{path}: {labels['subject']!r} cannot be the label of a subject; rename the file, "
                    "or correct recordings.pattern."
                )
            paths[labels["subject"], labels.get("session", "0"), labels.get("run", "0")] = Path(path)
        return paths


def _read(path: Path) -> mne.io.BaseRaw:
    """Read one recording; UserError if it is damaged."""
    try:
        with refuse_truncated(path):
            return mne.io.read_raw(path, preload=False, verbose="warning")
    except UserError:
        raise
    except Exception as error:  # readers of a dozen formats may raise anything
        raise UserError(
            f"{path}: cannot be read ({in_words(error)}); replace the file, or correct recordings.pattern."
        ) from error


def _parts(path: Path) -> set[Path]:
    """All files of one recording."""
    if path.suffix.lower() in _SINGLE_FILE:
        return {path}
    parts = {path, *(Path(name) for name in _read(path).filenames if name)}
    if path.suffix.lower() == ".vhdr":
        header = path.read_text(encoding="utf-8", errors="replace")
        named = re.findall(r"(?m)^MarkerFile=(.+)$", header)
        # If that file does not exist, MNE takes the one named like the header.
        markers = [path.parent / name.strip() for name in named] + [path.with_suffix(".vmrk")]
        parts |= set([marker for marker in markers if marker.is_file()][:1])
    return parts
