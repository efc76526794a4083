"""Op, its memo and its shapes; broadcasting and its reverse; axes counted from either end."""

from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.ops import BroadcastTo, Exp, Op, Shape, call_op, unbroadcast
from minigrad.ops.base import (
    array_of,
    broadcast_to,
    is_tensor,
    keep_dims,
    normalize_dim,
    normalize_dims,
    wide,
)

# ---------------------------------------------------------------------------------- operations


class Weigh(Op):
    """y = a a b, whose rule reads a and the output, not b."""

    saves: ClassVar[tuple[str, ...]] = ("y", "a")

    def forward(self, a: Any, b: Any) -> Any:
        return a * a * b

    def backward(self, grad: Any, y: Any, a: Any, b: Any) -> Any:
        return 2 * grad * y / a, grad * a * a


def test_keeps_is_found_by_name():
    assert Weigh.unsaved == (2,)


def test_keeps_of_a_rule_for_any_number_of_inputs():
    class Product(Op):
        saves = ("xs",)

        def forward(self, *xs: Any) -> Any:
            return xs[0] * xs[1]

        def backward(self, grad: Any, y: Any, *xs: Any) -> Any:
            return grad * xs[1], grad * xs[0]

    assert list(Product.unsaved) == [0]
    a, b = (mg.tensor([v], requires_grad=True) for v in (3.0, 7.0))
    da, db = mg.grad(call_op(Product(), a, b).sum(), (a, b))
    assert (da.item(), db.item()) == (7.0, 3.0)


def test_keeps_a_name_that_backward_does_not_have():
    with pytest.raises(
        TypeError, match=r"Wrong\.saves names \{'z'\}, which backward does not take"
    ):

        class Wrong(Op):
            saves = ("z",)

            def backward(self, grad: Any, y: Any, x: Any) -> Any:
                return grad


def test_saves_a_local_variable_or_the_gradient():
    for names in ("doubled", "grad", "self"):
        with pytest.raises(TypeError, match=rf"saves names \{{'{names}'\}}, which backward"):

            class Wrong(Op):
                saves = (names,)

                def backward(self, grad: Any, y: Any, x: Any) -> Any:
                    doubled = 2 * grad
                    return doubled


def test_backward_without_an_output():
    with pytest.raises(
        TypeError, match=r"Wrong\.backward takes no output: \(self, grad, y, \.\.\."
    ):

        class Wrong(Op):
            def backward(self, grad: Any) -> Any:
                return grad


def test_an_argument_that_was_not_kept_has_only_a_shape():
    seen = []

    class Peek(Op):
        def forward(self, x: Any) -> Any:
            return x * 3

        def backward(self, grad: Any, y: Any, x: Any) -> Any:
            seen.append((x.shape, x.ndim))
            return grad * x.sum()

    x = mg.tensor([[1.5, 2.5]], requires_grad=True)
    with pytest.raises(
        AttributeError, match=r"reads \.sum of an argument that was not saved.*saves"
    ):
        call_op(Peek(), x).sum().backward()
    assert seen == [((1, 2), 2)]


def test_shape_stands_in_for_an_array():
    shape = Shape((4, 3))
    assert shape.shape == (4, 3)
    assert shape.ndim == 2
    with pytest.raises(AttributeError, match=r"\.dtype"):
        _ = shape.dtype


def test_an_unwritten_operation_says_so():
    class Half(Op):
        pass

    assert repr(Half()) == "<Half>"
    with pytest.raises(NotImplementedError, match=r"Half\.forward is not written yet"):
        Half().forward(np.ones(2))
    with pytest.raises(NotImplementedError, match=r"Half\.backward is not written yet"):
        Half().backward(np.ones(2), np.ones(2), np.ones(2))


def test_run_takes_arrays_and_tensors():
    x = np.array([0.3, -1.2])
    plain = call_op(Exp(), x)
    assert isinstance(plain, np.ndarray)
    recorded = call_op(Exp(), mg.tensor(x, requires_grad=True))
    assert isinstance(recorded, mg.Tensor)
    assert isinstance(recorded.grad_fn, Exp)
    np.testing.assert_array_equal(recorded.detach().numpy(), plain)


def test_raw_is_the_array_of_either():
    x = np.array([1, 2])
    assert array_of(x) is x
    t = mg.tensor(x)
    assert array_of(t) is t.data
    assert is_tensor(t)
    assert not is_tensor(x)


# ---------------------------------------------------------------------------------------- memo


def test_memo_computes_once_for_the_same_arrays():
    op, calls = Exp(), []

    def double(a: Any) -> Any:
        calls.append(a)
        return a * 2

    x, other = np.array([1.5]), np.array([1.5])
    first = op.cached(double, x)
    assert op.cached(double, x) is first
    assert len(calls) == 1
    op.cached(double, other)
    assert len(calls) == 2, "equal arrays are not the same array"


def test_memo_of_tensors_is_recorded_and_not_remembered():
    op = Exp()
    x = np.array([1.5, -2.0])
    remembered = op.cached(lambda a: a * a, x)
    t = mg.tensor(x, requires_grad=True)
    value = op.cached(lambda a: a * a, t)
    assert value.grad_fn is not None
    assert op.cached(lambda a: a * a, t) is not value
    assert op.cached(lambda a: a * a, x) is remembered


# -------------------------------------------------------------------------------- broadcasting

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


# ---------------------------------------------------------------------------------------- axes


@pytest.mark.parametrize(
    ("dim", "ndim", "expected"),
    [
        (None, 3, (0, 1, 2)),
        ((), 3, (0, 1, 2)),
        (-1, 3, (2,)),
        (1, 3, (1,)),
        ((-1, 0), 3, (2, 0)),
        (np.int64(1), 2, (1,)),
        (0, 0, (0,)),  # a 0-d tensor has one axis to name, as in PyTorch
        (-1, 0, (0,)),
        (None, 0, ()),
    ],
)
def test_axes_are_counted_from_the_front(dim, ndim, expected):
    assert normalize_dims(dim, ndim, "sum") == expected


@pytest.mark.parametrize(
    ("dim", "ndim", "error", "message"),
    [
        (2, 2, IndexError, r"sum: dim 2 does not exist in a tensor with 2 axes.*-2 to 1"),
        (-3, 2, IndexError, r"sum: dim -3 does not exist in a tensor with 2 axes"),
        (1, 0, IndexError, r"sum: dim 1 does not exist in a tensor with 0 axes.*-1 to 0"),
        ((0, -2), 2, ValueError, r"sum: dim \(0, -2\) names the same axis twice"),
        (1.0, 2, TypeError, r"sum: dim is 1\.0, expected an integer"),
        ("0", 2, TypeError, r"sum: dim is '0', expected an integer"),
    ],
)
def test_axes_that_do_not_exist(dim, ndim, error, message):
    with pytest.raises(error, match=message):
        normalize_dims(dim, ndim, "sum")


def test_one_axis():
    assert normalize_dim(-2, 3, "cat") == 1


def test_keep_dims():
    assert keep_dims((4, 3, 2), (0, 2)) == (1, 3, 1)


def test_sums_of_half_precision_are_taken_in_single():
    assert wide(np.dtype(np.float16)) == np.float32
    assert wide(np.dtype(np.float64)) == np.float64
