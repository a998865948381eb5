"""Settings of evaluation: the reference and the comparisons."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from eeg_sgdr.settings.preprocessing import BASELINES
from eeg_sgdr.settings.types import ArmName, Count, Epochs, Later, Model, Number, Rate


class Reference(Model):
    """The one predictor that others are measured against in figures.

    Attributes
    ----------
    schedule : str
        Name of the arm.
    budget : int
        Its budget.
    rate : float or "tuned"
        Its initial rate, or the one that is chosen in each subject or fold.
    """

    schedule: ArmName
    budget: Epochs
    rate: Rate | Literal["tuned"]


class Side(Model):
    """One side of a comparison; the name of a baseline may stand alone in its place.

    Attributes
    ----------
    schedule : str
        Name of the arm or baseline: ``baseline`` (the tangent space or, where it is not in the list of
        baselines, the first), ``recentred_causal`` or ``recentred_transductive``.
    members : "single", "cycles" or "averaged"
        The last snapshot alone, the ensemble of the last cycles' snapshots, or one network with the mean of
        their weights.
    rates : "each", "all" or "tuned", optional
        Rate by rate, the probabilities of all rates averaged, or the rate that is chosen in each subject or
        fold (``training.rate_choice``). By default tuned where rates are chosen, else each.
    budget : int, optional
        Budget of the arm; its last end when null.
    seeds : int
        Seed by seed (1), or the probabilities of so many seeds averaged, in disjoint groups of seeds.
    """

    schedule: ArmName
    members: Literal["single", "cycles", "averaged"] = "single"
    rates: Literal["each", "all", "tuned"] | None = None
    budget: Epochs | None = None
    seeds: Count = 1

    @model_validator(mode="before")
    @classmethod
    def _baseline_alone(cls, data: Any) -> Any:
        return {"schedule": data} if isinstance(data, str) and data in BASELINES else data


class Comparison(Model):
    """Two predictors that are tested against each other.

    Attributes
    ----------
    name : str
        What reports call it.
    a, b : Side
        The difference reported is the error of b less that of a.
    """

    name: str
    a: Side
    b: Side


class Evaluation(Model):
    """What the tables use, and what is compared.

    Attributes
    ----------
    batch_norm_statistics : "recomputed" or "running"
        Which batch-norm statistics scored states have.
    reference : Reference
        By default the step arm at the last cycle end, with the first rate or, where rates are chosen, the
        chosen one.
    comparisons : list of Comparison
        By default those of every warm_restarts arm against the first step arm with a budget equal to its
        last cycle end, and against every baseline; one that needs more seeds than there are is left out of
        the tests, and said so.
    margin : float
        Difference in points below which two sides are equivalent for your purpose; to be set before there are
        results.
    """

    batch_norm_statistics: Literal["recomputed", "running"] = "recomputed"
    reference: Reference | None = None
    comparisons: tuple[Comparison, ...] | None = None
    margin: Annotated[Number, Field(gt=0, le=100), Later(1.0)] = 1.0
