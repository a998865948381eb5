"""Sections of a page on the rates that were chosen inside the training part."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from eeg_sgdr.evaluation.tables import records
from eeg_sgdr.reports.figures.rates import rate_choice
from eeg_sgdr.reports.html import Html, basis, image, interval, numbered_lines, phrase, points, render, whole
from eeg_sgdr.reports.wording import percent
from eeg_sgdr.settings import Settings
from eeg_sgdr.storage.results import Subject

#: Title of the section.
TITLE = "Rates that were chosen"


def of_unit(subject: Subject, settings: Settings) -> dict[str, Html]:
    """The section of a subject's or fold's page, by its title; empty where no rates are chosen."""
    table = subject.rates
    if table.empty:
        return {}
    tested = _tested(subject)
    names = list(zip(table["schedule"], table["budget"], table["rate"], strict=True))
    drawn = table.assign(test=[tested.get(name, np.nan) for name in names])
    rows = [
        [
            row["schedule"],
            str(row["budget"]),
            f"{row['rate']:g}",
            percent(row["error"]),
            f"{row['nll']:.2f}",
            "chosen" if row["chosen"] else "",
        ]
        for row in records(table)
    ]
    first = records(table)[0]
    return {
        TITLE: render(
            "rates.html",
            image=image(rate_choice(drawn), "svg", subject.data["simulated"]),
            sample=f"{first['n_validation']} validation trials",
            edges=[
                f"{arm}, {budget} epochs: {rate:g}"
                for (arm, budget), rate in subject.chosen.items()
                if _is_at_the_edge(rate, settings.initial_rates(arm))
            ],
            tested=bool(tested),
            header=["Schedule", "Epochs", "Initial rate", "Validation error (%)", "NLL (nats)", ""],
            rows=rows,
            shaded=list(np.flatnonzero(table["chosen"])),
        )
    }


def _is_at_the_edge(rate: float, every: Sequence[float]) -> bool:
    return len(every) > 1 and rate in (min(every), max(every))


def _tested(subject: Subject) -> dict[tuple[str, int, float], float]:
    """Test errors of last snapshots at every rate, means over seeds; empty if chosen rates alone are."""
    rows = subject.overall
    rows = rows[(rows["members"] == "single") & (rows["epoch"] == rows["budget"])]
    rows = rows[~rows["rates"].str.contains("+", regex=False) & (rows["rates"] != "tuned")]
    means = rows.groupby(["schedule", "budget", "rates"])["error"].mean().reset_index()
    return {(row["schedule"], row["budget"], float(row["rates"])): row["error"] for row in records(means)}


def of_study(comparison: pd.DataFrame, settings: Settings) -> dict[str, Html]:
    """The section of the study's page, by its title; empty where no rates are chosen."""
    lines = numbered_lines(comparison, "rate choice")
    if not lines:
        return {}
    errors, chosen, edges, tests = (
        [row for row in lines if row["quantity"] == quantity]
        for quantity in ("validation error", "chosen", "chosen at the edge of the list", "test error")
    )
    tested = {(row["arm_a"], row["budget_a"], row["rates_a"]): row["estimate"] for row in tests}
    drawn = pd.DataFrame(
        [
            {
                "schedule": row["arm_a"],
                "budget": row["budget_a"],
                "rate": float(row["rates_a"]),
                "error": row["estimate"],
                "chosen": taken["estimate"],
                "test": tested.get((row["arm_a"], row["budget_a"], row["rates_a"]), np.nan),
            }
            for row, taken in zip(errors, chosen, strict=True)
        ]
    )
    rows = [
        [
            row["arm_a"],
            whole(row, "budget_a"),
            row["rates_a"],
            points(row),
            interval(row),
            points(taken),
            *basis(row),
        ]
        for row, taken in zip(errors, chosen, strict=True)
    ]
    unit = settings.unit
    return {
        TITLE: render(
            "rates.html",
            image=image(rate_choice(drawn), "svg", settings.recordings.simulated),
            sample=f"means over {unit}s",
            edges=[
                phrase(f"{row['arm_a']}, {row['budget_a']} epochs: for ", points(row), f" % of {unit}s")
                for row in edges
                if row["estimate"] > 0
            ],
            tested=bool(tested),
            header=[
                "Schedule",
                "Epochs",
                "Initial rate",
                "Validation error (%)",
                "95 % interval",
                f"Chosen in % of {unit}s",
                f"{unit.capitalize()}s",
                "Seeds",
                "Missing",
            ],
            rows=rows,
            shaded=[],
        )
    }
