"""The second bench: the three terms add up to the engine's gradient, and the projection holds."""

import numpy as np
import pytest

from minigrad.lab.one_batchnorm import channel


@pytest.fixture
def batch(rng):
    return rng.standard_normal(6) * 3 + 2, rng.standard_normal(6)


def test_three_terms_are_the_gradient(batch):
    x, dy = batch
    seen = channel(x, dy, 1.7, -0.4)
    terms = seen.direct + seen.through_mu + seen.through_sigma
    np.testing.assert_allclose(terms, seen.dx, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(seen.y, 1.7 * seen.x_hat - 0.4, rtol=1e-12)
    assert seen.mu == pytest.approx(x.mean())
    assert seen.dbeta == pytest.approx(dy.sum())
    assert seen.dgamma == pytest.approx((dy * seen.x_hat).sum())


def test_the_gradient_is_at_right_angles(batch):
    across, along = channel(*batch, 1.7, -0.4).along
    assert abs(across) < 1e-12
    assert abs(along) < 1e-5  # eps


def test_what_the_page_says_to_try(batch):
    x, dy = batch
    seen = channel(x, dy, 1.7, -0.4)
    moved, doubled = channel(x + 5, dy, 1.7, -0.4), channel(2 * x, dy, 1.7, -0.4)
    np.testing.assert_allclose(moved.y, seen.y, rtol=1e-9)
    np.testing.assert_allclose(moved.dx, seen.dx, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(doubled.y, seen.y, atol=1e-5)
    np.testing.assert_allclose(doubled.dx, seen.dx / 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(channel(x, np.full(6, 0.7), 1.7, -0.4).dx, 0, atol=1e-5)
    undone = channel(x, dy, seen.sigma, seen.mu)
    np.testing.assert_allclose(undone.y, x, rtol=1e-12)
