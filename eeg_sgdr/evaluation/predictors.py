"""Predictors: the fits and snapshots averaged into one prediction, and their cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.schedules import n_averaged
from eeg_sgdr.settings import Settings, Side
from eeg_sgdr.settings.plan import FitKey, schedule_of
from eeg_sgdr.storage.results import Subject, fit_seconds


@dataclass(frozen=True)
class Predictor:
    """N fits times M snapshots, whose probabilities are averaged with equal weights."""

    #: Of one arm and budget, over rates and seeds; none for the baseline.
    fits: tuple[FitKey, ...]
    #: Epochs of each fit's snapshots, ascending; the last is when the prediction can be made.
    epochs: tuple[int, ...]
    #: "single" (the last snapshot), "cycles" (of the last cycles), "consecutive" (epochs), or "baseline".
    members: str

    @property
    def schedule(self) -> str:
        """Name of the arm, or "baseline"."""
        return self.fits[0].schedule if self.fits else "baseline"

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
        """Seeds whose probabilities are averaged; none for the baseline."""
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
        """Networks that are averaged, N times M."""
        return self.n_fits * self.n_snapshots

    @property
    def epochs_spent(self) -> int:
        """Epochs of training of all fits together."""
        return self.n_fits * self.epoch

    def probabilities(self, stored: Mapping[FitKey, Mapping[int, np.ndarray]]) -> np.ndarray:
        """Average probabilities stored by fit and epoch; shape (n_trials, n_classes), float64."""
        return np.mean(
            [stored[key][epoch] for key in self.fits for epoch in self.epochs], axis=0, dtype=float
        )


#: The classical baseline, which is no average of fits.
CLASSICAL = Predictor((), (), "baseline")


def predictors(settings: Settings, available: Iterable[FitKey]) -> list[Predictor]:
    """All predictors of the configuration whose fits are available, whatever the labels.

    At every end of a schedule: the snapshot alone and, for arms that leave snapshots, the ensemble of the
    last cycles; at each rate and over all rates. Over several seeds only where a comparison names them.
    """
    done = set(available)
    found = []
    for name, arm in settings.schedules.items():
        rates = settings.initial_rates(name)
        groups = [(rate,) for rate in rates] + ([rates] if len(rates) > 1 else [])
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
        for predictor in side_predictors(settings, side, group)
        if done.issuperset(predictor.fits)
    ]
    return found + list(dict.fromkeys(over_seeds))


def fit_keys(schedule: str, budget: int, rates: Iterable[float], seeds: Iterable[int]) -> tuple[FitKey, ...]:
    """Fits of one arm at several rates with several seeds."""
    return tuple(FitKey(schedule, budget, rate, seed) for seed in seeds for rate in rates)


def _of_fits(settings: Settings, fits: tuple[FitKey, ...]) -> list[Predictor]:
    ends = schedule_of(fits[0], settings).ends
    found = [Predictor(fits, (end,), "single") for end in ends]
    if settings.schedules[fits[0].schedule].leaves_snapshots:
        found += [Predictor(fits, members_at(ends, i + 1), "cycles") for i in range(len(ends))]
    return found


def members_at(ends: tuple[int, ...], n_cycles: int) -> tuple[int, ...]:
    """Cycle ends whose snapshots are averaged after ``n_cycles`` completed cycles."""
    return ends[n_cycles - n_averaged(n_cycles) : n_cycles]


def seed_groups(settings: Settings, size: int) -> list[tuple[int, ...]]:
    """Disjoint groups of seeds, in order; an incomplete last group is dropped."""
    seeds = settings.training.seeds
    return [seeds[i : i + size] for i in range(0, len(seeds) - size + 1, size)]


def side_predictors(settings: Settings, side: Side, seeds: tuple[int, ...]) -> list[Predictor]:
    """Predictors of a comparison's side at the end of its budget, per rate or over all, per seed group."""
    if side.schedule == "baseline":
        return [CLASSICAL]
    budget = side.budget or max(settings.schedules[side.schedule].budgets)
    rates = settings.initial_rates(side.schedule)
    groups = [rates] if side.rates == "all" else [(rate,) for rate in rates]
    found = []
    for start in range(0, len(seeds), side.seeds):
        together = seeds[start : start + side.seeds]
        for group in groups:
            fits = fit_keys(side.schedule, budget, group, together)
            ends = schedule_of(fits[0], settings).ends
            epochs = members_at(ends, len(ends)) if side.members == "cycles" else ends[-1:]
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
    """Whether a subject has all fits of a predictor, or its baseline."""
    if predictor == CLASSICAL:
        return subject.baseline is not None and subject.baseline["state"] == "done"
    return set(predictor.fits) <= set(subject.done)


class TrainingTimes:
    """Seconds of training without scoring; reads every history.csv once."""

    def __init__(self) -> None:
        self._after_epochs: dict[tuple[str, FitKey], np.ndarray] = {}

    def seconds(self, subject: Subject, predictor: Predictor) -> float:
        """Seconds of all fits of a predictor up to its epoch, or of the baseline's fit."""
        if predictor == CLASSICAL:
            return fit_seconds(subject.baseline or {})
        return float(sum(self._of_fit(subject, key)[predictor.epoch - 1] for key in predictor.fits))

    def _of_fit(self, subject: Subject, key: FitKey) -> np.ndarray:
        name = (subject.label, key)
        if name not in self._after_epochs:
            self._after_epochs[name] = subject.history(key)["seconds"].cumsum().to_numpy()
        return self._after_epochs[name]
