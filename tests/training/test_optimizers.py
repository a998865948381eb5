"""SGD against torch's, and against the paper's equations written out."""

import pytest
import torch

from eeg_sgdr.settings import Training
from eeg_sgdr.training.optimizers import SGD, make_optimizer


def test_torch_form_is_torch_bit_by_bit():
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(5)]
    gradients = [[torch.randn_like(p) for p in start] for _ in range(6)]
    rates = [0.05, 0.03, 0.01, 0.05, 0.04, 0.02]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    sgd = SGD(ours, momentum=0.9, weight_decay=0.01, form="torch")
    reference = torch.optim.SGD(theirs, lr=1.0, momentum=0.9, weight_decay=0.01, foreach=False)
    for rate, step in zip(rates, gradients, strict=True):
        for parameter, gradient in zip([*ours, *theirs], [*step, *step], strict=True):
            parameter.grad = gradient.clone()
        sgd.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


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


@pytest.mark.parametrize("form", ["torch", "paper"])
def test_a_stack_is_its_fits_with_their_rates_also_after_a_restart_and_without_one_of_them(form):
    torch.manual_seed(0)
    training = Training(momentum_form=form, weight_decay=0.01)
    starts, gradients = torch.randn(3, 4, 2, dtype=torch.float64), torch.randn(5, 3, 4, 2).double()
    rates = torch.tensor([0.4, 0.1, 0.02], dtype=torch.float64)
    alone = []
    for i, start in enumerate(starts):
        x = start.clone().requires_grad_()
        optimizer = make_optimizer(training, [x])
        for gradient in gradients[:, i]:
            x.grad = gradient.clone()
            optimizer.step(float(rates[i]))
        alone.append(x.detach())
    stack, members = starts.clone().requires_grad_(), [0, 1, 2]
    optimizer = make_optimizer(training, [stack])
    for k, gradient in enumerate(gradients):
        if k == 2:
            again = make_optimizer(training, [stack])
            again.load_state_dict(optimizer.state_dict())
            optimizer = again
        if k == 3:
            members = [0, 2]
            stack = stack.detach()[members].clone().requires_grad_()
            optimizer.keep(members, [stack])
        stack.grad = gradient[members].clone()
        optimizer.step(rates[members])
    torch.testing.assert_close(stack.detach(), torch.stack([alone[0], alone[2]]), rtol=1e-12, atol=0)
