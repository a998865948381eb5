"""Recordings of the old folder: BrainVision files of whole numbers, the same bytes on every machine."""

from pathlib import Path

import numpy as np

SENSORS = ("C3", "Cz", "C4")
SFREQ = 100


def write_recordings(root: Path) -> None:
    """Two runs each of two people: noise with a stronger C3 after "left", a stronger C4 after "right"."""
    root.mkdir(parents=True, exist_ok=True)
    for subject in ("1", "2"):
        for run in ("1", "2"):
            rng = np.random.default_rng([int(subject), int(run)])
            cues = [(500 + 300 * i, ("left", "right")[i % 2]) for i in range(16)]
            volts = rng.integers(-100, 101, size=(500 + 300 * 16 + 300, len(SENSORS)))
            for at, cue in cues:
                volts[at : at + 200, 0 if cue == "left" else 2] *= 3
            name = f"s{subject}_r{run}"
            (root / f"{name}.eeg").write_bytes(volts.astype("<i2").tobytes())
            channels = "".join(f"Ch{i}={name_},,0.1,µV\n" for i, name_ in enumerate(SENSORS, 1))
            (root / f"{name}.vhdr").write_text(
                "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
                f"DataFile={name}.eeg\nMarkerFile={name}.vmrk\nDataFormat=BINARY\n"
                f"DataOrientation=MULTIPLEXED\nNumberOfChannels={len(SENSORS)}\n"
                f"SamplingInterval={1_000_000 // SFREQ}\n[Binary Infos]\nBinaryFormat=INT_16\n"
                f"[Channel Infos]\n{channels}",
                encoding="utf-8",
            )
            markers = "".join(f"Mk{i}=Stimulus,{cue},{at + 1},1,0\n" for i, (at, cue) in enumerate(cues, 1))
            (root / f"{name}.vmrk").write_text(
                "Brain Vision Data Exchange Marker File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
                f"DataFile={name}.eeg\n[Marker Infos]\n{markers}",
                encoding="utf-8",
            )
