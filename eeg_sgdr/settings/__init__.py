"""What a configuration may say, one module a section."""

from eeg_sgdr.settings.arms import CosineArm, CyclicArm, StepArm, WarmRestartsArm
from eeg_sgdr.settings.baseline import Baseline
from eeg_sgdr.settings.evaluation import Comparison, Evaluation, Reference, Side
from eeg_sgdr.settings.preprocessing import Preprocessing, Split, Standardize, SubjectSplit
from eeg_sgdr.settings.reading import load, parse_yaml, read, shipped, to_yaml, validate
from eeg_sgdr.settings.recordings import (
    BidsRecordings,
    FilesRecordings,
    LabRecordings,
    MoabbRecordings,
    PhysioNetRecordings,
    Recordings,
    SimulatedRecordings,
    TriggerChannel,
)
from eeg_sgdr.settings.root import Compute, Settings
from eeg_sgdr.settings.sameness import baseline_settings, data_settings, fingerprint, fit_settings, union
from eeg_sgdr.settings.training import NetworkSettings, Numerics, Training

__all__ = [
    "Baseline",
    "BidsRecordings",
    "Comparison",
    "Compute",
    "CosineArm",
    "CyclicArm",
    "Evaluation",
    "FilesRecordings",
    "LabRecordings",
    "MoabbRecordings",
    "NetworkSettings",
    "Numerics",
    "PhysioNetRecordings",
    "Preprocessing",
    "Recordings",
    "Reference",
    "Settings",
    "Side",
    "SimulatedRecordings",
    "Split",
    "Standardize",
    "StepArm",
    "SubjectSplit",
    "Training",
    "TriggerChannel",
    "WarmRestartsArm",
    "baseline_settings",
    "data_settings",
    "fingerprint",
    "fit_settings",
    "load",
    "parse_yaml",
    "read",
    "shipped",
    "to_yaml",
    "union",
    "validate",
]
