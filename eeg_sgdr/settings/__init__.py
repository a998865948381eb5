"""Sections of a configuration, one module each."""

from eeg_sgdr.settings.evaluation import Comparison, Evaluation, Reference, Side
from eeg_sgdr.settings.fingerprints import baseline_settings, data_settings, fingerprint, fit_settings, union
from eeg_sgdr.settings.loading import load, parse_yaml, read, shipped, to_yaml, validate
from eeg_sgdr.settings.preprocessing import Baseline, Preprocessing, Split, Standardize, SubjectSplit
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
from eeg_sgdr.settings.study import MAX_JOBS, Compute, Settings
from eeg_sgdr.settings.training import (
    Arm,
    CosineArm,
    CyclicArm,
    NetworkSettings,
    Numerics,
    StepArm,
    Training,
    WarmRestartsArm,
)

__all__ = [
    "MAX_JOBS",
    "Arm",
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
