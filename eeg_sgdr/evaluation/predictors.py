"""What is scored: which fits and snapshots are averaged into one prediction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.schedules import n_averaged
from eeg_sgdr.settings import Settings, Side
from eeg_sgdr.settings.plan import FitKey, schedule_of


@dataclass(frozen=True)
class Predictor:
    """N fits times M snapshots, whose probabilities are averaged with equal weights.

    Attributes
    ----------
    fits : tuple of FitKey
        Of one arm and budget, at one or several rates, with one or several seeds; none for the baseline.
    epochs : tuple of int
        The snapshots taken of each fit, ascending; the prediction is that of the last one's moment.
    members : str
        "single" (the last snapshot), "cycles" (those of the last cycles), "consecutive" (those of the
        last epochs), or "baseline".
    """

    fits: tuple[FitKey, ...]
    epochs: tuple[int, ...]
    members: str

    @property
    def epoch(self) -> int:
        """Epochs done when the prediction can be made."""
        return self.epochs[-1]

    @property
    def rates(self) -> str:
        """Initial rates, joined by a plus."""
        return "+".join(dict.fromkeys(str(key.rate) for key in self.fits))

    @property
    def seeds(self) -> str:
        """Seeds, joined by a plus."""
        return "+".join(dict.fromkeys(str(key.seed) for key in self.fits))

    def probabilities(self, stored: Mapping[FitKey, Mapping[int, np.ndarray]]) -> np.ndarray:
        """Averaged probabilities.

        Parameters
        ----------
        stored : mapping of FitKey to mapping of int to ndarray
            Probabilities of each fit by epoch, shape (n_trials, n_classes).

        Returns
        -------
        probabilities : ndarray of float64, shape (n_trials, n_classes)
        """
        return np.mean(
            [stored[key][epoch] for key in self.fits for epoch in self.epochs], axis=0, dtype=float
        )


#: The classical baseline, which is no average of fits.
CLASSICAL = Predictor((), (0,), "baseline")


def predictors(settings: Settings, available: Iterable[FitKey]) -> list[Predictor]:
    """All predictors whose fits are there, named by the configuration before any label is read.

    Each snapshot alone and, for warm restarts, the ensemble of the last cycles, at every end; for
    each rate, and over all rates. Those over several seeds only where a comparison names them.

    Parameters
    ----------
    settings : Settings
        The configuration.
    available : iterable of FitKey
        Fits that are done.

    Returns
    -------
    predictors : list of Predictor
    """
    there = set(available)
    rates = settings.training.initial_rates
    groups = [(rate,) for rate in rates] + ([rates] if len(rates) > 1 else [])
    found = []
    for name, arm in settings.schedules.items():
        for budget in arm.budgets:
            for seed in settings.training.seeds:
                for group in groups:
                    fits = tuple(FitKey(name, budget, rate, seed) for rate in group)
                    if there.issuperset(fits):
                        found += _of_fits(settings, fits)
    over_seeds = [
        predictor
        for comparison in settings.evaluation.comparisons or ()
        for side in (comparison.a, comparison.b)
        if side.seeds > 1
        for group in seed_groups(settings, side.seeds)
        for predictor in side_predictors(settings, side, group)
        if there.issuperset(predictor.fits)
    ]
    return found + list(dict.fromkeys(over_seeds))


def _of_fits(settings: Settings, fits: tuple[FitKey, ...]) -> list[Predictor]:
    ends = schedule_of(fits[0], settings).ends
    found = [Predictor(fits, (end,), "single") for end in ends]
    if settings.schedules[fits[0].schedule].leaves_snapshots:
        found += [Predictor(fits, members_at(ends, i + 1), "cycles") for i in range(len(ends))]
    return found


def members_at(ends: tuple[int, ...], n_cycles: int) -> tuple[int, ...]:
    """Ends of the cycles whose snapshots are averaged when ``n_cycles`` are completed."""
    return ends[n_cycles - n_averaged(n_cycles) : n_cycles]


def seed_groups(settings: Settings, size: int) -> list[tuple[int, ...]]:
    """Disjoint groups of seeds, in order; seeds that fill no group are left over."""
    seeds = settings.training.seeds
    return [seeds[i : i + size] for i in range(0, len(seeds) - size + 1, size)]


def side_predictors(settings: Settings, side: Side, seeds: tuple[int, ...]) -> list[Predictor]:
    """The predictors of one side of a comparison, at the last end of its budget.

    Parameters
    ----------
    settings : Settings
        The configuration.
    side : Side
        One side; with ``rates: each`` there is a predictor for each rate, with ``all`` a single one.
    seeds : tuple of int
        As many as are averaged, or a multiple: then the predictors of each such group. The baseline has
        no seeds.

    Returns
    -------
    predictors : list of Predictor
    """
    if side.schedule == "baseline":
        return [CLASSICAL]
    budget = side.budget or max(settings.schedules[side.schedule].budgets)
    rates = settings.training.initial_rates
    groups = [rates] if side.rates == "all" else [(rate,) for rate in rates]
    found = []
    for start in range(0, len(seeds), side.seeds):
        together = seeds[start : start + side.seeds]
        for group in groups:
            fits = tuple(FitKey(side.schedule, budget, rate, seed) for seed in together for rate in group)
            ends = schedule_of(fits[0], settings).ends
            epochs = members_at(ends, len(ends)) if side.members == "cycles" else ends[-1:]
            found.append(Predictor(fits, epochs, side.members))
    return found
