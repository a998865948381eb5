"""The fits of a configuration, their keys and fingerprints."""

from dataclasses import dataclass

from eeg_sgdr import settings as config
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import Baseline, Settings


@dataclass(frozen=True, order=True)
class FitKey:
    """Key of a fit within a subject or fold.

    Attributes
    ----------
    schedule : str
        Name of the arm.
    budget : int
        Epochs.
    rate : float
        Initial rate.
    seed : int
        Seed of initial weights, order and dropout.
    """

    schedule: str
    budget: int
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """Name of the fit's folder."""
        return f"{self.schedule}-b{self.budget}-r{self.rate}-s{self.seed}"


def fits(settings: Settings) -> list[FitKey]:
    """All fits of one subject: every arm, budget, rate and seed."""
    return [
        FitKey(name, budget, rate, seed)
        for seed in settings.training.seeds
        for name, arm in settings.schedules.items()
        for budget in arm.budgets
        for rate in settings.initial_rates(name)
    ]


def schedule_of(key: FitKey, settings: Settings) -> Schedule:
    """The schedule of a fit."""
    return settings.schedules[key.schedule].warmed_up(key.rate, key.budget)


def baseline_fingerprint(baseline: Baseline, data: str) -> str:
    """Fingerprint of a baseline's result, given that of the trials."""
    return config.fingerprint({"data": data, **config.baseline_settings(baseline)})


def fingerprint(key: FitKey, settings: Settings, data: str) -> str:
    """Fingerprint of a fit's result, given that of the trials."""
    arm = config.fit_settings(settings, key.schedule)
    return config.fingerprint({"data": data, **arm, "budget": key.budget, "rate": key.rate, "seed": key.seed})
