"""Pages in a browser, headless Chromium, at three widths."""

import json
import re
import shutil
import subprocess

import pytest
from results_folder import MadeUp, across, compare, study_settings, write_folder, write_folds, write_study

from eeg_sgdr.reports.folds import fold_report
from eeg_sgdr.reports.study import study_report
from eeg_sgdr.reports.subject import subject_report

pytestmark = pytest.mark.browser

SUBJECTS = tuple(f"{i:02}" for i in range(1, 13))

#: Runs in the page, and leaves what it finds in the element #measured.
MEASURE = """<pre id="measured"></pre><script>
window.addEventListener("load", () => setTimeout(() => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const clips = (one) => getComputedStyle(one).overflowX !== "visible";
  const scrolls = (one) => one !== null && (clips(one) || scrolls(one.parentElement));
  const right = (one) => one.getBoundingClientRect().right;
  const wide = [...document.querySelectorAll("#content *")].filter(
    (one) => right(one) > innerWidth + 1 && !scrolls(one.parentElement));
  const found = {
    width: innerWidth,
    page: document.scrollingElement.scrollWidth,
    wide: wide.map((one) => one.outerHTML.slice(0, 200)),
    n_pictures: document.querySelectorAll("#content svg").length,
  };
  const table = [...document.querySelectorAll("table[data-search]")].find(
    (one) => one.caption?.innerText.startsWith("Mean error of each"));
  if (table) {
    const box = table.closest(".bootstrap-table");
    const column = (i) => [...box.querySelectorAll("tbody tr")].map((row) => row.cells[i].innerText);
    const click = (i) => box.querySelectorAll("thead .th-inner")[i].click();
    click(1); found.ascending = column(1);
    click(1); found.descending = column(1);
    const field = box.querySelector(".search input");
    field.value = found.descending[0]; field.dispatchEvent(new Event("keyup", {bubbles: true}));
    setTimeout(() => { found.filtered = column(1); done(); }, 1500);
  } else done();
  function done() { document.querySelector("#measured").textContent = JSON.stringify(found); }
}, 500));
</script></body>"""


def measured(page, width):
    """What `MEASURE` finds in a page that is so many pixels wide."""
    probe = page.with_name("probe.html")
    # The last one: scripts of the page speak of others.
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")
    probe.write_text(before + MEASURE + after, encoding="utf-8")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no Chromium; install it, or run without -m browser"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},1000"]
    command += ["--virtual-time-budget=20000", "--dump-dom", probe.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (found,) = re.findall(r'<pre id="measured">([^<]+)</pre>', dom)
    return json.loads(found)


def _wrong(label, key, _):
    return range(int(label) % 5 + (key.schedule == "step"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    study = compare(write_study(root / "study", study_settings(SUBJECTS, baseline=None), _wrong))
    study_report(study)
    results, subject = write_folder(root / "subject", MadeUp())
    subject_report(results, subject)
    settings = across(study_settings(SUBJECTS, baseline=None), folds=3)
    folds = compare(write_folds(root / "folds", settings, None))
    fold_report(folds, folds.fold("1"))
    study_report(folds)
    return {
        "study": root / "study" / "report.html",
        "subject": subject.folder.report,
        "fold": folds.fold("1").folder.report,
        "study of folds": root / "folds" / "report.html",
    }


@pytest.mark.parametrize("width", [1400, 800, 500])
@pytest.mark.parametrize("page", ["study", "subject", "fold", "study of folds"])
def test_nothing_is_wider_than_the_page(pages, page, width):
    found = measured(pages[page], width)
    assert found["width"] == width
    assert found["wide"] == []
    assert found["page"] <= width
    assert found["n_pictures"] >= 3


def test_tables_are_sorted_and_filtered(pages):
    found = measured(pages["study"], 1400)
    errors = [float(cell.partition(" : ")[0]) for cell in found["ascending"]]
    assert errors == sorted(5.0 * (i % 5) for i in range(1, 13))
    assert [float(cell.partition(" : ")[0]) for cell in found["descending"]] == errors[::-1]
    assert set(found["filtered"]) == {"20.0 : 25.0"}
    assert len(found["filtered"]) == errors.count(20.0)
