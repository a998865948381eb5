"""The fits of a configuration, their keys and fingerprints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eeg_sgdr import settings as config
from eeg_sgdr.schedules import Schedule
from eeg_sgdr.settings import Baseline, Settings
from eeg_sgdr.settings.types import AnyRate


@dataclass(frozen=True, order=True)
class FitKey:
    """Key of a fit within a subject or fold.

    Attributes
    ----------
    schedule : str
        Name of the arm.
    budget : int
        Epochs.
    rate : float or "tuned"
        Initial rate; tuned stands for the rate that is chosen in each subject or fold.
    seed : int
        Seed of initial weights, order and dropout.
    """

    schedule: str
    budget: int
    rate: AnyRate
    seed: int

    @property
    def name(self) -> str:
        """Name of the fit's folder."""
        return f"{self.schedule}-b{self.budget}-r{self.rate}-s{self.seed}"


def fits(settings: Settings) -> list[FitKey]:
    """All fits of one subject: every arm, budget, rate and seed; of which `wanted` may be some."""
    return [
        FitKey(name, budget, rate, seed)
        for seed in settings.training.seeds
        for name, arm in settings.schedules.items()
        for budget in arm.budgets
        for rate in settings.initial_rates(name)
    ]


#: The chosen rate of each arm and budget of a subject or fold.
Chosen = Mapping[tuple[str, int], float]


def at_chosen_rates(keys: Iterable[FitKey], chosen: Chosen) -> list[FitKey]:
    """Those fits whose rate is the one chosen for their arm and budget."""
    return [key for key in keys if chosen.get((key.schedule, key.budget)) == key.rate]


def wanted(settings: Settings, chosen: Chosen) -> list[FitKey]:
    """The fits of a subject that are trained on its whole training part, given its chosen rates."""
    every = fits(settings)
    return at_chosen_rates(every, chosen) if settings.only_chosen_rates else every


def foreseen(settings: Settings) -> list[FitKey]:
    """The fits of a subject whose rates are not chosen yet: tuned ones where only these are trained."""
    return evaluated(settings) if settings.only_chosen_rates else fits(settings)


def evaluated(settings: Settings) -> list[FitKey]:
    """Keys of all fits that predictors average, tuned ones among them."""
    return [
        FitKey(name, budget, rate, seed)
        for seed in settings.training.seeds
        for name, arm in settings.schedules.items()
        for budget in arm.budgets
        for rate in settings.rates_alone(name)
    ]


def inner(settings: Settings) -> Settings:
    """Settings of the fits by which rates are chosen; `fits` of these lists them."""
    choice = settings.training.rate_choice
    assert choice is not None
    update = {"seeds": choice.seeds, "store": "ends", "rate_choice": None}
    training = settings.training.model_copy(update=update)
    return settings.model_copy(update={"training": training, "baselines": ()})


def tuning_epochs(key: FitKey, settings: Settings) -> int:
    """Epochs of the fits by which the rate of a tuned fit is chosen; none for other fits."""
    choice = settings.training.rate_choice
    if choice is None or key.rate != "tuned":
        return 0
    return key.budget * len(settings.initial_rates(key.schedule)) * len(choice.seeds)


def schedule_of(key: FitKey, settings: Settings) -> Schedule:
    """The schedule of a fit."""
    assert not isinstance(key.rate, str)
    return settings.schedules[key.schedule].warmed_up(key.rate, key.budget)


def ends_of(key: FitKey, settings: Settings) -> tuple[int, ...]:
    """Epochs at whose end a fit leaves a snapshot, ascending; they do not depend on its rate."""
    arm = settings.schedules[key.schedule]
    return arm.schedule(settings.initial_rates(key.schedule)[0], key.budget).ends


def baseline_fingerprint(baseline: Baseline, data: str) -> str:
    """Fingerprint of a baseline's result, given that of the trials."""
    return config.fingerprint({"data": data, **config.baseline_settings(baseline)})


def fingerprint(key: FitKey, settings: Settings, data: str) -> str:
    """Fingerprint of a fit's result, given that of the trials."""
    arm = config.fit_settings(settings, key.schedule)
    return config.fingerprint({"data": data, **arm, "budget": key.budget, "rate": key.rate, "seed": key.seed})
