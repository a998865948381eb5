"""Numbers, versions, and names of schedules, predictors and subjects, as sentences have them."""

from collections.abc import Collection, Iterable
from typing import Any

from eeg_sgdr.evaluation.predictors import Predictor
from eeg_sgdr.settings import Settings
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject

#: By how much more than a baseline's error, a fraction, networks err where that is warned of.
FAR_ABOVE = 0.1

#: Of networks that err like guessing, or far more than a baseline.
CAUSES = (
    "Likely causes: too few updates or epochs, initial rates that do not suit, a window that misses the "
    "response, or classes that these recordings do not tell apart."
)


def counted(n: int, thing: str) -> str:
    """A number with its noun: 1 trial, 2 trials."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def enumerated(thing: str, names: Collection[object]) -> str:
    """A noun with its names: seed 0, seeds 0 and 3."""
    return f"{thing}{'' if len(names) == 1 else 's'} {joined(names)}"


def percent(fraction: float) -> str:
    """A fraction in percent with one decimal, without the sign %."""
    return f"{100 * fraction:.1f}"


def p_value(p: float) -> str:
    """A p-value, to the digits that matter."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def duration(seconds: float) -> str:
    """Seconds in a readable unit, to about two significant figures."""
    for size, unit in ((2 * 86400, "days"), (2 * 3600, "h"), (2 * 60, "min")):
        if seconds >= size:
            number = seconds / {"days": 86400, "h": 3600, "min": 60}[unit]
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def versions(content: dict[str, Any]) -> str:
    """Versions that a fit was made with, from its fit.json."""
    return ", ".join(f"{name} {version}" for name, version in content["versions"].items())


def mixed_versions(fits: Iterable[dict[str, Any]]) -> list[str]:
    """A warning if fits, as their fit.json, were made with several versions, processors or forms."""
    kinds = sorted({_made_with(fit) for fit in fits})
    if len(kinds) < 2:
        return []
    return [
        "Mixed: the fits were not all made with the same versions and form on the same kind of "
        f"processor, so they differ by more than their settings ({'; '.join(kinds)})."
    ]


def _made_with(fit: dict[str, Any]) -> str:
    where = f"in a stack of {len(fit['stack'])}" if fit["stack"] else fit["cpu_capability"]
    return f"{versions(fit)}, {where}, form {fit['form']}"


def page_title(results: Results, subject: Subject) -> str:
    """Title of the page of a subject or fold."""
    simulated = "simulated recordings, " if subject.data["simulated"] else ""
    return f"{results.settings.name}: {simulated}{subject.title}"


def tested_subjects(subject: Subject) -> str:
    """Name the test subjects: one, or those of a fold."""
    if not subject.fold:
        return f"subject {subject.label}"
    labels = subject.test_subjects
    people = f"subject {labels[0]}" if len(labels) == 1 else f"the {len(labels)} subjects"
    return f"{people} of fold {subject.label}"


def schedule_name(settings: Settings, name: str) -> str:
    """Name an arm in sentences; its own name is added where several are of its kind."""
    words = settings.schedules[name].noun
    alone = sum(arm.noun == words for arm in settings.schedules.values()) == 1
    return words if alone else f"{words} ({name})"


def predictor_name(settings: Settings, predictor: Predictor) -> str:
    """Name a predictor in sentences: which networks, trained how."""
    schedule = schedule_name(settings, predictor.fits[0].schedule)
    n_fits, n_snapshots = predictor.n_fits, predictor.n_snapshots
    rates = f" at each of {n_fits} rates" if n_fits > 1 else ""
    if predictor.members == "averaged":
        averaged = f"averaged weights of the last {n_snapshots} snapshots of {schedule}"
        many = f"the ensemble of {n_fits} networks with the {averaged}, one at each rate"
        return many if n_fits > 1 else f"the network with the {averaged}"
    if n_snapshots > 1:
        return f"the ensemble of the last {n_snapshots} snapshots of {schedule}{rates}"
    if n_fits > 1:
        return f"the ensemble of {n_fits} networks trained with {schedule}, one at each rate"
    return f"the network trained with {schedule}"


def rates_title(rates: str) -> str:
    """Title of a panel: one initial rate, several averaged (joined by a plus), or tuned ones."""
    if rates == "tuned":
        return "chosen rates"
    return f"initial rate {rates}" if "+" not in rates else f"rates {rates.replace('+', ' and ')} averaged"


def short_name(settings: Settings, predictor: Predictor) -> str:
    """Name a predictor in figures and headers of tables."""
    words = schedule_name(settings, predictor.fits[0].schedule).removeprefix("the ")
    snapshots = f", {predictor.n_snapshots} snapshots" if predictor.n_snapshots > 1 else ""
    snapshots += ", averaged weights" if predictor.members == "averaged" else ""
    rates = f", {predictor.n_fits} rates" if predictor.n_fits > 1 else ""
    return words + snapshots + rates
