"""SGD and AdamW against torch's, and against the papers' equations written out."""

import pytest
import torch

from eeg_sgdr.schedules import WarmRestarts
from eeg_sgdr.settings.optimizers import AdamWSettings, SGDSettings
from eeg_sgdr.training.optimizers import SGD, make_optimizer


def test_torch_form_is_torch_bit_by_bit():
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(5)]
    gradients = [[torch.randn_like(p) for p in start] for _ in range(6)]
    rates = [0.05, 0.03, 0.01, 0.05, 0.04, 0.02]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    sgd = SGD(ours, momentum=0.9, weight_decay=0.01, momentum_form="torch")
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
    sgd = SGD([x], momentum=0.5, weight_decay=0.0, momentum_form="paper")
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
        sgd = SGD([x], momentum=0.9, weight_decay=0.1, momentum_form=form)
        for k in range(5):
            x.grad = torch.tensor([0.3 * k, 1.0], dtype=torch.float64)
            sgd.step(0.05)
        results.append(x.detach())
    torch.testing.assert_close(*results, rtol=1e-13, atol=0)


def test_adamw_is_torch_s():
    torch.manual_seed(0)
    start = [torch.randn(4, 3).double(), torch.randn(5).double()]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    schedule, n_updates = WarmRestarts(0.05, 7), 8
    settings = AdamWSettings(kind="adamw", betas=(0.8, 0.99), eps=1e-6, weight_decay=0.3)
    adamw = make_optimizer(settings, ours, [schedule], n_updates)
    reference = torch.optim.AdamW(theirs, lr=1.0, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.3)
    for k in range(7 * n_updates):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        adamw.step(schedule.lr(k / n_updates))
        reference.param_groups[0]["lr"] = schedule.lr(k / n_updates)
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_normalized_decay_by_hand():
    """Without gradients: p <- p - (lr / initial rate) * wd * sqrt(1 / (U * T_i)) * p, T_i being 1, then 2."""
    schedule, n_updates = WarmRestarts(0.5, 3), 4
    settings = AdamWSettings(kind="adamw", weight_decay=0.2, decay="normalized")
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer(settings, [x], [schedule], n_updates)
    expected = 1.0
    for k in range(3 * n_updates):
        x.grad = torch.zeros(1, dtype=torch.float64)
        optimizer.step(schedule.lr(k / n_updates))
        length = 1 if k < n_updates else 2
        expected -= schedule.lr(k / n_updates) / 0.5 * 0.2 * (1 / (n_updates * length)) ** 0.5 * expected
    assert x.item() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    "settings",
    [
        SGDSettings(kind="sgd", momentum=0.9, momentum_form="torch", weight_decay=0.01),
        SGDSettings(kind="sgd", momentum=0.9, momentum_form="paper", weight_decay=0.01),
        AdamWSettings(kind="adamw", weight_decay=0.3, decay="normalized"),
    ],
    ids=["torch", "paper", "adamw"],
)
def test_a_stack_is_its_fits_with_their_rates_also_after_a_restart_and_without_one_of_them(settings):
    torch.manual_seed(0)
    schedules, n_updates = [WarmRestarts(rate, 3) for rate in (0.4, 0.1, 0.02)], 2
    starts, gradients = torch.randn(3, 4, 2, dtype=torch.float64), torch.randn(5, 3, 4, 2).double()
    rates = torch.tensor([0.4, 0.1, 0.02], dtype=torch.float64)
    alone = []
    for i, start in enumerate(starts):
        x = start.clone().requires_grad_()
        optimizer = make_optimizer(settings, [x], schedules[i : i + 1], n_updates)
        for gradient in gradients[:, i]:
            x.grad = gradient.clone()
            optimizer.step(float(rates[i]))
        alone.append(x.detach())
    stack, members = starts.clone().requires_grad_(), [0, 1, 2]
    optimizer = make_optimizer(settings, [stack], schedules, n_updates)
    for k, gradient in enumerate(gradients):
        if k == 2:
            again = make_optimizer(settings, [stack], schedules, n_updates)
            again.load_state_dict(optimizer.state_dict())
            optimizer = again
        if k == 3:
            members = [0, 2]
            stack = stack.detach()[members].clone().requires_grad_()
            optimizer.keep(members, [stack])
        stack.grad = gradient[members].clone()
        optimizer.step(rates[members])
    torch.testing.assert_close(stack.detach(), torch.stack([alone[0], alone[2]]), rtol=1e-12, atol=0)
