"""Blocks of code in the pages of the documentation."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language):
    """All blocks of a language of a page in `docs`, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.S | re.M)


def block(words, page="../README"):
    """The one block of Python that holds some words."""
    (found,) = [code for code in blocks(page, "python") if words in code]
    return found
