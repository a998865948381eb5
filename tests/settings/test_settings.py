"""Configurations: read as YAML 1.2, refused in words, shipped ones valid and trainable."""

import functools
from pathlib import Path

import platformdirs
import pytest
import yaml
from conftest import make_settings
from hypothesis import given
from hypothesis import strategies as st

from eeg_sgdr import schedules
from eeg_sgdr import settings as config
from eeg_sgdr.data.sources.simulator import SENSORS
from eeg_sgdr.errors import UserError
from eeg_sgdr.networks.build import build_network
from eeg_sgdr.settings.types import Model
from eeg_sgdr.training.loop import updates_per_epoch

#: Window and training trials of each shipped configuration: sensors, samples, Hz, classes, trials.
SHIPPED = {
    "bids": (64, 1125, 250.0, 2, 120),
    "bnci2014_001": (22, 1125, 250.0, 4, 288),
    "ds003810": (15, 562, 125.0, 2, 110),
    "demo": (44, 1125, 250.0, 4, 160),
    "files": (64, 1125, 250.0, 2, 120),
    "high_gamma": (44, 1125, 250.0, 4, 880),
    "physionet_across_subjects": (64, 720, 160.0, 2, 4050),
    "physionet_fists_feet": (64, 720, 160.0, 2, 60),
    "physionet_left_right": (64, 720, 160.0, 2, 30),
    "recipes": (44, 1125, 250.0, 4, 160),
    "schedules": (44, 1125, 250.0, 4, 160),
}


def test_data_are_kept_in_a_clone_or_where_the_platform_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs.PlatformDirs, "user_cache_path", tmp_path / "cache")
    compute = make_settings().compute
    monkeypatch.chdir(Path(__file__).parents[2])
    assert compute.data_folder == Path("data")
    monkeypatch.chdir(tmp_path)
    assert compute.data_folder == tmp_path / "cache"
    Path("data").mkdir()  # of the user, for anything
    assert compute.data_folder == tmp_path / "cache"
    Path("data/cache").mkdir()  # of an earlier version
    assert compute.data_folder == Path("data")
    assert compute.model_copy(update={"data_dir": "mine"}).data_folder == Path("mine")


def test_yaml_is_read_as_version_1_2():
    text = "[010, 001, 10, 1e-3, 1.5, .5, yes, no, on, true, null, ~, 1/3, -7, 0, 0.1, 2026-01-01, '5']"
    expected = ["010", "001", 10, 0.001, 1.5, 0.5, "yes", "no", "on", True, None, None, "1/3", -7, 0, 0.1]
    assert config.parse_yaml(text) == [*expected, "2026-01-01", "5"]


@pytest.mark.parametrize("text", ["a: [1", "!!python/object:os.system {}", "\t- a", "a: b: c"])
def test_bad_yaml_is_refused(text):
    with pytest.raises(UserError, match="not readable as YAML"):
        config.parse_yaml(text)


def test_every_shipped_configuration_is_tested():
    assert set(config.shipped()) == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configurations_are_valid_build_and_anneal(name):
    settings = config.load(name)
    *window, n_trials = SHIPPED[name]
    shape = dict(zip(("n_channels", "n_samples", "sfreq", "n_classes"), window, strict=True))
    network = settings.network
    net = build_network(network.name, network.arguments, **shape, crop_samples=network.crop_samples, seed=0)
    assert updates_per_epoch(n_trials * len(net.starts), settings.training.batch_size) >= 4


@pytest.mark.parametrize("name", SHIPPED)
def test_settings_survive_writing(name):
    settings = config.load(name)
    assert config.validate(config.parse_yaml(config.to_yaml(settings)), name) == settings


def test_high_gamma_is_the_papers_study():
    settings = config.load("high_gamma")
    assert settings.recordings.dataset == "Schirrmeister2017"
    assert list(settings.preprocessing.sensors) == SENSORS
    assert (settings.preprocessing.resample_hz, settings.preprocessing.highpass_hz) == (250, 4)
    assert (settings.preprocessing.reject_uv, settings.preprocessing.reject_ptp_uv) == (800, None)
    assert (settings.network.crop_samples, settings.training.batch_size) == (1000, 60)
    assert settings.training.initial_rates == (0.025, 0.05)
    assert len(settings.training.seeds) == 5
    assert settings.training.momentum_form == "paper"
    step, restarts = settings.schedules["step"], settings.schedules["restarts"]
    assert step.budgets == (30, 60, 120, 240, 480, 511)
    assert (restarts.t_0, restarts.t_mult, restarts.epochs) == (1, 2, 511)


@pytest.mark.parametrize("name", ["files", "bids"])
def test_templates_explain_each_key_of_their_recordings(name):
    given = config.parse_yaml(config.shipped()[name].read_text())
    settings = config.load(name)
    assert set(given["recordings"]) == set(type(settings.recordings).model_fields)
    if name == "files":
        assert set(given["preprocessing"]) == set(type(settings.preprocessing).model_fields)


def all_models(model=Model):
    for child in model.__subclasses__():
        yield child
        yield from all_models(child)


@pytest.mark.parametrize("model", list(all_models()), ids=lambda model: model.__name__)
def test_every_setting_is_documented(model):
    documented = "".join(base.__doc__ or "" for base in model.__mro__)
    own = [name for name in model.model_fields if name not in ("source", "kind")]
    assert [name for name in own if f"{name} :" not in documented and f"{name}, " not in documented
            and f", {name}" not in documented] == []  # fmt: skip


REFERENCE = {"schedule": "step", "budget": 3, "rate": 0.025}


def averaged_against(schedule):
    sides = {"a": {"schedule": schedule, "members": "averaged"}, "b": {"schedule": "step"}}
    return [{"name": "averaged", **sides}]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("recordings.tusk", "x", "recordings.tusk is no setting; the nearest is task"),
        ("training.seeds", [1, 1], "training.seeds: must not name anything twice"),
        ("training.initial_rates", [0.0], "initial_rates.0: input should be greater than or equal to 1e-30"),
        ("schedules.step.budgets", [30], "no step schedule has a budget of 3 epochs"),
        ("schedules.step.drops", ["1/2", "1/3"], "drops: must ascend between 0 and 1"),
        ("schedules.step.drops", ["a/b"], "must be a number or a fraction such as 1/3"),
        ("schedules.restarts", {"kind": "warm_restarts", "t_mult": 1, "epochs": 1001}, "lengthen t_0"),
        ("recordings.events", {"channel": "x", "mask": 0}, "recordings.events.mask: input should be greater"),
        ("split", {"by": "subject", "folds": 1}, "split.folds: input should be greater than or equal to 2"),
        ("schedules.Step", {"kind": "step", "budgets": [3]}, "schedules.Step"),
        ("schedules.restarts.eta_min", 0.04, "initial rate 0.025: eta_min must not be"),
        ("schedules.soft", {"kind": "cyclic", "budgets": [5], "period": 4}, "nearest ends are 2 and 6"),
        ("schedules.soft", {"kind": "cyclic", "budgets": [6], "period": 4, "low": 0.03}, "low must not be"),
        ("schedules.soft", {"kind": "cyclic", "budgets": [6], "period": 4, "warmup": 4}, "below the period"),
        ("schedules.step.warmup", 1, "schedules.step, initial rate 0.025: warmup: 1 epochs must be above 0"),
        ("schedules.step.warmup_restarts", True, "warmup_restarts is no setting; the nearest is warmup"),
        ("schedules.restarts.warmup", 1.5, "below the shortest cycle or budget (1)"),
        ("schedules.restarts.warmup_restarts", True, "there is no warm-up; give its epochs as warmup"),
        ("schedules.x", {"kind": "one_cycle", "budgets": [6], "pct_start": 1}, "x.pct_start: input should"),
        ("schedules.x", {"kind": "one_cycle", "budgets": [6], "div_factor": 0}, "x.div_factor: input should"),
        ("schedules.x", {"kind": "trapezoid", "budgets": [6], "cooldown": "6/5"}, "cooldown must be between"),
        ("schedules.x", {"kind": "trapezoid", "budgets": [6], "shape": "sqrt"}, "the nearest is 1-sqrt"),
        ("preprocessing.window_s", [1.0, 0.5], "the window must end after its begin"),
        ("recordings.classes", {"left": "l", "right": "l"}, "an annotation stands for two classes"),
        (
            "evaluation.comparisons",
            averaged_against("step"),
            "four cycles or more, which 'step' does not leave",
        ),
        ("evaluation.comparisons", averaged_against("restarts"), "or more, which 'restarts' does not leave"),
        ("evaluation.reference", {**REFERENCE, "schedule": "stop"}, "there is no schedule 'stop'"),
        ("evaluation.reference", {**REFERENCE, "budget": 4}, "has no budget 4"),
        ("evaluation.reference", {**REFERENCE, "rate": 0.1}, "0.1 is none of the initial rates of step"),
    ],
)
def test_refusals_name_the_place_and_the_remedy(path, value, message):
    """What tests/test_refusals.py has no case of."""
    data = {**yaml.safe_load(config.to_yaml(make_settings())), "evaluation": {}}
    *sections, last = path.split(".")
    functools.reduce(dict.get, sections, data)[last] = value
    with pytest.raises(UserError) as refusal:
        config.validate(data, "mine.yaml")
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("mine.yaml: ")
    assert "\n" not in str(refusal.value)


def test_overrides_are_yaml():
    settings = config.load("demo", ["training.batch_size=30", "training.seeds=[0, 1]", "name=mine"])
    assert (settings.training.batch_size, settings.training.seeds, settings.name) == (30, (0, 1), "mine")


@pytest.mark.parametrize("text", ["training.batch_size", "=3", "name.x=3"])
def test_malformed_overrides_are_refused(text):
    with pytest.raises(UserError, match="--set"):
        config.load("demo", [text])


def test_default_comparisons_are_at_equal_epochs():
    comparisons = config.load("demo").evaluation.comparisons
    sides = [[(s.schedule, s.members, s.rates, s.budget, s.seeds) for s in (c.a, c.b)] for c in comparisons]
    assert sides == [
        [("restarts", "single", "each", None, 1), ("step", "single", "each", 31, 1)],
        [("restarts", "cycles", "each", None, 1), ("restarts", "single", "each", None, 1)],
        [("restarts", "cycles", "all", None, 1), ("step", "single", "all", 31, 1)],
        [("restarts", "cycles", "all", None, 1), ("step", "single", "all", 31, 2)],
        [("restarts", "cycles", "all", None, 1), ("restarts", "single", "all", None, 1)],
        [("restarts", "averaged", "all", None, 1), ("restarts", "single", "all", None, 1)],
        [("restarts", "cycles", "each", None, 1), ("baseline", "single", "each", None, 1)],
    ]


def test_one_member_needs_no_comparison_at_equal_numbers_of_networks():
    names = [comparison.name for comparison in make_settings().evaluation.comparisons]
    assert len(names) == 4
    assert not any("equal numbers" in name for name in names)


def test_baseline_alone_names_the_baseline():
    comparison = {"name": "x", "a": {"schedule": "restarts"}, "b": "baseline"}
    settings = make_settings(evaluation={"comparisons": [comparison]})
    assert settings.evaluation.comparisons[0].b == config.Side(schedule="baseline", rates="each")
    with pytest.raises(UserError, match="there is no schedule 'baseline'"):
        make_settings(evaluation={"comparisons": [comparison]}, baseline=None)


def test_without_a_baseline_nothing_is_compared_with_it():
    settings = make_settings(baseline=None)
    assert [one.b.schedule for one in settings.evaluation.comparisons] == ["step", "restarts", "step"]


def test_every_warm_restarts_arm_has_its_default_comparisons():
    arms = {
        "step": {"kind": "step", "budgets": [30, 31]},
        "cosine": {"kind": "cosine", "budgets": [30, 31]},
        "restarts": {"kind": "warm_restarts", "epochs": 31},
        "long": {"kind": "warm_restarts", "t_0": 10, "epochs": 30},
    }
    comparisons = make_settings(schedules=arms).evaluation.comparisons
    assert [(c.name.split(":")[0], c.a.schedule, c.b.schedule, c.b.budget) for c in comparisons] == [
        ("restarts", "restarts", "step", 31),
        ("restarts", "restarts", "restarts", None),
        ("restarts", "restarts", "step", 31),
        ("restarts", "restarts", "step", 31),  # at equal numbers of networks: long averages but one
        ("restarts", "restarts", "restarts", None),  # what averaging brings, at all rates
        ("restarts", "restarts", "restarts", None),
        ("restarts", "restarts", "baseline", None),
        ("long", "long", "step", 30),
        ("long", "long", "long", None),
        ("long", "long", "step", 30),
        ("long", "long", "baseline", None),
    ]


def test_named_comparisons_need_no_step_schedule():
    comparison = {"name": "x", "a": {"schedule": "restarts"}, "b": {"schedule": "step", "budget": 3}}
    arms = {"step": {"kind": "cosine", "budgets": [3]}}
    settings = make_settings(schedules=arms, evaluation={"comparisons": [comparison]})
    assert [c.name for c in settings.evaluation.comparisons] == ["x"]


def test_one_notch_or_several():
    assert make_settings(preprocessing={"notch_hz": 50}).preprocessing.notch_hz == (50.0,)
    assert make_settings(preprocessing={"notch_hz": [50, 100]}).preprocessing.notch_hz == (50.0, 100.0)
    for wrong in (0, [50, 50], [], "mains", True):
        with pytest.raises(UserError, match="notch_hz"):
            make_settings(preprocessing={"notch_hz": wrong})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["training", "schedules", "recordings", "split", "evaluation", "name"]), JUNK)
def test_anything_is_valid_or_refused_in_one_sentence(section, junk):
    data = {**yaml.safe_load(config.to_yaml(make_settings())), section: junk}
    said = "mine.yaml: valid."
    try:
        config.validate(data, "mine.yaml")
    except UserError as refusal:
        said = str(refusal)
    assert said.startswith("mine.yaml: ")
    assert said.endswith(".")
    assert said.isprintable()


def test_a_key_with_a_line_end_is_refused_on_one_line():
    data = {**yaml.safe_load(config.to_yaml(make_settings())), "training": {"\n": None}}
    with pytest.raises(UserError, match=r"^mine\.yaml: training\.\\n is no setting; remove it\.$"):
        config.validate(data, "mine.yaml")


def test_schedules_are_made_from_their_arms():
    settings = make_settings()
    assert settings.schedules["step"].schedule(0.05, 3) == schedules.Step(0.05, 3)
    assert settings.schedules["restarts"].schedule(0.05, 3) == schedules.WarmRestarts(0.05, 3)
