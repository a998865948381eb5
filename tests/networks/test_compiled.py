"""Compiled kernels equal braindecode's loss and gradients, as each kind of processor that this one can be."""

import copy
import importlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from fits import DENSE, GivenMask, make_data, same
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks import kernels
from eeg_sgdr.networks.build import build_network
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.fast.compiled import CompiledShallowForward, _Loss
from eeg_sgdr.networks.forward import BraindecodeForward
from eeg_sgdr.schedules import WarmRestarts
from eeg_sgdr.settings import Training
from eeg_sgdr.training import engines
from eeg_sgdr.training.loop import fit

pytestmark = pytest.mark.kernels

HERE = torch.backends.cpu.get_cpu_capability()
CAPABILITIES = ["AVX2", "AVX512"][: 2 if HERE == "AVX512" else 1]
DEMO = {"n_channels": 44, "n_samples": 1125, "n_classes": 4, "crop_samples": 1000}
EEGMMIDB = {"n_channels": 64, "n_samples": 720, "n_classes": 2, "crop_samples": None}


def make(capability, dtype=torch.float32, n_trials=6, seed=0, arguments=None, **shape):
    """A forward with weights and statistics as after some training, windows, and labels of all crops."""
    torch.manual_seed(seed)
    network = build_network("ShallowFBCSPNet", arguments or {}, **shape, sfreq=160, seed=0)
    module = network.module.to(dtype).train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    forward = CompiledShallowForward(network, capability)
    windows = torch.randn(n_trials, shape["n_channels"], shape["n_samples"], dtype=dtype)
    windows = windows + windows.roll(1, 2) + 0.2
    return forward, windows, torch.arange(n_trials * len(network.starts)) % shape["n_classes"]


def gradients(forward, windows, crops, labels):
    """Gradients of ours and of braindecode in float64, under the same masks; and both losses."""
    plain = BraindecodeForward(forward.network)
    plain.module = copy.deepcopy(forward.module).double()
    if forward.drop_prob:
        plain.module.drop = GivenMask(iter([forward.dropout_masks(len(crops), 5)[0].double()]))
        plain.dropouts = []
    losses = [
        forward.loss(forward.prepare(windows), crops, labels[crops], 5),
        cross_entropy(plain.logits(windows.double(), crops, 5), labels[crops]),
    ]
    for loss in losses:
        loss.backward()
    found = [[p.grad.double() for p in module.parameters()] for module in (forward.module, plain.module)]
    return *found, *(loss.detach() for loss in losses), plain.module


def assert_same(forward, windows, crops, labels, *, whole, each):
    ours, expected, loss, expected_loss, plain = gradients(forward, windows, crops, labels)
    torch.testing.assert_close(loss.double(), expected_loss, rtol=whole, atol=whole)
    size = torch.cat([gradient.flatten() for gradient in expected]).norm()
    difference = torch.cat([(a - b).flatten() for a, b in zip(ours, expected, strict=True)]).norm()
    assert difference <= whole * size
    for a, b, (name, _) in zip(ours, expected, plain.named_parameters(), strict=True):
        if b.norm() < 1e-9 * size:  # of biases before batch norm: zero but for rounding
            assert a.norm() < 1e-9 * size, name
        else:
            assert (a - b).norm() <= each * b.norm(), name
    for (name, a), b in zip(forward.module.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(a.double(), b.double(), rtol=each, atol=whole, msg=name)


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("shape", [DEMO, EEGMMIDB], ids=["dense", "trial-wise"])
@pytest.mark.parametrize("louder", [1, 1000], ids=["", "one stretch louder"])
def test_float32_against_braindecode_in_float64(capability, shape, louder):
    forward, windows, labels = make(capability, **shape)
    windows[2, :, 100:140] *= louder
    assert_same(forward, windows, torch.tensor([3, 0, 5, 2, 1]), labels, whole=5e-6, each=5e-5)


@st.composite
def shapes(draw):
    """Any network that braindecode builds, and a number of crops; all small."""
    whole = st.integers
    n_taps, pool, stride = draw(whole(1, 20)), draw(whole(1, 20)), draw(whole(1, 12))
    arguments = {
        "n_filters_time": draw(whole(1, 6)),
        "n_filters_spat": draw(whole(1, 45)),
        "filter_time_length": n_taps,
        "pool_time_length": pool,
        "pool_time_stride": stride,
        "drop_prob": draw(st.sampled_from([0.0, 0.25, 0.3, 0.5])),
    }
    n_final = draw(whole(1, 5))
    shortest = n_taps + pool + (n_final - 1) * stride
    length = shortest + draw(whole(2, 150))
    dense = draw(st.booleans())
    if dense:
        arguments["final_conv_length"] = n_final
    return {
        "arguments": arguments,
        "n_channels": draw(whole(1, 9)),
        "n_classes": draw(whole(2, 5)),
        "n_samples": length + draw(whole(0, 40)) if dense else length,
        "crop_samples": length if dense else None,
        "seed": draw(whole(0, 1000)),
    }, draw(whole(2, 9))


@settings(max_examples=3 * min(settings().max_examples, 1000) // 10)
@given(case=shapes(), capability=st.sampled_from(CAPABILITIES))
def test_random_shapes(case, capability):
    """300 of them: pytest --hypothesis-profile=search tests/networks/test_compiled.py -k random."""
    shape, n_crops = case
    try:
        forward, windows, labels = make(capability, torch.float64, **shape)
    except UserError:  # braindecode cannot build it
        reject()
    crops = torch.randint(0, len(labels), (n_crops,))
    assert_same(forward, windows, crops, labels, whole=1e-9, each=1e-7)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_gradcheck(capability):
    arguments = {"n_filters_time": 2, "n_filters_spat": 3, "filter_time_length": 5, "pool_time_length": 6,
                 "pool_time_stride": 2, "final_conv_length": 3}  # fmt: skip
    shape = {"n_channels": 2, "n_samples": 40, "n_classes": 3, "crop_samples": 30}
    forward, windows, labels = make(capability, torch.float64, arguments=arguments, **shape)
    crops, prepared = torch.tensor([3, 0, 5]), forward.prepare(windows)
    inputs = [*forward.first.filters(), forward.norm.weight, forward.norm.bias, forward.classifier.weight,
              forward.classifier.bias]  # fmt: skip
    kept = forward._kept(3, 0)
    assert torch.autograd.gradcheck(
        lambda *inputs: _Loss.apply(*inputs, prepared, crops, labels[crops], kept, forward)[0],
        [value.detach().requires_grad_() for value in inputs],
    )


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["a window", "a spatial weight", "batch norm", "the classifier"])
def test_nan_and_infinity_reach_the_loss(capability, bad, where):
    forward, windows, labels = make(capability, **EEGMMIDB)
    module = forward.module
    target = {
        "a window": windows,
        "a spatial weight": module.conv_time_spat.conv_spat.weight,
        "batch norm": module.bnorm.weight,
        "the classifier": forward.classifier.weight,
    }[where]
    with torch.no_grad():
        target.view(-1)[1] = bad
    crops = torch.tensor([0, 1, 2])
    assert not torch.isfinite(forward.loss(forward.prepare(windows), crops, labels[crops], 5))


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_power_below_epsilon_has_no_gradient(capability):
    forward, windows, labels = make(capability, torch.float64, **EEGMMIDB)
    with torch.no_grad():
        forward.norm.weight[:20] = 1e-5
        forward.norm.weight[3] = 0
        forward.norm.bias.zero_()
    assert_same(forward, windows, torch.tensor([0, 1, 2]), labels, whole=1e-9, each=1e-7)


def test_the_same_bits_from_threads_at_once():
    """Each with a forward of its own."""

    def updated(_):
        forward, windows, labels = prepared_copy()
        loss = forward.loss(forward.prepare(windows), torch.arange(5), labels[:5], 5)
        return [loss.detach(), *torch.autograd.grad(loss, list(forward.module.parameters()))]

    made = make(HERE, **DEMO)

    def prepared_copy():
        forward, windows, labels = made
        network = replace(forward.network, module=copy.deepcopy(forward.module))
        return CompiledShallowForward(network), windows, labels

    expected = updated(0)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(updated, range(8)):
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("shape", [DEMO, EEGMMIDB], ids=["dense", "trial-wise"])
def test_the_same_bits_whatever_the_memory_held_and_wherever_it_lies(capability, shape):
    forward, windows, labels = make(capability, **shape)
    prepared, crops = forward.prepare(windows), torch.tensor([3, 0, 5, 2, 1])
    moved = torch.empty(prepared.numel() + 1)[1:].view(prepared.shape).copy_(prepared)
    results = []
    for spectra in (prepared, moved):
        forward._workspace.fill_(255)  # NaN, once there is a workspace
        loss = forward.loss(spectra, crops, labels[crops], 5)
        results.append([loss.detach(), *torch.autograd.grad(loss, list(forward.module.parameters()))])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_crops_and_labels_that_do_not_exist():
    forward, windows, _ = make(HERE, **EEGMMIDB)
    prepared = forward.prepare(windows)
    for crops, labels in ([0, 6], [0, 1]), ([0, -1], [0, 1]), ([0, 1], [0, 2]):
        with pytest.raises(IndexError):
            forward.loss(prepared, torch.tensor(crops), torch.tensor(labels), 0)


def test_what_the_kernel_computes_and_what_torch_does():
    network = make(HERE, **EEGMMIDB)[0].network
    assert choose(network).name.startswith(f"compiled for {HERE} (")
    assert choose(network, threads=2).name == "fast"
    assert choose(network, "mixed").name == "braindecode"


def test_a_fit_by_the_kernel_equals_one_by_torch(monkeypatch):
    """Without dropout, whose masks are others; in float64, so that differences stay small."""
    network = DENSE.model_copy(update={"arguments": {**DENSE.arguments, "drop_prob": 0.0}})
    data, training, schedule = make_data(np.float64), Training(batch_size=8), WarmRestarts(0.02, 7)
    compiled, again = (fit(data, network, training, schedule, seed=1) for _ in range(2))
    assert same(compiled, again)
    monkeypatch.setattr(engines, "choose", lambda network, *_: choose(network, threads=2))
    by_torch = fit(data, network, training, schedule, seed=1)
    assert (compiled.form[:8], by_torch.form) == ("compiled", "fast")
    for epoch, score in compiled.scores.items():
        np.testing.assert_allclose(score.probabilities, by_torch.scores[epoch].probabilities, rtol=1e-6)


def test_a_library_of_another_source_is_refused(tmp_path, monkeypatch):
    name = f"shallow_{HERE.lower()}_float32.so"
    (tmp_path / name).symlink_to(kernels.FOLDER / name)
    (tmp_path / "shallow.c").write_text("/* edited */")
    monkeypatch.setattr(kernels, "FOLDER", tmp_path)
    for ask in (lambda: kernels.find("shallow", torch.float32), kernels.missing):
        with pytest.raises(UserError, match=r"another shallow\.c .* pip install -e \."):
            ask()
    (tmp_path / name).unlink()
    assert kernels.find("shallow", torch.float32) is None
    assert kernels.missing()


def test_only_an_editable_installation_changes_the_libraries_of_a_clone(tmp_path, monkeypatch):
    """Studies may be training in it, each fit with the library that is there when it begins."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    hatch_build = importlib.import_module("hatch_build")
    monkeypatch.setattr(hatch_build, "FOLDER", tmp_path)
    monkeypatch.setenv("EEG_SGDR_KERNELS", "none")
    hook = object.__new__(hatch_build.KernelBuildHook)
    monkeypatch.setattr(type(hook), "target_name", "wheel", raising=False)
    monkeypatch.setattr(type(hook), "app", Mock(), raising=False)
    library = tmp_path / "shallow_avx2_float32.so"
    library.write_bytes(b"")
    for version, there in (("standard", True), ("editable", False)):
        hook.initialize(version, {})
        hook.finalize(version, {}, "")
        assert library.exists() == there
