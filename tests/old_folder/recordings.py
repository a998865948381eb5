"""Recordings of the old folder: BrainVision files of whole numbers, the same bytes on every machine."""

from pathlib import Path

import numpy as np

HEADER = """Brain Vision Data Exchange Header File Version 1.0
[Common Infos]\nCodepage=UTF-8\nDataFile={name}.eeg\nMarkerFile={name}.vmrk\nDataFormat=BINARY
DataOrientation=MULTIPLEXED\nNumberOfChannels=3\nSamplingInterval=10000
[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\nCh1=C3,,0.1,µV\nCh2=Cz,,0.1,µV\nCh3=C4,,0.1,µV
"""
MARKERS = """Brain Vision Data Exchange Marker File Version 1.0
[Common Infos]\nCodepage=UTF-8\nDataFile={name}.eeg\n[Marker Infos]
"""


def write_recordings(root: Path) -> None:
    """Two runs each of two people: noise with a stronger C3 after "left", a stronger C4 after "right"."""
    root.mkdir(parents=True, exist_ok=True)
    for subject, run in ((1, 1), (1, 2), (2, 1), (2, 2)):
        cues = [(500 + 300 * i, ("left", "right")[i % 2]) for i in range(16)]
        volts = np.random.default_rng([subject, run]).integers(-100, 101, size=(500 + 300 * 16 + 300, 3))
        for at, cue in cues:
            volts[at : at + 200, 0 if cue == "left" else 2] *= 3
        name = f"s{subject}_r{run}"
        (root / f"{name}.eeg").write_bytes(volts.astype("<i2").tobytes())
        (root / f"{name}.vhdr").write_text(HEADER.format(name=name), encoding="utf-8")
        markers = "".join(f"Mk{i}=Stimulus,{cue},{at + 1},1,0\n" for i, (at, cue) in enumerate(cues, 1))
        (root / f"{name}.vmrk").write_text(MARKERS.format(name=name) + markers, encoding="utf-8")
