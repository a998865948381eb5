"""Source of recordings in a BIDS dataset, by mne-bids."""

import csv
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mne
from mne_bids import BIDSPath, get_bids_path_from_fname, read_raw_bids

from eeg_sgdr.data.sources import Recording, Run, Source, choose_runs, require_file, require_text
from eeg_sgdr.data.sources.channels import apply_settings, montage_1005
from eeg_sgdr.data.sources.reading import read
from eeg_sgdr.errors import UserError, in_words
from eeg_sgdr.settings import BidsRecordings, LabRecordings

#: Files that hold EEG (or its header), as BIDS allows them.
EXTENSIONS = {".vhdr", ".edf", ".bdf", ".set"}

#: Names of the files that determine a recording: the EEG with its companions, and its sidecars.
_DETERMINING = re.compile(r"(.*_)?(eeg|events|channels|electrodes|coordsystem)\.\w+")


class Bids(Source):
    """A BIDS EEG dataset; ``settings`` override its metadata.

    Annotations come from events.tsv (the column trial_type), positions from electrodes.tsv, channel types
    and bad channels from channels.tsv. Where one trial_type has several values, mne-bids calls them
    "trial_type/value". Without electrodes.tsv, sensors named as in the 10-05 system get that system's
    positions.
    """

    @classmethod
    def open(cls, settings: BidsRecordings, data_dir: Path) -> "Bids":
        """See `Source.open`."""
        return cls(Path(settings.root), settings.task, settings)

    def __init__(self, root: Path, task: str, settings: LabRecordings | None = None) -> None:
        if not os.path.isdir(root):  # False, too, for a path that cannot be
            raise UserError(f"recordings.root: there is no folder {root}; name that of a BIDS dataset.")
        self.root = root
        self.task = task
        self.settings = settings

    def subjects(self) -> list[str]:
        """Labels in participants.tsv, or of the folders."""
        table = self.root / "participants.tsv"
        if table.is_file():
            try:
                with table.open(encoding="utf-8-sig", newline="") as file:
                    names = [row.get("participant_id") or "" for row in csv.DictReader(file, delimiter="\t")]
            except (OSError, ValueError, csv.Error) as error:
                raise UserError(
                    f"{table}: cannot be read ({in_words(error)}); correct it, a table in UTF-8."
                ) from error
        else:
            names = sorted(path.name for path in self.root.glob("sub-*") if path.is_dir())
        labels = [name.removeprefix("sub-") for name in names if name.startswith("sub-")]
        if not labels:
            raise UserError(
                f"{self.root}: no participants, neither in participants.tsv nor as folders sub-*; "
                "name the folder of a BIDS dataset as recordings.root."
            )
        return labels

    def files(self, subject: str) -> dict[str, Path]:
        """See `Source.files`; including sidecars inherited from the root."""
        self._runs(subject)
        candidates = [*self.root.iterdir(), *self._folder(subject).rglob("*")]
        for path in candidates:
            require_text(path)
            if not path.is_dir() or self._determines(path.name):
                require_file(path)
        paths = sorted(path for path in candidates if self._determines(path.name))
        for path in paths:
            if not path.is_file():
                raise UserError(f"{path}: a link without its target; fetch the dataset's files first.")
        return {path.relative_to(self.root).as_posix(): path for path in paths}

    def recordings(self, subject: str) -> Iterator[Recording]:
        """See `Source.recordings`; the Raws are not loaded into memory."""
        self.files(subject)  # refuses what MNE-BIDS must not open
        for (session, run), path in self._runs(subject).items():
            yield Recording(subject, session, run, self._read(path))

    def runs(self, subject: str) -> list[Run]:
        """See `Source.runs`."""
        return [Run(*labels) for labels in self._runs(subject)]

    def local_recordings(self, subject: str) -> list[Recording]:
        """See `Source.local_recordings`."""
        return list(self.recordings(subject))

    def _folder(self, subject: str) -> Path:
        folder = self.root / f"sub-{subject}"
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: subject {subject} has no folder; fetch it, or leave the subject out.")
        return folder

    def _determines(self, name: str) -> bool:
        task = re.search(r"(?:^|_)task-([^_]+)_", name)
        return bool(_DETERMINING.fullmatch(name)) and (task is None or task[1] == self.task)

    def _runs(self, subject: str) -> dict[tuple[str, str], BIDSPath]:
        """Path of each session and run, in order."""
        runs: dict[tuple[str, str], BIDSPath] = {}
        for file in sorted(self._folder(subject).rglob("eeg/*_eeg.*")):
            if file.suffix.lower() not in EXTENSIONS or f"_task-{self.task}_" not in file.name:
                continue
            path = get_bids_path_from_fname(file, verbose="error")
            key = (path.session or "0", path.run or "0")
            if key in runs:
                raise UserError(
                    f"{file}: session {key[0]}, run {key[1]} is also {runs[key].fpath.name}; "
                    "keep one of them in the dataset."
                )
            runs[key] = path.update(root=self.root)
        if not runs:
            raise UserError(
                f"{self.root}: subject {subject} has no EEG of task {self.task!r}; "
                "correct recordings.task, or leave the subject out."
            )
        return choose_runs(runs, self.settings, subject)

    def _read(self, path: BIDSPath) -> mne.io.BaseRaw:
        """Read one recording; UserError if it is damaged."""
        by_table = self.settings is None or self.settings.events == "annotations"
        # mne-bids only warns, and then takes the markers of the EEG file itself.
        table = path.find_matching_sidecar(suffix="events", extension=".tsv", on_error="ignore")
        if by_table and table is None:
            raise UserError(f"{path.fpath}: there is no events.tsv beside it; add one, it tells the trials.")
        raw = read(
            path.fpath,
            partial(read_raw_bids, path, extra_params={"preload": False}, verbose="warning"),
            "fetch it again, or check the dataset with the BIDS validator",
            self.settings.cues if self.settings and by_table else None,
        )
        if self.settings is not None:
            raw = apply_settings(raw, self.settings, str(path.fpath))
        if raw.get_montage() is None:
            raw.set_montage(montage_1005(), match_case=False, on_missing="ignore", verbose="error")
        return raw
