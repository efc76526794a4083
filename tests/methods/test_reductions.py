"""Types of sums and softmaxes, long running sums, and errors that name the method of a Tensor."""

import itertools
import math

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.testing import gradcheck, gradgradcheck


@pytest.mark.parametrize(
    "function",
    [
        lambda x, dtype: x.sum(0, dtype=dtype),
        lambda x, dtype: mg.mean(x, dtype=dtype),
        lambda x, dtype: x.cumsum(1, dtype=dtype),
        lambda x, dtype: F.softmax(x, dim=-1, dtype=dtype),
        lambda x, dtype: F.log_softmax(x, -1, dtype),
    ],
)
def test_in_another_type(function, rng):
    """The elements are converted first, and the gradient comes back in the type of x."""
    values = rng.standard_normal((2, 3)).astype(np.float32)
    x = mg.tensor(values, requires_grad=True)
    y = function(x, mg.float64)
    exact = mg.tensor(values.astype(np.float64), requires_grad=True)
    expected = function(exact, None)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    g = mg.tensor(np.asarray(rng.standard_normal(y.shape)))
    (dx,), (dy,) = mg.grad(y, x, g), mg.grad(expected, exact, g)
    assert dx.dtype == np.float32
    np.testing.assert_array_equal(dx.numpy(), dy.numpy().astype(np.float32))
    assert function(x, mg.float16).dtype == np.float16


def test_types_of_integers():
    n = mg.tensor([[3, 4], [5, 7]])
    assert n.mean(dtype=mg.float32).item() == 4.75
    assert n.softmax(0, dtype=mg.float64).dtype == np.float64
    assert n.sum(dtype=mg.int32).dtype == np.int32
    assert n.cumsum(0, dtype=mg.int8).tolist() == [[3, 4], [8, 11]]
    assert mg.tensor([2.9, 3.9]).sum(dtype=mg.int64).item() == 5, "each is cut, then added"
    with pytest.raises(TypeError, match="softmax: dtype is int64, expected a floating type"):
        n.softmax(0, dtype=mg.int64)
    with pytest.raises(TypeError, match="mean: the tensor is int64, expected a floating type"):
        mg.ones(2).mean(dtype=mg.int64)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_long_running_sums_keep_their_digits(dtype, rng):
    values = rng.standard_normal(20_000).astype(dtype)
    exact = np.array(list(itertools.accumulate(values.tolist())))
    x = mg.tensor(values, requires_grad=True)
    y = x.cumsum(0)
    np.testing.assert_array_equal(y.detach().numpy(), exact.astype(dtype))
    (dx,) = mg.grad(y, x, mg.tensor(values))
    exact = np.array(list(itertools.accumulate(values.tolist()[::-1])))[::-1]
    np.testing.assert_allclose(dx.numpy(), exact, rtol=np.finfo(dtype).eps, atol=1e-7)


def test_no_correction_means_the_usual_one():
    x = mg.tensor([1.5, 2.5, 4.5])
    assert x.var(correction=None).item() == x.var().item()
    assert x.std(correction=None).item() == pytest.approx(np.std([1.5, 2.5, 4.5], ddof=1))


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_an_extreme_that_is_nan_sends_nan(name):
    x = mg.tensor([[1.5, math.nan, 0.5], [2.5, 0.25, 2.5]], requires_grad=True)
    y = getattr(x, name)(dim=1)
    (dx,) = mg.grad(y, x, mg.tensor([3.0, 5.0]))
    assert np.isnan(dx.numpy()[0]).all()
    expected = [2.5, 0, 2.5] if name == "amax" else [0, 5, 0]
    assert dx.numpy()[1].tolist() == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.softmax(x), r"^softmax: dim is missing; dim=-1"),
        (lambda x: x.log_softmax(), r"^log_softmax: dim is missing; dim=-1"),
        (lambda x: x.logsumexp(), r"^Tensor.logsumexp\(\) missing .*'dim'"),
        (lambda x: x.sum(0, False, 1), r"^Tensor.sum\(\) takes"),
        (lambda x: x.add(), r"^Tensor.add\(\) missing .*'other'"),
        (lambda x: x.gather(1), r"^Tensor.gather\(\) missing .*'index'"),
        (lambda x: np.sum(x), r"^sum: got out=, as from np.sum\(t\); .* t.sum\(\) or mg.sum\(t\)"),
        (lambda x: np.mean(x), r"^mean: got out="),
        (lambda x: np.std(x), r"^std: got out="),
    ],
)
def test_errors_about_arguments_name_what_the_user_called(call, message):
    with pytest.raises(TypeError, match=message):
        call(mg.ones(2, 3))


ZEROS = [[1.5, 0.0, -2.0], [0.5, 3.0, -0.7], [0.0, 0.0, 1.2]]


@pytest.mark.parametrize("values", [[[1.5, 0.4], [-2.0, 0.7]], ZEROS])
def test_products_and_their_derivatives_also_at_zeros(values):
    x = mg.tensor(values, dtype=mg.float64, requires_grad=True)
    for dim in (0, 1):
        np.testing.assert_allclose(x.detach().prod(dim).numpy(), np.prod(values, dim))
        np.testing.assert_allclose(x.detach().cumprod(dim).numpy(), np.cumprod(values, dim))
        assert gradcheck(lambda x, dim=dim: x.prod(dim), (x,))
        assert gradcheck(lambda x, dim=dim: x.cumprod(dim), (x,))
        assert gradgradcheck(lambda x, dim=dim: x.prod(dim, keepdim=True), (x,))
        assert gradgradcheck(lambda x, dim=dim: x.cumprod(dim), (x,))
    assert mg.ones(0, 2).prod(0).tolist() == [1.0, 1.0]
    assert mg.tensor([True, True]).prod().dtype == mg.int64


def test_variance_says_what_it_divides_by():
    t = mg.tensor([0.5, 2.0, 4.5, -1.0])
    assert t.var(unbiased=False).item() == pytest.approx(np.var(t.numpy()))
    assert t.std(unbiased=True).item() == pytest.approx(np.std(t.numpy(), ddof=1))
    var, mean = t.var_mean(correction=2)
    assert var.item() == pytest.approx(np.var(t.numpy(), ddof=2), rel=1e-6)
    assert mean.item() == pytest.approx(np.mean(t.numpy()))
    with pytest.raises(TypeError, match="var: got both unbiased= and correction="):
        t.var(unbiased=True, correction=1)
