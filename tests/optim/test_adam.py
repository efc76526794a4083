"""Adam and AdamW: the rule by hand, and beside PyTorch."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim


def after(kind: type, gradients: list, start: float = 5.0, **options) -> float:
    """Where one number ends up."""
    x = nn.Parameter(np.array([start]))
    optimizer = kind([x], **options)
    for gradient in gradients:
        x.grad = mg.tensor(np.array([gradient]))
        optimizer.step()
    return x.item()


@pytest.mark.parametrize("gradient", [1e-6, 3.0, -7e5])
def test_the_first_step_is_lr_long_whatever_the_gradient(gradient: float) -> None:
    moved = after(optim.Adam, [gradient], lr=0.25, eps=1e-14) - 5
    assert moved == pytest.approx(-math.copysign(0.25, gradient), rel=1e-6)


def test_two_steps_by_hand() -> None:
    # betas (0.5, 0.75), gradients 2 and 4:
    # m = 1, 2.5, corrected by 0.5, 0.75: 2, 10/3;  v = 1, 4.75, corrected by 0.25, 0.4375.
    first = 0.1 * 2 / (math.sqrt(4) + 0.5)
    second = 0.1 * (10 / 3) / (math.sqrt(4.75 / 0.4375) + 0.5)
    end = after(optim.Adam, [2.0, 4.0], lr=0.1, betas=(0.5, 0.75), eps=0.5)
    assert end == pytest.approx(5 - first - second, rel=1e-12)
    end = after(optim.Adam, [2.0, 4.0], lr=0.1, betas=(0.5, 0.75), eps=0.5, maximize=True)
    assert end == pytest.approx(5 + first + second, rel=1e-12)


def test_weight_decay_stands_inside_or_beside_the_gradient() -> None:
    # Without a gradient of its own, Adam makes a whole step of any decay; AdamW shrinks by it.
    assert after(optim.Adam, [0.0], lr=0.1, weight_decay=0.2, eps=1e-14) == pytest.approx(4.9)
    assert after(optim.AdamW, [0.0], lr=0.1, weight_decay=0.2) == pytest.approx(5 * (1 - 0.02))
    assert after(optim.AdamW, [0.0], lr=0.1) == pytest.approx(5 * (1 - 0.001)), "0.01 by default"
    assert after(optim.Adam, [0.0], lr=0.1) == 5


def test_a_step_of_zero_gradients_stays_finite() -> None:
    assert after(optim.Adam, [0.0, 0.0]) == 5


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, -0.1), (0.9,), (0.9, 0.99, 0.999)])
def test_betas_are_two_shares(kind: type, betas: tuple) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__}: betas is"):
        kind([nn.Parameter([1.0])], betas=betas)


def test_eps_is_not_negative() -> None:
    with pytest.raises(ValueError, match="Adam: eps is -1e-08"):
        optim.Adam([nn.Parameter([1.0])], eps=-1e-8)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_options_that_are_not_offered_are_errors(kind: type) -> None:
    with pytest.raises(TypeError, match="fused"):
        kind([nn.Parameter([1.0])], fused=True)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"betas": (0.8, 0.95), "eps": 1e-3},
        {"maximize": True},
        {"amsgrad": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_a_hundred_steps_are_pytorchs(
    torch, rng, name: str, options: dict, dtype, tolerance: float
) -> None:
    start = [rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=5).astype(dtype)]
    ours = [nn.Parameter(value) for value in start]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    a = getattr(optim, name)(ours, lr=0.02, **options)
    b = getattr(torch.optim, name)(theirs, lr=0.02, **options)
    for _ in range(100):
        for p, q in zip(ours, theirs, strict=True):
            gradient = (rng.normal(size=p.shape) * 3).astype(dtype)
            p.grad, q.grad = mg.tensor(gradient), torch.tensor(gradient)
        a.step(), b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("fault", ["exp_avg_sq", "step", "negative"])
def test_an_incomplete_or_negative_state_is_refused_and_changes_nothing(fault: str) -> None:
    p = nn.Parameter([1.5, -2.5])
    o = optim.Adam([p], lr=0.3)
    p.grad = mg.tensor([0.7, 0.4])
    o.step()
    before = {k: np.array(v) for k, v in o.state[p].items()}
    bad = o.state_dict()
    bad["param_groups"][0]["lr"] = 0.9
    if fault == "negative":
        bad["state"][0]["step"] = -3
    else:
        del bad["state"][0][fault]
    with pytest.raises(ValueError, match="step" if fault == "negative" else fault):
        o.load_state_dict(bad)
    assert o.param_groups[0]["lr"] == 0.3
    assert {k: v.tolist() for k, v in before.items()} == {
        k: np.array(v).tolist() for k, v in o.state[p].items()
    }


@pytest.mark.parametrize("make", [optim.Adam, optim.AdamW])
def test_amsgrad_divides_by_the_largest_so_far(make):
    """By hand, in float64. The gradients fall, and the plain average with them."""
    w, lr, (b1, b2), eps = 1.5, 0.1, (0.9, 0.99), 1e-8
    p = mg.nn.Parameter(np.array([w]))
    optimizer = make([p], lr=lr, betas=(b1, b2), eps=eps, weight_decay=0.0, amsgrad=True)
    m = v = largest = 0.0
    for t, g in enumerate([4.0, 0.5, -0.25, 0.125], 1):
        p.grad = mg.tensor(np.array([g]))
        optimizer.step()
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        largest = max(largest, v)
        w -= lr * (m / (1 - b1**t)) / ((largest / (1 - b2**t)) ** 0.5 + eps)
        assert p.item() == pytest.approx(w, rel=1e-12)
    assert largest > v
    assert optimizer.state[p]["max_exp_avg_sq"][0] == pytest.approx(largest, rel=1e-12)
