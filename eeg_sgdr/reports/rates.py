"""Sections of a page on the rates that were chosen inside the training part."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.rate_choice import at_edge
from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.reports.figures.rates import rate_choice
from eeg_sgdr.reports.html import Html, Row, image, interval, numbered_lines, phrase, points, render, whole
from eeg_sgdr.reports.tables import Column, basis_columns, table
from eeg_sgdr.reports.wording import percent
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.subject import Subject

#: Title of the section.
TITLE = "Rates that were chosen"

CAPTION = "Validation errors by schedule, epochs and initial rate."


def of_unit(subject: Subject, settings: Settings) -> dict[str, Html]:
    """The section of a subject's or fold's page, by its title; empty where no rates are chosen."""
    rows = records(subject.rates)
    if not rows:
        return {}
    tested = _tested(subject)
    drawn = pd.DataFrame(
        [{**row, "test": tested.get((row["schedule"], row["budget"], row["rate"]), np.nan)} for row in rows]
    )
    columns: list[Column] = [
        ("Schedule", lambda row: row["schedule"]),
        ("Epochs", lambda row: str(row["budget"])),
        ("Initial rate", lambda row: f"{row['rate']:g}"),
        ("Validation error (%)", lambda row: percent(row["error"])),
        ("NLL (nats)", lambda row: f"{row['nll']:.2f}"),
        _chosen(subject),
    ]
    edges = [
        f"{arm}, {budget} epochs: {rate:g}"
        for arm, budget, rate in dict.fromkeys(
            (*fit, rate) for part in subject.parts for fit, rate in part.chosen.items()
        )
        if at_edge(rate, settings.initial_rates(arm))
    ]
    sample = f"{rows[0]['n_validation']} validation trials"
    return _section(drawn, sample, edges, table(columns, rows, CAPTION), subject.data["simulated"])


def _chosen(subject: Subject) -> Column:
    """Which rate was chosen; of a subject with folds, by how many of these."""
    if subject.folds:
        return "Chosen in % of folds", lambda row: percent(row["chosen"])
    return "Chosen", lambda row: "chosen" if row["chosen"] else ""


def _tested(subject: Subject) -> dict[tuple[str, int, float], float]:
    """Test errors of last snapshots at every rate, means over seeds; empty if chosen rates alone are."""
    rows = subject.overall
    rows = rows[(rows["members"] == "single") & (rows["epoch"] == rows["budget"])]
    rows = rows[~rows["rates"].str.contains("+", regex=False) & (rows["rates"] != "tuned")]
    means = rows.groupby(["schedule", "budget", "rates"])["error"].mean().reset_index()
    return {(row["schedule"], row["budget"], float(row["rates"])): row["error"] for row in records(means)}


def of_study(comparison: pd.DataFrame, settings: Settings) -> dict[str, Html]:
    """The section of the study's page, by its title; empty where no rates are chosen."""
    of: dict[str, dict[tuple[str, int, str], Row]] = {}
    for row in numbered_lines(comparison, "rate choice"):
        of.setdefault(row["quantity"], {})[row["arm_a"], row["budget_a"], row["rates_a"]] = row
    if not of:
        return {}
    tested, unit = of.get("test error", {}), settings.unit
    pairs = [(row, of["chosen"][fit]) for fit, row in of["validation error"].items()]
    drawn = pd.DataFrame(
        [
            {
                "schedule": arm,
                "budget": budget,
                "rate": float(rate),
                "error": row["estimate"],
                "chosen": of["chosen"][arm, budget, rate]["estimate"],
                "test": tested[arm, budget, rate]["estimate"] if tested else np.nan,
            }
            for (arm, budget, rate), row in of["validation error"].items()
        ]
    )
    columns: list[Column] = [
        ("Schedule", lambda pair: pair[0]["arm_a"]),
        ("Epochs", lambda pair: whole(pair[0], "budget_a")),
        ("Initial rate", lambda pair: pair[0]["rates_a"]),
        ("Validation error (%)", lambda pair: points(pair[0])),
        ("95 % interval", lambda pair: interval(pair[0])),
        (f"Chosen in % of {unit}s", lambda pair: points(pair[1])),
        *basis_columns(unit, lambda pair: pair[0]),
    ]
    edges = [
        phrase(f"{arm}, {budget} epochs: for ", points(row), f" % of {unit}s")
        for (arm, budget, _), row in of.get("chosen at the edge of the list", {}).items()
        if row["estimate"] > 0
    ]
    numbers = table(columns, pairs, CAPTION)
    return _section(drawn, f"means over {unit}s", edges, numbers, settings.recordings.simulated)


def _section(
    drawn: pd.DataFrame, sample: str, edges: Sequence[str], numbers: Html, simulated: bool
) -> dict[str, Html]:
    """The section by its title: ``drawn`` as `rate_choice` takes it, choices at an edge, and the table."""
    picture = image(rate_choice(drawn), "svg", simulated)
    tested = bool(drawn["test"].notna().any())
    return {
        TITLE: render("rates.html", image=picture, sample=sample, edges=edges, tested=tested, numbers=numbers)
    }
