"""What a configuration may say: its models, reading, overriding and fingerprints."""

import difflib
import hashlib
import json
import re
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from eeg_sgdr import schedules
from eeg_sgdr.errors import UserError


def _label(value: object) -> object:
    """A number is a label too: ``[1, 2]`` and ``["1", "2"]`` name the same runs."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fraction(value: object) -> Fraction:
    if isinstance(value, Fraction | int | float | str) and not isinstance(value, bool):
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            pass
    raise ValueError("must be a number or a fraction such as 1/3")


def _unique(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


Label = Annotated[str, BeforeValidator(_label), Field(min_length=1)]
Labels = Annotated[tuple[Label, ...], AfterValidator(_unique), Field(min_length=1)]
Drop = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Hertz = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Model(BaseModel):
    """A section of the configuration: unknown keys are refused, nothing is changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ---------------------------------------------------------------------------------- recordings


class Recordings(Model):
    """What all sources have in common.

    Attributes
    ----------
    classes : dict of str to (str or list of str)
        For each class, in order, the descriptions of the annotations (cues) that stand for it.
    subjects : "all" or list of str
        Labels of the subjects that ``--subject all`` means.
    """

    classes: dict[str, tuple[str, ...]] = Field(min_length=2)
    subjects: Literal["all"] | Labels = "all"

    @model_validator(mode="before")
    @classmethod
    def _one_description_is_a_list_of_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("classes"), dict):
            classes = {
                name: [cues] if isinstance(cues, str) else cues for name, cues in data["classes"].items()
            }
            return {**data, "classes": classes}
        return data

    @model_validator(mode="after")
    def _a_cue_stands_for_one_class(self) -> "Recordings":
        cues = [cue for descriptions in self.classes.values() for cue in descriptions]
        if len(set(cues)) < len(cues):
            raise ValueError("classes: an annotation stands for two classes; name each once")
        return self


class SimulatedRecordings(Recordings):
    """Recordings that the program simulates, written as a BIDS dataset.

    Attributes
    ----------
    n_subjects, n_runs, n_trials : int
        Subjects, runs of each, and trials of each run (a multiple of four).
    sfreq : float
        Sampling rate in Hz.
    seed : int
        Same seed, same bytes.
    """

    source: Literal["simulated"]
    classes: dict[str, tuple[str, ...]] = {
        name: (name,) for name in ("right_hand", "left_hand", "feet", "rest")
    }
    n_subjects: int = Field(14, ge=1, le=14)
    n_runs: int = Field(6, ge=2, le=99)
    n_trials: int = Field(40, ge=4, multiple_of=4)
    sfreq: Hertz = 250.0
    seed: int = Field(0, ge=0)


class PhysioNetRecordings(Recordings):
    """The PhysioNet EEG Motor Movement/Imagery Database (EEGMMIDB).

    Attributes
    ----------
    task : "left_right" or "fists_feet", optional
        The task by name; or name ``runs``.
    execution : "executed", "imagined" or "both"
        Which runs of the task: movement, imagery, or both.
    runs : list of int, optional
        The runs by number, instead of ``task``.
    """

    source: Literal["physionet"]
    task: Literal["left_right", "fists_feet"] | None = None
    execution: Literal["executed", "imagined", "both"] = "both"
    runs: Annotated[tuple[int, ...], AfterValidator(_unique)] | None = None
    classes: dict[str, tuple[str, ...]] = Field(min_length=2)

    @model_validator(mode="before")
    @classmethod
    def _classes_follow_the_task(cls, data: Any) -> Any:
        by_task = {
            "left_right": {"left_fist": "left_fist", "right_fist": "right_fist"},
            "fists_feet": {"both_fists": "both_fists", "both_feet": "both_feet"},
        }
        if isinstance(data, dict) and "classes" not in data and data.get("task") in by_task:
            return {**data, "classes": by_task[data["task"]]}
        return data

    @model_validator(mode="after")
    def _task_or_runs(self) -> "PhysioNetRecordings":
        if (self.task is None) == (self.runs is None):
            raise ValueError("name either task (left_right or fists_feet) or runs")
        if self.runs is not None and not set(self.runs) <= set(range(3, 15)):
            raise ValueError("runs: those with tasks are 3 to 14")
        return self


class BidsRecordings(Recordings):
    """A BIDS EEG dataset.

    Attributes
    ----------
    root : str
        The dataset's folder.
    task : str
        Its task label.
    """

    source: Literal["bids"]
    root: str
    task: str


AnyRecordings = Annotated[
    SimulatedRecordings | PhysioNetRecordings | BidsRecordings, Field(discriminator="source")
]


class Split(Model):
    """Which recordings test; all others of the configuration train.

    Attributes
    ----------
    by : "run" or "session"
        What is held out.
    test : list of str
        Labels of the runs (or sessions) that test.
    """

    by: Literal["run", "session"]
    test: Labels


# ------------------------------------------------------------------- preprocessing and networks


class Standardize(Model):
    """Exponential moving standardisation.

    Attributes
    ----------
    factor_new : float
        Weight of a new sample.
    init_samples : int
        Samples at a recording's start that are scaled by their own mean and deviation.
    """

    factor_new: float = Field(0.001, gt=0, lt=1)
    init_samples: int = Field(1000, ge=2)


class Preprocessing(Model):
    """From a recording to windows.

    Attributes
    ----------
    sensors : list of str, optional
        Sensors to use, in order; all EEG sensors when null.
    bads : "interpolate", "drop" or "keep"
        What becomes of channels that are marked as bad.
    reject_uv : float, optional
        Trials in which any sensor reaches this absolute raw amplitude (microvolts) between the cue
        and the window's end are rejected; null rejects none.
    resample_hz : float, optional
        New sampling rate; null keeps the recording's.
    highpass_hz, lowpass_hz : float, optional
        Corner frequencies of causal Butterworth filters of order 3.
    standardize : Standardize, optional
        Null leaves the microvolts as they are.
    window_s : pair of float
        First and last moment of a window, in seconds from the cue.
    """

    sensors: Labels | None = None
    bads: Literal["interpolate", "drop", "keep"] = "interpolate"
    reject_uv: Annotated[float, Field(gt=0)] | None = 800.0
    resample_hz: Hertz | None = None
    highpass_hz: Hertz | None = 4.0
    lowpass_hz: Hertz | None = None
    standardize: Standardize | None = Standardize()
    window_s: tuple[float, float] = (-0.5, 4.0)

    @model_validator(mode="after")
    def _ordered(self) -> "Preprocessing":
        if not self.window_s[0] < self.window_s[1] or self.window_s[1] <= 0:
            raise ValueError("window_s: the window must end after its begin and after the cue")
        if self.highpass_hz and self.lowpass_hz and self.highpass_hz >= self.lowpass_hz:
            raise ValueError("highpass_hz must be below lowpass_hz")
        return self


class NetworkSettings(Model):
    """The ConvNet.

    Attributes
    ----------
    name : str
        A classification network of braindecode.
    arguments : dict
        Further arguments of its constructor.
    crop_samples : int, optional
        Length of the crops (dense training); null trains on whole windows.
    """

    name: str = "ShallowFBCSPNet"
    arguments: dict[str, Any] = {}
    crop_samples: Annotated[int, Field(ge=1)] | None = None


# ------------------------------------------------------------------------------------ training


class Numerics(Model):
    """How a fit is computed, as far as rounding depends on it.

    Attributes
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int
        Threads of one fit on the CPU.
    precision : "float32" or "mixed"
        Mixed computes matrix products in bfloat16.
    """

    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    threads: int = Field(1, ge=1)
    precision: Literal["float32", "mixed"] = "float32"


class Training(Model):
    """How every fit is trained.

    Attributes
    ----------
    initial_rates : list of float
        Rates that the schedules start from.
    seeds : list of int
        Seeds of initial weights, order and dropout.
    batch_size : int
        Crops per update; an epoch's incomplete last batch is dropped.
    momentum : float
        Classical momentum, not Nesterov's.
    momentum_form : "torch" or "paper"
        Whether the rate multiplies the velocity (torch) or the gradient inside it (paper).
    weight_decay : float
        Added to all gradients, as torch's SGD does.
    store : "ends" or "epochs"
        When test probabilities are stored: at a fit's ends, or at every epoch.
    numerics : Numerics
        How it is computed, as far as rounding depends on it.
    """

    initial_rates: Annotated[tuple[Rate, ...], AfterValidator(_unique), Field(min_length=1)] = (0.025, 0.05)
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_unique), Field(min_length=1)
    ] = (0,)
    batch_size: int = Field(60, ge=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    momentum_form: Literal["torch", "paper"] = "torch"
    weight_decay: float = Field(0.0005, ge=0)
    store: Literal["ends", "epochs"] = "ends"
    numerics: Numerics = Numerics()


class StepArm(Model):
    """The rate falls by a factor at fractions of the budget.

    Attributes
    ----------
    budgets : list of int
        Epochs that the schedule is laid out for; one fit each.
    drops : list of fractions
        Where it falls, as fractions of the budget.
    factor : float
        What it is multiplied by at each drop.
    """

    kind: Literal["step"]
    budgets: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_unique), Field(min_length=1)]
    drops: tuple[Drop, ...] = (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))
    factor: float = Field(0.1, gt=0, lt=1)

    @model_validator(mode="after")
    def _drops_ascend(self) -> "StepArm":
        if list(self.drops) != sorted(set(self.drops)) or any(not 0 < drop < 1 for drop in self.drops):
            raise ValueError("drops: must ascend between 0 and 1")
        return self

    def schedule(self, rate: float, budget: int) -> schedules.Step:
        """The schedule of one fit."""
        return schedules.Step(rate, budget, self.drops, self.factor)


class WarmRestartsArm(Model):
    """Cosine annealing with warm restarts (SGDR).

    Attributes
    ----------
    t_0, t_mult : int
        Epochs of the first cycle, and how many times longer each next one is.
    eta_min : float
        What the rate falls to.
    eta_decay : float
        What the rate of a restart is multiplied by, cycle after cycle.
    epochs : int
        Budget; the end of a cycle.
    """

    kind: Literal["warm_restarts"]
    t_0: int = Field(1, ge=1)
    t_mult: int = Field(2, ge=1)
    eta_min: float = Field(0.0, ge=0)
    eta_decay: float = Field(1.0, gt=0, le=1)
    epochs: int = Field(ge=1)

    @model_validator(mode="after")
    def _ends_with_a_cycle(self) -> "WarmRestartsArm":
        self.schedule(1.0 + self.eta_min, self.epochs)
        return self

    @property
    def budgets(self) -> tuple[int, ...]:
        """The one budget of this arm."""
        return (self.epochs,)

    def schedule(self, rate: float, budget: int) -> schedules.WarmRestarts:
        """The schedule of one fit."""
        return schedules.WarmRestarts(rate, budget, self.t_0, self.t_mult, self.eta_min, self.eta_decay)


Arm = Annotated[StepArm | WarmRestartsArm, Field(discriminator="kind")]


# ---------------------------------------------------------------------------------- evaluation


class Reference(Model):
    """The one predictor that others are measured against in figures.

    Attributes
    ----------
    schedule : str
        Name of the arm.
    budget : int
        Its budget.
    rate : float
        Its initial rate.
    """

    schedule: ArmName
    budget: int
    rate: Rate


class Side(Model):
    """One side of a comparison.

    Attributes
    ----------
    schedule : str
        Name of the arm.
    members : "single" or "cycles"
        The last snapshot alone, or the ensemble of the last cycles' snapshots.
    rates : "each" or "all"
        Rate by rate, or the probabilities of all rates averaged.
    budget : int, optional
        Budget of the arm; its last end when null.
    """

    schedule: ArmName
    members: Literal["single", "cycles"] = "single"
    rates: Literal["each", "all"] = "each"
    budget: int | None = None


class Comparison(Model):
    """Two predictors that are tested against each other.

    Attributes
    ----------
    name : str
        What reports call it.
    a, b : Side
        The difference reported is the error of b less that of a.
    """

    name: str
    a: Side
    b: Side


class Evaluation(Model):
    """What the tables use, and what is compared.

    Attributes
    ----------
    batch_norm_statistics : "recomputed" or "running"
        Which batch-norm statistics scored states have.
    reference : Reference
        By default the step arm at the last cycle end, with the first rate.
    comparisons : list of Comparison
        By default those of the first warm_restarts arm against the first step arm.
    """

    batch_norm_statistics: Literal["recomputed", "running"] = "recomputed"
    reference: Reference | None = None
    comparisons: tuple[Comparison, ...] | None = None


class Compute(Model):
    """How it is computed, without effect on results.

    Attributes
    ----------
    jobs : int, optional
        Fits at a time; null is one per core.
    data_dir : str
        Where downloads and simulated recordings are kept.
    """

    jobs: Annotated[int, Field(ge=1)] | None = None
    data_dir: str = "data"


class Settings(Model):
    """A whole configuration; each section is explained at its own class.

    Attributes
    ----------
    name : str
        Name of the study; its results are under ``results/NAME``.
    recordings : Recordings
        Where recordings come from.
    split : Split
        Which of them test.
    preprocessing : Preprocessing
        From a recording to windows.
    network : NetworkSettings
        The ConvNet.
    training : Training
        How every fit is trained.
    schedules : dict of arms
        The schedules that are compared, by name.
    evaluation : Evaluation
        What the tables use.
    compute : Compute
        How it is computed.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    recordings: AnyRecordings
    split: Split
    preprocessing: Preprocessing = Preprocessing()
    network: NetworkSettings = NetworkSettings()
    training: Training = Training()
    schedules: dict[ArmName, Arm] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _complete_evaluation(self) -> "Settings":
        """Fill in the reference and the comparisons, and check what they name."""
        evaluation = self.evaluation
        defaults = _default_comparisons(self.schedules)
        comparisons = defaults if evaluation.comparisons is None else evaluation.comparisons
        reference = evaluation.reference or _default_reference(self.schedules, self.training)
        for side in [side for comparison in comparisons for side in (comparison.a, comparison.b)]:
            _check_arm(self.schedules, side.schedule, side.budget, "evaluation.comparisons")
        _check_arm(self.schedules, reference.schedule, reference.budget, "evaluation.reference")
        if reference.rate not in self.training.initial_rates:
            raise ValueError(
                f"evaluation.reference: {reference.rate} is none of training.initial_rates "
                f"({', '.join(map(str, self.training.initial_rates))})"
            )
        complete = evaluation.model_copy(update={"reference": reference, "comparisons": comparisons})
        object.__setattr__(self, "evaluation", complete)
        return self


def _check_arm(arms: dict[str, Any], name: str, budget: int | None, where: str) -> None:
    if name not in arms:
        raise ValueError(f"{where}: there is no schedule {name!r} (there are {', '.join(arms)})")
    if budget is not None and budget not in arms[name].budgets:
        raise ValueError(f"{where}: schedule {name!r} has no budget {budget}")


def _default_reference(arms: dict[str, Any], training: Training) -> Reference:
    restarts = [arm for arm in arms.values() if isinstance(arm, WarmRestartsArm)]
    steps = {name: arm for name, arm in arms.items() if isinstance(arm, StepArm)}
    name, arm = next(iter((steps or arms).items()))
    budget = max(arm.budgets)
    if restarts and restarts[0].epochs in arm.budgets:
        budget = restarts[0].epochs
    return Reference(schedule=name, budget=budget, rate=training.initial_rates[0])


def _default_comparisons(arms: dict[str, Any]) -> tuple[Comparison, ...]:
    """For every warm_restarts arm, against the step budget that equals its last cycle end."""
    comparisons = []
    restarts = {name: arm for name, arm in arms.items() if isinstance(arm, WarmRestartsArm)}
    for name, arm in restarts.items():
        equal = [
            step for step, rival in arms.items() if isinstance(rival, StepArm) and arm.epochs in rival.budgets
        ]
        if not equal:
            raise ValueError(
                f"schedules.{name}: no step schedule has a budget of {arm.epochs} epochs, so that "
                f"nothing compares at equal epochs; add {arm.epochs} to the budgets of one, "
                "or name evaluation.comparisons"
            )
        step = {"schedule": equal[0], "budget": arm.epochs}
        prefix = f"{name}: " if len(restarts) > 1 else ""
        comparisons += [
            Comparison(
                name=f"{prefix}restarts against step at equal epochs",
                a=Side(schedule=name),
                b=Side(**step),
            ),
            Comparison(
                name=f"{prefix}ensemble of snapshots against the last snapshot",
                a=Side(schedule=name, members="cycles"),
                b=Side(schedule=name),
            ),
            Comparison(
                name=f"{prefix}snapshots of all rates against step fits of all rates, at equal cost",
                a=Side(schedule=name, members="cycles", rates="all"),
                b=Side(**step, rates="all"),
            ),
        ]
    return tuple(comparisons)


# --------------------------------------------------------------------------- reading and writing


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core reading: yes and 010 are texts, 1e-3 is a number."""

    yaml_implicit_resolvers: dict[str, list] = {}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def parse_yaml(text: str) -> Any:
    """Read YAML safely, as YAML 1.2's core schema has it.

    Raises
    ------
    UserError
        If the text is no YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"configuration: not readable as YAML ({problem}); correct it there.") from error


def shipped() -> dict[str, Path]:
    """Paths of the configurations that come with the program, by name."""
    packaged = Path(str(resources.files("eeg_sgdr") / "configs"))
    # In a clone that is installed editable, the configurations are where they are edited.
    folder = packaged if packaged.is_dir() else Path(__file__).parent.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load(config: str | Path, overrides: list[str] = []) -> Settings:  # noqa: B006 (never changed)
    """Read a configuration.

    Parameters
    ----------
    config : str or Path
        A path, or the name of a shipped configuration.
    overrides : list of str
        ``key.of.section=value`` each, the value in YAML.

    Returns
    -------
    settings : Settings

    Raises
    ------
    UserError
        If there is no such configuration, or it is not valid.
    """
    path = Path(config)
    if not path.is_file():
        known = shipped()
        if str(config) not in known:
            raise UserError(
                f"--config {config}: neither a file nor a shipped configuration "
                f"(these are {', '.join(known)})."
            )
        path = known[str(config)]
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: cannot be read ({error}); give another file.") from error
    if not isinstance(data, dict):
        raise UserError(f"--config {path}: holds no table of settings; see the shipped configurations.")
    for text in overrides:
        _override(data, text)
    return validate(data, str(path))


def validate(data: dict[str, Any], where: str) -> Settings:
    """Turn plain data into settings.

    Parameters
    ----------
    data : dict
        As read from YAML.
    where : str
        What messages call it.

    Returns
    -------
    settings : Settings

    Raises
    ------
    UserError
        If anything in it is wrong; one sentence for the first problem, and the number of others.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problems = [_sentence(problem, data) for problem in error.errors()]
        more = f" ({len(problems) - 1} more like this)" if len(problems) > 1 else ""
        raise UserError(f"{where}: {problems[0]}{more}.") from error


def _sentence(problem: Any, data: dict[str, Any]) -> str:
    """One validation problem in words, with the nearest right name of an unknown key."""
    location = list(problem["loc"])
    # pydantic names the chosen member of a union within the path; users do not know of it.
    keys: list[Any] = []
    node: Any = data
    for key in location:
        if isinstance(node, dict) and key not in node and problem["type"] != "missing":
            continue
        if isinstance(node, dict) and key not in node and key != location[-1]:
            continue
        keys.append(key)
        node = node.get(key) if isinstance(node, dict) else _item(node, key)
    name = ".".join(map(str, keys)) or "configuration"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(keys[-1]), _known_keys(), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}" if near else "; remove it"
        return f"{name} is no setting{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{name} is missing; add it"
    if problem["type"] == "value_error":
        return f"{name}: {message}"
    given = problem["input"]
    shown = "" if isinstance(given, dict | list) else f", not {given!r}"
    return f"{name}: {message[0].lower()}{message[1:]}{shown}"


def _item(node: Any, key: Any) -> Any:
    return node[key] if isinstance(node, list | tuple) and isinstance(key, int) and key < len(node) else None


def _known_keys() -> list[str]:
    known = set()
    queue = list(Model.__subclasses__())
    while queue:
        model = queue.pop()
        known |= set(model.model_fields)
        queue += model.__subclasses__()
    return sorted(known)


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: write it as key.of.section=value.")
    node = data
    *sections, last = key.split(".")
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            raise UserError(f"--set {text}: {section} is a value, not a section.")
    node[last] = parse_yaml(value)


def to_yaml(settings: Settings) -> str:
    """All settings that enter a fingerprint or a list, defaults included; ``compute`` left out."""
    data = settings.model_dump(mode="json", exclude={"compute"})
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def union(there: Settings, asked: Settings, where: str) -> Settings:
    """Settings of a results folder after it has been asked for more.

    Lists (subjects, rates, seeds, budgets, arms) only grow; everything else that enters a
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
    differences = _differences(_identity(there, asked.schedules), _identity(asked, there.schedules))
    if differences:
        raise UserError(
            f"{where}: holds results of other settings ({'; '.join(differences)}); give another --out."
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
    subjects = (there.recordings.subjects, asked.recordings.subjects)
    if "all" in subjects:
        data["recordings"]["subjects"] = "all"
    else:
        data["recordings"]["subjects"] = sorted({*subjects[0], *subjects[1]})
    return validate(data, where)


def _identity(settings: Settings, others: dict[str, Any]) -> dict[str, Any]:
    """All that must not differ between what is put into one folder."""
    shared = [name for name in settings.schedules if name in others]
    return {
        **data_settings(settings),
        "network": settings.network.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"initial_rates", "seeds", "store"}),
        "schedules": {
            name: settings.schedules[name].model_dump(mode="json", exclude={"budgets"}) for name in shared
        },
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


# -------------------------------------------------------------------------------- fingerprints


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def data_settings(settings: Settings) -> dict[str, Any]:
    """The settings that determine a subject's trials."""
    return {
        "recordings": settings.recordings.model_dump(mode="json", exclude={"subjects"}),
        "split": settings.split.model_dump(mode="json"),
        "preprocessing": settings.preprocessing.model_dump(mode="json"),
    }


def fit_settings(settings: Settings, arm: str) -> dict[str, Any]:
    """The settings, beyond the trials, that determine a fit of an arm given budget, rate and seed."""
    return {
        "network": settings.network.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"initial_rates", "seeds", "store"}),
        "schedule": settings.schedules[arm].model_dump(mode="json", exclude={"budgets", "epochs"}),
    }
