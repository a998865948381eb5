"""Noise of High-Gamma size, written in chunks: BrainVision as in BIDS, and EDF+."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

RATE, N_SENSORS, CUE_S = 500, 133, 7.5
CLASSES = ("right_hand", "left_hand", "feet", "rest")

HEADER = """Brain Vision Data Exchange Header File Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={name}.eeg
MarkerFile={name}.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels={n}
SamplingInterval={interval}

[Binary Infos]
BinaryFormat=INT_16

[Channel Infos]
{channels}
"""

MARKERS = """Brain Vision Data Exchange Marker File, Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={name}.eeg

[Marker Infos]
Mk1=New Segment,,1,1,0
{markers}
"""

#: 16-bit words of annotations in each record of an EDF file.
ANNOTATED = 30


def cues(minutes: float) -> list[tuple[float, str]]:
    """Onset in seconds and class of every cue."""
    onsets = np.arange(5, 60 * minutes - 5, CUE_S)
    return [(at, CLASSES[i % len(CLASSES)]) for i, at in enumerate(onsets)]


def seconds(minutes: float, n: int) -> Iterator[np.ndarray]:
    """Noise of 20 microvolts, in tenths of one, a second at a time; shape (RATE, n)."""
    rng = np.random.default_rng(0)
    for _ in range(round(60 * minutes)):
        yield rng.normal(scale=200, size=(RATE, n)).astype("<i2")


def write_bids(folder: Path, name: str, sensors: list[str], minutes: float) -> None:
    """One recording with its header, markers and BIDS events."""
    channels = "\n".join(f"Ch{i + 1}={sensor},,0.1,µV" for i, sensor in enumerate(sensors))
    header = HEADER.format(name=name, n=len(sensors), interval=1_000_000 // RATE, channels=channels)
    markers = "\n".join(
        f"Mk{i + 2}=Stimulus,{cue},{round(at * RATE) + 1},1,0" for i, (at, cue) in enumerate(cues(minutes))
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.vhdr").write_text(header, encoding="utf-8")
    (folder / f"{name}.vmrk").write_text(MARKERS.format(name=name, markers=markers), encoding="utf-8")
    events = "".join(f"{at:.3f}\t4.0\t{cue}\n" for at, cue in cues(minutes))
    (folder / f"{name.removesuffix('eeg')}events.tsv").write_text("onset\tduration\ttrial_type\n" + events)
    with (folder / f"{name}.eeg").open("wb") as file:
        for noise in seconds(minutes, len(sensors)):
            file.write(noise.tobytes())


def write_edf(path: Path, sensors: list[str], minutes: float) -> None:
    """One recording as EDF+, a record a second, cues as its annotations."""
    n, n_records = len(sensors), round(60 * minutes)
    fields = [
        (16, [f"EEG {sensor}" for sensor in sensors], "EDF Annotations"),
        (80, [""] * n, ""),
        (8, ["uV"] * n, ""),
        (8, ["-3276.8"] * n, "-1"),
        (8, ["3276.7"] * n, "1"),
        (8, ["-32768"] * n, "-32768"),
        (8, ["32767"] * n, "32767"),
        (80, [""] * n, ""),
        (8, [str(RATE)] * n, str(ANNOTATED)),
        (32, [""] * n, ""),
    ]
    start = [(8, "0"), (80, "X X X X"), (80, "Startdate X X X X"), (8, "01.01.85"), (8, "00.00.00"),
             (8, str(256 * (n + 2))), (44, "EDF+C"), (8, str(n_records)), (8, "1"),
             (4, str(n + 1))]  # fmt: skip
    header = "".join(text.ljust(width) for width, text in start)
    header += "".join(text.ljust(width) for width, texts, last in fields for text in [*texts, last])
    of_second = {int(at): f"+{at}\x154\x14{cue}\x14\0" for at, cue in cues(minutes)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for second, noise in enumerate(seconds(minutes, n)):
            annotations = f"+{second}\x14\x14\0" + of_second.get(second, "")
            file.write(noise.T.tobytes() + annotations.encode().ljust(2 * ANNOTATED, b"\0"))
