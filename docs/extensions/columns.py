"""The directive ``comparison``: the columns of comparison.csv and its quantities, from the schema."""

from collections.abc import Iterable, Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from eeg_sgdr.storage.columns import COMPARISON_COLUMNS, QUANTITIES


def table(header: str, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Lines of a table in Markdown; names of columns are separated by bars."""
    yield from ("", f"| {header} |", "|" + "---|" * (header.count("|") + 1))
    yield from (f"| {' | '.join(row)} |" for row in rows)


def columns() -> Iterator[tuple[str, str]]:
    """Columns with their meanings; those of both sides together."""
    for name, (_, meaning) in COMPARISON_COLUMNS.items():
        other = f"{name.removesuffix('_a')}_b"
        if name.endswith("_a"):
            yield f"`{name}`, `{other}`", meaning
        elif not name.endswith("_b"):
            yield f"`{name}`", meaning


class Comparison(SphinxDirective):
    """Two tables: columns, and the quantities of every family."""

    def run(self) -> list[nodes.Node]:
        """Make the tables."""
        quantities = (
            (f"`{family}`", quantity, meaning)
            for family, of_family in QUANTITIES.items()
            for quantity, meaning in of_family.items()
        )
        lines = [*table("column | meaning", columns()), *table("family | quantity | meaning", quantities)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("comparison", Comparison)
    return {"parallel_read_safe": True}
