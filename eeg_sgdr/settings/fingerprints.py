"""What makes two results the same: fingerprints, and which settings may share a folder."""

import hashlib
import json
from typing import Any

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings.loading import validate
from eeg_sgdr.settings.preprocessing import SubjectSplit
from eeg_sgdr.settings.study import Settings

#: Keys that sections got after folders had been made without them: at their default they enter no
#: fingerprint, so that these folders stay what they are.
ADDED: dict[str, dict[str, Any]] = {
    "recordings": {"rename": {}, "channel_types": {}, "montage": None, "events": "annotations"},
    "preprocessing": {"reference": None, "reject_ptp_uv": None, "notch_hz": None},
}


def union(there: Settings, asked: Settings, where: str) -> Settings:
    """Settings of a results folder after it has been asked for more.

    Lists (subjects, rates, seeds, budgets, arms, the baseline) only grow; everything else that enters a
    fingerprint must be equal. What only tables depend on is taken as asked.

    Parameters
    ----------
    there, asked : Settings
        What the folder was made with, and what is asked for now.
    where : str
        What messages call the folder.

    Returns
    -------
    settings : Settings

    Raises
    ------
    UserError
        If they differ in anything that would mix results.
    """
    differences = _differences(_identity(there, asked), _identity(asked, there))
    if differences:
        raise UserError(
            f"{where}: holds results of other settings ({'; '.join(differences)}); give another --out."
        )
    if isinstance(asked.split, SubjectSplit) and {*there.recordings.subjects} != {*asked.recordings.subjects}:
        raise UserError(
            f"{where}: its folds are made of other subjects ({len(there.recordings.subjects)} there, "
            f"{len(asked.recordings.subjects)} asked for); give another --out."
        )
    data = asked.model_dump(mode="json")
    for name, arm in there.schedules.items():
        if name not in data["schedules"]:
            data["schedules"][name] = arm.model_dump(mode="json")
        elif "budgets" in data["schedules"][name]:
            budgets = {*arm.budgets, *asked.schedules[name].budgets}
            data["schedules"][name]["budgets"] = sorted(budgets)
    for key in ("initial_rates", "seeds"):
        data["training"][key] = sorted({*getattr(there.training, key), *getattr(asked.training, key)})
    data["baseline"] = data["baseline"] or there.model_dump(mode="json")["baseline"]
    subjects = {*there.recordings.subjects, *asked.recordings.subjects}
    data["recordings"]["subjects"] = sorted(subjects, key=lambda label: (label.zfill(9), label))
    return validate(data, where)


def _identity(settings: Settings, other: Settings) -> dict[str, Any]:
    """All that must not differ between what is put into one folder."""
    shared = [name for name in settings.schedules if name in other.schedules]
    both_have_baselines = settings.baseline and other.baseline
    return {
        **data_settings(settings),
        "split": settings.split.model_dump(mode="json"),
        "network": settings.network.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"initial_rates", "seeds", "store"}),
        "schedules": {
            name: settings.schedules[name].model_dump(mode="json", exclude={"budgets"}) for name in shared
        },
        **(baseline_settings(settings) if both_have_baselines else {}),
    }


def _differences(there: Any, asked: Any, path: str = "") -> list[str]:
    """Where two trees of plain data differ: "training.batch_size: 60 here, 32 asked for"."""
    if isinstance(there, dict) and isinstance(asked, dict):
        return [
            text
            for key in sorted({*there, *asked})
            for text in _differences(there.get(key), asked.get(key), f"{path}.{key}" if path else key)
        ]
    return [] if there == asked else [f"{path}: {there} here, {asked} asked for"]


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def data_settings(settings: Settings) -> dict[str, Any]:
    """The settings that determine a subject's trials; into which fold it falls is not among them."""
    return {
        "recordings": _as_ever(settings, "recordings", {"subjects"}),
        "split": settings.split.model_dump(mode="json", exclude={"folds", "seed"}),
        "preprocessing": _as_ever(settings, "preprocessing", set()),
    }


def _as_ever(settings: Settings, section: str, exclude: set[str]) -> dict[str, Any]:
    """A section as plain data, without keys that were added later and are at their default."""
    data = getattr(settings, section).model_dump(mode="json", exclude=exclude)
    added = ADDED[section]
    return {key: value for key, value in data.items() if key not in added or value != added[key]}


def baseline_settings(settings: Settings) -> dict[str, Any]:
    """The settings, beyond the trials, that determine the baseline."""
    return {"baseline": settings.model_dump(mode="json")["baseline"]}


def fit_settings(settings: Settings, arm: str) -> dict[str, Any]:
    """The settings, beyond the trials, that determine a fit of an arm given budget, rate and seed."""
    return {
        "network": settings.network.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"initial_rates", "seeds", "store"}),
        "schedule": settings.schedules[arm].model_dump(mode="json", exclude={"budgets", "epochs"}),
    }
