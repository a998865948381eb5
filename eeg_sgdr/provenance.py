"""What results were made with: versions and machine."""

import os
import platform
import time
from importlib.metadata import version
from typing import Any

PACKAGES = ("eeg_sgdr", "torch", "braindecode", "mne", "scikit-learn", "scipy", "numpy")


def versions() -> dict[str, str]:
    """Versions of the packages that results may depend on."""
    return {name: version(name) for name in PACKAGES}


def environment() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "python": platform.python_version(),
        "packages": versions(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
