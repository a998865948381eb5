"""Both sides' errors of every tested comparison, read from comparison.csv."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from eeg_sgdr.settings import Settings, SubjectSplit


@dataclass(frozen=True)
class Pairs:
    """Errors of both sides of a comparison in the units that have both.

    Attributes
    ----------
    a, b : str
        What the sides are called.
    errors : DataFrame
        Columns ``a`` and ``b``, fractions between 0 and 1; a row for each subject or fold, by its label.
    """

    a: str
    b: str
    errors: pd.DataFrame

    @property
    def difference(self) -> np.ndarray:
        """Errors of b less those of a: positive where a is better; shape (n_units,)."""
        return (self.errors["b"] - self.errors["a"]).to_numpy()


def pairs(comparison: pd.DataFrame, settings: Settings) -> dict[str, Pairs]:
    """Errors behind every comparison of the configuration that any unit has both sides of.

    Parameters
    ----------
    comparison : DataFrame
        comparison.csv.
    settings : Settings
        The configuration.

    Returns
    -------
    pairs : dict of str to Pairs
        By the comparison's name.
    """
    noun = "fold" if isinstance(settings.split, SubjectSplit) else "subject"
    tested = comparison[comparison["family"] == "tested"]
    # Rows of a comparison follow each other, this one first.
    number = (tested["quantity"] == "mean difference").cumsum() - 1
    found = {}
    for i, one in enumerate(settings.evaluation.comparisons or ()):
        rows = tested[number == i]
        errors = pd.DataFrame({letter: _errors(rows, f"error of {letter}, {noun} ") for letter in "ab"})
        if len(errors):
            found[one.name] = Pairs(rows["a"].iloc[0], rows["b"].iloc[0], errors.rename_axis(noun))
    return found


def _errors(rows: pd.DataFrame, prefix: str) -> "pd.Series[float]":
    of_units = rows[rows["quantity"].str.startswith(prefix)]
    labels = of_units["quantity"].str.removeprefix(prefix)
    return of_units["estimate"].set_axis(labels.to_numpy())
