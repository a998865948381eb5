"""Reports as a reader sees them, and their numbers held against the tables that they come from."""

import re
from html import unescape

import numpy as np

MADE = re.compile(r'<section id="made">.*?</section>', re.DOTALL)
MARKED = re.compile(
    r'<data value="([^"]*)" data-row="(\d+)" data-column="(\w+)" title="[^"]*">([^<]*)</data>'
)


def visible(html):
    """What a reader sees, roughly: no scripts, styles, pictures and tags."""
    html = re.sub(r"<(script|style|svg)\b.*?</\1>", "", html, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", "", html)).replace("\xa0", " ")


def shows(text, value, row, column):
    """Whether a text shows a value: as itself, or as percent without a sign where words say it."""
    if text in ("not reached", "infinite"):
        return np.isinf(value)
    digits = len(text.partition(".")[2])
    if column in ("p", "p_holm"):
        return value < 0.001 if text == "0.001" else abs(value - float(text)) <= 0.5 * 10**-digits + 1e-9
    is_fraction = row["metric"] in ("error", "fraction", "probability") and column in (
        "estimate",
        "low",
        "high",
    )
    factor = 100 if is_fraction else 1
    signs = (1, -1) if "-" not in text else (1,)
    near = [abs(factor * value - sign * float(text)) for sign in signs]
    return min(near) <= 0.5 * 10**-digits + 1e-9


def check_numbers(html, table):
    """Every marked number is the one in its row."""
    found = MARKED.findall(html)
    assert len(found) == html.count("<data ")
    for value, line, column, text in found:
        row = table.iloc[int(line) - 2]
        assert float(value) == float(row[column]), (line, column)
        assert shows(text, row[column], row, column), (line, column, text, row[column])
    return found
