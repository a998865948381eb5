"""What a study has trained, loaded to predict new recordings."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from eeg_sgdr import networks
from eeg_sgdr.classifier import TrainedClassifier
from eeg_sgdr.errors import UserError
from eeg_sgdr.plan import FitKey, schedule_of
from eeg_sgdr.predictors import Predictor, members_at
from eeg_sgdr.results import Results
from eeg_sgdr.settings import Settings
from eeg_sgdr.snapshots import Snapshot
from eeg_sgdr.subjects import Subject


def load_classifier(
    path: str | Path,
    subject: str | int | None = None,
    *,
    fold: str | int | None = None,
    schedule: str,
    budget: int | None = None,
    rate: float | None = None,
    seed: int | None = None,
    members: Literal["cycles", "single"] = "cycles",
    epoch: int | None = None,
    cues: Sequence[str] | None = None,
) -> TrainedClassifier:
    """Load what a study has trained, to predict new recordings.

    Parameters
    ----------
    path : str or Path
        The results folder.
    subject, fold : str or int
        Whose networks: those of a subject or, across subjects, of a fold.
    schedule : str
        Name of the arm.
    budget : int, optional
        Epochs; by default the arm's last.
    rate : float, optional
        Initial rate; by default the probabilities of all the study's rates are averaged.
    seed : int, optional
        Seed; by default the study's first.
    members : "cycles" or "single"
        The ensemble of the last half of the cycles, or the last snapshot alone. Arms that do not restart
        have one snapshot.
    epoch : int, optional
        An end of the schedule, to predict as it was then; by default the last.
    cues : sequence of str, optional
        Annotations of a Raw after which there is something to predict; by default those that the study's
        configuration names.

    Returns
    -------
    classifier : TrainedClassifier

    Raises
    ------
    UserError
        If there is no such network.

    Examples
    --------
    >>> classifier = load_classifier("results/demo", subject=1, schedule="restarts")  # doctest: +SKIP
    >>> classifier.predict(mne.io.read_raw("new.edf"))  # doctest: +SKIP
    """
    results = Results(Path(path))
    if subject is not None and fold is None:
        unit = results.subject(subject)
    elif fold is not None and subject is None:
        unit = results.fold(fold)
    else:
        raise UserError("load_classifier: name either a subject or, across subjects, a fold.")
    key = _key(results.settings, schedule, budget, rate, seed)
    rates = results.settings.training.initial_rates if rate is None else (key.rate,)
    fits = tuple(FitKey(key.schedule, key.budget, one, key.seed) for one in rates)
    for fit in fits:
        if fit not in unit.done:
            raise UserError(
                f"{unit.folder.root}: has no fit {fit.name}; there are "
                f"{', '.join(done.name for done in unit.done) or 'none'}."
            )
    predictor = Predictor(fits, _epochs(key, results.settings, members, epoch), members)
    return TrainedClassifier(results.settings, unit.data, _snapshots(unit, predictor, results.settings), cues)


def _key(
    settings: Settings, schedule: str, budget: int | None, rate: float | None, seed: int | None
) -> FitKey:
    """A fit of the configuration; what is not said has its default."""
    if schedule not in settings.schedules:
        raise UserError(
            f"schedule: the study has no {schedule!r}; there are {', '.join(settings.schedules)}."
        )
    budgets = settings.schedules[schedule].budgets
    return FitKey(
        schedule,
        max(budgets) if budget is None else budget,
        settings.training.initial_rates[0] if rate is None else rate,
        settings.training.seeds[0] if seed is None else seed,
    )


def _epochs(key: FitKey, settings: Settings, members: str, epoch: int | None) -> tuple[int, ...]:
    """Epochs of the snapshots that are averaged."""
    ends = schedule_of(key, settings).ends
    last = ends[-1] if epoch is None else epoch
    if last not in ends:
        raise UserError(f"epoch: {last} is no end of {key.name}; there are {', '.join(map(str, ends))}.")
    if members not in ("cycles", "single"):
        raise UserError(f"members: {members!r} is neither 'cycles' nor 'single'.")
    return members_at(ends, ends.index(last) + 1) if members == "cycles" else (last,)


def _snapshots(unit: Subject, predictor: Predictor, settings: Settings) -> list[Snapshot]:
    """A predictor's snapshots, read from their folders."""
    data, network = unit.data, settings.network
    start, stop = data["window_samples"]
    build = partial(
        networks.build,
        network.name,
        network.arguments,
        n_channels=len(data["sensors"]),
        n_samples=stop - start,
        n_classes=len(data["classes"]),
        sfreq=data["sfreq"],
        crop_samples=network.crop_samples,
        seed=0,
    )
    return [
        Snapshot(
            build,
            {name: torch.from_numpy(value) for name, value in unit.weights(key, epoch).items()},
            np.array(data["classes"]),
            epoch,
            key.rate,
        )
        for epoch in predictor.epochs
        for key in predictor.fits
    ]
