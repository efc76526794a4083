"""BatchNorm, its ten named steps and its identities; its eval form; LayerNorm, GroupNorm,
RMSNorm."""

import math
import statistics

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import ops

pytestmark = pytest.mark.usefixtures("rules_and_kernels")

EPS = 1e-5
TINY = 1e-300  # as good as 0, which training refuses
SHAPES = [(6, 3), (4, 3, 5), (2, 3, 2, 2)]


def numbers_of(x, channel):
    return [float(v) for v in x[:, channel].flat]


def normalised(x, gamma, beta, eps):
    """Channel by channel with the ``statistics`` module, whose arithmetic is exact."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        mu = statistics.fmean(numbers_of(x, c))
        var = statistics.pvariance(numbers_of(x, c))
        y[:, c] = gamma[c] * (x[:, c] - mu) / math.sqrt(var + eps) + beta[c]
    return y


def probe(rng, shape):
    """x with its own mean and spread in every channel; gamma of both signs; beta."""
    channels = (1, 3, *(1,) * (len(shape) - 2))
    x = rng.standard_normal(shape) * np.reshape([0.5, 2.0, 1.3], channels)
    x = x + np.reshape([3.0, -1.0, 0.4], channels)
    return x, np.array([1.7, -0.6, 0.8]), np.array([0.3, -1.2, 2.0])


def batch_norm(x, gamma=None, beta=None, eps=EPS):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


# ----------------------------------------------------------------------------------- in training


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm(shape, eps, rng, check):
    x, gamma, beta = probe(rng, shape)
    y = batch_norm(*map(mg.tensor, (x, gamma, beta)), eps).numpy()
    np.testing.assert_allclose(y, normalised(x, gamma, beta, eps), rtol=1e-11, atol=1e-12)
    check(lambda *inputs: batch_norm(*inputs, eps), x, gamma, beta)


def test_batch_norm_without_gamma_or_beta(rng, check):
    x, gamma, beta = probe(rng, (5, 3))
    one, zero = np.ones(3), np.zeros(3)
    bare = batch_norm(mg.tensor(x)).numpy()
    np.testing.assert_allclose(bare, normalised(x, one, zero, EPS), atol=1e-12)
    only_beta = batch_norm(mg.tensor(x), None, mg.tensor(beta)).numpy()
    np.testing.assert_allclose(only_beta, normalised(x, one, beta, EPS), atol=1e-12)
    check(batch_norm, x)
    check(batch_norm, x, gamma)
    check(lambda t, b: batch_norm(t, None, b), x, beta)


def test_batch_norm_layouts_and_types(rng, check_layouts, check_types):
    x, gamma, beta = probe(rng, (6, 3))
    check_layouts(batch_norm, x, gamma, beta)
    check_types(batch_norm, x, gamma, beta)


def test_a_column_of_equal_numbers(check):
    """The spread is 0, and so is x_hat; eps keeps 1/sqrt(var + eps) finite."""
    x = np.array([[2.5, 1.0], [2.5, 3.0], [2.5, -1.0]])
    y = batch_norm(mg.tensor(x), eps=0.1).numpy()
    np.testing.assert_array_equal(y[:, 0], [0, 0, 0])
    check(lambda t: batch_norm(t, eps=0.1), x)


@pytest.mark.parametrize("shift", [1e3, 1e4, -1e4])
def test_float32_numbers_far_from_zero(shift, rng):
    """Mean 10^4, spread 1: within 10^-5 of float64. A mean that is taken once is off by 10^-3."""
    x = (rng.standard_normal((256, 4)) + shift).astype(np.float32)
    exact = batch_norm(mg.tensor(x.astype(np.float64))).numpy()
    assert abs(batch_norm(mg.tensor(x)).numpy() - exact).max() < 1e-5
    once = x - x.mean(axis=0)
    once /= np.sqrt((once * once).mean(axis=0) + np.float32(EPS))
    if abs(shift) == 1e4:
        assert abs(once - exact).max() > 1e-5, "a single mean would do; the second is not needed"


def slope(function, at, h=1e-6):
    """dL/d(at) for every element of ``at``, by central differences."""
    found = np.empty_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += h
        down[index] -= h
        found[index] = (function(up) - function(down)) / (2 * h)
    return found


def test_steps_of_the_derivation_of_batch_norm(rng):
    """The ten steps of ``BatchNorm``'s docstring for one channel. Each derivative is the slope of
    the loss when that quantity alone is moved, and then the formula of the step."""
    m, eps = 7, 0.05
    x, dy = rng.standard_normal(m) * 1.7 + 0.6, rng.standard_normal(m)
    gamma, beta = np.array(-1.4), np.array(0.7)
    mu = np.array(x.mean())
    c = x - mu
    var = np.array((c * c).mean())
    r = (var + eps) ** -0.5
    x_hat = c * r

    def close(found, expected, step):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=f"step {step}")

    def loss(gamma=gamma, x_hat=x_hat, beta=beta):
        return float((dy * (gamma * x_hat + beta)).sum())

    d_beta = dy.sum()
    close(d_beta, slope(lambda v: loss(beta=v), beta), "1: dbeta = sum(dy)")
    d_gamma = (dy * x_hat).sum()
    close(d_gamma, slope(lambda v: loss(gamma=v), gamma), "2: dgamma = sum(dy x_hat)")
    dx_hat = gamma * dy
    close(dx_hat, slope(lambda v: loss(x_hat=v), x_hat), "3: dx_hat = gamma dy")

    dr = (dx_hat * c).sum()
    close(dr, slope(lambda v: loss(x_hat=c * v), np.array(r)), "4: dr = sum(dx_hat c)")
    dc_directly = dx_hat * r
    close(dc_directly, slope(lambda v: loss(x_hat=v * r), c), "5: dc = dx_hat r")
    d_var = -0.5 * r**3 * dr
    close(
        d_var,
        slope(lambda v: loss(x_hat=c * (v + eps) ** -0.5), var),
        "6: dvar = -1/2 r^3 dr",
    )
    dc = dc_directly + d_var * 2 * c / m

    def loss_of_centred(v):
        return loss(x_hat=v * ((v * v).mean() + eps) ** -0.5)

    close(dc, slope(loss_of_centred, c), "7: dc += dvar 2 c / m")
    d_mu = -dc.sum()
    close(d_mu, slope(lambda v: loss_of_centred(x - v), mu), "8: dmu = -sum(dc)")
    dx_directly = dc
    close(dx_directly, slope(lambda v: loss_of_centred(v - mu), x), "9: dx = dc")
    dx = dx_directly + d_mu / m
    close(dx, slope(lambda v: loss_of_centred(v - v.mean()), x), "10: dx += dmu / m")

    def equal(found, expected, what):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13, err_msg=what)

    through_var = 2 * c * d_var / m
    equal(through_var, -r * x_hat * (dx_hat * x_hat).mean(), "collapsed: 4 and 6 put into 7")
    equal(through_var.sum(), 0, "collapsed: the part through var sums to 0")
    first = r * (dx_hat - dx_hat.mean() - x_hat * (dx_hat * x_hat).mean())
    second = gamma * r * (dy - dy.mean() - x_hat * (dy * x_hat).mean())
    third = gamma * r * (dy - d_beta / m - x_hat * d_gamma / m)
    equal(first, dx, "collapsed: first line")
    equal(second, dx, "collapsed: second line")
    equal(third, dx, "collapsed: third line")

    op = ops.BatchNorm(eps)
    column = x[:, None]
    y = op.forward(column, gamma[None], beta[None])
    found = op.backward(dy[:, None], y, column, gamma[None], beta[None])
    equal(found[0][:, 0], dx, "the operation: dx")
    equal(found[1], [d_gamma], "the operation: dgamma")
    equal(found[2], [d_beta], "the operation: dbeta")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_geometry_of_batch_norm(shape, rng):
    """dx sums to 0 in each channel; it is orthogonal to x_hat where eps = 0; it is homogeneous:
    ten times the spread, a tenth of the gradient; a cotangent of ones gives none."""
    x, gamma, beta = probe(rng, shape)
    dy = rng.standard_normal(shape)
    axes = (0, *range(2, len(shape)))

    def dx_at(x, dy, eps):
        inputs = [mg.tensor(v, requires_grad=True) for v in (x, gamma, beta)]
        (dx,) = mg.grad(batch_norm(*inputs, eps), inputs[0], mg.tensor(dy))
        return dx.numpy()

    dx = dx_at(x, dy, TINY)
    x_hat = normalised(x, np.ones(3), np.zeros(3), 0.0)
    np.testing.assert_allclose(dx.sum(axis=axes), 0, atol=1e-13)
    np.testing.assert_allclose((dx * x_hat).sum(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(dx_at(10 * x + 3, dy, TINY), dx / 10, atol=1e-12)
    np.testing.assert_allclose(dx_at(x, np.ones(shape), EPS), 0, atol=1e-13)
    assert abs(dx_at(x, dy, 0.5).sum(axis=axes)).max() < 1e-13, "the first also with eps"
    # dy = gamma r (dx without its parts along 1 and x_hat): put back, nothing else is missing
    shape_c = (1, 3, *(1,) * (len(shape) - 2))
    var = np.array([statistics.pvariance(numbers_of(x, c)) for c in range(3)])
    scale = (gamma / np.sqrt(var)).reshape(shape_c)
    missing = dy - dx / scale
    along = dy.mean(axis=axes, keepdims=True)
    along = along + x_hat * (dy * x_hat).mean(axis=axes, keepdims=True)
    np.testing.assert_allclose(missing, along, atol=1e-12)


def test_a_shift_and_a_stretch_change_nothing(rng):
    x, gamma, beta = probe(rng, (8, 3))
    moved = x * [2.0, 5.0, 0.5] + [1.0, -7.0, 3.0]
    np.testing.assert_allclose(
        normalised(x, gamma, beta, 0.0),
        batch_norm(*map(mg.tensor, (moved, gamma, beta)), TINY).numpy(),
        rtol=1e-10,
        atol=1e-11,
    )


def test_what_batch_norm_keeps():
    """x and gamma; x_hat and r through the memo, computed once for forward and backward."""
    assert ops.BatchNorm.unsaved == (0, 3)  # all but x and gamma
    op = ops.BatchNorm(EPS)
    x = np.array([[1.5, 2.0], [3.5, -1.0]])
    op.forward(x)
    known = op.cached(op.standardize, x)
    assert op.cached(op.standardize, x) is known


# --------------------------------------------------------------------------------------- in eval


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_eval(shape, rng, check, check_layouts, check_types):
    x, gamma, beta = probe(rng, shape)
    mean, var = np.array([0.4, -1.1, 2.0]), np.array([0.7, 2.5, 1.2])
    inputs = (x, gamma, beta)

    def evaluate(t, *affine):
        statistics = (mg.tensor(v).to(t.dtype) for v in (mean, var))
        return F.batch_norm(t, *statistics, *affine, eps=0.1)

    y = evaluate(*map(mg.tensor, inputs)).numpy()
    for index in np.ndindex(shape):
        c = index[1]
        expected = gamma[c] * (x[index] - mean[c]) / math.sqrt(var[c] + 0.1) + beta[c]
        assert y[index] == pytest.approx(expected, rel=1e-12)
    check(evaluate, *inputs)
    check(evaluate, x)
    check(evaluate, x, gamma)
    check(lambda t, b: evaluate(t, None, b), x, beta)
    check_layouts(evaluate, *inputs)
    check_types(evaluate, *inputs)


def test_the_gradient_in_eval_is_the_affine_one(rng):
    """dx = dy gamma / sqrt(var + eps): with ones it is not 0, as the training rule's would be,
    and one sample's gradient does not depend on the others."""
    x, gamma, beta = probe(rng, (4, 3))
    mean, var = np.array([0.4, -1.1, 2.0]), np.array([0.7, 2.5, 1.2])
    op = ops.BatchNormEval(EPS)
    y = op.forward(x, mean, var, gamma, beta)
    ones = np.ones_like(x)
    dx, d_mean, d_var, d_gamma, d_beta = op.backward(ones, y, x, mean, var, gamma, beta)
    np.testing.assert_allclose(dx, np.broadcast_to(gamma / np.sqrt(var + EPS), (4, 3)))
    assert d_mean is None
    assert d_var is None, "given statistics are constants"
    np.testing.assert_allclose(d_gamma, ((x - mean) / np.sqrt(var + EPS)).sum(axis=0))
    np.testing.assert_array_equal(d_beta, [4, 4, 4])
    dy = rng.standard_normal((4, 3))
    alone = op.backward(dy[:1], y[:1], x[:1], mean, var, gamma, beta)[0]
    np.testing.assert_array_equal(op.backward(dy, y, x, mean, var, gamma, beta)[0][:1], alone)


# ------------------------------------------------------------------------------------ layer norm


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 4), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((5,), 1)]
)
def test_layer_norm(shape, axes, rng, check, check_layouts, check_types):
    x = rng.standard_normal(shape) * 1.5 + 2
    inner = shape[-axes:]
    gamma, beta = rng.standard_normal(inner), rng.standard_normal(inner)

    def norm(t, g=None, b=None):
        return F.layer_norm(t, inner, g, b, eps=0.01)

    y = norm(*map(mg.tensor, (x, gamma, beta))).numpy()
    for sample in np.ndindex(shape[:-axes]):
        numbers = [float(v) for v in x[sample].flat]
        scale = math.sqrt(statistics.pvariance(numbers) + 0.01)
        expected = gamma * (x[sample] - statistics.fmean(numbers)) / scale + beta
        np.testing.assert_allclose(y[sample], expected, atol=1e-12)
    check(norm, x, gamma, beta)
    check(norm, x)
    check(norm, x, gamma)
    check(lambda t, b: norm(t, None, b), x, beta)
    check_layouts(norm, x, gamma, beta)
    check_types(norm, x, gamma, beta)


def test_the_formula_of_layer_norm(rng):
    """dx = r (dx_hat - mean(dx_hat) - x_hat mean(dx_hat x_hat)), dx_hat = gamma dy, row by row."""
    x, dy = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    gamma, beta = rng.standard_normal(5), rng.standard_normal(5)
    op = ops.LayerNorm(1, EPS)
    dx, d_gamma, d_beta = op.backward(dy, op.forward(x, gamma, beta), x, gamma, beta)
    for n in range(3):
        r = (x[n].var() + EPS) ** -0.5
        x_hat = (x[n] - x[n].mean()) * r
        dx_hat = gamma * dy[n]
        expected = r * (dx_hat - dx_hat.mean() - x_hat * (dx_hat * x_hat).mean())
        np.testing.assert_allclose(dx[n], expected, atol=1e-13, err_msg="dx of LayerNorm")
    rows = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + EPS)
    np.testing.assert_allclose(d_gamma, (dy * rows).sum(axis=0), err_msg="dgamma: over the samples")
    np.testing.assert_allclose(d_beta, dy.sum(axis=0), err_msg="dbeta: over the samples")


def test_layer_norm_of_float32_numbers_far_from_zero(rng):
    x = (rng.standard_normal((4, 256)) + 1e4).astype(np.float32)
    exact = F.layer_norm(mg.tensor(x.astype(np.float64)), (256,)).numpy()
    assert abs(F.layer_norm(mg.tensor(x), (256,)).numpy() - exact).max() < 1e-5


def test_layer_norm_of_no_samples_and_no_features():
    assert F.layer_norm(mg.zeros(0, 3), (3,)).shape == (0, 3)
    assert F.layer_norm(mg.zeros(3, 0), (0,)).shape == (3, 0)


# ------------------------------------------------------------------------ group norm, RMS norm


@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 4, 2), 2), ((3, 4), 2), ((2, 2, 2, 2), 1), ((1, 3, 2, 2), 3)]
)
def test_group_norm(shape, groups, rng, check, check_layouts, check_types):
    x = rng.standard_normal(shape) * 1.5 + 2
    gamma, beta = rng.standard_normal(shape[1]), rng.standard_normal(shape[1])

    def norm(t, g=None, b=None):
        return F.group_norm(t, groups, g, b, eps=0.01)

    y = norm(*map(mg.tensor, (x, gamma, beta))).numpy()
    width = shape[1] // groups
    for n, c in np.ndindex(shape[:2]):
        start = c // width * width
        numbers = [float(v) for v in x[n, start : start + width].flat]
        scale = math.sqrt(statistics.pvariance(numbers) + 0.01)
        expected = gamma[c] * (x[n, c] - statistics.fmean(numbers)) / scale + beta[c]
        np.testing.assert_allclose(y[n, c], expected, atol=1e-12)
    check(norm, x, gamma, beta)
    check(norm, x)
    check(norm, x, gamma)
    check(lambda t, b: norm(t, None, b), x, beta)
    check_layouts(norm, x, gamma, beta)
    check_types(norm, x, gamma, beta)


@pytest.mark.parametrize(("shape", "axes"), [((3, 4), 1), ((2, 3, 4), 2), ((5,), 1)])
def test_rms_norm(shape, axes, rng, check, check_layouts, check_types):
    x = rng.standard_normal(shape) * 1.5 + 2
    inner = shape[-axes:]
    gamma = rng.standard_normal(inner)

    def norm(t, g=None):
        return F.rms_norm(t, inner, g, eps=0.01)

    y = norm(mg.tensor(x), mg.tensor(gamma)).numpy()
    for sample in np.ndindex(shape[:-axes]):
        root = math.sqrt(statistics.fmean(float(v) ** 2 for v in x[sample].flat) + 0.01)
        np.testing.assert_allclose(y[sample], gamma * x[sample] / root, atol=1e-12)
    check(norm, x, gamma)
    check(norm, x)
    check_layouts(norm, x, gamma)
    check_types(norm, x, gamma)


def test_the_formulas_of_group_norm_and_rms_norm(rng):
    """One group is LayerNorm of the sample; without a mean, RMSNorm is it too (as eps is 0)."""
    x, dy = rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 2, 4))
    wide = mg.tensor(x, requires_grad=True)
    (one,) = mg.grad(F.group_norm(wide, 1), wide, mg.tensor(dy))
    (other,) = mg.grad(F.layer_norm(wide, (2, 4)), wide, mg.tensor(dy))
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-13)
    op = ops.RMSNorm(2, EPS)
    (dx,) = op.backward(dy, op.forward(x), x)
    for n in range(3):
        r = ((x[n] ** 2).mean() + EPS) ** -0.5
        x_hat = x[n] * r
        expected = r * (dy[n] - x_hat * (dy[n] * x_hat).mean())
        np.testing.assert_allclose(dx[n], expected, atol=1e-13, err_msg="dx of RMSNorm")


def test_group_norm_and_rms_norm_of_no_samples():
    vector = mg.ones(4, requires_grad=True)
    y = F.group_norm(mg.zeros(0, 4, 2), 2, vector, vector)
    assert y.shape == (0, 4, 2)
    (gradient,) = mg.grad(y.sum(), vector)
    assert gradient.tolist() == [0.0] * 4
    assert F.group_norm(mg.zeros(0, 4), 2).shape == (0, 4)
    assert F.rms_norm(mg.zeros(0, 3), 3, mg.ones(3)).shape == (0, 3)


@pytest.mark.parametrize("size", [1e20, 3e38])
def test_squares_may_leave_the_range_of_float32(size):
    x = (np.array([[-1.0, 0.5, 0.3, -0.8], [1.0, -0.25, 0.75, 0.9]]) * size).astype(np.float32)
    seed = np.array([[0.3, -1.2, 0.8, 0.4], [-0.5, 1.1, 1.7, 0.2]])

    def groups(t):
        return F.group_norm(t.reshape(1, 8), 2).reshape(2, 4)

    for norm in (groups, lambda t: F.rms_norm(t, 4)):
        wide = mg.tensor(x.astype(np.float64), requires_grad=True)
        (exact,) = mg.grad(norm(wide), wide, mg.tensor(seed))
        single = mg.tensor(x, requires_grad=True)
        y = norm(single)
        np.testing.assert_allclose(y.detach().numpy(), norm(wide).detach().numpy(), rtol=1e-5)
        (gradient,) = mg.grad(y, single, mg.tensor(seed.astype(np.float32)))
        np.testing.assert_allclose(
            gradient.numpy() * size, exact.numpy() * size, rtol=1e-4, atol=1e-6
        )


# ----------------------------------------------------------- numbers at the ends of the range


@pytest.mark.parametrize("size", [1e20, 1e30, 3e38])
def test_the_variance_may_leave_the_range_of_float32(size):
    """Its square does; x_hat and the gradient are finite all the same, and are those of float64."""
    x = (np.array([[-1.0, 0.5], [1.0, -0.25], [0.3, 0.75], [-0.8, 1.0]]) * size).astype(np.float32)
    seed = np.array([[0.3, -1.2], [0.8, 0.4], [-0.5, 1.1], [1.7, 0.2]])
    wide = mg.tensor(x.astype(np.float64), requires_grad=True)
    y = batch_norm(wide)
    (exact,) = mg.grad(y, wide, mg.tensor(seed))
    single = mg.tensor(x, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="the statistics of a batch are not finite in 2 of 2"):
        z = batch_norm(single)
    np.testing.assert_allclose(z.detach().numpy(), y.detach().numpy(), rtol=1e-5, atol=1e-6)
    (gradient,) = mg.grad(z, single, mg.tensor(seed.astype(np.float32)))
    np.testing.assert_allclose(gradient.numpy() * size, exact.numpy() * size, rtol=1e-4, atol=1e-6)
    rows = F.layer_norm(mg.tensor(x.T.copy()), (4,))
    np.testing.assert_allclose(rows.numpy(), y.detach().numpy().T, rtol=1e-5, atol=1e-6)


def test_rule_and_kernel_agree_on_a_constant_channel():
    x = np.full((7, 3), [0.1, 1e5, -3.3], np.float32)
    ones, beta = mg.ones(3), mg.tensor([0.5, -1.5, 2.5])
    y = batch_norm(mg.tensor(x), ones, beta, eps=1e-30).numpy()
    np.testing.assert_array_equal(y, np.broadcast_to(beta.numpy(), (7, 3)))


def test_a_running_statistic_that_cannot_take_the_batchs_is_left(rng):
    x = rng.normal(size=(8, 4)).astype(np.float32)
    x[3, 1], x[5, 2] = np.inf, np.nan
    mean, var = mg.tensor([0.1, 0.2, 0.3, 0.4]), mg.tensor([1.1, 1.2, 1.3, 1.4])
    with pytest.warns(RuntimeWarning, match="batch_norm: .* 2 of 4 channels .first in channel 1"):
        F.batch_norm(mg.tensor(x), mean, var, training=True, momentum=0.3)
    good = [0, 3]
    np.testing.assert_allclose(
        mean.numpy()[good], 0.7 * np.float32([0.1, 0.4]) + 0.3 * x[:, good].mean(0), rtol=1e-4
    )
    np.testing.assert_allclose(
        var.numpy()[good], 0.7 * np.float32([1.1, 1.4]) + 0.3 * x[:, good].var(0, ddof=1), rtol=1e-4
    )
    np.testing.assert_array_equal(mean.numpy()[[1, 2]], np.float32([0.2, 0.3]))
    np.testing.assert_array_equal(var.numpy()[[1, 2]], np.float32([1.2, 1.3]))


def read_only(*values):
    array = np.array(values)
    array.flags.writeable = False
    return mg.from_numpy(array)


@pytest.mark.parametrize(
    ("mean", "var", "error", "message"),
    [
        (mg.zeros(3), None, ValueError, "running_var is None and the other is not"),
        (None, mg.ones(3), ValueError, "running_mean is None and the other is not"),
        (mg.zeros(3), mg.ones(3).long(), TypeError, "running_var is int64, expected a floating"),
        (mg.zeros(3), read_only(1.0, 1.0, 1.0), ValueError, "running_var is read-only"),
        (
            mg.zeros(3),
            mg.ones(3, requires_grad=True),
            ValueError,
            "running_var requires a gradient",
        ),
        (mg.zeros(3), mg.ones(2), ValueError, r"running_var has shape \(2,\), expected \(3,\)"),
    ],
)
def test_running_statistics_that_are_refused_have_not_changed(mean, var, error, message, rng):
    x = mg.tensor(rng.normal(size=(5, 3)))
    before = [None if t is None else t.detach().numpy().copy() for t in (mean, var)]
    with pytest.raises(error, match=f"batch_norm: {message}"):
        F.batch_norm(x, mean, var, training=True)
    for t, old in zip((mean, var), before, strict=True):
        if t is not None:
            np.testing.assert_array_equal(t.detach().numpy(), old)


def test_eps_of_zero_is_for_evaluation_only(rng):
    x = mg.tensor(rng.normal(size=(5, 3)))
    with pytest.raises(ValueError, match="eps is 0, expected a number above 0 in training"):
        F.batch_norm(x, None, None, training=True, eps=0)
    y = F.batch_norm(x, mg.zeros(3).double(), mg.tensor([4.0, 9.0, 16.0]).double(), eps=0)
    np.testing.assert_allclose(y.numpy(), x.numpy() / [2, 3, 4])
