"""Fingerprints of settings; union of the settings that share a results folder."""

import hashlib
import json
from typing import Any

from eeg_sgdr.errors import UserError
from eeg_sgdr.settings.loading import validate
from eeg_sgdr.settings.preprocessing import Baseline, SubjectSplit
from eeg_sgdr.settings.study import Settings
from eeg_sgdr.settings.types import identifying, label_order, with_earlier

#: Settings of training that change no fit: lists that only grow, what is stored, and how rates are chosen.
GROWING = {"initial_rates", "seeds", "store", "rate_choice"}

#: The same of an arm.
GROWING_OF_ARMS = {"budgets", "initial_rates"}


def union(stored: Settings, asked: Settings, where: str) -> Settings:
    """Settings of a results folder extended by those of a new run.

    Lists (subjects, rates, seeds, budgets, arms, baselines) only grow, and a choice of rates may be added;
    everything else that enters a fingerprint must be equal, or a `UserError` names the differences. Settings
    of tables alone are as asked.
    A setting that the folder is older than, and that ``asked`` does not name, stays as the folder has it.
    """
    asked = with_earlier(asked, stored)
    differences = _differences(_identity(stored, asked), _identity(asked, stored))
    if differences:
        raise UserError(
            f"{where}: holds results of other settings ({'; '.join(differences)}); give another --out."
        )
    if isinstance(asked.split, SubjectSplit) and {*stored.recordings.subjects} != {
        *asked.recordings.subjects
    }:
        raise UserError(
            f"{where}: its folds are made of other subjects ({len(stored.recordings.subjects)} there, "
            f"{len(asked.recordings.subjects)} asked for); give another --out."
        )
    data = asked.model_dump(mode="json")
    for name, arm in stored.schedules.items():
        if name not in data["schedules"]:
            data["schedules"][name] = arm.model_dump(mode="json")
            continue
        other, grown = asked.schedules[name], data["schedules"][name]
        if "budgets" in grown:
            grown["budgets"] = sorted({*arm.budgets, *other.budgets})
        if arm.initial_rates or other.initial_rates:
            grown["initial_rates"] = sorted({*stored.initial_rates(name), *asked.initial_rates(name)})
    for key in ("initial_rates", "seeds"):
        data["training"][key] = sorted({*getattr(stored.training, key), *getattr(asked.training, key)})
    data["training"]["rate_choice"] = (
        data["training"]["rate_choice"] or stored.model_dump(mode="json")["training"]["rate_choice"]
    )
    by_name = {one.name: one.model_dump(mode="json") for one in (*stored.baselines, *asked.baselines)}
    data["baselines"] = list(by_name.values())
    subjects = {*stored.recordings.subjects, *asked.recordings.subjects}
    data["recordings"]["subjects"] = sorted(subjects, key=label_order)
    return validate(data, where)


def _identity(settings: Settings, other: Settings) -> dict[str, Any]:
    """Settings that must be equal within a folder."""
    data = settings.model_dump(
        mode="json",
        include={"recordings", "split", "preprocessing", "network", "training", "schedules"},
        exclude={"recordings": {"subjects"}, "training": GROWING, "schedules": {"__all__": GROWING_OF_ARMS}},
    )
    data["schedules"] = {name: arm for name, arm in data["schedules"].items() if name in other.schedules}
    names = {one.name for one in other.baselines}
    data["baselines"] = {
        one.name: one.model_dump(mode="json") for one in settings.baselines if one.name in names
    }
    if settings.training.rate_choice and other.training.rate_choice:
        # Which outer fits are made is as asked.
        data["training"]["rate_choice"] = settings.training.rate_choice.model_dump(
            mode="json", exclude={"outer"}
        )
    return data


def _differences(stored: Any, asked: Any, path: str = "") -> list[str]:
    """Differences of two trees of plain data, such as "training.batch_size: 60 here, 32 asked for"."""
    if isinstance(stored, dict) and isinstance(asked, dict):
        return [
            text
            for key in sorted({*stored, *asked})
            for text in _differences(stored.get(key), asked.get(key), f"{path}.{key}" if path else key)
        ]
    return [] if stored == asked else [f"{path}: {stored} here, {asked} asked for"]


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def data_settings(settings: Settings) -> dict[str, Any]:
    """The settings that determine a subject's trials, whatever its fold."""
    return {
        "recordings": identifying(settings.recordings, {"subjects"}),
        "split": identifying(settings.split, {"folds", "seed"}),
        "preprocessing": identifying(settings.preprocessing),
    }


def covariance_settings(settings: Settings) -> dict[str, Any]:
    """The settings, beyond the trials, that determine the covariances of all baselines."""
    return {"baseline": {"band_hz": list(settings.band_hz)} if settings.band_hz else None}


def baseline_settings(baseline: Baseline) -> dict[str, Any]:
    """The settings, beyond the trials, that determine a baseline."""
    return {"baseline": identifying(baseline)}


def fit_settings(settings: Settings, arm: str) -> dict[str, Any]:
    """The settings, beyond the trials, that determine a fit of an arm given budget, rate and seed."""
    return {
        "network": identifying(settings.network),
        "training": identifying(settings.training, GROWING),
        "schedule": identifying(settings.schedules[arm], {*GROWING_OF_ARMS, "epochs"}),
    }
