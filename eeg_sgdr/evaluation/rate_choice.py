"""Rates chosen inside the training part, by the errors of inner fits on its validation trials."""

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation import metrics
from eeg_sgdr.evaluation.predictors import fit_keys
from eeg_sgdr.evaluation.tables import labels
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage.results import Subject, chosen_rates
from eeg_sgdr.storage.schemas import RATES

#: Decimals to which errors averaged over seeds are compared: equal ones may differ in their last bits.
DECIMALS = 12


def choose(subject: Subject, settings: Settings) -> pd.DataFrame:
    """Choose the rates of a subject or fold; one row per arm, budget and rate, columns as of rates.csv.

    The least mean error of the last snapshot over seeds wins; ties are broken by the lower mean negative
    log-likelihood, then by the lower rate. Where a fit failed, the rate is not listed; arms and budgets of
    which a fit is missing are not, either.
    """
    choice = settings.training.rate_choice
    inner = Subject(subject.folder.rate_choice)
    if choice is None or not inner.folder.data.is_file():
        return pd.DataFrame(columns=list(RATES)).astype(RATES)
    rows = []
    for arm, of_arm in settings.schedules.items():
        for budget in of_arm.budgets:
            by_rate = {
                rate: fit_keys(arm, budget, (rate,), choice.seeds) for rate in settings.initial_rates(arm)
            }
            if all(key in inner.fits for keys in by_rate.values() for key in keys):
                rows += _rows(inner, settings, by_rate)
    return pd.DataFrame(rows, columns=list(RATES)).astype(RATES)


def _rows(
    inner: Subject, settings: Settings, by_rate: dict[float, tuple[FitKey, ...]]
) -> list[dict[str, object]]:
    """Rows of one arm and budget."""
    y = labels(inner)
    statistics = settings.evaluation.batch_norm_statistics
    rows = []
    for rate, keys in by_rate.items():
        if not {*keys} <= {*inner.done}:
            continue
        predictions = [inner.probabilities(key, statistics)[key.budget] for key in keys]
        scores = {
            name: round(float(np.mean([metric(y, predicted) for predicted in predictions])), DECIMALS)
            for name, metric in (("error", metrics.error), ("nll", metrics.nll))
        }
        about = {"schedule": keys[0].schedule, "budget": keys[0].budget, "rate": rate}
        rows.append({**about, "n_seeds": len(keys), "n_validation": len(y), **scores})
    best = min(rows, key=lambda row: (row["error"], row["nll"], row["rate"]), default=None)
    return [{**row, "chosen": row is best} for row in rows]


def missing_fits(subject: Subject, settings: Settings) -> list[str]:
    """Names of the fits that an evaluated subject or fold lacks, those by which rates are chosen first."""
    lacking = [key.name for key in plan.wanted(settings, subject.chosen) if key not in subject.fits]
    if settings.training.rate_choice is None:
        return lacking
    inner = Subject(subject.folder.rate_choice)
    choosing = [key.name for key in plan.fits(plan.inner(settings)) if key not in inner.fits]
    return [*(f"rate_choice/{name}" for name in choosing), *lacking]


def wanted(subject: Subject, settings: Settings) -> list[FitKey]:
    """The fits of a subject or fold on its whole training part, as its inner fits choose them."""
    return plan.wanted(settings, chosen_rates(choose(subject, settings)))
