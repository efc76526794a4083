"""Jacobians and Hessians of functions whose derivatives are known, and products with vectors."""

import numpy as np
import pytest

import minigrad as mg


def t(array):
    return mg.tensor(np.asarray(array, np.float64))


@pytest.fixture
def problem(rng):
    """y = A (x * x) + B z, with Jacobians 2 A diag(x) and B."""
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))
    x, z = rng.normal(1.5, 0.4, 4), rng.normal(size=2)
    return a, b, x, z, lambda p, q: t(a) @ (p * p) + t(b) @ q


def test_jacobian(problem):
    a, b, x, z, f = problem
    dx, dz = mg.jacobian(f, (t(x), t(z)))
    np.testing.assert_allclose(dx.numpy(), 2 * a * x, rtol=1e-12)
    np.testing.assert_allclose(dz.numpy(), b, rtol=1e-12)
    alone = mg.jacobian(lambda p: f(p, t(z)), t(x))
    np.testing.assert_allclose(alone.numpy(), 2 * a * x, rtol=1e-12)


def test_products_with_vectors(problem, rng):
    a, b, x, z, f = problem
    u, v, w = rng.normal(size=3), rng.normal(size=4), rng.normal(size=2)
    y, (dx, dz) = mg.vjp(f, (t(x), t(z)), t(u))
    np.testing.assert_allclose(y.numpy(), a @ (x * x) + b @ z, rtol=1e-12)
    np.testing.assert_allclose(dx.numpy(), u @ (2 * a * x), rtol=1e-12)
    np.testing.assert_allclose(dz.numpy(), u @ b, rtol=1e-12)
    _, moved = mg.jvp(f, (t(x), t(z)), (t(v), t(w)))
    np.testing.assert_allclose(moved.numpy(), 2 * a * x @ v + b @ w, rtol=1e-12)


def quadratic(rng):
    """f(x, z) = 1/2 x^T M x + x^T N z + sum(z^3), with Hessian [[M, N], [N^T, diag(6 z)]]."""
    m, n = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    m = m + m.T
    return m, n, lambda x, z: 0.5 * (x @ (t(m) @ x)) + x @ (t(n) @ z) + (z**3).sum()


def test_hessian_and_its_product(rng):
    m, n, f = quadratic(rng)
    x, z, v, w = rng.normal(size=3), rng.normal(size=2), rng.normal(size=3), rng.normal(size=2)
    (xx, xz), (zx, zz) = mg.hessian(f, (t(x), t(z)))
    for found, expected in ((xx, m), (xz, n), (zx, n.T), (zz, np.diag(6 * z))):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-12)
    y, (hx, hz) = mg.hvp(f, (t(x), t(z)), (t(v), t(w)))
    assert y.item() == pytest.approx(0.5 * x @ m @ x + x @ n @ z + (z**3).sum())
    np.testing.assert_allclose(hx.numpy(), m @ v + n @ w, rtol=1e-11)
    np.testing.assert_allclose(hz.numpy(), n.T @ v + 6 * z * w, rtol=1e-11)


def test_of_a_matrix(rng):
    """The Hessian of sum(exp(X)) is diagonal, with exp(X) on the diagonal."""
    x = rng.normal(size=(2, 3))
    h = mg.hessian(lambda p: p.exp().sum(), t(x))
    assert h.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(h.numpy().reshape(6, 6), np.diag(np.exp(x).ravel()), rtol=1e-12)
    j = mg.jacobian(lambda p: p.sum(1), t(x))
    assert j.shape == (2, 2, 3)
    np.testing.assert_array_equal(j.numpy(), np.repeat(np.eye(2)[:, :, None], 3, 2))


def test_a_linear_function_has_no_curvature(rng):
    a, x, v = rng.normal(size=4), rng.normal(size=4), rng.normal(size=4)
    assert not mg.hessian(lambda p: t(a) @ p, t(x)).numpy().any()
    assert not mg.hvp(lambda p: t(a) @ p, t(x), t(v))[1].numpy().any()


def test_batch_norm_is_blind_to_shifts_and_stretches(rng):
    """The Jacobian of x_hat sends the vector of ones, and (with eps near 0) x - mean, to 0."""
    x = rng.normal(size=(5, 2)) * [2.0, 0.5] + [1.0, -3.0]

    def x_hat(p):
        return mg.batch_norm(p, None, None, training=True, eps=1e-300)

    for v in (np.ones_like(x), x - x.mean(0)):
        _, moved = mg.jvp(x_hat, t(x), t(v))
        np.testing.assert_allclose(moved.numpy(), 0, atol=1e-12)


def test_nothing_of_the_callers_changes(rng):
    x = t(rng.normal(size=3)).requires_grad_()
    before = x.detach().numpy().copy()
    mg.hessian(lambda p: (p**3).sum(), x)
    assert x.grad is None
    assert x.is_leaf
    np.testing.assert_array_equal(x.detach().numpy(), before)


def test_errors(rng):
    x = t(rng.normal(size=3))
    with pytest.raises(TypeError, match="returned a float, expected a Tensor"):
        mg.vjp(lambda p: 2.5, x)
    with pytest.raises(RuntimeError, match="expected a single number"):
        mg.vjp(lambda p: p * 2, x)
    with pytest.raises(RuntimeError, match="no output depends on input 1"):
        mg.vjp(lambda p, q: p.sum(), (x, x))
