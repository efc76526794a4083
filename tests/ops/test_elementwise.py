"""Arithmetic and elementary functions: values against ``math``, gradients against slopes."""

import math
import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.ops import call_op

# name: (one number at a time, from, to). The interval keeps away from poles and kinks, and the
# references are other formulas than those of the package where there is another one.
UNARY = {
    "neg": (lambda v: 0.0 - v, -3, 3),
    "exp": (lambda v: math.e**v, -3, 3),
    "log": (lambda v: math.log2(v) * math.log(2), 0.2, 4),
    "sqrt": (lambda v: v**0.5, 0.2, 4),
    "rsqrt": (lambda v: v**-0.5, 0.2, 4),
    "reciprocal": (lambda v: v**-1.0, 0.3, 4),
    "square": (lambda v: v**2.0, -3, 3),
    "abs": (lambda v: math.hypot(v), 0.2, 3),
    "sin": (lambda v: math.cos(v - math.pi / 2), -4, 4),
    "cos": (lambda v: math.sin(v + math.pi / 2), -4, 4),
    "tanh": (lambda v: math.sinh(v) / math.cosh(v), -3, 3),
    "sigmoid": (lambda v: 0.5 + 0.5 * math.tanh(v / 2), -4, 4),
}

BINARY = {
    "add": (lambda a, b: math.fsum((a, b)), -3, 3),
    "sub": (lambda a, b: math.fsum((a, -b)), -3, 3),
    "mul": (lambda a, b: math.copysign(math.exp(math.log(abs(a)) + math.log(abs(b))), a), 0.3, 3),
    "div": (lambda a, b: a * b**-1.0, 0.4, 3),
    "pow": (lambda a, b: math.exp(b * math.log(a)), 0.4, 3),
    "maximum": (lambda a, b: max(a, b), -3, 3),
    "minimum": (lambda a, b: min(a, b), -3, 3),
}

SCALAR = {
    "x + 2.5": lambda x: x + 2.5,
    "2.5 + x": lambda x: 2.5 + x,
    "x - 2.5": lambda x: x - 2.5,
    "2.5 - x": lambda x: 2.5 - x,
    "x * 2.5": lambda x: x * 2.5,
    "3 * x": lambda x: 3 * x,
    "x / 2.5": lambda x: x / 2.5,
    "2.5 / x": lambda x: 2.5 / x,
    "x ** 3": lambda x: x**3,
    "x ** 2": lambda x: x**2,
    "x ** 1": lambda x: x**1,
    "x ** -1.5": lambda x: x**-1.5,
    "1.7 ** x": lambda x: 1.7**x,
    "-x": operator.neg,
}

SHAPES = [(), (1,), (0,), (2, 3), (2, 0, 3), (1, 1)]

BROADCASTS = [
    ((3,), (4, 3)),
    ((4, 1), (1, 3)),
    ((2, 1, 3), (4, 1)),
    ((), (2, 2)),
    ((0,), (2, 1)),
    ((1,), ()),
]


def each(function, *arrays):
    """``function`` on numbers, one after another, for arrays that broadcast."""
    broadcast = np.broadcast_arrays(*arrays)
    flat = [
        function(*map(float, values)) for values in zip(*(a.flat for a in broadcast), strict=True)
    ]
    return np.array(flat, np.float64).reshape(broadcast[0].shape)


def apart(rng, low, high, *shapes):
    """Random arrays in (low, high), no element near another one: no ties, no kinks at 0."""
    sizes = [math.prod(shape) for shape in shapes]
    grid = np.linspace(low, high, sum(sizes) + 2)[1:-1]
    grid = grid + rng.uniform(-0.2, 0.2, grid.shape) * (grid[1] - grid[0] if len(grid) > 1 else 1)
    mixed = np.split(rng.permutation(grid), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(mixed, shapes, strict=True)]


# ---------------------------------------------------------------------------------- one tensor


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_values_of_one(name, shape, rng):
    function, low, high = UNARY[name]
    (x,) = apart(rng, low, high, shape)
    y = getattr(mg, name)(mg.tensor(x))
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.numpy(), each(function, x), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_gradients_of_one(name, shape, rng, check):
    _, low, high = UNARY[name]
    check(getattr(mg, name), *apart(rng, low, high, shape))


@pytest.mark.parametrize("name", UNARY)
def test_layouts_and_types_of_one(name, rng, check_layouts, check_types):
    _, low, high = UNARY[name]
    (x,) = apart(rng, low, high, (3, 4))
    check_layouts(getattr(mg, name), x)
    check_types(getattr(mg, name), x)


def test_abs_has_slope_minus_one_below_zero_and_none_at_zero(check):
    x = mg.tensor([-2.5, 0.0, 3.5], requires_grad=True)
    (dx,) = mg.grad(mg.abs(x), x, mg.tensor([5.0, 7.0, 11.0]))
    np.testing.assert_array_equal(dx.numpy(), [-5, 0, 11])
    check(mg.abs, [-2.5, -0.4])


def test_sign_has_no_slope():
    x = mg.tensor([-2.5, 0.0, 3.5], requires_grad=True)
    y = call_op(ops.Sign(), x)
    np.testing.assert_array_equal(y.detach().numpy(), [-1, 0, 1])
    assert mg.grad(y.sum() + x.sum(), x)[0].tolist() == [1, 1, 1], "sign itself sends nothing back"


@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_clone_has_memory_of_its_own(shape, rng, check):
    x = mg.tensor(rng.standard_normal(shape))
    y = x.clone()
    assert not np.shares_memory(x.numpy(), y.numpy())
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    check(lambda t: t.clone(), rng.standard_normal(shape))


def test_cast_casts_the_gradient_back():
    x = mg.tensor(np.array([1.1, 2.2]), requires_grad=True)
    y = x.float()
    assert y.dtype == np.float32
    seed = mg.tensor(np.array([0.3, 0.7], np.float32))
    (dx,) = mg.grad(y, x, seed)
    assert dx.dtype == np.float64
    np.testing.assert_array_equal(dx.numpy(), seed.numpy().astype(np.float64))


def test_cast_has_second_derivatives():
    x = mg.tensor(np.array([1.5, 2.5]), requires_grad=True)
    (dx,) = mg.grad((x.float() ** 3).sum(), x, create_graph=True)
    assert dx.dtype == np.float64
    (ddx,) = mg.grad(dx, x, mg.tensor(np.array([2.0, 3.0])))
    np.testing.assert_allclose(ddx.numpy(), [2 * 6 * 1.5, 3 * 6 * 2.5], rtol=1e-6)


# ---------------------------------------------------------------------------------- two tensors


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), *BROADCASTS], ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_values_of_two(name, shapes, rng):
    function, low, high = BINARY[name]
    a, b = apart(rng, low, high, *shapes)
    for first, second in ((a, b), (b, a)):
        y = getattr(mg, name)(mg.tensor(first), mg.tensor(second))
        np.testing.assert_allclose(y.numpy(), each(function, first, second), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), *BROADCASTS], ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_gradients_of_two(name, shapes, rng, check):
    _, low, high = BINARY[name]
    a, b = apart(rng, low, high, *shapes)
    check(getattr(mg, name), a, b)
    check(getattr(mg, name), b, a)


@pytest.mark.parametrize("name", BINARY)
def test_layouts_and_types_of_two(name, rng, check_layouts, check_types):
    _, low, high = BINARY[name]
    a, b = apart(rng, low, high, (3, 4), (4,))
    check_layouts(getattr(mg, name), a, b)
    check_types(getattr(mg, name), a, b)


@pytest.mark.parametrize("name", BINARY)
def test_the_same_tensor_twice(name, rng, check):
    """x op x: two shares of the gradient meet in one tensor. For max and min: half and half."""
    _, low, high = BINARY[name]
    (x,) = apart(rng, low, high, (3,))
    check(lambda t: getattr(mg, name)(t, t), x, second=name not in ("maximum", "minimum"))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("wanted", [0, 1])
def test_a_constant_operand(name, wanted, rng):
    """With one operand constant, the other's gradient is what it was with both."""
    _, low, high = BINARY[name]
    a, b = apart(rng, low, high, (2, 3), (3,))
    g = mg.tensor(rng.standard_normal((2, 3)))
    both = [mg.tensor(v, requires_grad=True) for v in (a, b)]
    expected = mg.grad(getattr(mg, name)(*both), both, g)[wanted]
    one = [mg.tensor(v, requires_grad=i == wanted) for i, v in enumerate((a, b))]
    (found,) = mg.grad(getattr(mg, name)(*one), one[wanted], g)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_powers_at_zero():
    """0^0 = 1 with slope 0 in the base, and 0^b log 0 is taken at its limit 0."""
    a = mg.tensor(np.array([0.0, 0.0, 2.0, 0.0]), requires_grad=True)
    b = mg.tensor(np.array([0.0, 2.0, 0.0, 1.0]), requires_grad=True)
    y = a**b
    np.testing.assert_array_equal(y.detach().numpy(), [1, 0, 1, 0])
    da, db = mg.grad(y, (a, b), mg.tensor(np.array([3.0, 5.0, 7.0, 11.0])))
    np.testing.assert_array_equal(da.numpy(), [0, 0, 0, 11])
    np.testing.assert_allclose(db.numpy(), [0, 0, 7 * math.log(2), 0])


def test_a_negative_base_with_whole_exponents():
    a = mg.tensor(np.array([-2.0, -3.0]), requires_grad=True)
    y = a ** mg.tensor(np.array([3.0, 2.0]))
    np.testing.assert_array_equal(y.detach().numpy(), [-8, 9])
    np.testing.assert_array_equal(mg.grad(y.sum(), a)[0].numpy(), [12, -6])


# ------------------------------------------------------------------------------ where and clamp


# ------------------------------------------------------------------- a tensor and a Python number


@pytest.mark.parametrize("name", SCALAR)
def test_values_with_a_number(name, rng):
    """Python's own arithmetic, one number at a time, is the reference."""
    (x,) = apart(rng, 0.3, 3, (2, 3))
    y = SCALAR[name](mg.tensor(x))
    np.testing.assert_allclose(y.numpy(), each(SCALAR[name], x), rtol=1e-14)


@pytest.mark.parametrize("name", SCALAR)
def test_gradients_layouts_types_with_a_number(name, rng, check, check_layouts, check_types):
    (x,) = apart(rng, 0.3, 3, (2, 3))
    check(SCALAR[name], x)
    check(SCALAR[name], x[0, 0])
    check_layouts(SCALAR[name], x)
    check_types(SCALAR[name], x)


@pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.int64(2)])
@pytest.mark.parametrize("function", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_a_number_leaves_float32_what_it_is(function, number):
    x = mg.tensor([1.5, 2.5])
    assert function(x, number).dtype == np.float32
    assert function(number, x).dtype == np.float32


def test_zeroth_power_has_no_slope(check):
    x = mg.tensor(np.array([0.0, -2.0, 3.0]), requires_grad=True)
    y = x**0
    np.testing.assert_array_equal(y.detach().numpy(), [1, 1, 1])
    np.testing.assert_array_equal(mg.grad(y, x, mg.tensor(np.full(3, 7.0)))[0].numpy(), [0, 0, 0])


def test_small_powers_of_zero_and_negative_numbers(check):
    check(lambda x: x**2, [0.0, -1.5, 2.5])
    check(lambda x: x**3, [-1.5, 0.5])


def test_powers_of_zero_and_of_negative_numbers():
    x = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = 0**x
    np.testing.assert_array_equal(y.detach().numpy(), [0, 0])
    np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].numpy(), [0, 0])
    y = (-2) ** x
    np.testing.assert_array_equal(y.detach().numpy(), [-2, 4])
    assert np.isnan(mg.grad(y.sum(), x)[0].numpy()).all(), "(-2)^x is no real function of x"


# ----------------------------------------------------------------------------------- big numbers


def test_tanh_and_sigmoid_of_huge_numbers_are_quiet():
    for dtype in (np.float16, np.float32, np.float64):
        x = mg.tensor(np.array([-1e4, 1e4], dtype), requires_grad=True)
        for name, limits in (("tanh", [-1, 1]), ("sigmoid", [0, 1])):
            y = getattr(mg, name)(x)
            np.testing.assert_array_equal(y.detach().numpy(), limits)
            np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].numpy(), [0, 0])
