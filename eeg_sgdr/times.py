"""The seconds that fit.json holds, in folders of any age."""

from collections.abc import Mapping
from typing import Any


def contents(fit: float, prediction: float | None) -> dict[str, float]:
    """What fit.json holds as ``seconds``.

    Parameters
    ----------
    fit : float
        Seconds of the whole fit: start, training and scoring.
    prediction : float | None
        Seconds in which what was fitted predicts one trial; None when it failed.

    Returns
    -------
    seconds : dict of str to float
    """
    return {"fit": fit} if prediction is None else {"fit": fit, "prediction": prediction}


def of_fit(content: Mapping[str, Any]) -> float:
    """Seconds of a whole fit, from its fit.json; first versions of the program held nothing else."""
    seconds = content["seconds"]
    return seconds["fit"] if isinstance(seconds, Mapping) else seconds


def of_prediction(content: Mapping[str, Any]) -> float | None:
    """Seconds of predicting one trial, from a fit.json; None where that was not measured."""
    seconds = content["seconds"]
    return seconds.get("prediction") if isinstance(seconds, Mapping) else None
