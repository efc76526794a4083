"""Op: what it saves, what it caches, and the shapes that stand in for the rest."""

from typing import Any, ClassVar

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.op import Shape
from minigrad.core.variable import array_of, is_tensor
from minigrad.ops import Exp, Op, call_op

# ---------------------------------------------------------------------------------- operations


class Weigh(Op):
    """y = a a b, whose rule reads a and the output, not b."""

    saves: ClassVar[tuple[str, ...]] = ("y", "a")

    def forward(self, a: Any, b: Any) -> Any:
        return a * a * b

    def backward(self, grad: Any, y: Any, a: Any, b: Any) -> Any:
        return 2 * grad * y / a, grad * a * a


def test_saves_is_found_by_name():
    assert Weigh.unsaved == (2,)


def test_saves_of_a_rule_for_any_number_of_inputs():
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


def test_saves_a_name_that_backward_does_not_have():
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


def test_an_argument_that_was_not_saved_has_only_a_shape():
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


def test_call_op_takes_arrays_and_tensors():
    x = np.array([0.3, -1.2])
    plain = call_op(Exp(), x)
    assert isinstance(plain, np.ndarray)
    recorded = call_op(Exp(), mg.tensor(x, requires_grad=True))
    assert isinstance(recorded, mg.Tensor)
    assert isinstance(recorded.grad_fn, Exp)
    np.testing.assert_array_equal(recorded.detach().numpy(), plain)


def test_array_of_is_the_array_of_either():
    x = np.array([1, 2])
    assert array_of(x) is x
    t = mg.tensor(x)
    assert array_of(t) is t.data
    assert is_tensor(t)
    assert not is_tensor(x)


# ---------------------------------------------------------------------------------------- memo


def test_cached_computes_once_for_the_same_arrays():
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


def test_cached_of_tensors_is_recorded_and_not_remembered():
    op = Exp()
    x = np.array([1.5, -2.0])
    remembered = op.cached(lambda a: a * a, x)
    t = mg.tensor(x, requires_grad=True)
    value = op.cached(lambda a: a * a, t)
    assert value.grad_fn is not None
    assert op.cached(lambda a: a * a, t) is not value
    assert op.cached(lambda a: a * a, x) is remembered
