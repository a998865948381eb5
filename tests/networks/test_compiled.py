"""Compiled kernels equal braindecode's loss and gradients, as each kind of processor that this one can be."""

import copy
import importlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from fits import DENSE, EEGNET, drop_by, make_data, same
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from eeg_sgdr.errors import UserError
from eeg_sgdr.networks import kernels
from eeg_sgdr.networks.build import build_network
from eeg_sgdr.networks.fast import choose
from eeg_sgdr.networks.fast.compiled import (
    BFloat16ShallowForward,
    CompiledEEGNetForward,
    CompiledShallowForward,
    RoundedSpectra,
    _Loss,
)
from eeg_sgdr.networks.fast.shallow import ShallowForward
from eeg_sgdr.networks.forward import BraindecodeForward
from eeg_sgdr.schedules import WarmRestarts
from eeg_sgdr.settings import Training
from eeg_sgdr.training import engines
from eeg_sgdr.training.loop import fit

pytestmark = pytest.mark.kernels

HERE = torch.backends.cpu.get_cpu_capability()
CAPABILITIES = ["AVX2", "AVX512"][: 2 if HERE == "AVX512" else 1]
FORWARDS = {"ShallowFBCSPNet": CompiledShallowForward, "EEGNet": CompiledEEGNetForward}
DEMO = {"n_channels": 44, "n_samples": 1125, "n_classes": 4, "crop_samples": 1000}
EEGMMIDB = {"n_channels": 64, "n_samples": 720, "n_classes": 2}
SHAPES = {"dense": DEMO, "trial-wise": EEGMMIDB, "EEGNet": {"name": "EEGNet", **EEGMMIDB}}
BFLOAT16 = [kernels.BFLOAT16] if kernels.find_bfloat16("shallow", torch.float32) else []
each_capability = pytest.mark.parametrize("capability", CAPABILITIES)
with_bfloat16 = pytest.mark.bfloat16
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_shallow_shape = pytest.mark.parametrize("shape", [DEMO, EEGMMIDB], ids=["dense", "trial-wise"])
each_kernel = pytest.mark.parametrize(
    ("capability", "shape"),
    [
        pytest.param(capability, shape, id=f"{capability}-{name}")
        for name, shape in SHAPES.items()
        for capability in CAPABILITIES + (BFLOAT16 if name != "EEGNet" else [])
    ],
)


def forward_of(network, capability):
    if capability == kernels.BFLOAT16:
        return BFloat16ShallowForward(network)
    return FORWARDS[type(network.module).__name__](network, capability)


def make(
    capability, dtype=torch.float32, name="ShallowFBCSPNet", n_trials=6, seed=0, arguments=None,
    crop_samples=None, **shape,
):  # fmt: skip
    """A forward with weights and statistics as after some training, windows, and labels of all crops."""
    torch.manual_seed(seed)
    network = build_network(name, arguments or {}, **shape, crop_samples=crop_samples, sfreq=160, seed=0)
    module = network.module.to(dtype).train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    forward = forward_of(network, capability)
    windows = torch.randn(n_trials, shape["n_channels"], shape["n_samples"], dtype=dtype)
    windows = windows + windows.roll(1, 2) + 0.2
    return forward, windows, torch.arange(n_trials * len(network.starts)) % shape["n_classes"]


def gradients(forward, windows, crops, labels):
    """Gradients of ours and of braindecode in float64, under the same masks; and both losses."""
    plain = BraindecodeForward(forward.network)
    plain.module = copy.deepcopy(forward.module).double()
    plain.dropouts = []
    drop_by(plain.module, [mask.double() for mask in forward.dropout_masks(len(crops), 5)])
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


@each_capability
@each_shape
@pytest.mark.parametrize("louder", [1, 1000], ids=["", "one stretch louder"])
def test_float32_against_braindecode_in_float64(capability, shape, louder):
    forward, windows, labels = make(capability, **shape)
    windows[2, :, 100:140] *= louder
    assert_same(forward, windows, torch.tensor([3, 0, 5, 2, 1]), labels, whole=5e-6, each=5e-5)


@with_bfloat16
@each_shallow_shape
def test_bfloat16_products_against_braindecode_in_float64(shape):
    """Both factors there and both on the way back are rounded, by 2^-8 at most, as if at random."""
    forward, windows, labels = make(kernels.BFLOAT16, **shape)
    bound = 4**0.5 / 2**8
    assert_same(forward, windows, torch.tensor([3, 0, 5, 2, 1]), labels, whole=bound, each=bound)


def rounded_reference(forward):
    """The torch form of the same products: of numbers rounded to bfloat16."""

    def rounded(x):
        return x.bfloat16().to(x.dtype)

    reference = ShallowForward(forward.network, forward.tiles.length)
    reference.dropout_masks = forward.dropout_masks
    tiles = reference.tiles
    matrices, adjoint = tiles._filter_matrices, tiles.products_adjoint
    tiles._filter_matrices = lambda weight: rounded(matrices(weight))
    tiles.products_adjoint = lambda gradient, spectra: adjoint(rounded(gradient), spectra)
    return reference


def assert_only_rounded(forward, windows, crops, labels, *, whole, filters):
    """What differs in its last bit may be rounded the other way, which gradients by the filters show."""
    parameters, prepared = dict(forward.module.named_parameters()), forward.prepare(windows)
    losses = [
        forward.loss(prepared, crops, labels[crops], 5),
        rounded_reference(forward).loss(prepared.spectra.float(), crops, labels[crops], 5),
    ]
    torch.testing.assert_close(*losses, rtol=whole, atol=whole)
    found = (torch.autograd.grad(loss, list(parameters.values())) for loss in losses)
    for name, a, b in zip(parameters, *found, strict=True):
        assert (a - b).norm() <= (filters if "conv_time_spat" in name else whole) * b.norm(), name


@with_bfloat16
@each_shallow_shape
def test_bfloat16_products_differ_by_rounding_alone(shape):
    forward, windows, labels = make(kernels.BFLOAT16, **shape)
    assert_only_rounded(forward, windows, torch.tensor([3, 0, 5, 2, 1]), labels, whole=1e-5, filters=2e-4)


@with_bfloat16
@each_shallow_shape
def test_what_is_scored_is_not_rounded(shape):
    forward, windows, _ = make(kernels.BFLOAT16, **shape)
    exact = ShallowForward(forward.network, forward.tiles.length)
    prepared, of_exact = forward.prepare(windows), exact.prepare(windows)
    assert torch.equal(forward.trial_logits(prepared), exact.trial_logits(of_exact))
    statistics, expected = forward.batch_norm_statistics(prepared), exact.batch_norm_statistics(of_exact)
    assert all(torch.equal(statistics[name], expected[name]) for name in expected)


whole = st.integers
drop_probs = st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0])


@st.composite
def shallow_shapes(draw):
    """Any ShallowFBCSPNet that braindecode builds, and a number of crops; all small."""
    n_taps, pool, stride = draw(whole(1, 20)), draw(whole(1, 20)), draw(whole(1, 12))
    arguments = {
        "n_filters_time": draw(whole(1, 6)),
        "n_filters_spat": draw(whole(1, 45)),
        "filter_time_length": n_taps,
        "pool_time_length": pool,
        "pool_time_stride": stride,
        "drop_prob": draw(drop_probs),
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


@st.composite
def eegnet_shapes(draw):
    """Any EEGNet that braindecode builds, and a number of trials; all small."""
    arguments = {
        "F1": draw(whole(1, 9)),
        "D": draw(whole(1, 4)),
        "F2": draw(whole(1, 35)),
        "kernel_length": draw(whole(1, 70)),
        "depthwise_kernel_length": draw(whole(1, 20)),
        "pool1_kernel_size": draw(whole(1, 9)),
        "pool2_kernel_size": draw(whole(1, 9)),
        "drop_prob": draw(drop_probs),
    }
    return {
        "name": "EEGNet",
        "arguments": arguments,
        "n_channels": draw(whole(1, 40)),
        "n_classes": draw(whole(2, 5)),
        "n_samples": draw(whole(1, 200)),
        "seed": draw(whole(0, 1000)),
    }, draw(whole(1, 9))


@pytest.mark.parametrize("shapes", [shallow_shapes(), eegnet_shapes()], ids=FORWARDS)
@settings(max_examples=min(3 * settings().max_examples // 20, 300))
@given(data=st.data(), capability=st.sampled_from(CAPABILITIES))
def test_random_shapes(shapes, data, capability):
    """300 of each: pytest --hypothesis-profile=search tests/networks/test_compiled.py -k random."""
    shape, n_crops = data.draw(shapes)
    try:
        forward, windows, labels = make(capability, torch.float64, **shape)
    except UserError:  # braindecode cannot build it
        reject()
    crops = torch.randint(0, len(labels), (n_crops,))
    assert_same(forward, windows, crops, labels, whole=1e-9, each=1e-7)


@with_bfloat16
@settings(max_examples=min(3 * settings().max_examples // 20, 300))
@given(data=st.data())
def test_bfloat16_products_of_random_shapes(data):
    """In float32, which rounds where a window is of few values near zero, and few sums even it out."""
    shape, n_crops = data.draw(shallow_shapes())
    try:
        forward, windows, labels = make(kernels.BFLOAT16, **shape)
    except UserError:
        reject()
    crops = torch.randint(0, len(labels), (n_crops,))
    assert_only_rounded(forward, windows, crops, labels, whole=1e-3, filters=1e-2)


SMALL_SHALLOW = {"n_filters_time": 2, "n_filters_spat": 3, "filter_time_length": 5, "pool_time_length": 6,
                 "pool_time_stride": 2, "final_conv_length": 3}  # fmt: skip
SMALL_EEGNET = {"F1": 2, "D": 2, "F2": 3, "kernel_length": 5, "depthwise_kernel_length": 4,
                "pool1_kernel_size": 3, "pool2_kernel_size": 2}  # fmt: skip


@each_capability
@pytest.mark.parametrize(
    "shape",
    [
        {"arguments": SMALL_SHALLOW, "n_samples": 40, "crop_samples": 30},
        {"name": "EEGNet", "arguments": SMALL_EEGNET, "n_samples": 40},
    ],
    ids=["ShallowFBCSPNet", "EEGNet"],
)
def test_gradcheck(capability, shape):
    forward, windows, labels = make(capability, torch.float64, n_channels=2, n_classes=3, **shape)
    crops, prepared = torch.tensor([3, 0, 5]), forward.prepare(windows)
    gradients = partial(forward._gradients, prepared, crops, labels[crops], forward._kept(3, 0))
    inputs = [value.detach().requires_grad_() for value in forward.parameters()]
    assert torch.autograd.gradcheck(partial(_Loss.apply, gradients), inputs)


@each_kernel
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_reach_the_loss(capability, shape, bad):
    forward, windows, labels = make(capability, **shape)
    crops = torch.tensor([0, 1, 2])
    for name, target in [("windows", windows), *forward.module.named_parameters()]:
        with torch.no_grad():
            value = target.view(-1)[1 % target.numel()].clone()
            target.view(-1)[1 % target.numel()] = bad
            assert not torch.isfinite(forward.loss(forward.prepare(windows), crops, labels[crops], 5)), name
            target.view(-1)[1 % target.numel()] = value
    assert torch.isfinite(forward.loss(forward.prepare(windows), crops, labels[crops], 5))


@each_capability
def test_a_power_below_epsilon_has_no_gradient(capability):
    forward, windows, labels = make(capability, torch.float64, **EEGMMIDB)
    with torch.no_grad():
        forward.norm.weight[:20] = 1e-5
        forward.norm.weight[3] = 0
        forward.norm.bias.zero_()
    assert_same(forward, windows, torch.tensor([0, 1, 2]), labels, whole=1e-9, each=1e-7)


@each_kernel
def test_the_same_bits_from_threads_at_once(capability, shape):
    """Each with a forward of its own."""

    def updated(_):
        forward, windows, labels = prepared_copy()
        loss = forward.loss(forward.prepare(windows), torch.arange(5), labels[:5], 5)
        return [loss.detach(), *torch.autograd.grad(loss, list(forward.module.parameters()))]

    made = make(capability, **shape)

    def prepared_copy():
        forward, windows, labels = made
        network = replace(forward.network, module=copy.deepcopy(forward.module))
        return forward_of(network, capability), windows, labels

    expected = updated(0)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(updated, range(8)):
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def moved(array):
    """The same values, a number further from where arrays begin."""
    storage = torch.empty(array.numel() + 1, dtype=array.dtype)
    return storage[1:].as_strided(array.shape, array.stride()).copy_(array)


@each_kernel
def test_the_same_bits_whatever_the_memory_held_and_wherever_it_lies(capability, shape):
    forward, windows, labels = make(capability, **shape)
    prepared, crops = forward.prepare(windows), torch.tensor([3, 0, 5, 2, 1])
    if isinstance(prepared, torch.Tensor):
        elsewhere = moved(prepared)
    elif isinstance(prepared, RoundedSpectra):
        elsewhere = replace(prepared, analyse=lambda *_: moved(prepared.spectra))
    else:
        elsewhere = replace(prepared, **{name: moved(array) for name, array in vars(prepared).items()})
    results = []
    for values in (prepared, elsewhere):
        forward.kernel.workspace.fill_(255)  # NaN, once there is a workspace
        loss = forward.loss(values, crops, labels[crops], 5)
        results.append([loss.detach(), *torch.autograd.grad(loss, list(forward.module.parameters()))])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@each_shape
def test_crops_and_labels_that_do_not_exist(shape):
    forward, windows, labels = make(HERE, **shape)
    n, n_classes = len(labels), shape["n_classes"]
    prepared = forward.prepare(windows)
    for crops, labels in ([0, n], [0, 1]), ([0, -1], [0, 1]), ([0, 1], [0, n_classes]):
        with pytest.raises(IndexError):
            forward.loss(prepared, torch.tensor(crops), torch.tensor(labels), 0)


@each_shape
def test_what_the_kernel_computes_and_what_torch_does(monkeypatch, shape):
    network = make(HERE, **shape)[0].network
    assert choose(network).name.startswith(f"compiled for {HERE} (")
    assert choose(network, threads=2).name == "fast"
    mixed = (
        "compiled for AVX512 with bfloat16 products (" if BFLOAT16 and "name" not in shape else "braindecode"
    )
    assert choose(network, "mixed").name.startswith(mixed)
    assert choose(network, "mixed", threads=2).name == "braindecode"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert choose(network, "mixed").name == "braindecode"


@with_bfloat16
def test_autocast_rounds_nothing_beside_the_products():
    forward, windows, labels = make(kernels.BFLOAT16, **EEGMMIDB)
    prepared, crops = forward.prepare(windows), torch.arange(5)
    losses = []
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses.append(forward.loss(prepared, crops, labels[crops], 5))
    found = (torch.autograd.grad(loss, list(forward.module.parameters())) for loss in losses)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("network", [DENSE, EEGNET], ids=["ShallowFBCSPNet", "EEGNet"])
def test_a_fit_by_the_kernel_equals_one_by_torch(monkeypatch, network):
    """Without dropout, whose masks are others; in float64, so that differences stay small."""
    network = network.model_copy(update={"arguments": {**network.arguments, "drop_prob": 0.0}})
    data, training, schedule = make_data(np.float64), Training(batch_size=8), WarmRestarts(0.02, 7)
    compiled, again = (fit(data, network, training, schedule, seed=1) for _ in range(2))
    assert same(compiled, again)
    monkeypatch.setattr(engines, "choose", lambda network, *_: choose(network, threads=2))
    by_torch = fit(data, network, training, schedule, seed=1)
    assert (compiled.form[:8], by_torch.form) == ("compiled", "fast")
    for epoch, score in compiled.scores.items():
        np.testing.assert_allclose(score.probabilities, by_torch.scores[epoch].probabilities, rtol=1e-6)


@pytest.mark.parametrize(("changed", "changed_not"), [("shallow.c", "vectors.h"), ("vectors.h", "shallow.c")])
def test_a_library_of_another_source_is_refused(tmp_path, monkeypatch, changed, changed_not):
    name = f"shallow_{HERE.lower()}_float32.so"
    for file in (name, changed_not):
        (tmp_path / file).symlink_to(kernels.FOLDER / file)
    (tmp_path / changed).write_text("/* edited */")
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
