"""Links of Markdown files, from files of the repository to pages of the site.

Files outside docs/ are included by a page each; those without a page are named without a link.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
#: Pages that include a file from outside.
PAGES = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "benchmarks/README.md": "benchmarks.md",
    "configs": "configurations.md",
    "data/README.md": "data.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def relinked(text: str, folder: Path) -> str:
    """Markdown of a file in ``folder``, with links to pages of the site."""

    def place(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups()
        if "://" in target or target.startswith("/"):
            return match[0]
        path = (folder / target).resolve()
        if not path.exists():
            return match[0]  # MyST says that it leads nowhere
        if path.is_relative_to(DOCS):
            return f"{picture}[{words}](/{path.relative_to(DOCS).as_posix()}{anchor or ''})"
        name = path.relative_to(ROOT)
        page = PAGES.get(name.as_posix()) or PAGES.get(name.parts[0])
        return f"[{words}](/{page})" if page else f"`{name.as_posix()}`"

    return LINK.sub(place, text)


def of_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Change the links of a page of docs/."""
    source[0] = relinked(source[0], Path(app.env.doc2path(page)).parent)


def of_included(app: Sphinx, path: Path, page: str, source: list[str]) -> None:
    """Change the links of a file from outside that a page includes."""
    source[0] = relinked(source[0], (DOCS / path).resolve().parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the listeners."""
    app.connect("source-read", of_page)
    app.connect("include-read", of_included)
    return {"parallel_read_safe": True}
