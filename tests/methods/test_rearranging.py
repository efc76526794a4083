"""flip, roll, repeat, tile, unbind, tril, triu, diagonal, diag."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures

# A function of a Tensor, NumPy's of an array, and the shape.
CASES = {
    "flip": (lambda t: t.flip(0, -1), lambda a: a[::-1, ::-1], (3, 4)),
    "roll": (lambda t: t.roll((1, -2), (0, 1)), lambda a: np.roll(a, (1, -2), (0, 1)), (3, 4)),
    "roll, flat": (lambda t: t.roll(5), lambda a: np.roll(a, 5), (3, 4)),
    "repeat": (lambda t: t.repeat(2, 1, 3), lambda a: np.tile(a, (2, 1, 3)), (3, 4)),
    "tile": (lambda t: t.tile(2), lambda a: np.tile(a, 2), (3, 4)),
    "unbind": (lambda t: t.unbind(1)[2], lambda a: a[:, 2], (3, 4)),
    "tril": (lambda t: t.tril(-1), lambda a: np.tril(a, -1), (2, 3, 4)),
    "triu": (lambda t: t.triu(2), lambda a: np.triu(a, 2), (2, 3, 4)),
    "diagonal": (lambda t: t.diagonal(1, 2, 0), lambda a: np.diagonal(a, 1, 2, 0), (4, 2, 3)),
    "diag of a matrix": (lambda t: t.diag(-1), lambda a: np.diag(a, -1), (3, 4)),
    "diag of a vector": (lambda t: t.diag(2), lambda a: np.diag(a, 2), (3,)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys(name, device, rng):
    ours, theirs, shape = CASES[name]
    a = rng.standard_normal(shape)
    np.testing.assert_array_equal(ours(mg.tensor(a)).cpu().numpy(), theirs(a))


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name, rng):
    ours, _, shape = CASES[name]
    x = mg.tensor(rng.standard_normal(shape), requires_grad=True)
    assert gradcheck(ours, (x,))
    assert gradgradcheck(lambda x: ours(x) ** 2, (x,))


def test_nothing_and_scalars():
    assert mg.zeros(0, 3).flip(1).shape == (0, 3)
    assert mg.zeros(0, 3).roll(1, 0).shape == (0, 3)
    assert mg.ones(3).repeat(0).shape == (0,)
    assert mg.tensor(1.5).repeat(3).tolist() == [1.5] * 3
    assert mg.tensor(1.5).flip().item() == 1.5
    assert mg.zeros(2, 0).unbind(1) == ()


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda t: t.flip(2), IndexError, "2 axes"),
        (lambda t: t.roll((1, 2), 0), ValueError, "2 shifts for 1 axes"),
        (lambda t: t.repeat(2), ValueError, r"got \(2,\) for shape \(3, 4\)"),
        (lambda t: t.repeat(2, -1), ValueError, "a number from 0 on"),
        (lambda t: t[0].tril(), ValueError, r"shape \(4,\), expected a matrix"),
        (lambda t: t.diagonal(0, 1, -1), ValueError, "both 1, expected two axes"),
        (lambda t: t[None].diag(), ValueError, "expected a vector or a matrix"),
        (lambda t: t.sum().unbind(), (ValueError, IndexError), "no axes|0 axes"),
    ],
)
def test_what_does_not_fit_is_refused(call, kind, says):
    with pytest.raises(kind, match=says):
        call(mg.ones(3, 4))
