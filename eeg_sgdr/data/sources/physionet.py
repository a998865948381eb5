"""The PhysioNet EEG Motor Movement/Imagery Database (EEGMMIDB), through MNE.

References
----------
.. [1] Schalk, G., et al. (2004). BCI2000: A general-purpose brain-computer interface (BCI) system.
       IEEE TBME 51(6), 1034-1043.
.. [2] Goldberger, A., et al. (2000). PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23).
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mne
from mne.datasets import eegbci

from eeg_sgdr.data.sources import Recording, Run, Source
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.data.sources.reading import read
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import PhysioNetRecordings

N_SUBJECTS = 109

RUNS = {
    ("left_right", "executed"): (3, 7, 11),
    ("left_right", "imagined"): (4, 8, 12),
    ("fists_feet", "executed"): (5, 9, 13),
    ("fists_feet", "imagined"): (6, 10, 14),
}

CUES = {
    "left_right": {"T0": "rest", "T1": "left_fist", "T2": "right_fist"},
    "fists_feet": {"T0": "rest", "T1": "both_fists", "T2": "both_feet"},
}


class PhysioNet(Source):
    """EEGMMIDB; MNE finds its files or downloads just the runs named.

    T1 and T2 mean different things in different runs: here they are left_fist, right_fist, both_fists and
    both_feet, and T0 is rest. Files are in ``data_dir`` unless ``MNE_DATASETS_EEGBCI_PATH`` or ``MNE_DATA``
    is set, in the environment or in MNE's configuration.
    """

    def __init__(self, settings: PhysioNetRecordings, data_dir: Path) -> None:
        self.run_numbers = run_numbers(settings)
        self.cues = settings.cues
        configured = mne.get_config("MNE_DATASETS_EEGBCI_PATH") or mne.get_config("MNE_DATA")
        self.path = Path(configured or data_dir).expanduser()

    def subjects(self) -> list[str]:
        """Labels "1" to "109"."""
        return [str(subject) for subject in range(1, N_SUBJECTS + 1)]

    def files(self, subject: str) -> dict[str, Path]:
        """One EDF file for each run, downloaded if missing."""
        paths = [self._path(subject, run) for run in self.run_numbers]
        return {f"{path.parent.name}/{path.name}": path for path in paths}

    def runs(self, subject: str) -> list[Run]:
        """See `Source.runs`."""
        return [Run("0", str(run)) for run in self.run_numbers]

    def recordings(self, subject: str) -> Iterator[Recording]:
        """See `Source.recordings`; in order of run numbers."""
        for run in self.run_numbers:
            path = self._path(subject, run)
            cues = CUES[task_name(run)]
            raw = read(
                path,
                partial(mne.io.read_raw_edf, path, preload=False, verbose="warning"),
                "delete it, so that it is downloaded again",
                {old for old, new in cues.items() if new in self.cues},
            )
            eegbci.standardize(raw)
            raw.set_montage(montage_1005(), verbose="error")
            raw.annotations.rename(
                {old: new for old, new in cues.items() if old in raw.annotations.description}
            )
            yield Recording(subject, "0", str(run), raw)

    def local_recordings(self, subject: str) -> list[Recording] | None:
        """See `Source.local_recordings`; None if one file is missing."""
        # MNE looks here before it downloads.
        path = "MNE-eegbci-data/files/eegmmidb/1.0.0/S{0:03d}/S{0:03d}R{1:02d}.edf"
        missing = [
            run for run in self.run_numbers if not (self.path / path.format(int(subject), run)).is_file()
        ]
        return None if missing else list(self.recordings(subject))

    def _path(self, subject: str, run: int) -> Path:
        try:
            (path,) = eegbci.load_data(
                int(subject), [run], path=str(self.path), update_path=False, verbose="error"
            )
        except Exception as error:  # network libraries raise a dozen kinds
            raise UserError(
                f"EEGMMIDB: subject {subject}, run {run} is not under {self.path} and cannot be downloaded "
                f"({type(error).__name__}); set MNE_DATA to the folder that has it, or get online."
            ) from error
        return Path(path)


def run_numbers(settings: PhysioNetRecordings) -> tuple[int, ...]:
    """Numbers of the runs that the settings name, ascending."""
    if settings.runs is not None:
        return tuple(sorted(settings.runs))
    executions = ("executed", "imagined") if settings.execution == "both" else (settings.execution,)
    return tuple(sorted(run for execution in executions for run in RUNS[str(settings.task), execution]))


def task_name(run: int) -> str:
    """Name of a run's task."""
    return next(task for (task, _), runs in RUNS.items() if run in runs)
