"""Fingerprints, known ones and those of fields that came later; which settings may share a folder."""

from typing import Annotated, Literal

import pytest
import yaml
from conftest import make_settings

from eeg_sgdr import schedules
from eeg_sgdr import settings as config
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import loading, plan
from eeg_sgdr.settings.types import Later

#: Of the trials, and of all fits together; as the version before the rooms computed them.
KNOWN = {
    "bids": ("98dc8a6f1ab1", "1cf0b24b83e1"),
    "bnci2014_001": ("3785875c6400", "5aa279cfe4c8"),
    "demo": ("113af220e4a8", "e07ae2aeb66d"),
    "files": ("7b38f9d663c9", "1cf0b24b83e1"),
    "high_gamma": ("e2233da1fcac", "0ea32f6f3c66"),
    "physionet_across_subjects": ("eac796149d5b", "90816888da44"),
    "physionet_fists_feet": ("2bf8b7eceabf", "fd518e720e9b"),
    "physionet_left_right": ("76651d95ea06", "25f10328d804"),
    "schedules": ("113af220e4a8", "57793cd81206"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_shipped_configurations_keep_their_fingerprints(name):
    settings = config.load(name, ["training.seeding=shared"])
    of_fits = config.fingerprint([plan.fingerprint(key, settings, "d") for key in plan.fits(settings)])
    found = (config.fingerprint(config.data_settings(settings)), of_fits)
    assert tuple(one[:12] for one in found) == KNOWN[name]
    assert plan.baseline_fingerprint(settings.baselines[0], "d")[:12] == "50d9c8b11caf"


def test_fingerprints_see_what_changes_results_and_nothing_else():
    base = make_settings()
    same = base.model_copy(update={"name": "other", "compute": config.Compute(jobs=3)})
    assert config.data_settings(same) == config.data_settings(base)
    grown = make_settings(training={"initial_rates": [0.1, 0.025], "seeds": [3], "store": "epochs"})
    assert config.fit_settings(grown, "step") == config.fit_settings(base, "step")
    for changes in ({"training": {"momentum": 0.8}}, {"network": {"name": "EEGNet"}}):
        assert config.fit_settings(make_settings(**changes), "step") != config.fit_settings(base, "step")
    other_window = make_settings(preprocessing={"window_s": [0.0, 2.0]})
    assert config.data_settings(other_window) != config.data_settings(base)


def test_keys_that_came_later_leave_older_folders_what_they_are():
    """The fingerprint of these settings before there were such keys."""
    assert config.fingerprint(config.data_settings(make_settings())) == (
        "a21c5b4d11925f378d60df26f69888bc42fe313cd967f137c7884551c103116c"
    )
    for key, value in {"reference": "average", "reject_ptp_uv": 200, "notch_hz": 50}.items():
        changed = make_settings(preprocessing={key: value})
        assert config.data_settings(changed) != config.data_settings(make_settings())
        with pytest.raises(UserError, match=f"preprocessing.{key}: None here"):
            config.union(make_settings(), changed, "results/x")


def test_a_warm_up_is_another_fit_and_none_is_the_same_as_in_older_folders(tmp_path):
    base = make_settings()
    assert config.fit_settings(base, "step")["schedule"] == {
        "kind": "step", "drops": ["1/3", "1/2", "2/3"], "factor": 0.1
    }  # fmt: skip
    older = yaml.safe_load(config.to_yaml(base))
    for arm in older["schedules"].values():
        del arm["warmup"]
    del older["schedules"]["restarts"]["warmup_restarts"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(older))
    assert config.union(config.read(path), base, "results/x").schedules == base.schedules
    arms = {"step": {"kind": "step", "budgets": [3], "warmup": 0.5}}
    warm = make_settings(schedules=arms)
    assert config.fit_settings(warm, "step")["schedule"]["warmup"] == 0.5
    with pytest.raises(UserError, match="schedules.step.warmup: 0.0 here, 0.5 asked for"):
        config.union(base, warm, "results/x")


@pytest.fixture
def grown(monkeypatch):
    """The program with keys that came later in a section, in one within it, and in an arm.

    Folders without them were made with "shared", 1 and 2.0; today's defaults are others.
    """

    class Numerics(config.Numerics):
        passes: Annotated[int, Later(1)] = 3

    class Training(config.Training):
        statistics: Annotated[Literal["shared", "own"], Later("shared")] = "own"
        numerics: Numerics = Numerics()

    class Settings(config.Settings):
        training: Training = Training()

    class Power(config.Arm):
        kind: Literal["power"]
        budgets: tuple[int, ...]
        power: Annotated[float, Later(2.0)] = 1.0

        def schedule(self, rate, budget):
            return schedules.Step(rate, budget, drops=())

    monkeypatch.setattr(loading, "Settings", Settings)
    return make_settings(schedules={"power": {"kind": "power", "budgets": [3]}})


def test_a_folder_without_later_keys_is_what_it_was_made_with(grown, tmp_path):
    data = yaml.safe_load(config.to_yaml(grown))
    del data["training"]["statistics"], data["training"]["numerics"]["passes"]
    del data["schedules"]["power"]["power"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data))
    there = config.read(path)
    found = there.training.statistics, there.training.numerics.passes, there.schedules["power"].power
    assert found == ("shared", 1, 2.0)
    assert config.fit_settings(there, "power") == {
        "network": {"name": "ShallowFBCSPNet", "arguments": {}, "crop_samples": None},
        "training": {"seeding": "unit", "batch_size": 4, "momentum": 0.9, "momentum_form": "torch",
                     "weight_decay": 0.0005,
                     "numerics": {"device": "cpu", "threads": 1, "precision": "float32"}},
        "schedule": {"kind": "power"},
    }  # fmt: skip
    # What the configuration does not name stays as it is there; what it names is refused.
    assert config.union(there, grown, "results/x").training.statistics == "shared"
    named = config.validate(yaml.safe_load(config.to_yaml(grown)), "mine.yaml")
    with pytest.raises(UserError) as refusal:
        config.union(there, named, "results/x")
    for said in ("statistics: shared here, own asked for", "numerics.passes: 1 here, 3 asked for",
                 "schedules.power.power: 2.0 here, 1.0 asked for"):  # fmt: skip
        assert said in str(refusal.value)
    # As a user's own configuration it has today's defaults; as that of a folder, named to go on, it has not.
    assert config.load(path).training == grown.training
    (tmp_path / "environment.json").write_text("{}")
    asked = config.load(path, ["training.seeds=[1]"])
    assert config.union(there, asked, "results/x").training.seeds == (0, 1)


def test_later_keys_enter_fingerprints_where_they_differ_from_what_folders_have(grown):
    arm, training = (config.fit_settings(grown, "power")[name] for name in ("schedule", "training"))
    assert (arm["power"], training["statistics"], training["numerics"]["passes"]) == (1.0, "own", 3)


def test_union_lets_lists_grow():
    there = make_settings(training={"seeds": [1], "initial_rates": [0.05]})
    arms = {"step": {"kind": "step", "budgets": [3, 7]}}
    asked = make_settings(training={"seeds": [0], "initial_rates": [0.025]}, schedules=arms)
    union = config.union(there, asked, "results/x")
    assert (union.training.seeds, union.training.initial_rates) == ((0, 1), (0.025, 0.05))
    assert union.schedules["step"].budgets == (1, 3, 7)


def test_union_refuses_to_mix():
    there = make_settings()
    asked = make_settings(training={"batch_size": 5}, preprocessing={"highpass_hz": 8})
    message = r"preprocessing.highpass_hz: 4.0 here, 8.0 asked for.*training.batch_size: 4 here, 5 asked for"
    with pytest.raises(UserError, match=message):
        config.union(there, asked, "results/x")


def test_an_arm_s_own_rates_and_optimizer():
    adamw = {"kind": "adamw", "weight_decay": 0.01}
    arm = {"kind": "cosine", "budgets": [3], "optimizer": adamw, "initial_rates": [0.001, 0.003]}
    arms = {"step": {"kind": "step", "budgets": [3]}, "adamw": arm}
    settings = make_settings(schedules=arms)
    rates = {name: [key.rate for key in plan.fits(settings) if key.schedule == name] for name in arms}
    assert rates == {"step": [0.025, 0.05], "adamw": [0.001, 0.003]}
    assert config.fit_settings(settings, "step") == config.fit_settings(make_settings(), "step")
    assert config.fit_settings(settings, "adamw")["schedule"] == {
        "kind": "cosine", "eta_min": 0.0,
        "optimizer": {**adamw, "betas": [0.9, 0.999], "eps": 1e-8, "decay": "torch"},
    }  # fmt: skip
    # More rates are one more list that grows; another optimizer is another arm.
    grown = make_settings(schedules={**arms, "adamw": {**arm, "initial_rates": [0.01]}})
    assert config.union(settings, grown, "results/x").initial_rates("adamw") == (0.001, 0.003, 0.01)
    other = make_settings(schedules={**arms, "adamw": {**arm, "optimizer": {"kind": "sgd"}}})
    with pytest.raises(UserError, match=r"schedules\.adamw\.optimizer\.kind: adamw here, sgd asked for"):
        config.union(settings, other, "results/x")


def test_arms_with_other_rates_are_not_compared_rate_by_rate():
    arm = {"kind": "cosine", "budgets": [3], "initial_rates": [0.001]}
    arms = {"step": {"kind": "step", "budgets": [3]}, "cosine": arm}
    pair = {"name": "cosine against step", "a": {"schedule": "cosine"}, "b": {"schedule": "step"}}
    message = r"different initial rates \(cosine has 0.001 and step has 0.025, 0.05\)"
    with pytest.raises(UserError, match=message):
        make_settings(schedules=arms, evaluation={"comparisons": [pair]})
