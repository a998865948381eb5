"""What results were made with: versions and machine."""

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
