"""Activations: values against ``math``, derivations step by step, nothing overflows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
import minigrad.functional as F
from minigrad import ops
from minigrad.ops import call_op
from minigrad.ops.activation import erf

pytestmark = pytest.mark.usefixtures("rules_and_kernels")


def sigmoid(v):
    return 0.5 + 0.5 * math.tanh(v / 2)


def normal_cdf(v):
    return 0.5 * math.erfc(-v / math.sqrt(2))


# name: (the function, one number at a time)
ACTIVATIONS = {
    "sigmoid": (F.sigmoid, sigmoid),
    "tanh": (F.tanh, lambda v: 1 - 2 / (math.exp(2 * v) + 1)),
    "relu": (F.relu, lambda v: (v + abs(v)) / 2),
    "leaky_relu": (F.leaky_relu, lambda v: v if v > 0 else v / 100),
    "leaky_relu .3": (lambda x: F.leaky_relu(x, 0.3), lambda v: max(v, 0) + 0.3 * min(v, 0)),
    "leaky_relu -.3": (lambda x: F.leaky_relu(x, -0.3), lambda v: max(v, 0) - 0.3 * min(v, 0)),
    "elu": (F.elu, lambda v: v if v > 0 else math.exp(v) - 1),
    "elu .7": (lambda x: F.elu(x, 0.7), lambda v: v if v > 0 else 0.7 * (math.exp(v) - 1)),
    "gelu": (F.gelu, lambda v: v * normal_cdf(v)),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda v: v * sigmoid(2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)),
    ),
    "silu": (F.silu, lambda v: v * sigmoid(v)),
    "softplus": (F.softplus, lambda v: math.log(1 + math.exp(v))),
    "softplus 2 3": (
        lambda x: F.softplus(x, 2.0, 3.0),
        lambda v: v if 2 * v > 3 else math.log(1 + math.exp(2 * v)) / 2,
    ),
    "normal cdf": (lambda x: call_op(ops.NormalCDF(), x), normal_cdf),
}
POINTS = np.array([[-3.1, -1.4, -0.6], [0.7, 1.2, 2.9]])  # away from the kinks at 0 and 3/2


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name):
    function, reference = ACTIVATIONS[name]
    y = function(mg.tensor(POINTS)).numpy()
    expected = np.vectorize(reference)(POINTS)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(2, 3), (), (0, 2)], ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients(name, shape, check):
    function, _ = ACTIVATIONS[name]
    check(function, np.resize(POINTS, shape))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_layouts_and_types(name, check_layouts, check_types):
    function, _ = ACTIVATIONS[name]
    check_layouts(function, POINTS)
    check_types(function, POINTS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_huge_numbers_are_quiet_and_finite(name, dtype):
    """No overflow, hence no warning (warnings are errors here) and no NaN in the gradient."""
    function, _ = ACTIVATIONS[name]
    size = 100 if dtype == np.float16 and name == "gelu tanh" else 1000
    x = mg.tensor(np.array([-size, -30, 30, size], dtype), requires_grad=True)
    y = function(x)
    assert np.isfinite(y.detach().numpy()).all()
    assert np.isfinite(mg.grad(y, x, mg.tensor(np.array([3, -5, 7, 2], dtype)))[0].numpy()).all()


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (F.relu, 0),
        (F.leaky_relu, 0.01),
        (F.elu, 1),
        (lambda x: F.elu(x, 0.7), 0.7),
        (F.silu, 0.5),
        (F.gelu, 0.5),
        (F.softplus, 0.5),
    ],
)
def test_slope_at_zero(function, slope):
    """Where a function has a kink at 0, the rule takes the slope of the left side."""
    x = mg.tensor(np.array([0.0, -0.0]), requires_grad=True)
    (dx,) = mg.grad(function(x), x, mg.tensor(np.array([3.0, -5.0])))
    np.testing.assert_allclose(dx.numpy(), [3 * slope, -5 * slope])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu"])
def test_an_infinite_gradient_stays_where_it_is(name):
    """A slope of 0 passes nothing on, of an infinite gradient either; no NaN is made of it."""
    x = mg.tensor([-2.0, 3.0], requires_grad=True)
    (dx,) = mg.grad(getattr(F, name)(x), x, mg.tensor([math.inf, math.inf]))
    np.testing.assert_array_equal(dx.numpy(), [0 if name == "relu" else math.inf, math.inf])


def test_integers():
    assert F.relu(mg.tensor([-2, 3])).tolist() == [0, 3]
    assert mg.sigmoid(mg.tensor([0, 1])).dtype == np.float32
    for function in (F.leaky_relu, F.elu, F.gelu, F.silu, F.softplus):
        with pytest.raises(TypeError, match=r"the input is int64, expected a floating type"):
            function(mg.tensor([1, 2]))


# -------------------------------------------------------------------------------------- sigmoid


def test_steps_of_the_derivation_of_sigmoid(rng):
    x = rng.uniform(-6, 6, 40)
    op = ops.Sigmoid()
    y = op.forward(x)
    h = 1e-6
    slope = (op.forward(x + h) - op.forward(x - h)) / (2 * h)
    e = np.exp(-x)
    np.testing.assert_allclose(y, 1 / (1 + e), rtol=1e-13, err_msg="the definition")
    step1 = e / (1 + e) ** 2
    np.testing.assert_allclose(step1, slope, rtol=1e-7, err_msg="step 1: the quotient rule")
    middle = 1 / (1 + e) * e / (1 + e)
    np.testing.assert_allclose(middle, step1, rtol=1e-13, err_msg="step 2: splitting it")
    step2 = y * (1 - y)
    np.testing.assert_allclose(step2, middle, rtol=1e-11, err_msg="step 2: y (1 - y)")
    dy = rng.standard_normal(40)
    np.testing.assert_allclose(
        op.backward(dy, y, x), dy * step1, rtol=1e-11, err_msg="step 2: the operation"
    )


def test_what_is_said_of_the_sigmoid():
    """At most 1/4; below 0.0067 beyond 5; exactly 0 in float32 from 18 on; tiny values kept."""
    x = np.linspace(-40, 40, 8001)
    op = ops.Sigmoid()
    slope = op.backward(np.ones_like(x), op.forward(x), x)
    assert slope.max() == 0.25
    assert x[slope.argmax()] == pytest.approx(0, abs=1e-9)
    assert slope[abs(x) > 5].max() < 0.0067
    x32 = np.array([18, 20, 40, 1000], np.float32)
    np.testing.assert_array_equal(op.backward(x32, op.forward(x32), x32), np.zeros(4))
    before = np.array([16], np.float32)
    assert op.backward(before, op.forward(before), before) > 0
    assert op.forward(np.array([-60.0]))[0] == pytest.approx(math.exp(-60), rel=1e-15)
    assert ops.Sigmoid.unsaved == (1,)


@given(st.floats(-700, 700))
def test_the_sigmoid_is_symmetric(v):
    """s(-x) = 1 - s(x)."""
    y = ops.Sigmoid().forward(np.array([v, -v]))
    assert y.sum() == pytest.approx(1, abs=1e-15)


def test_tanh_is_a_sigmoid():
    """tanh x = 2 s(2x) - 1, and its largest slope, 1, is four times the sigmoid's."""
    np.testing.assert_allclose(
        ops.Tanh().forward(POINTS), 2 * ops.Sigmoid().forward(2 * POINTS) - 1, rtol=1e-14
    )
    zero = np.zeros(1)
    assert ops.Tanh().backward(np.ones(1), ops.Tanh().forward(zero), zero) == 1


# ----------------------------------------------------------------------------------- the others


def test_the_error_function():
    """Against its integral 2/sqrt(pi) * exp(-t^2), by Simpson's rule."""
    for v in (-1.3, 0.4, 2.1):
        t = np.linspace(0, v, 2001)
        f = np.exp(-t * t)
        integral = (t[1] - t[0]) / 3 * (f[0] + f[-1] + 4 * f[1:-1:2].sum() + 2 * f[2:-1:2].sum())
        assert erf(np.array([v]))[0] == pytest.approx(2 / math.sqrt(math.pi) * integral, rel=1e-11)
    assert erf(np.array(0.5, np.float32)).dtype == np.float32
    assert erf(np.zeros((0, 2))).shape == (0, 2)


def test_the_two_gelus_are_close():
    x = mg.tensor(np.linspace(-8, 8, 4001))
    gap = abs(F.gelu(x).numpy() - F.gelu(x, approximate="tanh").numpy()).max()
    assert 1e-5 < gap <= 5e-4


def test_softplus_is_the_identity_above_its_threshold():
    """And its gradient there is exactly 1."""
    x = mg.tensor(np.array([20.5, 19.5]), requires_grad=True)
    y = F.softplus(x)
    assert y[0].item() == 20.5
    assert y[1].item() > 19.5
    (dx,) = mg.grad(y.sum(), x)
    assert dx[0].item() == 1
    assert 0 < 1 - dx[1].item() < 1e-8


def test_elu_of_a_small_number_keeps_its_digits():
    assert F.elu(mg.tensor(np.array([-1e-12])))[0].item() == pytest.approx(-1e-12, rel=1e-11)


# -------------------------------------------------------------------------------------- softmax


def softmax(values):
    """Exact: in fractions of e^(v - v_0)."""
    e = [math.exp(v - values[0]) for v in values]
    return [v / math.fsum(e) for v in e]


@pytest.mark.parametrize("dim", [0, 1, -1, -2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, dim, rng, check, check_layouts, check_types):
    x = rng.standard_normal((3, 4)) * 2
    y = getattr(mg, name)(mg.tensor(x), dim).numpy()
    expected = np.moveaxis(np.array([softmax(r) for r in np.moveaxis(x, dim, -1)]), -1, dim)
    if name == "log_softmax":
        expected = np.log(expected)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    for checked in (check, check_layouts, check_types):
        checked(lambda t: getattr(mg, name)(t, dim), x)


@pytest.mark.parametrize(("name", "value"), [("softmax", 1), ("log_softmax", 0)])
def test_softmax_of_a_single_number(name, value, check):
    for shape in ((), (1,), (3, 1)):
        y = getattr(mg, name)(mg.full(shape, 2.5), -1)
        np.testing.assert_array_equal(y.numpy(), np.full(shape, float(value)))
        check(lambda t: getattr(mg, name)(t, -1), np.full(shape, 2.5))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)], ids=str)
def test_softmax_of_nothing(name, shape):
    for dim in range(len(shape)):
        x = mg.zeros(*shape, requires_grad=True)
        y = getattr(mg, name)(x, dim)
        assert y.shape == shape
        assert mg.grad(y, x, mg.zeros(*shape))[0].shape == shape


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_softmax_of_large_numbers(dtype):
    x = mg.tensor(np.array([[1e4, 1e4, -1e4], [-1e4, 1e4, 0]], dtype), requires_grad=True)
    y = x.softmax(1)
    np.testing.assert_array_equal(y.detach().numpy(), [[0.5, 0.5, 0], [0, 1, 0]])
    (dx,) = mg.grad(y, x, mg.tensor(np.array([[3, 7, 5], [1, 2, 3]], dtype)))
    np.testing.assert_array_equal(dx.numpy(), [[-1, 1, 0], [0, 0, 0]])


def test_log_softmax_keeps_small_probabilities():
    """e^-2000 is 0 in float64; its logarithm is not."""
    y = mg.tensor(np.array([0.0, -2000.0, -math.inf])).log_softmax(0)
    np.testing.assert_array_equal(y.numpy(), [0, -2000, -math.inf])
    x = mg.tensor(np.array([0.0, -math.inf]), requires_grad=True)
    (dx,) = mg.grad(x.log_softmax(0)[0], x)
    np.testing.assert_array_equal(dx.numpy(), [0, 0])


def test_steps_of_the_derivation_of_softmax(rng):
    x, dy = rng.standard_normal(5), rng.standard_normal(5)
    op = ops.Softmax(0)
    y = op.forward(x)
    h = 1e-6
    jacobian = np.array(
        [(op.forward(x + d) - op.forward(x - d)) / (2 * h) for d in h * np.eye(5)]
    ).T
    step1 = [[y[i] * (i == j) - y[i] * y[j] for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(jacobian, step1, atol=1e-9, err_msg="step 1: dy_i/dx_j")
    step2 = [y[j] * dy[j] - y[j] * sum(dy[i] * y[i] for i in range(5)) for j in range(5)]
    np.testing.assert_allclose(step2, dy @ step1, atol=1e-14, err_msg="step 2: dx_j")
    step3 = y * (dy - (dy * y).sum())
    np.testing.assert_allclose(step3, step2, atol=1e-14, err_msg="step 3: dx")
    np.testing.assert_allclose(op.backward(dy, y, x), step3, atol=1e-14, err_msg="the operation")
    np.testing.assert_allclose(op.forward(x + 37.5), y, rtol=1e-12, err_msg="shifting cancels")


def test_the_derivation_of_log_softmax(rng):
    x, dy = rng.standard_normal(5), rng.standard_normal(5)
    op = ops.LogSoftmax(0)
    y = op.forward(x)
    p = ops.Softmax(0).forward(x)
    h = 1e-6
    jacobian = np.array(
        [(op.forward(x + d) - op.forward(x - d)) / (2 * h) for d in h * np.eye(5)]
    ).T
    stated = np.array([[(i == j) - p[j] for j in range(5)] for i in range(5)])
    np.testing.assert_allclose(jacobian, stated, atol=1e-9, err_msg="dy_i/dx_j")
    np.testing.assert_allclose(dy - p * dy.sum(), dy @ stated, atol=1e-14, err_msg="dx")
    np.testing.assert_allclose(op.backward(dy, y, x), dy @ stated, atol=1e-14, err_msg="the rule")
    np.testing.assert_allclose(np.exp(y), p, rtol=1e-14, err_msg="softmax(x) = e^y")


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-800, 800))
)
def test_softmaxes_are_distributions(x):
    y = mg.tensor(x).softmax(-1).numpy()
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.exp(mg.tensor(x).log_softmax(-1).numpy()), y, atol=1e-12)


@pytest.mark.parametrize("function", [F.gelu, lambda x: F.gelu(x, "tanh"), F.silu])
def test_half_precision_is_computed_in_single(function):
    """In the left tail, where x P(x) is small because P(x) is, half precision itself would be wrong
    in the first digits."""
    values = np.linspace(-6, 4, 41).astype(np.float16)
    x, exact = mg.tensor(values, requires_grad=True), mg.tensor(values.astype(np.float64))
    exact.requires_grad_()
    for found, expected in (
        (function(x), function(exact)),
        (mg.grad(function(x).sum(), x)[0], mg.grad(function(exact).sum(), exact)[0]),
    ):
        assert found.dtype == np.float16
        np.testing.assert_allclose(
            found.detach().numpy(), expected.detach().numpy(), rtol=1.2e-3, atol=2e-6
        )
