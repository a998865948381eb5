"""Source of simulated recordings, kept as a BIDS dataset."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import mne
import mne_bids

from eeg_sgdr.data.sources import Recording, Run, Source
from eeg_sgdr.data.sources.bids import Bids
from eeg_sgdr.data.sources.simulator import LINE_HZ, REVISION, runs
from eeg_sgdr.errors import UserError, disk_errors
from eeg_sgdr.settings import SimulatedRecordings
from eeg_sgdr.storage.files import lock

TASK = "motor"

_README = """\
Simulated EEG
=============

These recordings are simulated by the program eeg_sgdr; nobody was measured. {n_subjects} people, {n_runs}
runs of {n_trials} trials each, {sfreq:g} Hz, seed {seed}. A person's folder is written when it is first
asked for, and may be deleted: the same settings write the same bytes again.
"""


class Simulated(Source):
    """Simulated motor EEG, written as a BIDS dataset under ``data_dir/simulated`` and read like any other."""

    def __init__(self, settings: SimulatedRecordings, data_dir: Path) -> None:
        # EDF holds whole seconds, and the line noise has to be below half the rate.
        if not settings.sfreq.is_integer() or settings.sfreq <= 2 * LINE_HZ:
            raise UserError(
                f"recordings.sfreq: {settings.sfreq:g} Hz cannot be simulated; "
                f"give a whole number above {2 * LINE_HZ:g}."
            )
        self.settings = settings
        size = f"{settings.n_subjects}x{settings.n_runs}x{settings.n_trials}"
        name = f"{size}-{settings.sfreq:g}hz-seed{settings.seed}-revision{REVISION}"
        self.root = data_dir / "simulated" / name

    def subjects(self) -> list[str]:
        """Labels of all subjects, without simulating."""
        return [f"{number:02d}" for number in range(1, self.settings.n_subjects + 1)]

    def files(self, subject: str) -> dict[str, Path]:
        """See `Source.files`; a missing subject is simulated."""
        return self._dataset(subject).files(subject)

    def recordings(self, subject: str) -> Iterator[Recording]:
        """See `Source.recordings`; a missing subject is simulated."""
        yield from self._dataset(subject).recordings(subject)

    def runs(self, subject: str) -> list[Run]:
        """See `Source.runs`; nothing is simulated."""
        return [Run("0", _run_label(number)) for number in range(1, self.settings.n_runs + 1)]

    def local_recordings(self, subject: str) -> list[Recording]:
        """See `Source.local_recordings`; a missing subject is simulated in memory."""
        if (self.root / f"sub-{subject}").is_dir():
            return Bids(self.root, TASK).local_recordings(subject)
        return [Recording(subject, "0", run, raw) for run, raw in self._runs(subject)]

    def _dataset(self, subject: str) -> Bids:
        """The dataset, with the subject in it."""
        if subject not in self.subjects():
            raise UserError(
                f"subject {subject!r} is not simulated; raise recordings.n_subjects (at most 14)."
            )
        with disk_errors(self.root):
            self._complete(subject)
        return Bids(self.root, TASK)

    def _complete(self, subject: str) -> None:
        """Simulate what is missing of the dataset and of the subject."""
        # Locks and incomplete files are beside the dataset, which holds nothing but BIDS.
        partial = self.root.with_name(f".{self.root.name}")
        partial.mkdir(parents=True, exist_ok=True)
        if not self.root.is_dir():
            with lock(partial / "dataset.lock"):
                if not self.root.is_dir():
                    _make_empty(partial / "dataset")
                    self._write_dataset(partial / "dataset")
                    (partial / "dataset").rename(self.root)
        folder = f"sub-{subject}"
        if not (self.root / folder).is_dir():
            with lock(partial / f"{folder}.lock"):
                if not (self.root / folder).is_dir():
                    _make_empty(partial / folder)
                    self._write_subject(subject, partial / folder)
                    (partial / folder / folder).rename(self.root / folder)
                    shutil.rmtree(partial / folder)

    def _write_dataset(self, root: Path) -> None:
        """Write README, participants.tsv and dataset_description.json."""
        (root / "README").write_text(_README.format(**self.settings.model_dump()), encoding="utf-8")
        names = [f"sub-{subject}" for subject in self.subjects()]
        (root / "participants.tsv").write_text("\n".join(["participant_id", *names, ""]), encoding="utf-8")
        mne_bids.make_dataset_description(
            path=root,
            name="Simulated motor EEG",
            dataset_type="raw",
            authors=["eeg_sgdr"],
            generated_by=[{"Name": "eeg_sgdr", "Description": "simulated, not measured"}],
            verbose="error",
        )

    def _write_subject(self, subject: str, root: Path) -> None:
        """Write a subject's runs, one at a time, as a dataset of its own."""
        for run, raw in self._runs(subject):
            path = mne_bids.BIDSPath(subject=subject, task=TASK, run=run, datatype="eeg", root=root)
            mne_bids.write_raw_bids(
                raw, path, format="EDF", allow_preload=True, readme=False, verbose="error"
            )

    def _runs(self, subject: str) -> Iterator[tuple[str, mne.io.RawArray]]:
        """Labels and Raws of a subject's runs, simulated one at a time."""
        config = self.settings
        simulated = runs(int(subject), config.seed, config.n_runs, config.n_trials, config.sfreq)
        for number, raw in enumerate(simulated, start=1):
            yield _run_label(number), raw


def _run_label(number: int) -> str:
    return f"{number:02d}"


def _make_empty(folder: Path) -> None:
    """Make an empty folder; remains of a crash are removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
