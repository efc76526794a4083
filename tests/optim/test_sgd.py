"""SGD: the rule by hand, and beside PyTorch."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim


def after(gradients: list, start: float = 5.0, **options) -> float:
    """Where one number ends up."""
    x = nn.Parameter(np.array([start]))
    optimizer = optim.SGD([x], **options)
    for gradient in gradients:
        x.grad = mg.tensor(np.array([gradient]))
        optimizer.step()
    return x.item()


@pytest.mark.parametrize(
    ("options", "gradients", "expected"),
    [
        ({"lr": 0.1}, [2.0, -3.0], 5 - 0.2 + 0.3),
        ({"lr": 0.1, "maximize": True}, [2.0, -3.0], 5 + 0.2 - 0.3),
        # v = 2, then 0.5 * 2 + 4 = 5
        ({"lr": 0.1, "momentum": 0.5}, [2.0, 4.0], 5 - 0.2 - 0.5),
        # v = 2 (undamped), then 0.5 * 2 + 0.75 * 4 = 4
        ({"lr": 0.1, "momentum": 0.5, "dampening": 0.25}, [2.0, 4.0], 5 - 0.2 - 0.4),
        # steps of 2 + 0.5 * 2 and 4 + 0.5 * 5
        ({"lr": 0.1, "momentum": 0.5, "nesterov": True}, [2.0, 4.0], 5 - 0.3 - 0.65),
        # g = 2 + 0.2 * 5
        ({"lr": 0.1, "weight_decay": 0.2}, [2.0], 5 - 0.3),
        # g = -2 + 0.2 * 5
        ({"lr": 0.1, "weight_decay": 0.2, "maximize": True}, [2.0], 5 + 0.1),
        ({"lr": 0.0}, [2.0], 5.0),
    ],
)
def test_the_rule_by_hand(options: dict, gradients: list, expected: float) -> None:
    assert after(gradients, **options) == pytest.approx(expected, rel=1e-12)


def test_the_first_velocity_is_no_alias_of_the_gradient() -> None:
    x = nn.Parameter(np.array([5.0]))
    optimizer = optim.SGD([x], lr=0.1, momentum=0.5)
    x.grad = mg.tensor(np.array([2.0]))
    optimizer.step()
    x.grad.zero_()
    optimizer.step()
    assert x.item() == pytest.approx(5 - 0.2 - 0.1)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_without_dampening(options: dict) -> None:
    with pytest.raises(ValueError, match="nesterov needs momentum > 0 and dampening = 0"):
        optim.SGD([nn.Parameter([1.0])], nesterov=True, **options)


def test_momentum_is_not_negative() -> None:
    with pytest.raises(ValueError, match=r"momentum is -0\.9"):
        optim.SGD([nn.Parameter([1.0])], momentum=-0.9)


def test_options_that_are_not_offered_are_errors() -> None:
    with pytest.raises(TypeError, match="foreach"):
        optim.SGD([nn.Parameter([1.0])], foreach=True)


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
        {"momentum": 0.5, "maximize": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_a_hundred_steps_are_pytorchs(torch, rng, options: dict, dtype, tolerance) -> None:
    start = [rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=5).astype(dtype)]
    ours = [nn.Parameter(value) for value in start]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    a, b = optim.SGD(ours, lr=0.02, **options), torch.optim.SGD(theirs, lr=0.02, **options)
    for _ in range(100):
        for p, q in zip(ours, theirs, strict=True):
            gradient = rng.normal(size=p.shape).astype(dtype)
            p.grad, q.grad = mg.tensor(gradient), torch.tensor(gradient)
        a.step(), b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance
            )


def test_dampening_is_checked_like_the_other_options():
    with pytest.raises(ValueError, match=r"SGD: dampening is -3\.0, expected at least 0"):
        optim.SGD([mg.zeros(2).requires_grad_()], lr=0.1, momentum=0.9, dampening=-3.0)
    with pytest.raises(TypeError, match="SGD: dampening is a str, expected a number"):
        optim.SGD([mg.zeros(2).requires_grad_()], lr=0.1, momentum=0.9, dampening="a")
