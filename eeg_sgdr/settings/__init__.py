"""Sections of a configuration, one module each."""

from eeg_sgdr.settings.arms import (
    Arm,
    CosineArm,
    CyclicArm,
    LinearArm,
    OneCycleArm,
    StepArm,
    TrapezoidArm,
    WarmRestartsArm,
)
from eeg_sgdr.settings.evaluation import Comparison, Evaluation, Reference, Side
from eeg_sgdr.settings.fingerprints import baseline_settings, data_settings, fingerprint, fit_settings, union
from eeg_sgdr.settings.loading import load, parse_yaml, read, shipped, to_yaml, validate
from eeg_sgdr.settings.optimizers import AdamWSettings, OptimizerSettings, SGDSettings
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
from eeg_sgdr.settings.training import NetworkSettings, Numerics, RateChoice, Training

__all__ = [
    "MAX_JOBS",
    "AdamWSettings",
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
    "LinearArm",
    "MoabbRecordings",
    "NetworkSettings",
    "Numerics",
    "OneCycleArm",
    "OptimizerSettings",
    "PhysioNetRecordings",
    "Preprocessing",
    "RateChoice",
    "Recordings",
    "Reference",
    "SGDSettings",
    "Settings",
    "Side",
    "SimulatedRecordings",
    "Split",
    "Standardize",
    "StepArm",
    "SubjectSplit",
    "Training",
    "TrapezoidArm",
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
