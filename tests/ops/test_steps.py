"""Operations whose derivative is 0, and that it is zeros and not nothing."""

import math

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.ops import Remainder, Sign, Zero, call_op


def test_zero_is_zero_to_any_order():
    x = mg.tensor([1.5, math.inf, math.nan], requires_grad=True)
    y = x
    for _ in range(3):
        y = call_op(Zero(), y)
        assert y.tolist() == [0, 0, 0]
        (dx,) = mg.grad(y.sum(), x, retain_graph=True)
        assert dx.tolist() == [0, 0, 0]


def test_the_sign_of_nan_is_zero():
    found = call_op(Sign(), np.array([-2.5, -0.0, 3.5, np.nan], np.float32))
    assert found.tolist() == [-1, 0, 1, 0]
    assert found.dtype == np.float32


def test_a_remainder_keeps_its_inputs():
    assert Remainder.unsaved == (0,)


@pytest.mark.parametrize(
    "function",
    [mg.relu, mg.abs, F.leaky_relu, lambda x: F.huber_loss(x, 0 * x, reduction="none")],
)
def test_second_derivatives_of_what_is_made_of_straight_pieces(function):
    """Zeros, as in PyTorch, where "not connected" would be an error (of |x| < 1, Huber's is 1)."""
    x = mg.tensor([-2.5, 1.5], requires_grad=True)
    (dx,) = mg.grad(function(x).sum(), x, create_graph=True)
    (ddx,) = mg.grad((dx * mg.tensor([3.0, 5.0])).sum(), x)
    assert ddx.tolist() == [0, 0]


def test_gradients_at_nan():
    """PyTorch's: |x| is taken for level there, and elu for the identity."""
    x = mg.tensor([math.nan, 1.5], requires_grad=True)
    assert mg.grad(mg.abs(x).sum(), x)[0].tolist() == [0, 1]
    assert mg.grad(F.elu(x).sum(), x)[0].tolist() == [1, 1]
