"""Columns of the tables and shapes of the arrays in a results folder."""

from collections import defaultdict
from typing import Any

#: Columns of trials.csv, evaluation.csv, rates.csv and history.csv.
TRIALS = {
    "trial": int,
    "onset_s": float,
    **dict.fromkeys(("split", "subject", "session", "run", "class", "rejected"), str),
}

#: All further columns are metrics (evaluation/metrics.py lists them).
EVALUATION: dict[str, Any] = defaultdict(
    lambda: float,
    {
        **dict.fromkeys(("fold", "subject", "schedule", "rates", "seeds", "members"), str),
        **dict.fromkeys(("budget", "epoch", "n_fits", "n_snapshots", "n_networks"), int),
        **dict.fromkeys(("epochs_spent", "n_test"), int),
        "error": float,
    },
)

#: rates.csv: validation errors by which rates are chosen.
RATES = {
    "schedule": str,
    **dict.fromkeys(("budget", "n_seeds", "n_validation"), int),
    **dict.fromkeys(("rate", "error", "nll"), float),
    "chosen": bool,
}

HISTORY = {"epoch": int, "first_rate": float, "last_rate": float, "loss": float, "seconds": float}

#: Columns of comparison.csv that identify a row: type and meaning, read by the documentation, too.
_ABOUT = {
    "comparison": (str, "name of the comparison of the configuration; empty where none is tested"),
    "family": (str, "what the row belongs to"),
    "quantity": (str, "what the numbers are"),
    "unit_kind": (str, "what units are: `subject` or `fold`; `seed` in rows of one seed"),
    "unit": (str, "label of the one unit, or seed, that the row is about; empty where it is about all"),
    "side": (str, "`a` or `b` where the quantity is of one side"),
    "points": ("Int64", "how near the reference's error, in points, where the quantity has a target"),
}

#: Columns of a predictor of each side, with the suffix `_a` or `_b`.
_SIDE = {
    "arm": (
        str,
        "name of the schedule or baseline: `baseline`, `recentred_causal` or `recentred_transductive`",
    ),
    "snapshots": (
        str,
        "`single` (the last one of each fit), `cycles` (those of the last cycles), `averaged` (one network "
        "of each fit, with the mean of their weights), `consecutive` (those of the last epochs), or "
        "`baseline`",
    ),
    "rates": (
        str,
        "an initial rate, rates whose probabilities are averaged (`0.025+0.05`), or `each` (rate by rate, "
        "errors averaged)",
    ),
    "budget": ("Int64", "epochs that the schedule is laid out for"),
    "epochs": ("Int64", "epochs of each fit after which it predicts"),
    "n_seeds": ("Int64", "seeds whose probabilities are averaged"),
    "n_fits": ("Int64", "fits that are averaged, N"),
    "n_snapshots": ("Int64", "snapshots of each fit that are averaged, M"),
    "n_networks": ("Int64", "networks that predict: N times M, or N where weights are averaged"),
    "epochs_spent": ("Int64", "epochs of training of all fits together"),
    "epochs_tuning": (
        "Int64",
        "epochs of the fits by which its rate was chosen, not counted in those",
    ),
}

#: Sample sizes and numbers.
_NUMBERS = {
    "status": (
        str,
        "`ok`, `incomplete` (some units or seeds are missing), `missing` (all are), or `left out` (the "
        "configuration has too few seeds or budgets)",
    ),
    "metric": (str, "what estimate, low and high are measured in"),
    "n_units": ("Int64", "units that have a value"),
    "n_seeds": ("Int64", "least number of seeds that any unit's value stands on"),
    "estimate": (
        float,
        "fractions between 0 and 1 where the metric is error; differences are positive where a is better",
    ),
    "low": (float, "lower end of the 95 % interval of a mean, or lower quartile of a median"),
    "high": (float, "upper end, or upper quartile"),
    "p": (float, "two-sided p-value"),
    "p_holm": (float, "the same after Holm's correction over the comparisons of the configuration"),
    "planned": (
        str,
        "`yes` or, where the comparison came later than the plan, `no`; empty where there is no plan",
    ),
    "verdict": (
        str,
        "`equivalent` (within the margin), else `better` or `worse` (of a), else `undecided`; by corrected "
        "p-values, at 5 %; empty where nothing is concluded",
    ),
    "better": ("Int64", "units in which a is better"),
    "equal": ("Int64", "units in which both are equal"),
    "worse": ("Int64", "units in which a is worse"),
}

#: Readable labels, which no code reads back.
LABELS = {
    "missing": (str, "which units and seeds are missing, or why the row is left out"),
    "label_a": (str, "what a figure calls a"),
    "label_b": (str, "what a figure calls b"),
}

#: All columns of comparison.csv in their order, with type and meaning.
COMPARISON_COLUMNS: dict[str, tuple[Any, str]] = {
    **_ABOUT,
    **{f"{name}_{letter}": column for letter in "ab" for name, column in _SIDE.items()},
    **_NUMBERS,
    **LABELS,
}

COMPARISON: dict[str, Any] = {name: dtype for name, (dtype, _) in COMPARISON_COLUMNS.items()}

#: Columns of nullable integers, and of texts.
COUNTS = [name for name, dtype in COMPARISON.items() if dtype == "Int64"]

TEXTS = [name for name, dtype in COMPARISON.items() if dtype is str]

#: By family of comparison.csv, the values of `quantity`.
QUANTITIES = {
    "tested": {
        "mean difference": "error of b less that of a, mean over units; p is that of the sign-flip test",
        "equivalence": "the margin; p is that of two one-sided t tests of a mean difference within it, "
        "across subjects of corrected resampled ones",
        "corrected mean difference": "across subjects, with interval, p and verdict by the corrected "
        "resampled t test, which allows for training sets that overlap",
        "difference of a new subject": "the mean difference, with a prediction interval for one subject "
        "more, with as many test trials and seeds",
        "better for a new subject": "probability that a is better for one subject more, and its interval",
        "bootstrap mean difference": "the same with a bootstrap interval",
        "median difference": "the same as a median",
        "signed-rank test": "p of Wilcoxon's test",
        "effect size": "Cohen's dz",
        "detectable difference": "what a t test would have found four times in five, at 5 % divided by the "
        "number of comparisons; empty where no sign-flip test of so few units can reach that",
        "mean error": "of one side",
        "median error": "of one side",
        "standard deviation between trainings": "of the difference, between the trainings of a unit with "
        "several seeds (or groups of seeds, where a side averages over them); pooled over units",
        "mean difference of a seed": "where units share seeds: the difference with one seed, or group of "
        "seeds, alone; `unit` is that seed",
        "updates": "that one predictor of a side takes: mean, least and most over units",
        "error": "of one side in one unit",
        "conditional mean difference": "across subjects, over subjects given these trained networks; its p "
        "enters no correction",
    },
    "likelihood": {
        "mean nll difference": "negative log-likelihood of b less that of a, mean over units; not tested",
        "mean nll": "of one side",
        "mean temperature": "of one side, where rates are chosen: fitted to the validation trials of its "
        "inner fits, from 0.1 to 10",
        "mean scaled nll": "of one side after scaling by that temperature",
    },
    "curve": {
        "median error": "of every predictor of one seed, and of baselines, over subjects (Figure 4)",
        "median improvement": "error of the reference, b, less that of a",
        "improvement": "the same in one subject, at the end of a schedule's longest budget",
    },
    "descriptive": {
        "mean difference": "of the last completed cycle, a, from another budget, b",
        "mean error": "of a conventional schedule at one rate",
        "best rate, at the edge of the list": "its least one, if that is of the highest or lowest rate",
        "best rate, inside the list": "the same if it is of another rate",
    },
    "ensemble": {
        "mean error": "when N fits and M snapshots of each are averaged (Figure 3, Table 2)",
        "median test trials": "of a unit",
        "independent networks by error": "how many independently seeded networks of the same schedule and "
        "rate, averaged, have the error of one fit's snapshots; interpolated, with a bootstrap interval; "
        "infinite: more than there are seeds",
        "independent networks by likelihood": "the same for the negative log-likelihood",
    },
    "anytime": {
        "area": "under the error of one side over log2 epochs, mean",
        "difference of areas": "that of b less that of a",
        "first epoch": "of one side within so many points of the reference, median; infinite: not reached",
        "reached": "fraction of units in which one side is within so many points",
        "ratio of epochs": "first epochs of b by those of a, median",
    },
    "rate choice": {
        "validation error": "of the last snapshot at one rate, by which rates are chosen; mean over units",
        "test error": "of the last snapshots at the same rate, where fits with all rates are made",
        "chosen": "fraction of units for which this rate was chosen",
        "chosen at the edge of the list": "fraction of units whose chosen rate is the lowest or highest",
    },
    "training": {
        "diverged": "fraction of fits whose last loss is above ln k, that of guessing",
    },
    "learned": {
        "better than guessing": "fraction of units in which the last snapshots of a schedule's longest "
        "budget err less than always naming the commonest class would (one-sided binomial test at 5 %)",
        "mean difference": "error of the first baseline, b, less theirs, a",
    },
}

#: Arrays of predictions.npz and summary.npz, a letter for the length of each dimension.
PREDICTIONS = {
    "epochs": "s",
    "trials": "n",
    "y": "n",
    "classes": "k",
    **dict.fromkeys(("probabilities", "probabilities_running"), "snk"),
}

#: Arrays of averaged.npz: averaged weights have no running batch-norm statistics.
AVERAGED = {name: shape for name, shape in PREDICTIONS.items() if name != "probabilities_running"}

SUMMARY = {"positions": "c3", "frequencies": "f", "spectra": "kcf", "covariance": "cc"}
