"""Reflected operators, and division with a remainder."""

import math
import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck

REFLECTED = {
    "__radd__": operator.add,
    "__rsub__": operator.sub,
    "__rmul__": operator.mul,
    "__rtruediv__": operator.truediv,
    "__rfloordiv__": operator.floordiv,
    "__rmod__": operator.mod,
    "__rpow__": operator.pow,
    "__rmatmul__": lambda a, b: a @ b,
    "__rand__": operator.and_,
    "__ror__": operator.or_,
    "__rxor__": operator.xor,
}
A, B = np.array([7.3, 2.6, 3.1]), np.array([2.1, 3.2, 1.4])


@pytest.mark.parametrize("name", REFLECTED)
def test_reflected_operators_take_the_other_operand_first(name):
    """Python calls them where the right operand is of a subclass that has its own."""
    a, b = (A, B) if name not in ("__rand__", "__ror__", "__rxor__") else (A > 2.7, B > 1.7)
    expected = REFLECTED[name](a, b)
    found = getattr(mg.tensor(b), name)(mg.tensor(a))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)

    class Named(mg.Tensor):
        __slots__ = ()

    def reflected(self, other):
        return getattr(mg.Tensor, name)(self, other)

    setattr(Named, name, reflected)
    np.testing.assert_allclose(
        REFLECTED[name](mg.tensor(a), Named(b)).numpy(), expected, rtol=1e-15
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8])
def test_quotient_and_remainder_are_those_of_python(dtype):
    a, b = np.array([7, -7, 7, -7, 0]), np.array([2, 2, -2, -3, 5])
    x, y = mg.tensor(a.astype(dtype)), mg.tensor(b.astype(dtype))
    for function, mine in ((operator.floordiv, "floor_divide"), (operator.mod, "remainder")):
        expected = [function(int(m), int(n)) for m, n in zip(a, b, strict=True)]
        for found in (function(x, y), getattr(mg, mine)(x, y), getattr(x, mine)(y)):
            assert found.tolist() == expected
            assert found.dtype == dtype
        assert function(x, 4).tolist() == [function(int(m), 4) for m in a]
        assert function(9, y).tolist() == [function(9, int(n)) for n in b]


def test_quotient_and_remainder_of_mixed_types():
    assert (mg.tensor([7, 8]) // 2.5).tolist() == [2, 3]
    assert (mg.tensor([7, 8]) % mg.tensor([2.5, 2.5])).tolist() == [2, 0.5]
    assert (mg.tensor([True, True]) % mg.tensor([True, True])).tolist() == [0, 0]


def test_the_gradient_of_a_remainder(rng):
    """a - b floor(a/b), between the steps of floor: 1 to a, -floor(a/b) to b; of floor(a/b), 0."""
    a, b = (mg.tensor(v, requires_grad=True) for v in (A * [1, -1, 1], B[:, None]))
    gradcheck(operator.mod, (a, b))
    gradcheck(operator.floordiv, (a, b))
    gradgradcheck(operator.mod, (a**2, b))
    g = rng.standard_normal((3, 3))
    da, db = mg.grad(a % b, (a, b), mg.tensor(g))
    quotient = np.floor(A * [1, -1, 1] / B[:, None])
    np.testing.assert_allclose(da.numpy(), g.sum(0), rtol=1e-14)
    np.testing.assert_allclose(db.numpy(), -(g * quotient).sum(1, keepdims=True), rtol=1e-14)
    for found in mg.grad(a // b, (a, b), mg.tensor(g)):
        assert not found.numpy().any()


def test_division_by_zero():
    for function in (operator.floordiv, operator.mod):
        with pytest.raises(ZeroDivisionError, match="integers are divided by 0"):
            function(mg.tensor([3, 4]), mg.tensor([2, 0]))
        with pytest.raises(ZeroDivisionError, match="integers are divided by 0"):
            function(mg.tensor([3, 4]), 0)
        with pytest.raises(TypeError, match="unsupported operand"):
            function(mg.ones(2), None)
        with pytest.raises(TypeError, match="unsupported operand"):
            function(None, mg.ones(2))
        with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\) do not broadcast"):
            function(mg.ones(2), mg.ones(3))


@pytest.mark.parametrize(
    "power",
    [
        lambda x: x**-1,
        lambda x: x ** mg.tensor([1, -1]),
        lambda x: 2 ** (x - 3),
    ],
)
def test_an_integer_to_a_negative_power(power):
    with pytest.raises(ValueError, match=r"pow: an integer to a negative power is not an integer"):
        power(mg.tensor([2, 3]))
    assert (mg.tensor([2, 3]) ** -1.0).tolist() == [0.5, np.float32(1 / 3)]


def test_the_second_derivative_of_a_power_where_the_exponent_is_zero():
    """d/db b a^(b-1) = a^(b-1) (1 + b log a), at b = 0: 1/a."""
    a = mg.tensor([2.0, 3.0, 0.25], dtype=mg.float64, requires_grad=True)
    b = mg.tensor([0.0, 0.0, 2.0], dtype=mg.float64, requires_grad=True)
    gradgradcheck(operator.pow, (a, b))
    (da,) = mg.grad((a**b).sum(), a, create_graph=True)
    (found,) = mg.grad(da.sum(), b)
    expected = [1 / 2, 1 / 3, 0.25 * (1 + 2 * math.log(0.25))]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_tiny_number_to_the_power_zero_is_level(dtype):
    """1/a overflows there, and 0 * inf would be NaN."""
    a = mg.tensor(np.array([0, np.finfo(dtype).smallest_subnormal, 3], dtype), requires_grad=True)
    b = mg.zeros(3, dtype=dtype)
    assert mg.grad((a**b).sum(), a)[0].tolist() == [0, 0, 0]


def test_zero_to_a_power():
    """0^x is infinite for x < 0, and falls from there: dy/dx = y log 0 = -inf."""
    x = mg.tensor([-1.5, 0.0, 2.0, math.nan], requires_grad=True)
    with np.errstate(divide="ignore"):
        y = 0.0**x
    assert y.tolist()[:3] == [math.inf, 1, 0]
    (dx,) = mg.grad(y.sum(), x)
    assert dx.tolist()[:3] == [-math.inf, 0, 0]
    assert math.isnan(dx.tolist()[3])


@pytest.mark.parametrize(
    "difference",
    [lambda m: m - m, lambda m: True - m, lambda m: -m, lambda m: m.sub(m), lambda m: m.neg()],
)
def test_booleans_have_no_difference(difference):
    with pytest.raises(TypeError, match=r"booleans are not numbers; use ~ .* \^ .* \(.long\(\)\)"):
        difference(mg.tensor([True, False]))


def test_division_and_rounding_to_a_place():
    a, b = np.array([7.0, -7.0, 2.5]), np.array([2.0, 2.0, -0.75])
    x, y = mg.tensor(a), mg.tensor(b)
    assert x.div(y, rounding_mode="floor").tolist() == np.floor(a / b).tolist()
    assert x.div(y, rounding_mode="trunc").tolist() == np.trunc(a / b).tolist()
    whole = mg.tensor([7, -7]).div(mg.tensor([2, 2]), rounding_mode="trunc")
    assert whole.dtype == mg.int64
    assert whole.tolist() == [3, -3]
    assert mg.tensor([1.2345, -0.055], dtype=mg.float64).round(decimals=2).tolist() == [1.23, -0.06]
    assert mg.tensor([1234.0]).round(decimals=-2).tolist() == [1200.0]
    with pytest.raises(ValueError, match="rounding_mode is 'up', expected None, 'floor' or"):
        x.div(y, rounding_mode="up")


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_"])
def test_a_number_that_does_not_fit_is_refused_in_place(name: str) -> None:
    x = mg.tensor([1, 2], dtype="uint8")
    with pytest.raises(ValueError, match=f"^{name}: 300 does not fit into uint8"):
        getattr(x, name)(300)
    assert x.tolist() == [1, 2]
