"""SGD against torch's, and against the paper's equations written out."""

import pytest
import torch

from eeg_sgdr.training.optimizers import SGD


def test_torch_form_is_torch_bit_by_bit():
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(5)]
    gradients = [[torch.randn_like(p) for p in start] for _ in range(6)]
    rates = [0.05, 0.03, 0.01, 0.05, 0.04, 0.02]
    ours = [p.clone().requires_grad_() for p in start]
    theirs = [p.clone().requires_grad_() for p in start]
    sgd = SGD(ours, momentum=0.9, weight_decay=0.01, form="torch")
    reference = torch.optim.SGD(theirs, lr=1.0, momentum=0.9, weight_decay=0.01, foreach=False)
    for rate, step in zip(rates, gradients, strict=True):
        for parameters in (ours, theirs):
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = gradient.clone()
        sgd.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def test_paper_form_across_a_restart():
    """v <- 0.5 v - eta g, x <- x + v, by hand; at the third update the rate jumps back to 0.4."""
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    sgd = SGD([x], momentum=0.5, weight_decay=0.0, form="paper")
    seen = []
    for rate, gradient in [(0.4, 1.0), (0.1, 2.0), (0.4, 1.0)]:
        x.grad = torch.tensor([gradient], dtype=torch.float64)
        sgd.step(rate)
        seen.append((sgd.state_dict()["moments"]["velocity"][0].item(), x.item()))
    expected = [(-0.4, 0.6), (-0.4, 0.2), (-0.6, -0.4)]
    assert seen == [pytest.approx(pair, abs=1e-15) for pair in expected]


def test_forms_agree_while_the_rate_is_constant():
    results = []
    for form in ("torch", "paper"):
        x = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
        sgd = SGD([x], momentum=0.9, weight_decay=0.1, form=form)
        for k in range(5):
            x.grad = torch.tensor([0.3 * k, 1.0], dtype=torch.float64)
            sgd.step(0.05)
        results.append(x.detach())
    torch.testing.assert_close(*results, rtol=1e-13, atol=0)
