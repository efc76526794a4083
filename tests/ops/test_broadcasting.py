"""Broadcasting and its reverse: each is the other's gradient; sums of float16 are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.ops import BroadcastTo, call_op, unbroadcast
from minigrad.ops.broadcasting import broadcast_to, wide

shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)


@given(shapes, st.integers(0, 2**32 - 1))
def test_unbroadcast_is_the_adjoint_of_broadcast(both, seed):
    """<broadcast(x), g> = <x, unbroadcast(g)> for all x and g says that the rule is right."""
    shape, result = both.input_shapes[0], both.result_shape
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal(shape), rng.standard_normal(result)
    back = unbroadcast(g, shape)
    assert back.shape == shape
    forward = float((np.broadcast_to(x, result) * g).sum())
    assert float((x * back).sum()) == pytest.approx(forward, abs=1e-11)


@given(shapes, st.integers(0, 2**32 - 1))
def test_broadcast_to_and_unbroadcast_are_each_others_gradient(both, seed):
    shape, result = both.input_shapes[1], both.result_shape
    rng = np.random.default_rng(seed)
    g = rng.standard_normal(result)
    x = mg.tensor(rng.standard_normal(shape), requires_grad=True)
    y = broadcast_to(x, result)
    assert (y is x) == (shape == result)
    np.testing.assert_array_equal(y.detach().numpy(), np.broadcast_to(x.detach().numpy(), result))
    (dx,) = mg.grad(y, x, mg.tensor(g))
    np.testing.assert_allclose(dx.numpy(), unbroadcast(g, shape), atol=1e-12)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ((3,), (4, 3)),  # a new axis in front
        ((1, 3), (4, 3)),
        ((4, 1), (4, 3)),
        ((), (4, 3)),
        ((2, 1, 3), (2, 4, 3)),  # an inner axis
        ((1, 1), (2, 4, 3)),
        ((1,), (1, 3)),
        ((1,), (0,)),
    ],
)
def test_unbroadcast_adds_the_copies_up(small, large, rng, check):
    """The same sums written as loops over the elements of the large gradient."""
    g = rng.standard_normal(large)
    expected = np.zeros(small)
    for index in np.ndindex(large):
        tail = index[len(large) - len(small) :]
        expected[tuple(0 if n == 1 else i for i, n in zip(tail, small, strict=True))] += g[index]
    np.testing.assert_allclose(unbroadcast(g, small), expected, atol=1e-13)
    check(lambda x: call_op(BroadcastTo(large), x), rng.standard_normal(small))


def test_unbroadcast_passes_on_what_fits():
    g = np.ones((2, 3))
    assert unbroadcast(g, (2, 3)) is g


def test_unbroadcast_of_half_precision_adds_in_single():
    """float16 counts 2048 + 1 = 2048, and so a column of 5000 ones would sum to 2048."""
    g = np.ones((5000, 2), np.float16)
    back = unbroadcast(g, (2,))
    assert back.dtype == np.float16
    np.testing.assert_array_equal(back, [5000, 5000])


def test_sums_of_half_precision_are_taken_in_single():
    assert wide(np.dtype(np.float16)) == np.float32
    assert wide(np.dtype(np.float64)) == np.float64
