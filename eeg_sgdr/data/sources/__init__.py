"""Where recordings come from: one module per source, each yielding MNE Raws of the same shape."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eeg_sgdr.errors import UserError

if TYPE_CHECKING:
    import mne

    from eeg_sgdr.settings import Recordings


@dataclass(frozen=True)
class Recording:
    """One run of one subject.

    Attributes
    ----------
    subject, session, run : str
        Labels as the source gives them; a source without sessions says "0".
    raw : mne.io.BaseRaw
        EEG in volts with sensor names of the 10-05 system and their positions where known, other
        channels typed as what they are; cues are annotations whose descriptions the
        configuration's ``classes`` name. Not necessarily loaded into memory.
    """

    subject: str
    session: str
    run: str
    raw: "mne.io.BaseRaw"


class Source(ABC):
    """The recordings that a configuration names.

    Attributes
    ----------
    simulated : bool
        Whether everything made from them has to say that they are simulated.
    """

    simulated: bool = False

    @classmethod
    def open(cls, settings: Any, data_dir: Path) -> "Source":
        """The source that a section ``recordings`` is about."""
        return cls(settings, data_dir)  # type: ignore[call-arg]

    @abstractmethod
    def subjects(self) -> list[str]:
        """Labels of all subjects that the source has, without reading a recording."""

    @abstractmethod
    def files(self, subject: str) -> dict[str, Path]:
        """The files that a subject's recordings consist of, made or downloaded where necessary.

        Returns
        -------
        files : dict of str to Path
            Path relative to the source's root (with "/", the same on every machine) to path.

        Raises
        ------
        UserError
            If a file is missing and cannot be had.
        """

    @abstractmethod
    def recordings(self, subject: str) -> Iterator[Recording]:
        """Yield a subject's recordings, one run at a time, in order of session and run.

        Raises
        ------
        UserError
            If a file is missing or cannot be read.
        """

    def at_hand(self, subject: str) -> list[Recording] | None:
        """A subject's recordings, if they can be had with nothing written or downloaded, else None.

        Raises
        ------
        UserError
            If a file cannot be read.
        """
        return None


def open_source(settings: "Recordings", data_dir: Path) -> Source:
    """Open the source that the settings name.

    Parameters
    ----------
    settings : Recordings
        The section ``recordings`` of a configuration.
    data_dir : Path
        Where downloads and simulated recordings are kept.

    Returns
    -------
    source : Source
    """
    # Imported where used: each source brings heavy libraries of its own.
    module, _, name = settings.reader.partition(":")
    source: type[Source] = getattr(import_module(module), name)
    return source.open(settings, data_dir)


def natural(label: str) -> tuple[bool, int, str]:
    """A key to sort labels by: numbers by value and before others, so that run 10 follows run 9."""
    return (False, int(label), label) if label.isdigit() else (True, 0, label)


def find_label(wanted: str, labels: list[str], what: str) -> str:
    """The label that is meant: itself, or the only one of the same integer value.

    Parameters
    ----------
    wanted : str
        What the user wrote: "1" means the label "01", too.
    labels : list of str
        What there is.
    what : str
        What messages call it ("subject", "run").

    Returns
    -------
    label : str

    Raises
    ------
    UserError
        If no label, or more than one, is meant.
    """
    if wanted in labels:
        return wanted
    same = [label for label in labels if wanted.isdigit() and label.isdigit() and int(label) == int(wanted)]
    if len(same) == 1:
        return same[0]
    shown = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
    problem = f"means {' and '.join(same)}" if same else "is not there"
    raise UserError(f"{what} {wanted!r} {problem}; there are {shown or 'none'}.")
