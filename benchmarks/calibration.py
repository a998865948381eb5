"""False positive rate of the study's tests, and coverage of its intervals, on simulated tables of errors.

    python benchmarks/calibration.py effects --tables 4000 > table.md
    python benchmarks/calibration.py folds --tables 4000 > table.md
    python benchmarks/calibration.py people --tables 4000 > table.md

effects: each table has errors of two schedules, counted on n_test trials (so in steps of 1 / n_test), for
every subject and seed. The true error of a fit is its subject's (drawn between 10 and 40 %), plus or minus
half the subject's true difference between the schedules, plus an effect of the training, and in folds an
effect of the fold's networks that its subjects share. Where an effect of the seed is simulated, it is one on
the difference: with shared seeds all units have the same one (`training.seeding: shared`), with seeds of
their own each unit draws it anew (`unit`). The true mean difference is 0 for the tests and 2 points for the
intervals.

folds: each table is a study across people with a learner that is trained, so that folds depend on each other
as they do there: by training people that they share, and by the networks that differ with them. A trial has
two sets of features, each standard normal about the mean of its class. How far apart the classes are differs
between people, about a direction that all share. Linear discriminant analysis with a shrunk covariance is
trained on all people but a fold's, a on one set of features and b on the other. Where the sets are drawn
alike, the true difference of the errors is 0; otherwise it is the mean over as many tables again, times ten.

people: the same learner, trained and tested on each person's own trials.

A new person is one more, who trains no one else's networks.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.evaluation.statistics import (
    binomial_interval,
    bootstrap_interval,
    corrected_interval,
    corrected_test,
    equivalence,
    mean_interval,
    positive_probability,
    prediction_interval,
    sign_flip,
    wilcoxon,
)


@dataclass(frozen=True)
class Design:
    """A study, and standard deviations of its effects as fractions of trials."""

    name: str
    n_subjects: int
    n_seeds: int
    n_test: int
    of_subjects: float = 0.03
    skewed: bool = False
    of_seeds: float = 0.02
    n_folds: int = 0
    of_folds: float = 0.0
    unit: str = "subject"
    #: Effect of a seed on the difference of the schedules, and whether all units share the seeds.
    of_seeds_on_difference: float = 0.0
    shared: bool = False


FOLDS = {"n_seeds": 2, "n_test": 15, "n_folds": 10, "of_folds": 0.03}
SEEDED = {"n_seeds": 2, "n_test": 160, "of_seeds_on_difference": 0.02}
DESIGNS = (
    Design("14 subjects, 5 seeds, 160 trials", 14, 5, 160),
    Design("the same, effects of subjects skewed", 14, 5, 160, skewed=True),
    Design("14 subjects, 5 seeds, 15 trials, equal effects", 14, 5, 15, of_subjects=0.0),
    Design("14 subjects, 1 seed, 160 trials", 14, 1, 160),
    Design("5 subjects, 2 seeds, 15 trials", 5, 2, 15),
    Design("the same, effects of subjects skewed", 5, 2, 15, skewed=True),
    Design("10 folds of 10 subjects, 2 seeds, 15 trials", 100, **FOLDS, unit="fold"),
    Design("10 folds of 2 subjects, 2 seeds, 15 trials", 20, **FOLDS, unit="fold"),
    Design("the same 10 folds of 10, tested over subjects", 100, **FOLDS),
    Design("14 subjects, 2 seeds that all share, 160 trials", 14, **SEEDED, shared=True),
    Design("the same, seeds of their own", 14, **SEEDED),
    Design(
        "10 folds of 10 subjects, 2 seeds that all share, 160 trials",
        100,
        **FOLDS | SEEDED,
        unit="fold",
        shared=True,
    ),
    Design("the same, seeds of their own", 100, **FOLDS | SEEDED, unit="fold"),
)


def differences(design: Design, n_tables: int, mean: float, rng: np.random.Generator) -> np.ndarray:
    """Mean difference of every unit over seeds; shape (n_tables, n_units)."""
    n, m = design.n_subjects, design.n_seeds
    base = rng.uniform(0.1, 0.4, (n_tables, n, 1))
    # Both have mean 0 and variance 1; the exponential's skewness is 2.
    z = rng.exponential(size=(n_tables, n, 1)) - 1 if design.skewed else rng.normal(size=(n_tables, n, 1))
    half = (mean + design.of_subjects * z) / 2
    if design.of_seeds_on_difference:
        of_seed = rng.normal(size=(n_tables, 1 if design.shared else design.n_folds or n, m))
        half = half + design.of_seeds_on_difference * np.repeat(of_seed, n // of_seed.shape[1], axis=1) / 2
    errors = []
    for sign in (-1, 1):
        p = base + sign * half + design.of_seeds * rng.normal(size=(n_tables, n, m))
        if design.n_folds:
            of_fold = design.of_folds * rng.normal(size=(n_tables, design.n_folds, m))
            p += np.repeat(of_fold, n // design.n_folds, axis=1)
        errors.append(rng.binomial(design.n_test, np.clip(p, 0, 1)) / design.n_test)
    of_subject = (errors[1] - errors[0]).mean(axis=2)
    if design.unit == "fold":
        return of_subject.reshape(n_tables, design.n_folds, -1).mean(axis=2)
    return of_subject


def rates(design: Design, n_tables: int, rng: np.random.Generator) -> list[float]:
    """Rejections of sign flips and Wilcoxon at 5 %, coverage of the t and bootstrap intervals at 95 %."""
    true_mean = 0.02
    null = differences(design, n_tables, 0.0, rng)
    shifted = differences(design, n_tables, true_mean, rng)
    # Beyond 20 units signs are drawn: fewer than in a study, or a test would take most of the time.
    result = [np.mean([sign_flip(x, n_samples=999) <= 0.05 for x in null])]
    result.append(np.mean([wilcoxon(x) <= 0.05 for x in null]) if null.shape[1] <= 20 else np.nan)
    for interval in (mean_interval, bootstrap_interval):
        limits = np.array([interval(x) for x in shifted])
        result.append(np.mean((limits[:, 0] <= true_mean) & (true_mean <= limits[:, 1])))
    return [float(rate) for rate in result]


@dataclass(frozen=True)
class Learning:
    """A study whose learner is trained; distances in standard deviations of a trial's features."""

    name: str
    #: Trials of a person and class: all of them across people, those of either part within.
    n_trials: int
    #: Features of each side, a and b.
    n_features: int
    #: Between the class means, as the mean over people, by side.
    distances: tuple[float, float]
    #: Standard deviation between people of the difference of the class means, in each feature.
    of_people: float = 0.2
    #: Of the logarithm of a person's factor on the distances of both sides.
    of_strength: float = 0.3
    #: Margin of equivalence where both sides are equal; elsewhere it is the true difference.
    margin: float = 0.05

    @property
    def equal(self) -> bool:
        return self.distances[0] == self.distances[1]


N_FOLDS, N_IN_FOLD, N_PEOPLE = 10, 2, 14
#: Weight of the sphere in the covariance.
SHRINKAGE = 0.1
#: Test people to training people of a fold.
RATIO = 1 / (N_FOLDS - 1)
ACROSS = (
    Learning("equal", 40, 8, (1.5, 1.5)),
    Learning("different", 40, 8, (2.0, 1.4)),
    Learning("starved, equal", 2, 40, (1.5, 1.5), margin=0.15),
    Learning("starved, different", 2, 40, (3.2, 1.2)),
)
WITHIN = (Learning("equal", 40, 8, (1.5, 1.5)), Learning("different", 40, 8, (2.0, 1.4)))


def across_people(cell: Learning, n_tables: int, rng: np.random.Generator) -> np.ndarray:
    """Difference in each person, tested by what the other folds trained; shape (n_tables, n_folds + 1, n).

    The last are new people, who are in no fold, tested by what the first was tested by.
    """
    x = trials(cell, class_differences(cell, (n_tables, N_FOLDS + 1, N_IN_FOLD), rng), rng)
    # People have equally many trials, so moments of all training people are means.
    moments = [of_people[:, :-1].mean(axis=2) for of_people in (x.mean(axis=-2), second_moment(x))]
    training = [(of_fold.sum(axis=1, keepdims=True) - of_fold) / (N_FOLDS - 1) for of_fold in moments]
    weights, bias = (np.append(of, of[:, :1], axis=1)[:, :, None] for of in discriminant(*training))
    errors = error(x, weights, bias)
    return errors[..., 1] - errors[..., 0]


def within_people(cell: Learning, n_tables: int, rng: np.random.Generator) -> np.ndarray:
    """Difference in each of the people, who train and test by themselves; shape (n_tables, n_people)."""
    differences = class_differences(cell, (n_tables, N_PEOPLE), rng)
    x = trials(cell, differences, rng)
    errors = error(trials(cell, differences, rng), *discriminant(x.mean(axis=-2), second_moment(x)))
    return errors[..., 1] - errors[..., 0]


def class_differences(cell: Learning, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Difference of the class means of people, shape (*shape, n_sides, n_features)."""
    mean = np.array(cell.distances)[:, None] / np.sqrt(cell.n_features)
    of_people = cell.of_people * rng.normal(size=(*shape, 2, cell.n_features))
    return np.exp(cell.of_strength * rng.normal(size=(*shape, 1, 1))) * (mean + of_people)


def trials(cell: Learning, differences: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Features of people's trials, shape (..., n_sides, n_classes, n_trials, n_features)."""
    noise = rng.normal(size=(*differences.shape[:-1], 2, cell.n_trials, cell.n_features))
    return noise + np.array([-0.5, 0.5])[:, None, None] * differences[..., None, None, :]


def second_moment(x: np.ndarray) -> np.ndarray:
    """Mean outer product of trials of both classes, shape (..., n_sides, n_features, n_features)."""
    flat = x.reshape(*x.shape[:-3], -1, x.shape[-1])
    return np.swapaxes(flat, -1, -2) @ flat / flat.shape[-2]


def discriminant(means: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (..., n_sides, n_features) and bias (..., n_sides) from moments of the training trials."""
    n = means.shape[-1]
    covariance = second - np.swapaxes(means, -1, -2) @ means / 2
    sphere = np.trace(covariance, axis1=-2, axis2=-1)[..., None, None] / n * np.eye(n)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere
    weights = np.linalg.solve(shrunk, (means[..., 1, :] - means[..., 0, :])[..., None])[..., 0]
    return weights, -np.sum(weights * means.mean(axis=-2), axis=-1)


def error(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Fraction of trials that are wrong, by side."""
    scores = np.squeeze(x @ weights[..., None, :, None], -1) + bias[..., None, None]
    return (scores * np.array([-1, 1])[:, None] <= 0).mean(axis=(-2, -1))


Study = Callable[[Learning, int, np.random.Generator], np.ndarray]


def simulated(study: Study, cell: Learning, n_tables: int, rng: np.random.Generator) -> np.ndarray:
    """Differences of a study, tables made a few at a time to spare memory; shape (n_tables, n_units)."""
    n = 20
    return np.concatenate([study(cell, min(n, n_tables - i), rng) for i in range(0, n_tables, n)])


def over_folds(cell: Learning, n_tables: int, rng: np.random.Generator) -> dict[str, str]:
    """Rates over tables of ten folds, by name."""
    truth, better = truths(across_people, cell, n_tables, rng)
    found = simulated(across_people, cell, n_tables, rng)
    people, new = found[:, :-1], found[:, -1, 0]
    x, margin = people.mean(axis=2), cell.margin if cell.equal else truth
    return {
        **plain(x, truth, margin),
        "corrected t rejects": share(corrected_test(of, RATIO) <= 0.05 for of in x),
        "corrected interval covers": share(covers(corrected_interval(of, RATIO), truth) for of in x),
        "equivalent by corrected t": share(equivalence(of, margin, RATIO) <= 0.05 for of in x),
        **of_new(people.reshape(n_tables, -1), new, better, N_FOLDS),
    }


def over_people(cell: Learning, n_tables: int, rng: np.random.Generator) -> dict[str, str]:
    """Rates over tables of people with networks of their own, by name."""
    truth, better = truths(within_people, cell, n_tables, rng)
    x, new = (simulated(within_people, cell, n_tables, rng) for _ in range(2))
    margin = cell.margin if cell.equal else truth
    return {**plain(x, truth, margin), **of_new(x, new[:, 0], better, N_PEOPLE)}


def truths(study: Study, cell: Learning, n_tables: int, rng: np.random.Generator) -> tuple[float, float]:
    """Mean difference of a study, and probability that a is better; errors that are equal count as half."""
    if cell.equal:
        return 0.0, 0.5
    differences = simulated(study, cell, 10 * n_tables, rng)
    return float(differences.mean()), float((np.sign(differences).mean() + 1) / 2)


def of_new(people: np.ndarray, new: np.ndarray, better: float, n_independent: int) -> dict[str, str]:
    """Rates of what is said of a new person, by name; n_independent is the number of people or folds."""
    predicted = zip(people, new, strict=True)
    return {
        "prediction interval covers": share(
            covers(prediction_interval(of, n_independent), value) for of, value in predicted
        ),
        "probability that a is better": f"{100 * better:.1f} %",
        "its interval covers": share(
            covers(positive_probability(of, n_independent)[1:], better) for of in people
        ),
    }


def plain(x: np.ndarray, truth: float, margin: float) -> dict[str, str]:
    """Rates of the tests that take units for independent, by name."""
    return {
        "true difference": f"{100 * truth:.2f} points",
        "margin": f"{100 * margin:.2f} points",
        "sign flips reject": share(sign_flip(of) <= 0.05 for of in x),
        "t rejects": share(corrected_test(of, 0) <= 0.05 for of in x),
        "t interval covers": share(covers(mean_interval(of), truth) for of in x),
        "equivalent by t": share(equivalence(of, margin) <= 0.05 for of in x),
    }


def covers(interval: tuple[float, float], value: float) -> bool:
    return interval[0] <= value <= interval[1]


def share(outcomes: Iterable[bool]) -> str:
    """Percentage of tables, and its 95 % interval."""
    found = np.array([*outcomes])
    low, high = binomial_interval(int(found.sum()), len(found))
    return f"{100 * found.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def effects_table(n_tables: int) -> None:
    """Print a line for every design of effects."""
    rng = np.random.default_rng(0)
    print("| design | sign flips reject | Wilcoxon rejects | t interval covers | bootstrap covers |")
    print("|---|---|---|---|---|")
    for design in DESIGNS:
        cells = ["" if np.isnan(rate) else f"{100 * rate:.1f} %" for rate in rates(design, n_tables, rng)]
        print(f"| {design.name} | {' | '.join(cells)} |", flush=True)


def folds_table(n_tables: int) -> None:
    """Print a column for every study across people."""
    print_columns({cell.name: over_folds(cell, n_tables, np.random.default_rng(0)) for cell in ACROSS})


def people_table(n_tables: int) -> None:
    """Print a column for every study within people."""
    print_columns({cell.name: over_people(cell, n_tables, np.random.default_rng(0)) for cell in WITHIN})


def print_columns(columns: dict[str, dict[str, str]]) -> None:
    print("| |", " | ".join(columns), "|")
    print("|---" * (1 + len(columns)) + "|")
    for name in next(iter(columns.values())):
        print(f"| {name} |", " | ".join(column[name] for column in columns.values()), "|")


TABLES = {"effects": effects_table, "folds": folds_table, "people": people_table}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("table", choices=TABLES, help="what is simulated")
    options.add_argument("--tables", type=int, default=4000, help="simulated tables of each design")
    chosen = options.parse_args()
    TABLES[chosen.table](chosen.tables)


if __name__ == "__main__":
    main()
