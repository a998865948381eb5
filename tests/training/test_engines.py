"""A stack of fits equals the fits one by one, to rounding."""

import json
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import make_settings
from fits import DENSE, EEGNET, TRAINING, make_data, stack

from eeg_sgdr.errors import UserError
from eeg_sgdr.jobs import tasks
from eeg_sgdr.networks.forward import BraindecodeForward
from eeg_sgdr.parallel.progress import NOW
from eeg_sgdr.schedules import Step, WarmRestarts
from eeg_sgdr.settings.optimizers import AdamWSettings, SGDSettings
from eeg_sgdr.settings.plan import FitKey
from eeg_sgdr.storage import folders
from eeg_sgdr.training import engines
from eeg_sgdr.training.engines import Member, Stack
from eeg_sgdr.training.loop import FitFailed, fit, train


@pytest.mark.parametrize("network", [DENSE, EEGNET], ids=["ShallowFBCSPNet", "EEGNet"])
@pytest.mark.parametrize(
    ("optimizer", "atol"),
    [
        (SGDSettings(kind="sgd"), 1e-10),
        (SGDSettings(kind="sgd", momentum_form="paper"), 1e-10),
        # The gradient of a bias before batch norm is rounding, 1e-16, which Adam divides by its size + 1e-8.
        (AdamWSettings(kind="adamw", weight_decay=0.5, decay="normalized"), 1e-8),
    ],
    ids=["torch", "paper", "adamw"],
)
def test_a_stack_equals_its_members_alone(network, optimizer, atol, monkeypatch):
    """Two subjects, two seeds, rates, schedules and budgets: members end at different epochs."""
    monkeypatch.setattr(engines, "choose", lambda network, *_: BraindecodeForward(network))
    first, second = make_data(np.float64), make_data(np.float64, seed=1)
    members = [
        Member(first, WarmRestarts(0.05, 3), 0, optimizer),
        Member(first, Step(0.02, 3), 0, optimizer),
        Member(second, Step(0.05, 1), 0, optimizer),
        Member(first, WarmRestarts(0.02, 1), 5, optimizer),
    ]
    stacked = train(stack(members, network))
    for together, member in zip(stacked, members, strict=True):
        alone = fit(member.data, network, TRAINING, member.schedule, member.seed, optimizer=optimizer)
        assert list(together.scores) == list(alone.scores)
        for epoch, score in alone.scores.items():
            for name, value in score.state.items():
                torch.testing.assert_close(together.scores[epoch].state[name], value, rtol=1e-8, atol=atol)
            ours = together.scores[epoch]
            np.testing.assert_allclose(ours.probabilities, score.probabilities, rtol=1e-6)
            np.testing.assert_allclose(ours.probabilities_running, score.probabilities_running, rtol=1e-6)
        for ours, expected in zip(together.history, alone.history, strict=True):
            assert replace(ours, loss=0.0, seconds=0.0) == replace(expected, loss=0.0, seconds=0.0)
            np.testing.assert_allclose(ours.loss, expected.loss, rtol=1e-9)


def test_a_member_that_fails_leaves_the_others_alone():
    members = [Member(make_data(), Step(rate, 2), 0) for rate in (0.02, 1e30)]
    good, bad = train(stack(members, EEGNET))
    assert isinstance(bad, FitFailed)
    assert "epoch 1, at a rate of 1e+30" in str(bad)
    (alone,) = train(stack(members[:1], EEGNET))
    np.testing.assert_allclose(good.scores[2].probabilities, alone.scores[2].probabilities, rtol=1e-4)


def test_shapes_must_be_equal():
    data = make_data()
    shorter = replace(data, x_train=data.x_train[:, :, :225])
    with pytest.raises(UserError, match="differ in shape"):
        stack([Member(x, Step(0.02, 1), 0) for x in (data, shorter)], EEGNET)


def test_a_stack_of_fits_has_its_members_in_their_folders(tmp_path, monkeypatch):
    class Trials:
        label, title = "001", "subject 001"
        info = {"classes": ["a", "b", "c"], "sfreq": 100.0, "fingerprint": "x"}  # noqa: RUF012

        def array(self, name):
            extra = {"y_test": np.zeros(10, int), "trials_test": np.arange(10)}
            return extra[name] if name in extra else getattr(make_data(), name)

    on_gpu = make_settings(network={"name": "EEGNet"}, training={"numerics": {"device": "cuda"}})

    too_large = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    keys = [FitKey("restarts", 3, 0.05, 0), FitKey("step", 1, 0.05, 0)]
    folder, steps = folders.SubjectFolder(tmp_path / "001"), tmp_path / "steps"
    steps.mkdir()
    monkeypatch.setattr(engines, "Stack", Mock(side_effect=too_large))
    said = r"^subject 001, 2 fits in lock-step: memory ran out \(.*CUDA.*\); run .* lower compute.stack, or"
    with pytest.raises(UserError, match=said):
        tasks.make_fits(keys, on_gpu, Trials(), folder, steps)
    assert not list(folder.root.rglob("*.json"))
    monkeypatch.setattr(engines, "Stack", lambda *arguments: Stack(*arguments[:2], TRAINING))
    tasks.make_fits(keys, on_gpu, Trials(), folder, steps)
    assert sum(file.stat().st_size for file in steps.iterdir() if file.suffix != NOW) == 3 + 1
    for key, epochs in zip(keys, ([1, 3], [1]), strict=True):
        content = json.loads(folder.fit(key.name).fit.read_text())
        assert content["stack"] == ["restarts-b3-r0.05-s0", "step-b1-r0.05-s0"]
        assert content["state"] == "done"
        assert np.load(folder.fit(key.name).predictions)["epochs"].tolist() == epochs
        assert all(folder.fit(key.name).snapshot(epoch).is_file() for epoch in epochs)
