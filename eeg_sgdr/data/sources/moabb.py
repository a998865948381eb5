"""Source of MOABB's datasets, by the names of their classes.

Samples and cues are those of ``dataset.get_data``: a cue is where MOABB's interval of the dataset begins,
and MOABB's bad annotations are kept. (braindecode's ``MOABBDataset`` makes annotations anew from events: it
loses the bad ones, and in a dataset without stimulus channel it adds the interval's begin to the cues a
second time.)
"""

import difflib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mne

from eeg_sgdr.data.sources import Recording, Source
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import MoabbRecordings

#: A proxy without a listener, so that downloads fail at once.
_NO_PROXY_SERVER = "http://127.0.0.1:9"


class Moabb(Source):
    """A dataset of MOABB, which finds its files or downloads them.

    They are in ``data_dir`` unless ``MNE_DATA`` or the dataset's own ``MNE_DATASETS_..._PATH`` is set, in
    the environment or in MNE's configuration.
    """

    def __init__(self, settings: MoabbRecordings, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.dataset = _dataset(settings.dataset, settings.arguments)

    def subjects(self) -> list[str]:
        """Labels "1", "2", ... as in MOABB."""
        return [str(subject) for subject in self.dataset.subject_list]

    def files(self, subject: str) -> dict[str, Path]:
        """Files that MOABB lists for the subject, downloaded if missing."""
        if mne.get_config("MNE_DATA") is None:
            self.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            paths = self._paths(subject)
        except Exception as error:  # network libraries and readers raise dozens of kinds
            problem = " ".join(str(error).split())
            raise UserError(
                f"{type(self.dataset).__name__}: subject {subject} is not under "
                f"{mne.get_config('MNE_DATA') or self.data_dir} and cannot be downloaded "
                f"({type(error).__name__}: {problem}); set MNE_DATA to the folder that has it, or get online."
            ) from error
        return {_name(path): path for path in paths}

    def recordings(self, subject: str) -> Iterator[Recording]:
        """See `Source.recordings`; MOABB loads all recordings of a subject into memory."""
        number = self._number(subject)
        try:
            with self._quiet_upstream():
                sessions = self.dataset.get_data([number])[number]
        except Exception as error:
            problem = " ".join(str(error).split())
            raise UserError(
                f"{type(self.dataset).__name__}: subject {subject} cannot be read by MOABB "
                f"({type(error).__name__}: {problem}); delete its files, so that they are downloaded again."
            ) from error
        for session, runs in sessions.items():
            for run, raw in runs.items():
                if raw.get_montage() is None:
                    raw.set_montage(montage_1005(), match_case=False, on_missing="ignore", verbose="error")
                yield Recording(subject, str(session), str(run), raw)

    def local_recordings(self, subject: str) -> list[Recording] | None:
        """See `Source.local_recordings`; MOABB may leave the empty folder of a missing file."""
        try:
            self._paths(subject, https_proxy=_NO_PROXY_SERVER, http_proxy=_NO_PROXY_SERVER, no_proxy="")
        except Exception:  # of any kind: the files are not here
            return None
        return list(self.recordings(subject))

    def _number(self, subject: str) -> Any:
        """The subject as MOABB numbers it."""
        return dict(zip(self.subjects(), self.dataset.subject_list, strict=True))[subject]

    def _paths(self, subject: str, **environment: str) -> list[Path]:
        """All files of a subject, in order."""
        with self._quiet_upstream(**environment):
            listed = self.dataset.data_path(self._number(subject), update_path=False)
        tops = [Path(path) for path in ([listed] if isinstance(listed, str | Path) else listed)]
        files = {file for top in tops for file in ([top] if top.is_file() else top.rglob("*"))}
        return sorted(file for file in files if file.is_file())

    @contextmanager
    def _quiet_upstream(self, **environment: str) -> Iterator[None]:
        """Have MOABB use no mirror, log nothing, and download to where it looks for files."""
        # MOABB would ask a mirror first, whose files have other paths.
        environment["MOABB_DOWNLOAD_PROVIDER"] = "upstream"
        if mne.get_config("MNE_DATA") is None:
            environment["MNE_DATA"] = str(self.data_dir)
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)  # MOABB sets MNE's own level back in places
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(level)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _dataset(name: str, arguments: dict[str, Any]) -> Any:
    """An instance of MOABB's dataset class."""
    try:
        from moabb.datasets.utils import dataset_list
    except ImportError as error:
        raise UserError(
            f"recordings.source: moabb cannot be imported ({error}); install it by "
            "pip install 'eeg_sgdr[moabb]'."
        ) from error
    classes = {dataset.__name__: dataset for dataset in dataset_list}
    if name not in classes:
        near = difflib.get_close_matches(name, classes, cutoff=0.5)
        hint = f"; the nearest are {', '.join(near)}" if near else ""
        raise UserError(f"recordings.dataset: MOABB has no {name}{hint}.")
    try:
        return classes[name](**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"recordings.arguments: {name} refuses them ({error}); correct them.") from error


def _name(path: Path) -> str:
    """Path from the dataset's folder on, which MOABB calls MNE-...-data."""
    folders = [n for n, part in enumerate(path.parts) if re.fullmatch(r"MNE-.+-data", part)]
    return "/".join(path.parts[folders[-1] if folders else -2 :])
