"""Predictors: the fits and snapshots averaged into one prediction, and their cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from eeg_sgdr.schedules import n_averaged
from eeg_sgdr.settings import BASELINES, Settings, Side, plan
from eeg_sgdr.settings.plan import Chosen, FitKey, ends_of
from eeg_sgdr.settings.types import AnyRate
from eeg_sgdr.storage.subject import CrossValidated, Subject, fit_seconds

Value = TypeVar("Value")


@dataclass(frozen=True)
class Predictor:
    """N fits times M snapshots, whose probabilities, or weights within each fit, are averaged equally."""

    #: Of one arm and budget, over rates and seeds; none for a baseline.
    fits: tuple[FitKey, ...]
    #: Epochs of each fit's snapshots, ascending; the last is when the prediction can be made.
    epochs: tuple[int, ...]
    #: "single" (the last snapshot), "cycles" (of the last cycles), "averaged" (their weights), "consecutive"
    #: (epochs), or "baseline".
    members: str
    #: Name of the classical baseline; empty for others.
    baseline: str = ""

    @property
    def schedule(self) -> str:
        """Name of the arm or baseline."""
        return self.baseline or self.fits[0].schedule

    @property
    def budget(self) -> int:
        """Epochs of the whole schedule."""
        return self.fits[0].budget if self.fits else 0

    @property
    def epoch(self) -> int:
        """Epochs of each fit after which the prediction can be made."""
        return max(self.epochs, default=0)

    @property
    def rates(self) -> str:
        """Initial rates, joined by a plus."""
        return "+".join(dict.fromkeys(str(key.rate) for key in self.fits))

    @property
    def seeds(self) -> str:
        """Seeds, joined by a plus."""
        return "+".join(str(seed) for seed in self.seed_group)

    @property
    def seed_group(self) -> tuple[int, ...]:
        """Seeds whose probabilities are averaged; none for a baseline."""
        return tuple(dict.fromkeys(key.seed for key in self.fits))

    @property
    def n_fits(self) -> int:
        """Fits that are averaged, N."""
        return len(self.fits)

    @property
    def n_snapshots(self) -> int:
        """Snapshots of each fit that are averaged, M."""
        return len(self.epochs)

    @property
    def n_networks(self) -> int:
        """Networks that predict: N times M, or N where weights are averaged."""
        return self.n_fits * len(self.states)

    @property
    def states(self) -> tuple[int, ...]:
        """Epochs by which the probabilities of each fit's networks are stored."""
        return self.epochs[-1:] if self.members == "averaged" else self.epochs

    @property
    def epochs_spent(self) -> int:
        """Epochs of training of all fits together, without those by which their rate was chosen."""
        return self.n_fits * self.epoch

    def is_stored(self, stored: "Stored") -> bool:
        """Whether the probabilities of all its networks are stored."""
        of = self._of(stored)
        return all(key in of and of[key].keys() >= {*self.states} for key in self.fits)

    def probabilities(self, stored: "Stored") -> np.ndarray:
        """Average stored probabilities; shape (n_trials, n_classes), float64."""
        of = self._of(stored)
        return np.mean([of[key][epoch] for key in self.fits for epoch in self.states], axis=0, dtype=float)

    def _of(self, stored: "Stored") -> Mapping[FitKey, Mapping[int, np.ndarray]]:
        return stored.averaged if self.members == "averaged" else stored.snapshots


@dataclass(frozen=True)
class Stored:
    """Test probabilities of a subject or fold by fit and epoch: of snapshots, and of averaged weights."""

    snapshots: Mapping[FitKey, Mapping[int, np.ndarray]]
    averaged: Mapping[FitKey, Mapping[int, np.ndarray]]


def tuned(keys: Iterable[FitKey], chosen: Chosen) -> dict[FitKey, FitKey]:
    """The fits at chosen rates by their tuned keys."""
    return {replace(key, rate="tuned"): key for key in plan.at_chosen_rates(keys, chosen)}


def with_tuned(values: Mapping[FitKey, Value], chosen: Chosen) -> dict[FitKey, Value]:
    """Values of fits, those at chosen rates by their tuned keys, too."""
    return {**values, **{key: values[fit] for key, fit in tuned(values, chosen).items()}}


def read_stored(
    subject: Subject,
    settings: Settings,
    fits: Iterable[FitKey],
    chosen: Chosen,
) -> Stored:
    """Read the test probabilities of fits that are done, with the configured batch-norm statistics."""
    statistics = settings.evaluation.batch_norm_statistics
    snapshots = {key: subject.probabilities(key, statistics) for key in fits}
    averaged = [key for key in snapshots if averages(key, settings) and subject.has_averages(key)]
    weights = {key: subject.averaged_probabilities(key) for key in averaged}
    return Stored(with_tuned(snapshots, chosen), with_tuned(weights, chosen))


def classical(name: str) -> Predictor:
    """A classical baseline, which is no average of fits."""
    return Predictor((), (), "baseline", name)


def predictors(settings: Settings, available: Iterable[FitKey]) -> list[Predictor]:
    """All predictors of the configuration whose fits are available, whatever the labels.

    At every end of a schedule: the snapshot alone and, for arms that leave snapshots, the ensemble of the
    last cycles and their averaged weights; at each rate and over all rates. Over several seeds only where a
    comparison names them.
    """
    done = set(available)
    found = []
    for name, arm in settings.schedules.items():
        groups = rate_groups(settings, name)
        for budget in arm.budgets:
            for seed in settings.training.seeds:
                for group in groups:
                    fits = fit_keys(name, budget, group, (seed,))
                    if done.issuperset(fits):
                        found += _of_fits(settings, fits)
    over_seeds = [
        predictor
        for comparison in settings.evaluation.comparisons or ()
        for side in (comparison.a, comparison.b)
        if side.seeds > 1
        for group in seed_groups(settings, side.seeds)
        if can_predict(settings, side)
        for predictor in side_predictors(settings, side, group)
        if done.issuperset(predictor.fits)
    ]
    return found + list(dict.fromkeys(over_seeds))


#: Rates whose probabilities are averaged: one, or all.
Rates = tuple[AnyRate, ...]


def rate_groups(settings: Settings, arm: str) -> list[Rates]:
    """Rates at which an arm's fits predict: each alone, and all together where all are trained."""
    alone, every = settings.rates_alone(arm), settings.initial_rates(arm)
    together: list[Rates] = [every] if len(every) > 1 and {*alone} >= {*every} else []
    return [*((rate,) for rate in alone), *together]


def fit_keys(schedule: str, budget: int, rates: Rates, seeds: Iterable[int]) -> tuple[FitKey, ...]:
    """Fits of one arm at several rates with several seeds."""
    return tuple(FitKey(schedule, budget, rate, seed) for seed in seeds for rate in rates)


def _of_fits(settings: Settings, fits: tuple[FitKey, ...]) -> list[Predictor]:
    ends = ends_of(fits[0], settings)
    found = [Predictor(fits, (end,), "single") for end in ends]
    if settings.schedules[fits[0].schedule].leaves_snapshots:
        found += [Predictor(fits, members_at(ends, i + 1), "cycles") for i in range(len(ends))]
    return found + [Predictor(fits, epochs, "averaged") for epochs in averages(fits[0], settings)]


def averages(key: FitKey, settings: Settings) -> list[tuple[int, ...]]:
    """Epochs of the snapshots of a fit whose weights are averaged, by ascending end; one alone is left out.

    Averaged weights have no running batch-norm statistics: none where those are evaluated.
    """
    if not settings.schedules[key.schedule].leaves_snapshots or _is_running(settings):
        return []
    ends = ends_of(key, settings)
    members = [members_at(ends, i + 1) for i in range(len(ends))]
    return [epochs for epochs in members if len(epochs) > 1]


def _is_running(settings: Settings) -> bool:
    return settings.evaluation.batch_norm_statistics == "running"


def can_predict(settings: Settings, side: Side) -> bool:
    """Whether a comparison's side has predictors with the configured batch-norm statistics."""
    return side.members != "averaged" or not _is_running(settings)


def has_temperature(side: Side) -> bool:
    """Whether inner fits predict as a comparison's side does, so that its temperature can be fitted."""
    return side.rates == "tuned" and side.members != "averaged" and side.seeds == 1


def to_average(subject: Subject, settings: Settings) -> list[FitKey]:
    """Fits that are done, but whose snapshots' weights are not averaged yet."""
    done = set(subject.done)
    return [
        key
        for key in plan.fits(settings)
        if key in done and averages(key, settings) and not subject.has_averages(key)
    ]


def members_at(ends: tuple[int, ...], n_cycles: int) -> tuple[int, ...]:
    """Cycle ends whose snapshots are averaged after ``n_cycles`` completed cycles."""
    return ends[n_cycles - n_averaged(n_cycles) : n_cycles]


def seed_groups(settings: Settings, size: int) -> list[tuple[int, ...]]:
    """Disjoint groups of seeds, in order; an incomplete last group is dropped."""
    seeds = settings.training.seeds
    return [seeds[i : i + size] for i in range(0, len(seeds) - size + 1, size)]


def side_predictors(settings: Settings, side: Side, seeds: tuple[int, ...]) -> list[Predictor]:
    """Predictors of a comparison's side at the end of its budget, per rate or over all, per seed group."""
    if side.schedule in BASELINES:
        return [classical(side.schedule)]
    budget = side.budget or max(settings.schedules[side.schedule].budgets)
    rates: Rates = ("tuned",) if side.rates == "tuned" else settings.initial_rates(side.schedule)
    groups = [rates] if side.rates == "all" else [(rate,) for rate in rates]
    found = []
    for start in range(0, len(seeds), side.seeds):
        together = seeds[start : start + side.seeds]
        for group in groups:
            fits = fit_keys(side.schedule, budget, group, together)
            ends = ends_of(fits[0], settings)
            epochs = ends[-1:] if side.members == "single" else members_at(ends, len(ends))
            found.append(Predictor(fits, epochs, side.members))
    return found


def reference(settings: Settings, seed: int) -> Predictor:
    """The reference predictor of the configuration."""
    named = settings.evaluation.reference
    assert named is not None
    return last_snapshot(FitKey(named.schedule, named.budget, named.rate, seed))


def last_snapshot(key: FitKey) -> Predictor:
    """One fit at its end."""
    return Predictor((key,), (key.budget,), "single")


def is_done(subject: Subject, predictor: Predictor) -> bool:
    """Whether a subject has all fits of a predictor, and their averaged weights if it needs them."""
    if predictor.baseline:
        return subject.baselines.get(predictor.baseline, {}).get("state") == "done"
    fits = [subject.trained(key) for key in predictor.fits]
    averaged = predictor.members != "averaged" or all(map(subject.has_averages, fits))
    return averaged and all(key in subject.fits and subject.fits[key]["state"] == "done" for key in fits)


class TrainingTimes:
    """Seconds of training without scoring; reads every history.csv once."""

    def __init__(self) -> None:
        self._after_epochs: dict[tuple[Path, FitKey], np.ndarray] = {}

    def seconds(self, subject: Subject, predictor: Predictor) -> float:
        """Seconds of all fits of a predictor up to its epoch, or of a baseline's fit; over folds, means."""
        if isinstance(subject, CrossValidated):
            return float(np.mean([self.seconds(fold, predictor) for fold in subject.folds]))
        if predictor.baseline:
            return fit_seconds(subject.baselines[predictor.baseline])
        fits = map(subject.trained, predictor.fits)
        return float(sum(self._of_fit(subject, key)[predictor.epoch - 1] for key in fits))

    def _of_fit(self, subject: Subject, key: FitKey) -> np.ndarray:
        name = (subject.folder.root, key)
        if name not in self._after_epochs:
            self._after_epochs[name] = subject.history(key)["seconds"].cumsum().to_numpy()
        return self._after_epochs[name]
