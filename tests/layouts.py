"""Made-up recordings in files that are named and filled as MOABB's downloads are."""

from pathlib import Path

import edfio
import numpy as np
from scipy.io import savemat

from eeg_sgdr.data.sources.simulator import SENSORS

HIGH_GAMMA = "MNE-schirrmeister2017-data/robintibor/high-gamma-dataset/raw/master/data"
MOVEMENTS = ("right_hand", "left_hand", "rest", "feet")
#: Of the sensors that are not used: one whose artefacts count all the same.
HIGH_GAMMA_NAMES = ("EEG Fp1", *(f"EEG {name}" for name in SENSORS), "EOG EOGh", "EMG EMG_RF")
BNCI = "MNE-bnci-data/~bci/database/001-2014"


def high_gamma(folder: Path, n_trials: dict[str, int], artefacts: tuple[int, ...] = ()) -> None:
    """Write subject 1 of the High-Gamma dataset into what ``MNE_DATA`` will name: 500 Hz, a trial every 7 s.

    In the second second of the training trials in `artefacts`, Fp1 reaches 900 microvolts.
    """
    rng = np.random.default_rng(0)
    for name, n in n_trials.items():
        onsets = 3.0 + 7.0 * np.arange(n)
        microvolts = rng.normal(scale=10, size=(len(HIGH_GAMMA_NAMES), 500 * round(7 * n + 3)))
        if name == "train":
            for trial in artefacts:
                microvolts[0, round(500 * (onsets[trial] + 1.5))] = 900
        signals = [
            edfio.EdfSignal(values, 500, label=label, physical_dimension="uV",
                            physical_range=(-3276.8, 3276.7), digital_range=(-32768, 32767))
            for label, values in zip(HIGH_GAMMA_NAMES, microvolts, strict=True)
        ]  # fmt: skip
        cues = [edfio.EdfAnnotation(onset, 4.0, MOVEMENTS[i % 4]) for i, onset in enumerate(onsets)]
        path = folder / HIGH_GAMMA / name / "1.edf"
        path.parent.mkdir(parents=True, exist_ok=True)
        edfio.Edf(signals, annotations=cues).write(path)


def bnci2014_001(folder: Path, n_runs: int, n_trials: int) -> dict[str, list[np.ndarray]]:
    """Write subject 1 of BNCI2014_001: 250 Hz, a trial every 8 s, the first run without any.

    The second trial of each of `n_runs` runs has an artefact. Returns the microvolts of these runs, each of
    shape (25, n_samples), by the letter of their session.
    """
    rng = np.random.default_rng(1)
    written = {}
    for letter in "TE":
        runs = np.empty((1, 1 + n_runs), object)
        for i in range(1 + n_runs):
            samples = rng.normal(scale=10, size=(250 * (8 * n_trials + 4), 25))
            n = n_trials if i else 0
            runs[0, i] = {
                "X": samples,
                "trial": (501 + 2000 * np.arange(n)).astype("u2"),  # in samples, from 1: after two seconds
                "y": (1 + np.arange(n) % 4).astype("u1"),
                "fs": 250.0,
                "classes": np.array(["left hand", "right hand", "feet", "tongue"], object),
                "artifacts": (np.arange(n) == 1).astype(float),
                "gender": "male",
                "age": 22.0,
            }
        path = folder / BNCI / f"A01{letter}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"data": runs}, oned_as="column")
        written[letter] = [runs[0, i]["X"].T for i in range(1, 1 + n_runs)]
    return written
