"""An EDF+ file of EEGMMIDB, read by hand."""

import numpy as np


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
