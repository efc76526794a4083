"""Neighbours as one operation: their rules put together, and nothing else."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.functional import fused
from tests.ops.test_normalization import normalised, probe, slope

pytestmark = pytest.mark.usefixtures("rules_and_kernels")

EPS = 1e-5
SHAPES = [(6, 3), (4, 3, 5), (2, 3, 2, 2)]


def batch_norm_sigmoid(x, gamma=None, beta=None, eps=EPS):
    return fused.batch_norm_sigmoid(x, None, None, gamma, beta, training=True, eps=eps)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_both_derivatives(shape, eps, rng, check):
    x, gamma, beta = probe(rng, shape)
    y = batch_norm_sigmoid(*map(mg.tensor, (x, gamma, beta)), eps).numpy()
    expected = 1 / (1 + np.exp(-normalised(x, gamma, beta, eps)))
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)
    check(lambda *inputs: batch_norm_sigmoid(*inputs, eps), x, gamma, beta)


def test_without_gamma_or_beta(rng, check):
    x, gamma, beta = probe(rng, (5, 3))
    check(batch_norm_sigmoid, x)
    check(batch_norm_sigmoid, x, gamma)
    check(lambda t, b: batch_norm_sigmoid(t, None, b), x, beta)


def test_layouts_and_types(rng, check_layouts, check_types):
    x, gamma, beta = probe(rng, (6, 3))
    check_layouts(batch_norm_sigmoid, x, gamma, beta)
    check_types(batch_norm_sigmoid, x, gamma, beta)


def test_steps_of_the_derivation_of_batch_norm_sigmoid(rng):
    """The four steps of the docstring for one channel, each against the slope of the loss."""
    m, eps = 7, 0.05
    x, dy = rng.standard_normal(m) * 1.7 + 0.6, rng.standard_normal(m)
    gamma, beta = np.array(-1.4), np.array(0.7)

    def normal(x):
        return (x - x.mean()) / np.sqrt(x.var() + eps)

    def loss(a):
        return float((dy / (1 + np.exp(-a))).sum())

    def close(found, expected, step):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=f"step {step}")

    x_hat, r = normal(x), 1 / np.sqrt(x.var() + eps)
    a = gamma * x_hat + beta
    y = 1 / (1 + np.exp(-a))
    da = dy * y * (1 - y)
    close(da, slope(loss, a), 1)
    d_beta = da.sum()
    close(d_beta, slope(lambda v: loss(gamma * x_hat + v), beta), 2)
    d_gamma = (da * x_hat).sum()
    close(d_gamma, slope(lambda v: loss(v * x_hat + beta), gamma), 3)
    dx = gamma * r * (da - d_beta / m - x_hat * d_gamma / m)
    close(dx, slope(lambda v: loss(gamma * normal(v) + beta), x), 4)

    column = x.reshape(m, 1)
    op = ops.BatchNormSigmoid(eps)
    out = op.forward(column, gamma.reshape(1), beta.reshape(1))
    rule = op.backward(dy.reshape(m, 1), out, column, gamma.reshape(1), beta.reshape(1))
    for found, expected in zip(rule, (dx, d_gamma, d_beta), strict=True):
        close(found.reshape(-1), np.reshape(expected, -1), "rule")


def test_statistics_are_those_before_the_sigmoid(rng):
    x = rng.normal(3, 2, (9, 4))
    op = ops.BatchNormSigmoid(EPS)
    op.forward(x)
    np.testing.assert_allclose(op.batch_mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(op.batch_var, x.var(axis=0), rtol=1e-12)


def test_evaluation_is_the_affine_map_and_the_sigmoid(rng, check):
    x, gamma, beta = probe(rng, (5, 3))
    mean, var = rng.normal(size=3), rng.uniform(0.5, 2, 3)
    statistics = mg.tensor(mean), mg.tensor(var)
    y = fused.batch_norm_sigmoid(mg.tensor(x), *statistics, mg.tensor(gamma), mg.tensor(beta))
    a = gamma * (x - mean) / np.sqrt(var + EPS) + beta
    np.testing.assert_allclose(y.numpy(), 1 / (1 + np.exp(-a)), rtol=1e-12)
    check(lambda t, g, b: fused.batch_norm_sigmoid(t, *statistics, g, b), x, gamma, beta)


def test_errors_name_the_function():
    with pytest.raises(
        ValueError, match=r"batch_norm_sigmoid: input of shape .* has one value per"
    ):
        batch_norm_sigmoid(mg.ones(1, 3))
    with pytest.raises(ValueError, match="batch_norm_sigmoid: without training, running_mean and"):
        fused.batch_norm_sigmoid(mg.ones(4, 3), None, None)


# ------------------------------------------------------------------------ linear, then activation

SLOPES = {
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), lambda y: y * (1 - y)),
    "tanh": (np.tanh, lambda y: 1 - y * y),
    "relu": (lambda a: np.maximum(a, 0), lambda y: np.float64(y > 0)),
}


@pytest.mark.parametrize("activation", SLOPES)
@pytest.mark.parametrize("rows", [(5,), (2, 3), ()], ids=str)
def test_linear_activation(activation, rows, rng, check):
    x, w, b = (rng.standard_normal(s) for s in [(*rows, 4), (3, 4), (3,)])

    def batch_norm_sigmoid(*inputs):
        return fused.linear_activation(*inputs, activation=activation)

    expected = SLOPES[activation][0](np.einsum("...i,oi->...o", x, w) + b)
    np.testing.assert_allclose(
        batch_norm_sigmoid(*map(mg.tensor, (x, w, b))).numpy(), expected, rtol=1e-12
    )
    check(batch_norm_sigmoid, x, w, b)
    check(lambda t, v: batch_norm_sigmoid(t, v), x, w)


@pytest.mark.parametrize("activation", SLOPES)
def test_steps_of_the_derivation_of_linear_activation(activation, rng):
    f, df = SLOPES[activation]
    x, w, b, dy = (rng.standard_normal(s) for s in [(5, 4), (3, 4), (3,), (5, 3)])
    a = x @ w.T + b
    da = dy * df(f(a))
    np.testing.assert_allclose(da, slope(lambda v: float((dy * f(v)).sum()), a), atol=1e-8)

    def loss(x=x, w=w, b=b):
        return float((dy * f(x @ w.T + b)).sum())

    steps = da @ w, da.T @ x, da.sum(axis=0)
    for found, name, at in zip(steps, "xwb", (x, w, b), strict=True):
        np.testing.assert_allclose(found, slope(lambda v, n=name: loss(**{n: v}), at), atol=1e-7)


def test_linear_activation_layouts_and_types(rng, check_layouts, check_types):
    arrays = [rng.standard_normal(s) for s in [(5, 4), (3, 4), (3,)]]
    check_layouts(fused.linear_activation, *arrays)
    check_types(fused.linear_activation, *arrays)


def test_errors_of_linear_activation():
    with pytest.raises(ValueError, match=r"linear_activation: input has 7 features .* expected 8"):
        fused.linear_activation(mg.zeros(4, 7), mg.zeros(3, 8))
    with pytest.raises(
        ValueError, match=r"activation is 'gelu', expected one of 'sigmoid', 'tanh'"
    ):
        fused.linear_activation(mg.zeros(4, 8), mg.zeros(3, 8), activation="gelu")


# ------------------------------------------------------- linear, then batch norm, then the sigmoid


def whole(x, w, b, gamma, beta, eps=EPS):
    return fused.linear_batch_norm_sigmoid(x, w, b, None, None, gamma, beta, training=True, eps=eps)


def layer(rng, n=6, inputs=4, outputs=3):
    shapes = [(n, inputs), (outputs, inputs), (outputs,), (outputs,), (outputs,)]
    return [rng.standard_normal(shape) * 1.3 + 0.4 for shape in shapes]


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_a_layer_and_both_its_derivatives(eps, rng, check):
    x, w, b, gamma, beta = arrays = layer(rng)
    expected = 1 / (1 + np.exp(-normalised(x @ w.T + b, gamma, beta, eps)))
    y = whole(*map(mg.tensor, arrays), eps).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    check(lambda *inputs: whole(*inputs, eps), *arrays)


def test_steps_of_the_derivation_of_a_layer(rng):
    """Each against the slope of the loss, the third by either of its two ways."""
    n, eps = 6, 0.05
    x, w, b, gamma, beta = layer(rng, n)
    dy = rng.standard_normal((n, 3))

    def tail(z):
        return float((dy / (1 + np.exp(-normalised(z, gamma, beta, eps)))).sum())

    def loss(x=x, w=w, b=b):
        return tail(x @ w.T + b)

    z = x @ w.T
    r = 1 / np.sqrt(z.var(axis=0) + eps)
    z_hat = (z - z.mean(axis=0)) * r
    y = 1 / (1 + np.exp(-(gamma * z_hat + beta)))
    da = dy * y * (1 - y)
    dz = gamma * r * (da - da.mean(axis=0) - z_hat * (da * z_hat).mean(axis=0))
    np.testing.assert_allclose(dz, slope(tail, z), atol=1e-7, err_msg="step 1")
    np.testing.assert_allclose(dz @ w, slope(lambda v: loss(x=v), x), atol=1e-7, err_msg="step 2")
    np.testing.assert_allclose(dz.T @ x, slope(lambda v: loss(w=v), w), atol=1e-7, err_msg="step 2")
    np.testing.assert_allclose(slope(lambda v: loss(b=v), b), 0, atol=1e-7, err_msg="step 3")
    np.testing.assert_allclose(dz.sum(axis=0), 0, atol=1e-12, err_msg="step 3")

    op = ops.LinearBatchNormSigmoid(eps)
    out = op.forward(x, w, b, gamma, beta)
    op.parents = (op,) * 5
    rule = op.backward(dy, out, x, w, b, gamma, beta)
    expected = dz @ w, dz.T @ x, np.zeros(3), (da * z_hat).sum(axis=0), da.sum(axis=0)
    for found, right in zip(rule, expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-12)


def test_the_statistics_of_a_layer_are_those_of_the_product_and_the_bias(rng):
    x, w, b, gamma, beta = layer(rng, 9)
    op = ops.LinearBatchNormSigmoid(EPS)
    op.forward(x, w, b, gamma, beta)
    z = x @ w.T + b
    np.testing.assert_allclose(op.batch_mean, z.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(op.batch_var, z.var(axis=0), rtol=1e-12)


def test_a_layer_in_other_layouts_types_and_in_evaluation(rng, check_layouts, check_types, check):
    arrays = layer(rng)
    check_layouts(whole, *arrays)
    check_types(whole, *arrays)
    statistics = mg.tensor(rng.normal(size=3)), mg.tensor(rng.uniform(0.5, 2, 3))

    def evaluated(x, w, b, gamma, beta):
        return fused.linear_batch_norm_sigmoid(x, w, b, *statistics, gamma, beta)

    x, w, b, gamma, beta = arrays
    a = gamma * (x @ w.T + b - statistics[0].numpy()) / np.sqrt(statistics[1].numpy() + EPS) + beta
    y = evaluated(*map(mg.tensor, arrays)).numpy()
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-a)), rtol=1e-12)
    check(evaluated, *arrays)


def test_a_layer_moves_running_statistics(rng):
    x, w, b, gamma, beta = map(mg.tensor, layer(rng, 8))
    mean, var = mg.zeros(3, dtype=mg.float64), mg.ones(3, dtype=mg.float64)
    fused.linear_batch_norm_sigmoid(x, w, b, mean, var, gamma, beta, training=True, momentum=0.3)
    z = (x @ w.T + b).numpy()
    np.testing.assert_allclose(mean.numpy(), 0.3 * z.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), 0.7 + 0.3 * z.var(axis=0, ddof=1), rtol=1e-12)


def test_errors_of_a_layer():
    ones = mg.ones(3)
    with pytest.raises(ValueError, match=r"linear_batch_norm_sigmoid: input has 7 features"):
        whole(mg.ones(5, 7), mg.ones(3, 4), ones, ones, ones)
    with pytest.raises(ValueError, match="one value per channel"):
        whole(mg.ones(1, 4), mg.ones(3, 4), ones, ones, ones)
    with pytest.raises(ValueError, match=r"weight has shape \(2,\), expected \(3,\)"):
        whole(mg.ones(5, 4), mg.ones(3, 4), ones, mg.ones(2), ones)
    with pytest.raises(TypeError, match="expected a Tensor"):
        whole(mg.ones(5, 4), mg.ones(3, 4), ones, None, 5.0)
    with pytest.raises(ValueError, match=r"batch_norm_sigmoid: eps is -1\.0, expected"):
        whole(mg.ones(5, 4), mg.ones(3, 4), ones, ones, ones, eps=-1.0)
    with pytest.raises(TypeError, match="momentum is a str, expected a number"):
        fused.linear_batch_norm_sigmoid(
            mg.ones(5, 4), mg.ones(3, 4), ones, ones, ones, ones, ones, True, "0.1"
        )
