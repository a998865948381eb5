"""Preprocessing one recording of High-Gamma size: ours against braindecode's `preprocess`.

    python benchmarks/preprocessing.py [--minutes 10] [--sensors 128] [--repeats 3] [--json]

A recording of noise at 500 Hz is written as FIF and read from there by both, in turn, in one process: 44
sensors are picked, resampled to 250 Hz, high-passed, standardised and cut into windows. Ours also looks for
artefacts on all sensors, and prepares the classical baseline. The floor is the time to read the samples and
to run the high-pass filter over the sensors that are kept, with nothing else. Memory is the peak over a
call beyond what was there before it.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
from scipy import signal

from eeg_sgdr import settings as config
from eeg_sgdr.compat import import_braindecode
from eeg_sgdr.data.windows import extract_windows

import_braindecode()
from braindecode.datasets import BaseConcatDataset, RawDataset  # noqa: E402
from braindecode.preprocessing import (  # noqa: E402
    Preprocessor,
    create_windows_from_events,
    exponential_moving_standardize,
    preprocess,
)

RATE, N_KEPT = 500.0, 44


def write(path: Path, minutes: float, n_sensors: int) -> None:
    """A recording of noise with a cue every 7.5 s."""
    rng = np.random.default_rng(0)
    data = rng.normal(scale=1e-5, size=(n_sensors, round(minutes * 60 * RATE)))
    info = mne.create_info([f"E{i}" for i in range(n_sensors)], RATE, "eeg")
    raw = mne.io.RawArray(data, info, verbose="error")
    onsets = np.arange(5, minutes * 60 - 5, 7.5)
    raw.set_annotations(mne.Annotations(onsets, 4.0, np.array(["a", "b"])[np.arange(len(onsets)) % 2]))
    raw.save(path, verbose="error")


def ours(path: Path, settings: config.Settings, names: list[str]) -> np.ndarray:
    return extract_windows(mne.io.read_raw_fif(path, verbose="error"), names, settings, str(path)).x


def theirs(path: Path, names: list[str]) -> np.ndarray:
    raw = mne.io.read_raw_fif(path, verbose="error")
    dataset = BaseConcatDataset([RawDataset(raw, {})])
    iir = {"order": 3, "ftype": "butter", "output": "sos"}
    steps = [
        Preprocessor("pick", picks=names),
        Preprocessor("resample", sfreq=250, method="polyphase"),
        Preprocessor("filter", l_freq=4, h_freq=None, method="iir", iir_params=iir, phase="forward"),
        Preprocessor(lambda volts: volts * 1e6),
        Preprocessor(exponential_moving_standardize, factor_new=0.001, init_block_size=1000),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preprocess(dataset, steps)
        windows = create_windows_from_events(dataset, trial_start_offset_samples=-125, preload=True)
    return np.stack([windows[i][0] for i in range(len(windows))])


def floor(path: Path, names: list[str]) -> None:
    raw = mne.io.read_raw_fif(path, verbose="error")
    samples = raw.get_data()[: len(names), ::2]
    signal.sosfilt(signal.butter(3, 4, "highpass", fs=250, output="sos"), samples)


def measure(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and growth of the peak resident set in MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    function()
    seconds = time.perf_counter() - started
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--sensors", type=int, default=128)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    mne.set_log_level("error")
    names = [f"E{i}" for i in range(N_KEPT)]
    settings = config.load(
        "demo",
        ["preprocessing.resample_hz=250", "recordings.classes={a: a, b: b}", "preprocessing.reject_uv=800"],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x_raw.fif"
        write(path, given.minutes, given.sensors)
        np.testing.assert_allclose(ours(path, settings, names), theirs(path, names), rtol=1e-4, atol=1e-4)
        times: dict[str, list[float]] = {"floor": [], "ours": [], "theirs": []}
        for _ in range(given.repeats):
            times["floor"].append(measure(lambda: floor(path, names))[0])
            times["ours"].append(measure(lambda: ours(path, settings, names))[0])
            times["theirs"].append(measure(lambda: theirs(path, names))[0])
    ratios = [b / a for a, b in zip(times["ours"], times["theirs"], strict=True)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "ours_s": statistics.median(times["ours"]),
        "reference_s": statistics.median(times["theirs"]),
        "floor_s": statistics.median(times["floor"]),
        "peak_mb": peak,
    }
    print(f"{given.minutes:g} min of {given.sensors} sensors: ours {row['ours_s']:.1f} s, "
          f"braindecode {row['reference_s']:.1f} s, {row['ratio']:.1f} times "
          f"({row['ratio_low']:.1f} to {row['ratio_high']:.1f}); floor {row['floor_s']:.1f} s; "
          f"peak of the process {peak:.0f} MB")  # fmt: skip
    if given.json:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
