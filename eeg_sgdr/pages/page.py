"""One self-contained page of HTML, put together by MNE."""

import re
import tempfile
from pathlib import Path

import mne

CSS = """
#content { padding: 0 1.5rem 4rem; }
#content p, #content li, #content figcaption { max-width: 60rem; }
#content figure { margin: 1.2rem 0 2rem; }
#content figure img { max-width: 100%; height: auto; }
#content figcaption p { margin: 0.2rem 0; color: #444; font-size: 0.95rem; }
#content h4 { margin-top: 1.5rem; font-size: 1.1rem; }
#content .wide { overflow-x: auto; container-type: inline-size; }
#content table { border-collapse: collapse; margin: 0.8rem 0; font-size: 0.8rem; }
#content caption { caption-side: top; color: #444; font-size: 0.95rem; padding: 0.2rem 0; max-width: 100cqw; }
#content th, #content td { padding: 0.1rem 0.3rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
#content th { vertical-align: bottom; white-space: normal; }
#content .number { text-align: right; font-variant-numeric: tabular-nums; }
#content td.long { white-space: normal; min-width: 15rem; }
#content tr.marked { background: #fff3cd; }
#content p.warning { padding: 0.5rem 0.8rem; border-left: 5px solid #D55E00; background: #fdf0e7; }
#content p.result { font-size: 1.2rem; }
#content pre { font-size: 0.85rem; background: #f6f6f6; padding: 0.6rem; }
#content data { white-space: nowrap; }
#content .answers li { margin: 0.5rem 0; font-size: 1.1rem; }
#filter-by-tags-dropdown-menu { display: none; }
"""


def assemble(title: str, content: dict[str, str]) -> str:
    """One self-contained page.

    Parameters
    ----------
    title : str
        Its title.
    content : dict of str to str
        HTML of each section, by title.

    Returns
    -------
    html : str
    """
    report = mne.Report(title=title, verbose="error")
    report.add_custom_css(CSS)
    for name, html in content.items():
        report.add_html(html, name, tags=())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        report.save(path, open_browser=False, overwrite=True, verbose="error")
        text = path.read_text(encoding="utf-8")
    # MNE writes the moment of making into the footer, where it would differ each time.
    body, tag, footer = text.rpartition("<footer>")
    return body + tag + re.sub(r"Created on [-\d]+ [:\d]+ via", "Made with", footer)
