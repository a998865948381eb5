"""Numbers of comparison.csv as HTML, each marked with the row and column where it stands."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from eeg_sgdr.pages.markup import Html
from eeg_sgdr.pages.wording import p_value
from eeg_sgdr.tables import records

#: A row of comparison.csv by column, and "line": its number in the file, whose first line is the header.
Row = dict[str, Any]

#: What stands where there is no number.
NONE = "none"


def lines(comparison: pd.DataFrame, family: str) -> list[Row]:
    """Rows of a family, with their numbers in the file."""
    numbered = comparison.assign(line=np.arange(len(comparison)) + 2)
    return records(numbered[numbered["family"] == family])


def marked(row: Row, column: str, text: str) -> Html:
    """A text that shows a number, with the row and column of comparison.csv that it comes from."""
    line = row["line"]
    return Html(
        f'<data value="{row[column]}" data-row="{line}" data-column="{column}" '
        f'title="comparison.csv, line {line}, {column}">{escape(text)}</data>'
    )


def points(row: Row, column: str = "estimate") -> Html:
    """A fraction as percent or points, to a tenth."""
    return decimal(row, column, digits=1, factor=100)


def size(row: Row) -> Html:
    """A difference in points without its sign, for sentences that say better or worse."""
    return marked(row, "estimate", f"{abs(100 * row['estimate']):.1f}")


def decimal(row: Row, column: str = "estimate", digits: int = 2, factor: float = 1) -> Html:
    """A number with so many digits after the point."""
    value = row[column]
    if pd.isna(value):
        return Html(NONE)
    if np.isinf(value):
        return marked(row, column, "infinite")
    # What rounds to zero has no sign.
    return marked(row, column, f"{round(factor * value, digits) + 0.0:.{digits}f}")


def whole(row: Row, column: str) -> Html:
    """A whole number; epochs that are infinite were not reached, medians may lie between two."""
    value = row[column]
    if pd.isna(value):
        return Html(NONE)
    return marked(row, column, "not reached" if np.isinf(value) else f"{value:g}")


def p(row: Row, column: str = "p") -> Html:
    """A p-value with its sign of equality."""
    if pd.isna(row[column]):
        return Html(NONE)
    words, _, digits = p_value(row[column]).rpartition(" ")
    return Html(escape(f"{words} ").replace(" ", "&nbsp;") + marked(row, column, digits))


def interval(row: Row, factor: float = 100, digits: int = 1) -> Html:
    """Low to high."""
    if pd.isna(row["low"]):
        return Html(NONE)
    low, high = (decimal(row, column, digits, factor) for column in ("low", "high"))
    return Html(f"{low} to {high}")


def pair(row: Row, column: str) -> Html:
    """The column of a, a colon, and that of b."""
    return Html(" : ".join(whole(row, f"{column}_{letter}") for letter in "ab"))


def tally(row: Row) -> Html:
    """Units better, equal, worse."""
    return Html(" : ".join(whole(row, name) for name in ("better", "equal", "worse")))


def median(row: Row) -> Html:
    """A median of fractions, and its quartiles."""
    return Html(f"{points(row)} ({interval(row)})")


def basis(row: Row) -> list[str]:
    """How many subjects and seeds a row stands on, and who is missing."""
    return [whole(row, "n_units"), whole(row, "n_seeds"), row["missing"] or "none"]
