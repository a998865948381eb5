"""Units and seeds that a study to come would need: power.csv, power.svg, and a table for the terminal."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from eeg_sgdr.evaluation.power import MOST_UNITS, sample_sizes
from eeg_sgdr.reports.figures.canvas import watermark
from eeg_sgdr.reports.figures.curves import save
from eeg_sgdr.reports.figures.power import power_curves
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage import files, folders
from eeg_sgdr.storage.results import Results


def publish(results: Results, difference: float) -> str:
    """Write power.csv and power.svg of a finished study, and return what they say as a text."""
    settings, study = results.settings, folders.Study(results.root)
    table = sample_sizes(results, difference)
    figure = power_curves(table)
    if settings.recordings.simulated:
        watermark(figure, "simulated recordings")
    files.write_csv(study.power, table)
    save(figure, study.power_figure)
    written = (str(study.power), str(study.power_figure))
    return "\n".join([*_sentences(table, settings), "", _rows(table), "", *written])


def _sentences(table: pd.DataFrame, settings: Settings) -> Iterator[str]:
    first, unit = table.iloc[0], settings.unit
    yield (
        f"Needed to find a true difference of {100 * first['difference']:g} points with probability "
        f"{first['power']:g} at the level {first['alpha']:.2g} (Holm's first step), if {unit}s vary as "
        f"those of {settings.name} do; in brackets, at the ends of the standard deviation's 95 % interval."
    )
    if unit == "fold":
        size = f"{first['unit_size']:.2g}"
        yield f"Folds of {size} subjects, by the corrected resampled t, since they share training subjects."
    if table["sd_trainings"].isna().any():
        yield f"Where each {unit} has one training, what other numbers of seeds would change is not known."
    planned = set(table["comparison"])
    for one in settings.evaluation.comparisons or ():
        if one.name not in planned:
            yield f"Left out, as its differences do not vary between two {unit}s or more: {one.name}."
    if settings.training.seeding == "shared":
        yield f"{unit.capitalize()}s share their seeds, whose common effect more {unit}s do not average out."


def _rows(table: pd.DataFrame) -> str:
    """The table as text."""

    def words(n: Any) -> str:
        return f"more than {MOST_UNITS}" if pd.isna(n) else str(n)

    unit = table["unit_kind"].iloc[0]
    shown = pd.DataFrame({
        "comparison": table["comparison"],
        "seeds": table["n_seeds"],
        "sd (points)": (100 * table["sd"]).map("{:.1f}".format),
        f"{unit}s": table["n_units"].map(words),
        "": "(" + table["low"].map(words) + " to " + table["high"].map(words) + ")",
    })  # fmt: skip
    if unit == "fold":
        shown.insert(4, "subjects", table["n_subjects"].map(words))
    return shown.to_string(index=False)
