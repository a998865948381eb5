"""The section on recordings of every page, and the page of a subject or fold without fits."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr.data.quality import MIN_SENSORS
from eeg_sgdr.reports.figures import heads
from eeg_sgdr.reports.html import Html, assemble, image, made, render
from eeg_sgdr.reports.methods import preprocessing, recording_warnings, references
from eeg_sgdr.reports.wording import counted, enumerated, page_title, tested_subjects
from eeg_sgdr.settings.types import joined, plain
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject

#: Most trials that are listed by number; data.json lists them all.
MOST_NAMED = 20


def data_report(results: Results, subject: Subject) -> None:
    """Write report.html of a subject or fold without fits; raises UserError if it cannot be written."""
    files.write_text(subject.folder.report, page(results, subject))


# As for a subject's page: maps are slow where threads wait for each other.
@threadpool_limits.wrap(limits=1)
def page(results: Results, subject: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    steps = [preprocessing(results.settings, subject)]
    content = {
        "Result": render("untrained.html", warnings=recording_warnings(subject), result=_result(subject)),
        "Recordings": recordings(subject),
        **(
            {"Subject by subject": _trials_by_subject(subject), "Who trains and who tests": members(subject)}
            if subject.fold
            else {}
        ),
        "Methods": render("methods.html", methods=steps, references=references(steps, results.settings)),
        "Configuration, and this report again": made(results),
    }
    return assemble(page_title(results, subject), content)


def _result(subject: Subject) -> str:
    trials, data = subject.trials, subject.data
    kept = trials["rejected"] == ""
    n = Counter(trials.loc[kept, "split"])
    simulated = "simulated " if data["simulated"] else ""
    people = counted(trials["subject"].nunique(), "subject") if subject.fold else tested_subjects(subject)
    parts = f"{n['train']} to train and {n['test']} to test"
    if "folds" in data:
        parts = f"each to test in one of {len(data['folds'])} folds, and to train in the others"
    return (
        f"Of {counted(len(trials), f'{simulated}trial')} of {people}, {kept.sum()} can be used: {parts}, "
        f"of {joined(map(plain, data['classes']))}, from "
        f"{counted(len(data['sensors']), 'sensor')} at {data['sfreq']:g} Hz."
    )


def _trials_by_subject(fold: Subject) -> Html:
    rows = []
    for label, trials in fold.trials.groupby("subject", sort=False):
        rejected = trials.loc[trials["rejected"] != "", "rejected"]
        rows.append([str(label), trials["split"].iloc[0], *_counts(rejected, len(trials))])
    shaded = [i for i, row in enumerate(rows) if int(row[3]) > int(row[2])]
    return render("trials_by_subject.html", rows=rows, shaded=shaded)


def _counts(rejected: pd.Series, n: int) -> list[str]:
    """Used and rejected trials, and the commonest reason."""
    commonest = rejected.value_counts()
    # Ties go by the alphabet, so that the page is always the same.
    why = min(commonest.items(), key=lambda item: (-item[1], item[0])) if len(commonest) else ("", 0)
    return [str(n - len(rejected)), str(len(rejected)), f"{why[0]} ({why[1]})" if why[1] else ""]


def recordings(subject: Subject) -> Html:
    """Trials, sensors, rhythms and spectra."""
    data, trials, summary = subject.data, subject.trials, subject.summary
    classes, names, simulated = data["classes"], data["sensors"], data["simulated"]
    positions = summary["positions"]
    frequencies, spectra = summary["frequencies"], summary["spectra"]
    counts = trials.assign(kept=trials["rejected"] == "").groupby(["split", "class"])["kept"]
    used, total = counts.sum(), counts.size()
    # With folds, every trial of a subject is tested, and trains in other folds.
    parts = ("test",) if "folds" in data else ("train", "test")
    cells = [(part, name) for part in parts for name in classes]
    placed, complete = heads.can_be_drawn(positions), np.isfinite(spectra).all()
    central = heads.central_sensors(names, positions)
    shown = {names[i]: spectra[:, i] for i in central} or {"all sensors": spectra.mean(axis=1)}
    rhythms, spectrum = None, None
    if complete:
        curves = heads.spectrum(classes, list(shown), frequencies, np.stack(list(shown.values()), axis=1))
        spectrum = image(curves, "svg", simulated)
    if complete and placed:
        maps = heads.rhythms(classes, names, positions, frequencies, spectra)
        rhythms = image(maps, "png", simulated)
    return render(
        "recordings.html",
        rows=[[*cell, str(used.get(cell, 0)), str((total - used).get(cell, 0))] for cell in cells],
        rejections=rejections(subject),
        used=[f"{name} {used.get((parts[0], name), 0)}" for name in classes],
        of="" if "folds" in data else "training ",
        n_placed=int(heads.on_head(positions).sum()),
        n_sensors=len(names),
        sensors=image(heads.sensors(names, positions), "svg", simulated) if placed else None,
        rhythms=rhythms,
        central=central,
        spectrum=spectrum,
    )


def amplitudes(subject: Subject) -> str:
    """A sentence on peak-to-peak amplitudes; empty in folders of earlier versions."""
    heights = dict(zip(subject.data["sensors"], subject.summary.get("peak_to_peak", ()), strict=False))
    known = {name: height for name, height in heights.items() if np.isfinite(height)}
    if not known:
        return ""
    ordered = sorted(known, key=lambda name: known[name])
    low, high = (f"{_microvolts(known[name])} ({name})" for name in (ordered[0], ordered[-1]))
    median = _microvolts(float(np.median([*known.values()])))
    people = "training subjects and " if subject.fold else ""
    training = "" if "folds" in subject.data else "training "
    return (
        f"Median peak-to-peak amplitude: {median}, by sensor from {low} to {high}; over {people}{training}"
        "trials, rejected ones too, as recorded, from the cue to the window's end."
    )


def _microvolts(value: float) -> str:
    return f"{value:.0f} µV" if value >= 100 else f"{value:.3g} µV"


def rejections(subject: Subject) -> list[str]:
    """Sentences on rejected trials, amplitudes, unusual sensors, and standardisation that looks ahead."""
    trials, data = subject.trials, subject.data
    rejected = trials.loc[trials["rejected"] != "", "rejected"]
    by_kind: dict[str, list[str]] = {}
    for why, n in sorted(Counter(rejected).items()):
        kind, _, detail = why.partition(" ")
        by_kind.setdefault(kind, []).append(f"{detail} ({n})")
    reasons = [f"; {kind} {', '.join(details)}" for kind, details in by_kind.items()]
    texts = [f"Rejected: {len(rejected)} of {counted(len(trials), 'trial')}{''.join(reasons)}."]
    texts += filter(None, [amplitudes(subject)])
    texts += _sensors(subject)
    looking_ahead = data["not_causal"]
    if looking_ahead:
        split = trials.set_index("trial").loc[looking_ahead, "split"]
        parts = [
            f"{(split == part).sum()} for {part}ing" for part in ("train", "test") if (split == part).any()
        ]
        texts.append(
            f"Not causal: {counted(len(looking_ahead), 'trial')} ({joined(parts)}) in the first block of a "
            "recording, which is scaled by its own mean and deviation and so looks ahead: "
            f"{_numbers(looking_ahead)}."
        )
    return texts


def _sensors(subject: Subject) -> list[str]:
    """Sentences on unusual sensors; folders of earlier versions lack some keys."""
    data = subject.data
    by_kind = {
        "Lacking (and so left out of all recordings)": data.get("lacking") or None,
        "Interpolated": data["interpolated"],
        "Flat (never changing)": data["flat"],
        "Noisy (local outlier factor)": data.get("noisy"),
        "Bridged (showing the same)": {
            run: [f"{a} with {b}" for a, b in pairs] for run, pairs in data.get("bridged", {}).items()
        }
        if "bridged" in data
        else None,
    }
    unit = "subject/session/run" if subject.fold else "session/run"
    texts = []
    for kind, runs in by_kind.items():
        if runs is not None:
            where = "; ".join(f"{unit} {run}: {', '.join(names)}" for run, names in runs.items())
            texts.append(f"{kind} sensors: {where or 'none'}.")
    if len(data["sensors"]) < MIN_SENSORS:
        texts.append(f"Noisy sensors were not looked for: that takes {MIN_SENSORS}.")
    return texts


def _numbers(trials: Sequence[int]) -> str:
    """Trials by number, if few."""
    if len(trials) > MOST_NAMED:
        return "not_causal in data.json lists them"
    return f"in trials.csv, {enumerated('trial', trials)}"


def members(fold: Subject) -> Html:
    """Test and training subjects of a fold, and resampled recordings."""
    sides = {"test": fold.test_subjects, "train": fold.data["train_subjects"]}
    rows = [[part, str(len(labels)), ", ".join(labels)] for part, labels in sides.items()]
    return render("fold_members.html", rows=rows, resampled=resampled_subjects(fold))


def resampled_subjects(fold: Subject) -> list[str]:
    """A sentence on subjects whose recordings were resampled, if any."""
    by_rate: dict[float, dict[str, None]] = {}
    for run, rate in fold.data["resampled"].items():
        # Runs are named subject/session/run.
        by_rate.setdefault(rate, {})[run.split("/")[0]] = None
    if not by_rate:
        return []
    n_people = len(fold.test_subjects) + len(fold.data["train_subjects"])
    named = [
        f"{'all subjects' if len(labels) == n_people else enumerated('subject', labels)} "
        f"(recorded at {rate:g} Hz)"
        for rate, labels in sorted(by_rate.items())
    ]
    return [f"Resampled to {fold.data['sfreq']:g} Hz: {'; '.join(named)}."]
