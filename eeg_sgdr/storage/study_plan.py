"""plan.yaml: what a study sets out to compare, written before its first fit."""

from collections.abc import Sequence
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Comparison, Settings
from eeg_sgdr.storage import files
from eeg_sgdr.storage.folders import Study
from eeg_sgdr.storage.integrity import file_digest
from eeg_sgdr.storage.records import COMPARISON_RECORD, read_record, signed, verified


class StudyPlan(BaseModel):
    """What decides the units, the fits and the tests of a study."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Literal["subject", "fold"]
    #: Labels of all that the configuration names, whatever --subject or --fold chose.
    subjects: tuple[str, ...]
    split: dict[str, Any]
    #: Arms by name, with their optimizers.
    schedules: dict[str, dict[str, Any]]
    initial_rates: dict[str, tuple[float, ...]]
    rate_choice: dict[str, Any] | None
    seeds: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    #: In points.
    margin: float
    metric: Literal["error"] = "error"
    batch_norm_statistics: Literal["recomputed", "running"]


def planned(settings: Settings, subjects: Sequence[str]) -> StudyPlan:
    """The plan of a configuration with all its subjects."""
    data = settings.model_dump(mode="json")
    training, evaluation = settings.training, settings.evaluation
    return StudyPlan(
        unit=settings.unit,
        subjects=tuple(subjects),
        split=data["split"],
        schedules=data["schedules"],
        initial_rates={name: settings.initial_rates(name) for name in settings.schedules},
        rate_choice=data["training"]["rate_choice"],
        seeds=training.seeds,
        comparisons=tuple(with_budgets(one, settings) for one in evaluation.comparisons or ()),
        margin=evaluation.margin,
        batch_norm_statistics=evaluation.batch_norm_statistics,
    )


def with_budgets(comparison: Comparison, settings: Settings) -> Comparison:
    """A comparison with its sides' budgets written out: the longest may become another."""
    sides = {"a": comparison.a, "b": comparison.b}
    budgets = {
        name: max(settings.schedules[side.schedule].budgets)
        for name, side in sides.items()
        if side.budget is None and side.schedule in settings.schedules
    }
    return comparison.model_copy(
        update={name: sides[name].model_copy(update={"budget": budget}) for name, budget in budgets.items()}
    )


#: What a first fit, or baseline, leaves when it begins.
_BEGUN = ("fits/*", "rate_choice/fits/*", "baseline", "baselines/*")


def record(plan: StudyPlan, study: Study) -> None:
    """Write plan.yaml, unless a fit has begun, with that plan or without; UserError if that was changed."""
    with files.lock(study.root / ".config.lock"):
        folders = ("*/*", "*/*/folds/*")
        if any(path for of in folders for begun in _BEGUN for path in study.root.glob(f"{of}/{begun}")):
            read(study)
        else:
            text = yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
            files.write_text(study.plan, signed(text))


def read(study: Study) -> StudyPlan | None:
    """Read plan.yaml; None where there is none, UserError if it was changed or is invalid."""
    path = study.plan
    if not path.is_file():
        return None
    content = verified(path)
    remedy = "restore it, or delete it: reports then say that there is no plan"
    if content is None or _listed(study) not in ("", digest(study)):
        raise UserError(f"{path}: was changed since it was written; {remedy}.")
    try:
        return StudyPlan.model_validate(config.parse_yaml(content.decode(), str(path)))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {remedy}.") from error


def _listed(study: Study) -> str:
    """SHA-256 of plan.yaml as comparison.json lists it; empty where it does not."""
    path = study.comparison_record
    record = read_record(path, COMPARISON_RECORD) if path.is_file() else {"sha256": {}}
    return str(record["sha256"].get(study.plan.name, ""))


def digest(study: Study) -> str:
    """SHA-256 of plan.yaml."""
    return file_digest(study.plan)
