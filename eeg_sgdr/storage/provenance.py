"""What results were made with: versions of packages, the machine, durations."""

import os
import platform
import time
from importlib.metadata import version
from typing import Any

PACKAGES = ("eeg_sgdr", "torch", "braindecode", "mne", "scikit-learn", "scipy", "numpy")


def versions(*others: str) -> dict[str, str]:
    """Versions of the packages that results may depend on, and of others."""
    return {name: version(name) for name in (*PACKAGES, *others)}


def environment() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "python": platform.python_version(),
        "packages": versions("pyriemann"),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def durations(fit: float, prediction: float | None) -> dict[str, float]:
    """Seconds in fit.json: of the whole fit, and of predicting one trial (None if it failed)."""
    return {"fit": fit} if prediction is None else {"fit": fit, "prediction": prediction}
