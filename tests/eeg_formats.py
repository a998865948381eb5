"""One made-up recording, written in each format that labs have, without MNE."""

import struct
from pathlib import Path

import edfio
import numpy as np
import pybv
from scipy.io import savemat

SFREQ = 128
NAMES = ("C3", "Cz", "C4", "EOG")
#: Codes of the cues, and the samples where they begin.
CUES = {1: (256, 1408), 2: (832, 1984)}
EVENTS = sorted((sample, code) for code, samples in CUES.items() for sample in samples)


def made(seed=0) -> np.ndarray:
    """A recording in microvolts, each a multiple of 0.1; shape (4, 20 * SFREQ)."""
    noise = np.random.default_rng(seed).normal(scale=20, size=(len(NAMES), 20 * SFREQ))
    return np.round(noise, 1).clip(-300, 300)


def edf_signals(names, microvolts, sfreq: int, unit: str = "uV") -> list[edfio.EdfSignal]:
    """Signals of an EDF file, in steps of 0.1 microvolts."""
    return [
        edfio.EdfSignal(values, sfreq, label=name, physical_dimension=unit,
                        physical_range=(-3276.8, 3276.7), digital_range=(-32768, 32767))
        for name, values in zip(names, microvolts, strict=True)
    ]  # fmt: skip


def write_edf(path: Path, microvolts: np.ndarray, unit: str = "uV", events=EVENTS) -> None:
    """EDF+ with annotations "1" and "2"."""
    annotations = [edfio.EdfAnnotation(sample / SFREQ, 2.0, str(code)) for sample, code in events]
    edfio.Edf(edf_signals(NAMES, microvolts, SFREQ, unit), annotations=annotations).write(path)


def write_bdf(path: Path, microvolts: np.ndarray) -> None:
    """BDF as BioSemi writes it: a channel Status, in which bit 16 is always on."""
    signals = [
        edfio.BdfSignal(values, SFREQ, label=name, physical_dimension="uV",
                        physical_range=(-838860.8, 838860.7), digital_range=(-8388608, 8388607))
        for name, values in zip(NAMES, microvolts, strict=True)
    ]  # fmt: skip
    codes = np.full(microvolts.shape[1], 2.0**16)
    for sample, code in EVENTS:
        codes[sample : sample + SFREQ // 20] += code
    status = edfio.BdfSignal(
        codes, SFREQ, label="Status", physical_dimension="Boolean",
        physical_range=(-8388608, 8388607), digital_range=(-8388608, 8388607),
    )  # fmt: skip
    edfio.Bdf([*signals, status]).write(path)


def write_vhdr(path: Path, microvolts: np.ndarray, events=EVENTS) -> None:
    """BrainVision, with markers of the type Stimulus."""
    pybv.write_brainvision(
        data=microvolts * 1e-6, sfreq=SFREQ, ch_names=list(NAMES), fname_base=path.stem,
        folder_out=path.parent, events=np.array(events), resolution=0.1, fmt="binary_float32",
    )  # fmt: skip


def write_set(path: Path, microvolts: np.ndarray) -> None:
    """EEGLAB, samples inside the .set file."""
    channels = np.array([(name,) for name in NAMES], dtype=[("labels", object)])
    events = np.array(
        [(str(code), sample + 1.0, 0.0) for sample, code in EVENTS],
        dtype=[("type", object), ("latency", object), ("duration", object)],
    )
    n_channels, n_samples = microvolts.shape
    eeg = {
        "setname": "made", "nbchan": float(n_channels), "trials": 1.0, "pnts": float(n_samples),
        "srate": float(SFREQ), "xmin": 0.0, "xmax": (n_samples - 1) / SFREQ,
        "data": microvolts.astype("f4"), "chanlocs": channels, "event": events,
        "icawinv": [], "icasphere": [], "icaweights": [], "icaact": [], "epoch": [],
    }  # fmt: skip
    savemat(path, {"EEG": eeg}, appendmat=False)


def write_gdf(path: Path, microvolts: np.ndarray) -> None:
    """GDF 1.25 with a table of events, from its specification."""
    n_channels, n_samples = microvolts.shape
    header = b"GDF 1.25" + b"X X".ljust(80) + b"".ljust(80) + b"2020010112000000"
    header += struct.pack("<q", 256 * (1 + n_channels)) + bytes(8 + 8 + 8 + 20)
    header += struct.pack("<q2II", n_samples // SFREQ, 1, 1, n_channels)
    header += b"".join(name.encode().ljust(16) for name in NAMES)
    header += b"".ljust(80) * n_channels + b"uV".ljust(8) * n_channels
    header += np.full(n_channels, -3276.8).tobytes() + np.full(n_channels, 3276.7).tobytes()
    header += np.full(n_channels, -32768).tobytes() + np.full(n_channels, 32767).tobytes()
    header += b"".ljust(80) * n_channels
    header += np.full(n_channels, SFREQ, "<i4").tobytes() + np.full(n_channels, 3, "<i4").tobytes()  # int16
    header += bytes(32 * n_channels)
    samples = np.round(microvolts * 10).astype("<i2")
    records = samples.reshape(n_channels, -1, SFREQ).transpose(1, 0, 2)
    places, codes = np.array(EVENTS).T
    table = b"\x01" + SFREQ.to_bytes(3, "little") + struct.pack("<I", len(EVENTS))
    table += (places + 1).astype("<u4").tobytes() + codes.astype("<u2").tobytes()
    path.write_bytes(header + records.tobytes() + table)


def read_edf(path):
    """Samples in volts and annotations of an EDF+ file, read by hand from its bytes."""
    content = path.read_bytes()
    n = int(content[252:256])
    fields = {}
    offset = 256
    widths = {"label": 16, "transducer": 80, "unit": 8, "pmin": 8, "pmax": 8,
              "dmin": 8, "dmax": 8, "filter": 80, "samples": 8, "reserved": 32}  # fmt: skip
    for name, width in widths.items():
        places = range(offset, offset + n * width, width)
        fields[name] = [content[at : at + width].decode().strip() for at in places]
        offset += n * width
    per_record = np.array(fields["samples"], int)
    records = np.frombuffer(content[offset:], "<i2").reshape(-1, per_record.sum())
    edges = np.r_[0, per_record.cumsum()]
    signals, cues = [], []
    for i, label in enumerate(fields["label"]):
        part = records[:, edges[i] : edges[i + 1]]
        if label == "EDF Annotations":
            for text in part.tobytes().replace(b"\0", b"").split(b"\x14+"):
                pieces = text.lstrip(b"+").split(b"\x14")
                onset = float(pieces[0].split(b"\x15")[0] or "nan")
                cues += [(onset, piece.decode()) for piece in pieces[1:] if piece in (b"T0", b"T1", b"T2")]
        else:
            low, high, dlow, dhigh = (float(fields[k][i]) for k in ("pmin", "pmax", "dmin", "dmax"))
            assert fields["unit"][i] == "uV"
            signals.append((part.ravel() - dlow) * (high - low) / (dhigh - dlow) + low)
    names = [label.strip(".") for label in fields["label"] if label != "EDF Annotations"]
    return np.array(signals), names, cues
