"""NumPy's functions say which of minigrad's to call; operators with NumPy on the left are ours."""

import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad.methods import ufuncs

X = [[1.5, 2.5], [3.5, 4.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: np.exp(t), r"np.exp: got a Tensor, .* call mg.exp$"),
        (lambda t: np.absolute(t), r"np.absolute: .* call mg.abs$"),
        (lambda t: np.subtract(t, t), r"np.subtract: .* call mg.sub$"),
        (lambda t: np.subtract(t, 1.0), r"np.subtract: .* call mg.sub$"),
        (lambda t: np.matmul(t, t), r"np.matmul: .* call mg.matmul$"),
        (lambda t: np.maximum(t, 0), r"np.maximum: .* call mg.maximum$"),
        (lambda t: np.max(t), r"for a Tensor write t\.max\(\) or mg\.max\(t\)$"),
        (lambda t: np.arctan(t), r"np.arctan: .* no such function; .* given t.data$"),
        (lambda t: np.multiply.reduce(t), r"np.multiply.reduce: .* call mg.prod"),
        (lambda t: np.hypot.reduce(t), r"np.hypot.reduce: .* no such function"),
        (
            lambda t: np.ones((2, 2)) * t,
            r"^mul: .* the other a ndarray, expected a Tensor or",
        ),
        (
            lambda t: np.ones((2, 2)) @ t,
            r"^matmul: the other operand is a ndarray, expected",
        ),
    ],
)
def test_functions_of_numpy(call, message):
    for requires_grad in (False, True):
        with pytest.raises(TypeError, match=message):
            call(mg.tensor(X, requires_grad=requires_grad))


def test_cupy_is_told_to_leave_operators_to_the_tensor():
    """It asks the object, ``y.__array_ufunc__ is None``, where NumPy asks the class."""
    assert mg.ones(1).__array_ufunc__ is None
    assert mg.Tensor.__array_ufunc__ is ufuncs.handle_ufunc


def test_every_name_exists():
    assert all(hasattr(mg, name) for name in ufuncs.NAMES.values())
    assert all(hasattr(mg.Tensor, name) for name in ufuncs.OPERATORS.values())


def test_an_array_is_not_changed_by_a_tensor():
    p = mg.tensor([1.5, 2.5])
    step = mg.tensor([0.5, 0.5])
    with pytest.raises(TypeError, match=r"write p.sub_\(...\) under no_grad\(\), .* \(...\).data"):
        p.data -= 0.1 * step
    with pytest.raises(TypeError, match=r"write p.div_\(...\)"):
        p.data /= step
    with pytest.raises(TypeError, match=r"write p.copy_\(...\)"):
        p.data **= step
    assert p.tolist() == [1.5, 2.5]
    p.data -= (0.5 * step).data
    assert p.tolist() == [1.25, 2.25]


@pytest.mark.parametrize("number", [np.float64(2.5), np.float32(2.5), np.int64(3), np.bool_(True)])
@pytest.mark.parametrize(
    "function",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
     operator.pow, operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne],
)  # fmt: skip
def test_numbers_of_numpy_on_the_left(function, number):
    """As Python's: the Tensor keeps its type, and the gradient flows."""
    x = mg.tensor(X, requires_grad=True)
    y = function(number, x)
    assert y.tolist() == function(number.item(), x).tolist()
    assert y.dtype == function(number.item(), x).dtype
    assert y.requires_grad == function(number.item(), x).requires_grad


@pytest.mark.parametrize("function", [operator.and_, operator.or_, operator.xor])
def test_masks_with_numbers_of_numpy_on_the_left(function):
    mask = mg.tensor([True, False])
    assert function(np.bool_(True), mask).tolist() == [function(True, m) for m in (True, False)]
