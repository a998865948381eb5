"""False positive rate of the study's tests, and coverage of its intervals, on simulated tables of errors.

    python benchmarks/calibration.py --tables 4000 > table.md

Each table has errors of two schedules, counted on n_test trials (so in steps of 1 / n_test), for every
subject and seed. The true error of a fit is its subject's (drawn between 10 and 40 %), plus or minus half the
subject's true difference between the schedules, plus an effect of the training, and in folds an effect of
the fold's networks that its subjects share. Where an effect of the seed is simulated, it is one on the
difference: with shared seeds all units have the same one (`training.seeding: shared`), with seeds of their
own each unit draws it anew (`unit`). The true mean difference is 0 for the tests and 2 points for the
intervals.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.evaluation.statistics import bootstrap_interval, mean_interval, sign_flip, wilcoxon


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


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--tables", type=int, default=4000, help="simulated tables of each design")
    n_tables = options.parse_args().tables
    rng = np.random.default_rng(0)
    print("| design | sign flips reject | Wilcoxon rejects | t interval covers | bootstrap covers |")
    print("|---|---|---|---|---|")
    for design in DESIGNS:
        cells = ["" if np.isnan(rate) else f"{100 * rate:.1f} %" for rate in rates(design, n_tables, rng)]
        print(f"| {design.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
