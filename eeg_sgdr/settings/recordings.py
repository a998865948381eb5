"""Settings of the sources of recordings."""

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from eeg_sgdr.settings.types import Hertz, Integer, Label, Labels, Later, Model, Seed, finite, of_kind, unique

Unit = Literal["V", "mV", "uV"]


class Recordings(Model):
    """What all sources have in common.

    Attributes
    ----------
    classes : dict of str to (str or list of str)
        For each class, in order, the descriptions of the annotations (cues) that mark its trials; of a
        trigger channel, the codes.
    subjects : "all" or list of str
        Labels of the subjects that ``--subject all`` means; "1-100" stands for all from 1 to 100.
    """

    #: The `eeg_sgdr.data.sources.Source` that reads them, as "module:class"; imported when it is opened.
    reader: ClassVar[str]
    #: What `describe` cites.
    references: ClassVar[tuple[str, ...]] = ()
    #: Whether everything made from them has to say that they are simulated.
    simulated: ClassVar[bool] = False

    if TYPE_CHECKING:

        @property
        def source(self) -> str: ...  # noqa: D102

    classes: dict[str, tuple[Label, ...]] = Field(min_length=2)
    subjects: Literal["all"] | Labels = "all"

    @property
    def cues(self) -> set[str]:
        """Descriptions of the annotations that stand for a class."""
        return {cue for descriptions in self.classes.values() for cue in descriptions}

    def describe(self, people: str) -> str:
        """A sentence of a report's methods: whose EEG it is ("3 subjects", say), and where it comes from."""
        return f"EEG of {people}, source {self.source!r} of the configuration."

    @model_validator(mode="before")
    @classmethod
    def _one_description_is_a_list_of_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("classes"), dict):
            classes = {
                name: [cues] if isinstance(cues, str | int) else cues
                for name, cues in data["classes"].items()
            }
            return {**data, "classes": classes}
        return data

    @model_validator(mode="after")
    def _a_cue_stands_for_one_class(self) -> "Recordings":
        cues = [cue for descriptions in self.classes.values() for cue in descriptions]
        if len(set(cues)) < len(cues):
            raise ValueError("classes: an annotation stands for two classes; name each once")
        return self


def _simulated_classes() -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in ("right_hand", "left_hand", "feet", "rest")}


class SimulatedRecordings(Recordings):
    """Recordings that the program simulates, written as a BIDS dataset.

    Attributes
    ----------
    n_subjects, n_runs, n_trials : int
        Subjects, runs of each, and trials of each run (a multiple of four).
    sfreq : float
        Sampling rate in Hz.
    seed : int
        Same seed, same bytes.
    """

    reader: ClassVar[str] = "eeg_sgdr.data.sources.simulated:Simulated"
    simulated: ClassVar[bool] = True

    source: Literal["simulated"]
    classes: dict[str, tuple[str, ...]] = Field(default_factory=_simulated_classes, min_length=2)
    n_subjects: Integer = Field(14, ge=1, le=14)
    n_runs: Integer = Field(6, ge=2, le=99)
    n_trials: Integer = Field(40, ge=4, le=1000, multiple_of=4)
    sfreq: Annotated[Hertz, Field(le=5000)] = 250.0
    seed: Seed = 0

    def describe(self, people: str) -> str:
        """See `Recordings.describe`."""
        return (
            f"Simulated EEG (eeg_sgdr, seed {self.seed}) of {people}: dipoles in the motor areas of a "
            "spherical head model, whose mu and beta rhythms desynchronise by class, among background "
            "activity and artefacts."
        )


class PhysioNetRecordings(Recordings):
    """The PhysioNet EEG Motor Movement/Imagery Database (EEGMMIDB).

    Attributes
    ----------
    task : "left_right" or "fists_feet", optional
        The task by name; or name ``runs``.
    execution : "executed", "imagined" or "both"
        Which runs of the task: movement, imagery, or both.
    runs : list of int, optional
        The runs by number, instead of ``task``; those with tasks are 3 to 14.
    """

    reader: ClassVar[str] = "eeg_sgdr.data.sources.physionet:PhysioNet"
    references: ClassVar[tuple[str, ...]] = (
        "Goldberger, A. L., et al. (2000). PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23), "
        "e215-e220.",
        "Schalk, G., et al. (2004). BCI2000: a general-purpose brain-computer interface (BCI) system. IEEE "
        "Transactions on Biomedical Engineering 51(6), 1034-1043.",
    )

    source: Literal["physionet"]
    task: Literal["left_right", "fists_feet"] | None = None
    execution: Literal["executed", "imagined", "both"] = "both"
    runs: Annotated[tuple[Annotated[Integer, Field(ge=3, le=14)], ...], AfterValidator(unique)] | None = None
    classes: dict[str, tuple[str, ...]] = Field(min_length=2)

    def describe(self, people: str) -> str:
        """See `Recordings.describe`."""
        return (
            f"EEG of {people} of the PhysioNet EEG Motor Movement/Imagery Database (Schalk et al., 2004; "
            "Goldberger et al., 2000)."
        )

    @model_validator(mode="before")
    @classmethod
    def _classes_follow_the_task(cls, data: Any) -> Any:
        by_task = {
            "left_right": {"left_fist": "left_fist", "right_fist": "right_fist"},
            "fists_feet": {"both_fists": "both_fists", "both_feet": "both_feet"},
        }
        if isinstance(data, dict) and "classes" not in data and data.get("task") in by_task:
            return {**data, "classes": by_task[data["task"]]}
        return data

    @model_validator(mode="after")
    def _task_or_runs(self) -> "PhysioNetRecordings":
        if (self.task is None) == (self.runs is None):
            raise ValueError("name either task (left_right or fists_feet) or runs")
        return self


class TriggerChannel(Model):
    """A channel whose changes are the cues, found by ``mne.find_events``.

    Attributes
    ----------
    channel : str
        Its name (after ``rename``).
    mask : int, optional
        Bits that count (BioSemi's Status: 255 for eight trigger lines); null takes all.
    shortest_event : int
        Samples from one cue to the next, at least; what follows sooner is refused as a glitch.
    consecutive : "increasing", true or false
        Whether a code that follows another without a zero between them is a new cue: only a higher one,
        always, or never.
    """

    channel: str
    mask: Annotated[Integer, Field(ge=1, lt=2**31)] | None = None
    shortest_event: Integer = Field(2, ge=0, le=1_000_000)
    consecutive: Literal["increasing"] | bool = "increasing"


class LabRecordings(Recordings):
    """Recordings of a lab's own, and what they may need; in the order in which it is done.

    Attributes
    ----------
    runs : list of str, optional
        The runs to take, by label; all others are left out. Each subject must have them.
    exclude_runs : list of str
        Runs to leave out, by label, where a subject has them.
    rename : dict of str to str
        New names of channels, as ``raw.rename_channels`` takes them.
    channel_types : dict of str to str
        Types of channels (by their new names) that the files do not tell, as ``raw.set_channel_types``
        takes them.
    units : "V", "mV", "uV" or dict of str to these, optional
        Unit of the EEG sensors, or of the channels named (by their new names), where the files do not
        tell it, as ``mne.io.read_raw_edf`` takes it: MNE takes such samples for volts. Not for channels
        whose unit an EDF, BDF or BrainVision file tells.
    montage : str, optional
        Positions of the EEG sensors: a montage that ``mne.channels.make_standard_montage`` knows, by
        name (standard_1020, biosemi64), or a file that ``mne.channels.read_custom_montage`` reads.
    events : "annotations" or TriggerChannel
        What the cues are.
    """

    runs: Annotated[Labels | None, Later(None)] = None
    exclude_runs: Annotated[tuple[Label, ...], AfterValidator(unique), Later([])] = ()
    rename: Annotated[dict[str, str], Later({})] = Field(default_factory=dict)
    channel_types: Annotated[dict[str, str], Later({})] = Field(default_factory=dict)
    units: Annotated[Unit | dict[str, Unit] | None, Later(None)] = None
    montage: Annotated[str | None, Later(None)] = None
    events: Annotated[Literal["annotations"] | TriggerChannel, Later("annotations")] = "annotations"


class FilesRecordings(LabRecordings):
    """Files that ``mne.io.read_raw`` reads.

    Attributes
    ----------
    pattern : str
        Their paths; ``{subject}``, ``{run}`` and ``{session}`` stand for any part of a name.
    """

    reader: ClassVar[str] = "eeg_sgdr.data.sources.files:Files"

    source: Literal["files"]
    pattern: str

    def describe(self, people: str) -> str:
        """See `Recordings.describe`."""
        return f"EEG of {people}, read from files by MNE (Gramfort et al., 2013)."

    @model_validator(mode="after")
    def _fields(self) -> "FilesRecordings":
        fields = set(re.findall(r"[{]([^{}]*)[}]", self.pattern))
        if "subject" not in fields or not fields & {"run", "session"}:
            raise ValueError("pattern: must hold {subject}, and {run} or {session}")
        if fields - {"subject", "run", "session"}:
            raise ValueError("pattern: holds other fields than {subject}, {run} and {session}")
        return self


class MoabbRecordings(Recordings):
    """A dataset of MOABB.

    Attributes
    ----------
    dataset : str
        Name of its class in ``moabb.datasets``.
    arguments : dict
        Arguments of the class.
    """

    reader: ClassVar[str] = "eeg_sgdr.data.sources.moabb:Moabb"
    references: ClassVar[tuple[str, ...]] = (
        "Jayaram, V., & Barachant, A. (2018). MOABB: trustworthy algorithm benchmarking for BCIs. Journal of "
        "Neural Engineering 15(6), 066011.",
    )

    source: Literal["moabb"]
    dataset: str
    arguments: Annotated[dict[str, Any], AfterValidator(finite)] = Field(default_factory=dict)

    def describe(self, people: str) -> str:
        """See `Recordings.describe`."""
        return f"EEG of {people} of the dataset {self.dataset}, read by MOABB (Jayaram and Barachant, 2018)."


class BidsRecordings(LabRecordings):
    """A BIDS EEG dataset.

    Attributes
    ----------
    root : str
        The dataset's folder.
    task : str
        Its task label.
    """

    reader: ClassVar[str] = "eeg_sgdr.data.sources.bids:Bids"
    references: ClassVar[tuple[str, ...]] = (
        "Pernet, C. R., et al. (2019). EEG-BIDS, an extension to the brain imaging data structure for "
        "electroencephalography. Scientific Data 6, 103.",
    )

    source: Literal["bids"]
    root: str
    task: str

    def describe(self, people: str) -> str:
        """See `Recordings.describe`."""
        return f"EEG of {people} of a BIDS dataset (Pernet et al., 2019), task {self.task}."


AnyRecordings = Annotated[SerializeAsAny[Recordings], of_kind(Recordings, "source")]
