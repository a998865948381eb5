"""What the sides of each comparison took in seconds, for the one element of a report that holds times."""

from collections.abc import Callable, Sequence

import numpy as np

from eeg_sgdr import times
from eeg_sgdr.plan import FitKey
from eeg_sgdr.predictors import CLASSICAL, Predictor, seed_groups, side_predictors
from eeg_sgdr.results import Results
from eeg_sgdr.settings import Settings, Side
from eeg_sgdr.subjects import Subject

#: Of a subject, the seconds after each epoch of a fit.
Clock = Callable[[Subject, FitKey], np.ndarray]


def took(results: Results) -> list[str]:
    """A sentence on each comparison of which both sides are there, and before them what they mean.

    Parameters
    ----------
    results : Results
        The results folder.

    Returns
    -------
    sentences : list of str
    """
    settings = results.settings
    read: dict[tuple[str, FitKey], np.ndarray] = {}

    def clock(subject: Subject, key: FitKey) -> np.ndarray:
        name = (subject.label, key)
        if name not in read:
            read[name] = subject.history(key)["seconds"].cumsum().to_numpy()
        return read[name]

    sentences = []
    for one in settings.evaluation.comparisons or ():
        sides = [_of_side(results.subjects, settings, side, clock) for side in (one.a, one.b)]
        if all(training for training, _ in sides):
            seconds, predicting = zip(*sides, strict=True)
            sentences.append(
                f"{one.name}: {' against '.join(map(_seconds, seconds))} of training, "
                f"{' against '.join(map(_milliseconds, predicting))} to predict a trial."
            )
    if not sentences:
        return []
    return [
        "What one predictor took, on average over those that are there: its trainings one after the other, "
        "scoring left out; a trial (from its window on, or its covariance for the baseline) predicted by one "
        "of its networks, given many trials at a time, times the number of networks averaged.",
        *sentences,
    ]


def _of_side(
    subjects: Sequence[Subject], settings: Settings, side: Side, clock: Clock
) -> tuple[list[float], list[float]]:
    """Seconds of training of each predictor of a side in each subject, and of predicting one trial."""
    groups = seed_groups(settings, side.seeds)
    predictors = dict.fromkeys(one for group in groups for one in side_predictors(settings, side, group))
    training, predicting = [], []
    for subject in subjects:
        for predictor in predictors:
            if _is_there(subject, predictor):
                training.append(_training(subject, predictor, clock))
                predicting += _predicting(subject, predictor)
    return training, predicting


def _is_there(subject: Subject, predictor: Predictor) -> bool:
    if predictor == CLASSICAL:
        return subject.baseline is not None and subject.baseline["state"] == "done"
    return {*predictor.fits} <= {*subject.done}


def _training(subject: Subject, predictor: Predictor, clock: Clock) -> float:
    if predictor == CLASSICAL and subject.baseline:
        return times.of_fit(subject.baseline)
    return float(sum(clock(subject, key)[predictor.epoch - 1] for key in predictor.fits))


def _predicting(subject: Subject, predictor: Predictor) -> list[float]:
    """Seconds of one trial; empty where they were not measured."""
    if predictor == CLASSICAL:
        each = [times.of_prediction(subject.baseline)] if subject.baseline else []
    else:
        each = [times.of_prediction(subject.fits[key]) for key in predictor.fits for _ in predictor.epochs]
    known = [seconds for seconds in each if seconds is not None]
    return [sum(known)] if len(known) == len(each) else []


def _seconds(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    return f"{mean:.0f} s" if mean >= 100 else f"{mean:.2f} s"


def _milliseconds(values: Sequence[float]) -> str:
    return f"{1000 * float(np.mean(values)):.2f} ms" if values else "not measured"
