"""Convolutions and pooling as modules: values, gradients and state are PyTorch's."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from tests.ops.test_convolution import CASES, drawn


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_convolutions_are_pytorchs(torch, name, rng):
    x, w, _, (stride, padding, dilation, groups) = drawn(name, rng)
    theirs = torch.nn.Conv2d(
        x.shape[1], len(w), w.shape[2:], stride, padding, dilation, groups, dtype=torch.float64
    )
    ours = nn.Conv2d(
        x.shape[1], len(w), w.shape[2:], stride, padding, dilation, groups, dtype=mg.float64
    )
    ours.load_state_dict(theirs.state_dict())
    a, t = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(t)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)
    seed = rng.normal(size=y.shape)
    y.backward(mg.tensor(seed))
    z.backward(torch.tensor(seed))
    np.testing.assert_allclose(a.grad.numpy(), t.grad.numpy(), rtol=1e-10, atol=1e-12)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_is_pytorchs(torch, name, rng):
    x = rng.permutation(2 * 3 * 6 * 7).reshape(2, 3, 6, 7) / 50 - 2.5
    options = (3, 2, 1)
    a, t = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = getattr(F, name)(a, *options), getattr(torch.nn.functional, name)(t, *options)
    seed = rng.normal(size=y.shape)
    y.backward(mg.tensor(seed))
    z.backward(torch.tensor(seed))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(a.grad.numpy(), t.grad.numpy(), rtol=1e-12)
