"""Activation modules: each passes its options on."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

X = np.array([-3.0, -0.7, 0.4, 2.5])


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


CASES = [
    (nn.Sigmoid(), logistic(X), "Sigmoid()"),
    (nn.Tanh(), np.sinh(X) / np.cosh(X), "Tanh()"),
    (nn.ReLU(), [0, 0, 0.4, 2.5], "ReLU()"),
    (nn.LeakyReLU(), [-0.03, -0.007, 0.4, 2.5], "LeakyReLU(negative_slope=0.01)"),
    (nn.LeakyReLU(0.2), [-0.6, -0.14, 0.4, 2.5], "LeakyReLU(negative_slope=0.2)"),
    (nn.ELU(), [math.exp(-3) - 1, math.exp(-0.7) - 1, 0.4, 2.5], "ELU(alpha=1.0)"),
    (nn.ELU(2.0), [2 * math.exp(-3) - 2, 2 * math.exp(-0.7) - 2, 0.4, 2.5], "ELU(alpha=2.0)"),
    (
        nn.GELU(),
        [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in X],
        "GELU(approximate='none')",
    ),
    (
        nn.GELU("tanh"),
        X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))) / 2,
        "GELU(approximate='tanh')",
    ),
    (nn.SiLU(), X * logistic(X), "SiLU()"),
    (nn.Softplus(), np.log(1 + np.exp(X)), "Softplus(beta=1.0, threshold=20.0)"),
    (
        nn.Softplus(2.0, 1.0),
        [math.log(1 + math.exp(-6)) / 2, math.log(1 + math.exp(-1.4)) / 2,
         math.log(1 + math.exp(0.8)) / 2, 2.5],
        "Softplus(beta=2.0, threshold=1.0)",
    ),
    (nn.Softmax(0), np.exp(X) / np.exp(X).sum(), "Softmax(dim=0)"),
    (nn.LogSoftmax(dim=-1), X - np.log(np.exp(X).sum()), "LogSoftmax(dim=-1)"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "expected", "text"), CASES, ids=[case[2] for case in CASES])
def test_values_and_repr(module: nn.Module, expected, text: str) -> None:
    np.testing.assert_allclose(module(mg.tensor(X)).numpy(), expected, rtol=1e-12)
    assert repr(module) == text
    assert module.state_dict() == {}


def test_options_that_are_not_offered_are_errors() -> None:
    with pytest.raises(TypeError, match="inplace"):
        nn.ReLU(inplace=True)
    with pytest.raises(TypeError, match="dim"):
        nn.Softmax()


@pytest.mark.parity
@pytest.mark.parametrize("index", range(len(CASES)), ids=[case[2] for case in CASES])
def test_values_and_gradients_are_pytorchs(torch, rng, index: int) -> None:
    module, _, text = CASES[index]
    theirs = eval(f"torch.nn.{text}", {"torch": torch})
    x, dy = rng.normal(size=(5, 4)) * 3, rng.normal(size=(5, 4))
    ours_x = mg.tensor(x, requires_grad=True)
    theirs_x = torch.tensor(x, requires_grad=True)
    ours_y, theirs_y = module(ours_x), theirs(theirs_x)
    np.testing.assert_allclose(ours_y.detach().numpy(), theirs_y.detach().numpy(), rtol=1e-12)
    ours_y.backward(mg.tensor(dy))
    theirs_y.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours_x.grad.numpy(), theirs_x.grad.numpy(), rtol=1e-9, atol=1e-15)
