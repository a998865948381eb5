"""The two predictors that a page leads with, and the test between them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.evaluation import tables
from eeg_sgdr.evaluation.predictors import (
    Predictor,
    can_predict,
    is_done,
    predictors,
    read_stored,
    side_predictors,
    tuned,
)
from eeg_sgdr.evaluation.statistics import McNemar, binomial_interval, mcnemar
from eeg_sgdr.settings import BASELINES, Comparison, Settings, Side
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage.subject import Subject


@dataclass(frozen=True)
class Contender:
    """A predictor with its predictions on the test trials."""

    predictor: Predictor
    probabilities: np.ndarray  # (n_trials, n_classes), averaged over fits and snapshots
    correct: np.ndarray  # (n_trials,), bool

    @property
    def n_errors(self) -> int:
        """Misclassified test trials."""
        return int((~self.correct).sum())

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of its error."""
        return binomial_interval(self.n_errors, len(self.correct))


@dataclass(frozen=True)
class Headline:
    """Both sides of the first comparison with the first seed that has both.

    When no seed has both, the reference alone, or else the first predictor available.
    """

    y: np.ndarray  # (n_trials,), classes of the test trials by index
    contenders: tuple[Contender, ...]
    test: McNemar | None
    by_seed: dict[int, tuple[int, ...]]  # errors of both sides for every seed that has both


def headline(subject: Subject, settings: Settings) -> Headline:
    """The first comparison's predictors at the reference's rate, and McNemar's test between them."""
    y = tables.labels(subject)

    def contender(predictor: Predictor) -> Contender:
        fits = map(subject.trained, predictor.fits)
        probabilities = predictor.probabilities(read_stored(subject, settings, fits, subject.chosen))
        return Contender(predictor, probabilities, probabilities.argmax(axis=1) == y)

    pairs = {}
    for seed in settings.training.seeds:
        pair = _pair(settings, seed)
        if pair and all(is_done(subject, predictor) for predictor in pair):
            pairs[seed] = tuple(map(contender, pair))
    if not pairs:
        return Headline(
            y,
            (contender(_fallback(settings, [*subject.done, *tuned(subject.done, subject.chosen)])),),
            None,
            {},
        )
    a, b = next(iter(pairs.values()))
    by_seed = {seed: tuple(side.n_errors for side in pair) for seed, pair in pairs.items()}
    return Headline(y, (a, b), mcnemar(a.correct, b.correct), by_seed)


def _pair(settings: Settings, seed: int) -> tuple[Predictor, ...]:
    """Both sides of the first comparison; empty without one."""
    comparisons = _seed_by_seed(settings)
    if not comparisons:
        return ()
    return tuple(_at_reference(settings, side, seed) for side in (comparisons[0].a, comparisons[0].b))


def _seed_by_seed(settings: Settings) -> list[Comparison]:
    """Comparisons of single-seed predictors of arms, which one training of each can illustrate."""
    return [
        one
        for one in settings.evaluation.comparisons or ()
        if one.a.seeds == one.b.seeds == 1
        and not BASELINES.keys() & {one.a.schedule, one.b.schedule}
        and can_predict(settings, one.a)
        and can_predict(settings, one.b)
    ]


def _fallback(settings: Settings, done: Iterable[FitKey]) -> Predictor:
    """The reference of the first seed that has it, else the first predictor."""
    found = predictors(settings, done)
    named = settings.evaluation.reference
    at_reference = [
        one
        for one in found
        if named
        and (one.fits[0].schedule, one.fits[0].budget) == (named.schedule, named.budget)
        and (one.epoch, one.members, one.rates) == (named.budget, "single", str(named.rate))
    ]
    return (at_reference or found)[0]


def _at_reference(settings: Settings, side: Side, seed: int) -> Predictor:
    """The side's predictor at the reference's rate; if it averages over rates, its only one."""
    found = side_predictors(settings, side, (seed,))
    reference = settings.evaluation.reference
    rate = reference.rate if reference else settings.paired_rates(side.schedule)[0]
    return next((one for one in found if one.fits[0].rate == rate), found[0])


def side_by_side(subject: Subject, settings: Settings) -> list[tuple[str, Predictor, Predictor, list[str]]]:
    """Every comparison seed by seed, rate by rate, as (name, a, b, errors); described, not tested.

    Predictors are those of the first seed; errors are "a : b", or "missing", for each seed.
    """
    errors = {
        tuple(row[name] for name in tables.IDENTITY): round(row["error"] * row["n_test"])
        for row in tables.records(subject.overall)
    }
    rows = []
    for comparison in _seed_by_seed(settings):
        by_seed = [
            [side_predictors(settings, side, (seed,)) for side in (comparison.a, comparison.b)]
            for seed in settings.training.seeds
        ]
        n_pairs = max(map(len, by_seed[0]))
        for i in range(n_pairs):
            # A side that averages over rates has one predictor, which meets each of the other side's.
            pairs = [[side[min(i, len(side) - 1)] for side in sides] for sides in by_seed]
            counts = [[errors.get(tables.identity(one)) for one in pair] for pair in pairs]
            texts = ["missing" if None in pair else f"{pair[0]} : {pair[1]}" for pair in counts]
            rows.append((comparison.name, pairs[0][0], pairs[0][1], texts))
    return rows
