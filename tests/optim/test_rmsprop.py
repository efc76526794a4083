"""RMSprop and Adagrad: steps by hand, options, and beside PyTorch's."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim


def after(kind: type, gradients: list, **options: object) -> float:
    """Where a weight of 2 is after steps with these gradients."""
    w = nn.Parameter(np.array([2.0]))
    optimizer = kind([w], **options)
    for gradient in gradients:
        w.grad = mg.tensor(np.array([gradient]))
        optimizer.step()
    return float(w.detach()[0])


def test_two_steps_of_rmsprop_by_hand() -> None:
    # s: 0.25 * 9 = 2.25, then 0.75 * 2.25 + 0.25 * 25 = 7.9375
    expected = 2 - 0.1 * (3 / (1.5 + 0.5)) - 0.1 * (-5 / (math.sqrt(7.9375) + 0.5))
    got = after(optim.RMSprop, [3.0, -5.0], lr=0.1, alpha=0.75, eps=0.5)
    assert got == pytest.approx(expected, rel=1e-14)


def test_rmsprop_with_momentum_centered_by_hand() -> None:
    # s: 2.25, 7.9375; a: 0.75, then 0.5625 - 1.25 = -0.6875
    first = 3 / (math.sqrt(2.25 - 0.5625) + 0.5)
    second = 0.6 * first - 5 / (math.sqrt(7.9375 - 0.47265625) + 0.5)
    options = {"lr": 0.1, "alpha": 0.75, "eps": 0.5, "momentum": 0.6, "centered": True}
    got = after(optim.RMSprop, [3.0, -5.0], **options)
    assert got == pytest.approx(2 - 0.1 * (first + second), rel=1e-14)


def test_a_variance_that_rounding_takes_below_zero_is_zero() -> None:
    """Equal gradients have the variance 0 in the limit. Rounding takes some below 0."""
    w = nn.Parameter(np.full(50, 2.0))
    optimizer = optim.RMSprop([w], lr=1e-3, alpha=0.3, centered=True)
    for _ in range(60):
        w.grad = mg.tensor(np.linspace(0.1, 1.7, 50))
        optimizer.step()
    assert np.isfinite(w.detach().numpy()).all()


def test_two_steps_of_adagrad_by_hand() -> None:
    # s: 7 + 9 = 16, then 16 + 4 = 20; the rate is 0.3, then 0.3 / 1.5
    expected = 2 - 0.3 * 3 / (4 + 0.5) + 0.2 * 2 / (math.sqrt(20) + 0.5)
    options = {"lr": 0.3, "lr_decay": 0.5, "initial_accumulator_value": 7.0, "eps": 0.5}
    assert after(optim.Adagrad, [3.0, -2.0], **options) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("kind", [optim.RMSprop, optim.Adagrad])
def test_decay_and_climbing(kind: type) -> None:
    """The gradient is turned round first, as in PyTorch; then weight_decay w is added."""
    got = after(kind, [1.5], lr=0.1, weight_decay=0.4, maximize=True)
    assert got == after(kind, [-1.5 + 0.4 * 2], lr=0.1)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (optim.RMSprop, {"alpha": 1.5}, "alpha is 1.5, expected at most 1"),
        (optim.RMSprop, {"alpha": -0.5}, "alpha is -0.5, expected at least 0"),
        (optim.RMSprop, {"eps": -1.0}, "eps is -1.0, expected at least 0"),
        (optim.RMSprop, {"momentum": -1.0}, "momentum is -1.0, expected at least 0"),
        (optim.Adagrad, {"lr_decay": -1.0}, "lr_decay is -1.0, expected at least 0"),
        (optim.Adagrad, {"eps": -1.0}, "eps is -1.0, expected at least 0"),
        (optim.Adagrad, {"initial_accumulator_value": -1.0}, "value is -1.0, expected at least 0"),
    ],
)
def test_options_out_of_range(kind: type, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind([nn.Parameter([1.5])], **options)


@pytest.mark.parametrize(("kind", "name"), [(optim.RMSprop, "square_avg"), (optim.Adagrad, "sum")])
def test_an_incomplete_state_is_refused(kind: type, name: str) -> None:
    w = nn.Parameter([1.5])
    optimizer = kind([w])
    w.grad = mg.tensor([0.5])
    optimizer.step()
    state = optimizer.state_dict()
    del state["state"][0][name]
    with pytest.raises(ValueError, match=f"lacks \\['{name}'\\]"):
        optimizer.load_state_dict(state)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("RMSprop", {}),
        ("RMSprop", {"momentum": 0.8, "weight_decay": 0.1}),
        ("RMSprop", {"centered": True, "alpha": 0.9, "eps": 1e-3}),
        ("RMSprop", {"centered": True, "momentum": 0.5, "maximize": True}),
        ("Adagrad", {}),
        ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
        ("Adagrad", {"eps": 1e-3, "maximize": True}),
    ],
    ids=str,
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_two_hundred_steps_are_pytorchs(torch, rng, name, options, dtype, tolerance) -> None:
    start = [rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=5).astype(dtype)]
    ours = [nn.Parameter(value) for value in start]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(200):
        for p, q in zip(ours, theirs, strict=True):
            gradient = (rng.normal(size=p.shape) * 3 + 1).astype(dtype)
            p.grad, q.grad = mg.tensor(gradient), torch.tensor(gradient)
        a.step(), b.step()
        if step == 100:  # on from the other's state
            a_state = a.state_dict()
            a.load_state_dict(b.state_dict())
            for state in a_state["state"].values():
                for key in set(state) - {"step"}:
                    state[key] = torch.tensor(state[key].numpy())
            for group in a_state["param_groups"]:
                group.update(foreach=None, differentiable=False, capturable=False, fused=None)
            b.load_state_dict(a_state)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance
        )
