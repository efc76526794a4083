"""Where the gradient goes when a number was chosen: to that one, and at a tie to both."""

import math

import numpy as np
import pytest

import minigrad as mg


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_tie_is_shared(name):
    a, b = (mg.tensor([1.5, 2.0, -4.0], requires_grad=True) for _ in range(2))
    da, db = mg.grad(getattr(mg, name)(a, b), (a, b), mg.tensor([6.0, -10.0, 3.0]))
    np.testing.assert_array_equal(da.numpy(), [3, -5, 1.5])
    np.testing.assert_array_equal(db.numpy(), [3, -5, 1.5])


def test_where_takes_each_side_where_it_was_chosen(rng, check):
    condition = np.array([[True, False, True], [False, False, True]])
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3,))
    y = mg.where(mg.tensor(condition), mg.tensor(a), mg.tensor(b))
    expected = [[a[i, j] if condition[i, j] else b[j] for j in range(3)] for i in range(2)]
    np.testing.assert_array_equal(y.numpy(), expected)
    check(lambda s, t: mg.where(mg.tensor(condition), s, t), a, b)
    check(lambda s, t: mg.where(mg.tensor(condition[0]), s, t), a, b[:1])
    check(lambda s: mg.where(mg.tensor(condition), s, 2.5), b)
    check(lambda s: mg.where(mg.tensor(condition), 2.5, s), b)


def test_where_keeps_what_was_not_chosen_out_of_the_gradient():
    a = mg.tensor([math.nan, 2.0], requires_grad=True)
    b = mg.tensor([3.0, math.inf], requires_grad=True)
    y = mg.where(mg.tensor([False, True]), a, b)
    assert y.tolist() == [3, 2]
    da, db = mg.grad(y, (a, b), mg.tensor([5.0, 7.0]))
    assert (da.tolist(), db.tolist()) == ([0, 7], [5, 0])


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_where_sends_an_infinite_gradient_to_one_side_only(value):
    a, b = (mg.tensor([1.5, 2.5], requires_grad=True) for _ in range(2))
    y = mg.where(mg.tensor([False, True]), a, b)
    da, db = mg.grad(y, (a, b), mg.tensor([value, 7.0]))
    assert da.tolist() == [0, 7]
    np.testing.assert_array_equal(db.numpy(), [value, 0])


@pytest.mark.parametrize(
    ("low", "high", "expected", "slope"),
    [
        (-1.0, 2.0, [-1, -1, 0.5, 2, 2], [0, 1, 1, 1, 0]),  # the bounds belong to the inside
        (-1.0, None, [-1, -1, 0.5, 2, 3], [0, 1, 1, 1, 1]),
        (None, 2.0, [-3, -1, 0.5, 2, 2], [1, 1, 1, 1, 0]),
        (2.0, -1.0, [-1, -1, -1, -1, -1], [0, 0, 0, 0, 0]),  # high wins, as in PyTorch
    ],
)
def test_clamp(low, high, expected, slope):
    x = mg.tensor([-3.0, -1.0, 0.5, 2.0, 3.0], requires_grad=True)
    y = mg.clamp(x, low, high)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = np.array([3.0, 5.0, 7.0, 11.0, 13.0], np.float32)
    np.testing.assert_array_equal(mg.grad(y, x, mg.tensor(g))[0].numpy(), g * slope)


def test_clamp_gradients_layouts_types(rng, check, check_layouts, check_types):
    x = rng.uniform(-2, 2, (3, 4))
    x = x + 0.01 * (np.abs(np.abs(x) - 0.7) < 0.01)  # no element at a bound
    for fn in (
        lambda t: t.clamp(-0.7, 0.7),
        lambda t: t.clamp(min=0.7),
        lambda t: t.clamp(max=0.7),
    ):
        check(fn, x)
        check_layouts(fn, x)
        check_types(fn, x)


def test_nan_passes_its_gradient():
    x = mg.tensor([float("nan"), 2.0], requires_grad=True)
    seed = mg.tensor([0.3, 0.7])
    for y in (x.relu(), x.maximum(mg.tensor([1.0, 1.0])), x.minimum(mg.tensor([1.0, 3.0]))):
        (g,) = mg.grad(y, x, seed)
        np.testing.assert_array_equal(g.numpy(), seed.numpy())
