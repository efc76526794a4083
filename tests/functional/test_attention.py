"""scaled_dot_product_attention: the steps of its derivation, its masks, its errors."""

import math

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.testing import gradcheck, gradgradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures

attention = F.scaled_dot_product_attention


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture
def parts(rng):
    return [rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6))]


def test_the_steps_of_the_derivation(parts, device, rng):
    q, k, v = parts
    tensors = [mg.tensor(a, requires_grad=True) for a in parts]
    y = attention(*tensors)
    c, dy = 1 / math.sqrt(4), rng.standard_normal((2, 3, 6))
    p = softmax(c * q @ k.swapaxes(1, 2))
    np.testing.assert_allclose(y.detach().cpu().numpy(), p @ v, rtol=1e-12)
    dv, dp = p.swapaxes(1, 2) @ dy, dy @ v.swapaxes(1, 2)
    da = p * (dp - (dp * p).sum(-1, keepdims=True))
    dq, dk = c * da @ k, c * da.swapaxes(1, 2) @ q
    for got, expected in zip(mg.grad(y, tensors, mg.tensor(dy)), (dq, dk, dv), strict=True):
        np.testing.assert_allclose(got.cpu().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_masks(parts, rng):
    q, k, v = parts
    tensors = [mg.tensor(a) for a in parts]
    scores = q @ k.swapaxes(1, 2) / 2
    kept = rng.random((3, 5)) > 0.4
    kept[:, 2] = True
    for mask, added in ((kept, np.where(kept, 0, -np.inf)), (rng.standard_normal((3, 5)),) * 2):
        y = attention(*tensors, attn_mask=mg.tensor(mask))
        np.testing.assert_allclose(y.numpy(), softmax(scores + added) @ v, rtol=1e-10)
    causal = np.where(np.tri(3, 5, dtype=bool), 0, -np.inf)
    y = attention(*tensors, is_causal=True)
    np.testing.assert_allclose(y.numpy(), softmax(scores + causal) @ v, rtol=1e-10)
    y = attention(*tensors, scale=0.3)
    np.testing.assert_allclose(y.numpy(), softmax(0.6 * scores) @ v, rtol=1e-10)


def test_derivatives_and_dropout(parts):
    tensors = [mg.tensor(a[:1], requires_grad=True) for a in parts]
    assert gradcheck(lambda *ts: attention(*ts, is_causal=True), tensors)
    assert gradgradcheck(lambda *ts: attention(*ts, is_causal=True), tensors)
    dropped = attention(*tensors, dropout_p=1.0).detach().numpy()
    np.testing.assert_array_equal(dropped, np.zeros((1, 3, 6)))


def test_what_does_not_fit_is_refused():
    q, k, v = mg.ones(3, 4), mg.ones(5, 4), mg.ones(5, 6)
    with pytest.raises(ValueError, match=r"shapes \(3, 4\), \(5, 4\) and \(3, 4\)"):
        attention(q, k, q)
    with pytest.raises(ValueError, match="got both attn_mask and is_causal"):
        attention(q, k, v, mg.ones(3, 5), is_causal=True)
    with pytest.raises(TypeError, match="value is a float"):
        attention(q, k, 1.0)
