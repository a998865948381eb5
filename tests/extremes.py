"""Every number of a configuration at its extremes: run, on a tiny study, to exit status 0 or 2."""

import contextlib
import copy
import io
import math
import random
import types
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import mne
import numpy as np
import yaml
from conftest import make_raw

from eeg_sgdr import run
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings.optimizers import OptimizerSettings
from eeg_sgdr.settings.types import Model, kinds, tags

SIMULATED = {"source": "simulated", "n_subjects": 2, "n_runs": 2, "n_trials": 4}
TINY = {
    "name": "tiny",
    "recordings": SIMULATED,
    "split": {"by": "run", "test": ["02"]},
    "preprocessing": {"sensors": ["C3", "FCC1h", "C4"], "resample_hz": 100, "reject_uv": None,
                      "standardize": {"init_samples": 200}, "window_s": [-0.5, 2.0]},
    "training": {"batch_size": 2, "initial_rates": [0.05]},
    "schedules": {"step": {"kind": "step", "budgets": [1]}},
    "compute": {"data_dir": "data"},
}  # fmt: skip
FILES = {"source": "files", "pattern": "S{subject}R{run}_raw.fif", "classes": {"left": "1", "right": "2"},
         "events": {"channel": "STI"}}  # fmt: skip
BY_STEP = {"schedule": "step", "budget": 1}

#: Studies in which every section with a number occurs; parts of `TINY` that are replaced.
STUDIES: dict[str, dict[str, Any]] = {
    "simulated": {},
    "folds": {"split": {"by": "subject", "folds": 2}, "baselines": [{"kind": "recentred", "mode": "causal"}]},
    "chosen": {"training": {"batch_size": 2, "initial_rates": [0.05],
                            "rate_choice": {"validation": "tail", "outer": "all"}}},
    "files": {"recordings": FILES, "split": {"by": "run", "test": ["2"]},
              "preprocessing": {"sensors": None, "reject_uv": None, "window_s": [-0.5, 2.0]}},
    "physionet": {"recordings": {"source": "physionet", "runs": [4, 8],
                                 "classes": {"left": "left_fist", "right": "right_fist"}},
                  "split": {"by": "run", "test": ["8"]}},
    "compared": {"evaluation": {"reference": {**BY_STEP, "rate": 0.05},
                                "comparisons": [{"name": "one", "a": BY_STEP, "b": "baseline"}]}},
}  # fmt: skip

#: Keys that a kind of arm needs beyond ``kind`` and ``budgets``.
NEEDED = {"warm_restarts": {"epochs": 1}, "cyclic": {"budgets": [1], "period": 2}}

HUGE = [2**31, 2**63, 2**64, 10**400, 1e300, math.inf, -math.inf, math.nan]


@dataclass(frozen=True)
class Leaf:
    """A number in a configuration: its section's class, its field, where it is, its type and bounds."""

    model: type[Model]
    field: str
    key: tuple[str | int, ...]
    of: type
    low: float
    high: float

    @property
    def name(self) -> str:
        """Path as in the sentences."""
        return ".".join(str(part) for part in self.key if isinstance(part, str))


@dataclass(frozen=True)
class Example:
    """A number of one of `STUDIES`, and the value that it gets."""

    study: str
    leaf: Leaf
    value: Any

    def __str__(self) -> str:
        return f"{self.study}, {'.'.join(map(str, self.leaf.key))}={str(self.value)[:30]}"


def studies() -> dict[str, dict[str, Any]]:
    """Configurations as plain data: `STUDIES`, and one for each kind of arm and optimizer."""
    arms = {tag: {"kind": tag, **NEEDED.get(tag, {"budgets": [1]})} for tag in own_kinds(config.Arm)}
    step = TINY["schedules"]["step"]
    arms |= {tag: {**step, "optimizer": {"kind": tag}} for tag in own_kinds(OptimizerSettings)}
    of_arms = {name: {"schedules": {"step": step, "other": arm}} for name, arm in arms.items()}
    return {name: copy.deepcopy({**TINY, **change}) for name, change in {**STUDIES, **of_arms}.items()}


def numeric_fields(model: type[Model]) -> dict[str, list[tuple[tuple[int, ...], type, tuple]]]:
    """Fields of a section that hold numbers: of each its place (in lists), type and metadata."""
    numbers = {
        name: list(_numbers(Annotated[field.annotation, *field.metadata, None]))
        for name, field in model.model_fields.items()
    }
    return {name: found for name, found in numbers.items() if found}


def own_kinds(base: type[Model]) -> list[str]:
    """Tags of the program's kinds of a section; tests define further ones."""
    return [tag for kind in kinds(base) if kind.__module__.startswith("eeg_sgdr") for tag in tags(kind)]


def leaves(section: Model, *key: str | int) -> Iterator[Leaf]:
    """All numbers of a section and those below it."""
    for name in type(section).model_fields:
        for part, below in _sections(getattr(section, name)):
            yield from leaves(below, *key, name, *part)
    for name, numbers in numeric_fields(type(section)).items():
        for place, of, marks in numbers:
            yield Leaf(type(section), name, (*key, name, *place), of, *_bounds(of, marks))


def _sections(value: Any) -> Iterator[tuple[tuple[str | int, ...], Model]]:
    if isinstance(value, Model):
        yield (), value
    several: Any = value.items() if isinstance(value, dict) else ()
    several = enumerate(value) if isinstance(value, tuple) else several
    yield from (((part,), item) for part, item in several if isinstance(item, Model))


def _numbers(annotation: Any, marks: tuple = ()) -> Iterator[tuple[tuple[int, ...], type, tuple]]:
    """See `numeric_fields`, of one annotation."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = [single for mark in parts[1:] for single in getattr(mark, "metadata", [mark])]
        yield from _numbers(parts[0], (*marks, *own))
    elif origin in (Union, types.UnionType):
        for part in parts:
            yield from _numbers(part, marks)
    elif origin is tuple:
        for place, part in enumerate(part for part in parts if part is not ...):
            yield from (((place, *below), of, own) for below, of, own in _numbers(part))
    elif annotation in (int, float, Fraction):
        yield (), annotation, marks


def _bounds(of: type, marks: tuple) -> tuple[float, float]:
    """Smallest and largest valid value, less and more than which is refused."""
    lows, highs = [-math.inf], [math.inf]
    for mark in marks:
        if isinstance(mark, annotated_types.Ge):
            lows.append(mark.ge)
        elif isinstance(mark, annotated_types.Gt):
            lows.append(_after(of, mark.gt, math.inf))
        elif isinstance(mark, annotated_types.Le):
            highs.append(mark.le)
        elif isinstance(mark, annotated_types.Lt):
            highs.append(_after(of, mark.lt, -math.inf))
    return max(lows), min(highs)


def _after(of: type, value: Any, towards: float) -> Any:
    return value + int(math.copysign(1, towards)) if of is int else math.nextafter(value, towards)


def values(leaf: Leaf) -> list[Any]:
    """Bounds, what is just inside and outside of them, and what is no such number at all."""
    if leaf.of is Fraction:
        texts = ["1/3", "1/0", "0/1", "1e-999999999", "1e999999999", f"1/{10**400}"]
        return [*texts, 5e-324, 0.5, 0, 1, -1, True, *HUGE]
    near = [
        _after(leaf.of, bound, towards) if step else bound
        for bound in (leaf.low, leaf.high)
        if math.isfinite(bound)
        for step, towards in ((0, 0.0), (1, math.inf), (1, -math.inf))
    ]
    return [*near, 0, 1, -1, 1.0, 0.5, -0.0, 5e-324, 1e-300, True, *HUGE]


def data_of(example: Example) -> dict[str, Any]:
    """The configuration as plain data; lists of any length become lists of the value."""
    given = studies()[example.study]
    data = config.validate(given, "tiny").model_dump(mode="json")
    if "evaluation" not in given:
        del data["evaluation"]
    *way, last = example.leaf.key
    node: Any = data
    for depth, part in enumerate(way):
        below = example.leaf.key[depth + 1]
        if isinstance(below, int) and not isinstance(node[part], list):
            node[part] = [None]
        node = node[part]
    node[last] = example.value
    return data


def examples() -> list[Example]:
    """All examples, in order."""
    found: dict[tuple, Example] = {}
    for study, data in studies().items():
        for leaf in leaves(config.validate(data, "tiny")):
            # Defaults that follow from other sections are no keys of the study.
            if leaf.key[0] != "evaluation" or "evaluation" in data:
                for i, value in enumerate(values(leaf)):
                    found.setdefault((leaf.model, leaf.key[-2:], i), Example(study, leaf, value))
    return list(found.values())


def draw(n: int, seed: int) -> list[Example]:
    """Some examples."""
    return random.Random(seed).sample(examples(), n)


def write_recordings(folder: Path) -> None:
    """Files with a trigger channel, for the study "files"."""
    for number in (1, 2):
        raw = make_raw(seed=number)
        codes = np.zeros((1, raw.n_times))
        for cue in raw.annotations:
            codes[0, round(cue["onset"] * 100) + np.arange(5)] = {"l": 1, "r": 2}[cue["description"]]
        raw.set_annotations(None)
        stim = mne.io.RawArray(codes, mne.create_info(["STI"], 100.0, "stim"), verbose="error")
        raw.add_channels([stim]).save(folder / f"S1R{number}_raw.fif", overwrite=True, verbose="error")


def too_long(settings: config.Settings) -> bool:
    """Whether simulating the recordings takes longer than a test may."""
    recordings = settings.recordings
    if not isinstance(recordings, config.SimulatedRecordings):
        return False
    return recordings.n_runs * recordings.n_trials > 40 or recordings.sfreq > 1000


def problem(example: Example, folder: Path) -> str:
    """Run an example in the current folder, which holds recordings; what is wrong with its end, or ""."""
    data = data_of(example)
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    arguments = ["--config", str(file), "--jobs", "1", "--out", str(folder / "out")]
    arguments += ["--fold", "1"] if example.study == "folds" else ["--subject", "1"]
    refused = ""
    try:
        settings = config.load(file)
    except UserError as error:
        refused = str(error)
    else:
        if too_long(settings):
            return ""
        if sum(sum(arm.budgets) for arm in settings.schedules.values()) > 10:
            arguments += ["--dry-run"]
    before = {*Path("data").rglob("*")}
    said, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(err):
            status = run.main(arguments)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    text = err.getvalue()
    if status not in (0, 2):
        return f"status {status}: {text}"
    if "Traceback" in text or "Warning" in text:
        return text
    if not refused:
        return "" if status == 0 or text.strip().endswith(".") else f"status 2 without a sentence: {text}"
    wrong = {
        "status": status != 2,
        "another sentence": text != f"{refused}\n",
        "several lines": text.count("\n") != 1,
        "too long": len(text) > 300,
        # Of what its arm's numbers make together, the sentence names the arm.
        "does not name the key": example.leaf.field not in text and "schedules.other" not in text,
        "written": (folder / "out").exists() or {*Path("data").rglob("*")} != before,
    }
    found = "; ".join(what for what, is_so in wrong.items() if is_so)
    return found and f"{found}: {text}"
