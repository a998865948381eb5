"""How Sphinx builds the documentation: python -m sphinx -W --keep-going docs docs/_build."""

import sys
from pathlib import Path

import eeg_sgdr

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "eeg_sgdr"
author = "The eeg_sgdr developers"
version = release = eeg_sgdr.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
extensions += ["columns", "command_line", "links", "mathml", "sections"]
exclude_patterns = ["_build"]

# Nothing is fetched while it builds or when it is read: no intersphinx, and formulas are MathML.
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "footer_end": [],
    "header_links_before_dropdown": 7,
    "logo": {"text": project},
    # Elsewhere the room is for code and tables.
    "secondary_sidebar_items": {page: ["page-toc"] for page in ("configuration", "design", "python")},
    "show_prev_next": False,
}
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_title = project
html_sidebars = {page: [] for page in ("compared", "reading", "tutorial")}  # they are sections of one page
html_copy_source = False

# Every reference must lead somewhere; the words of docstrings in `backticks` are references.
nitpicky = True
default_role = "py:obj"
# Types, with shapes and units, stand in the docstrings.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
