"""Sums, means, variances, extremes: values against ``math`` and ``statistics``."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

REDUCTIONS = {
    "sum": math.fsum,
    "mean": statistics.fmean,
    "var": statistics.variance,
    "std": statistics.stdev,
    "amax": max,
    "amin": min,
    "logsumexp": lambda vs: math.log(math.fsum(math.exp(v - min(vs)) for v in vs)) + min(vs),
}
DIMS = [None, 0, -1, (0, 2), (1,), (2, 0, 1), [0, 1]]


def reduced(function, x, dim, keepdim):
    """``function`` of the list of numbers that each output element stands for."""
    axes = range(x.ndim) if dim is None else [d % x.ndim for d in np.atleast_1d(dim)]
    rest = [a for a in range(x.ndim) if a not in axes]
    y = np.empty([x.shape[a] for a in rest])
    for index in np.ndindex(y.shape):
        where = [slice(None)] * x.ndim
        for axis, i in zip(rest, index, strict=True):
            where[axis] = i
        y[index] = function([float(v) for v in x[tuple(where)].flat])
    return np.expand_dims(y, tuple(axes)) if keepdim else y


def method(name, dim, keepdim):
    def reduce(x):
        return getattr(mg, name)(x, dim, keepdim=keepdim)

    return reduce


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_values(name, dim, keepdim, rng):
    x = rng.standard_normal((2, 3, 4)) * 2 + 1
    y = method(name, dim, keepdim)(mg.tensor(x))
    expected = reduced(REDUCTIONS[name], x, dim, keepdim)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("dim", "keepdim"), [(None, False), (0, True), (-1, False), ((0, 2), False), ((2, 1), True)]
)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_gradients(name, dim, keepdim, rng, check):
    check(method(name, dim, keepdim), rng.permutation(12).reshape(2, 3, 2) * 0.3 - 1.1)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_layouts_and_types(name, rng, check_layouts, check_types):
    x = rng.permutation(12).reshape(3, 4) * 0.25 - 1.25
    check_layouts(method(name, 1, False), x)
    check_layouts(method(name, (0, 1), False), x)
    check_types(method(name, 0, False), x)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "logsumexp"])
@pytest.mark.parametrize("dim", [None, 0, -1])
def test_a_single_number(name, dim, check):
    """A 0-d tensor has an axis to name, 0 or -1, as in PyTorch."""
    assert method(name, dim, False)(mg.tensor(2.5)).item() == 2.5
    assert method(name, dim, True)(mg.tensor(2.5)).shape == ()
    check(method(name, dim, False), 2.5)


@pytest.mark.parametrize("name", ["var", "std"])
def test_the_variance_of_one_number_is_not_a_number(name):
    assert math.isnan(method(name, None, False)(mg.tensor(2.5)).item())
    assert math.isnan(method(name, 0, False)(mg.tensor([2.5])).item())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", 0.0),
        ("mean", math.nan),
        ("var", math.nan),
        ("std", math.nan),
        ("logsumexp", -math.inf),
    ],
)
def test_reductions_of_nothing(name, expected):
    """No warning, and PyTorch's answers."""
    y = method(name, 1, False)(mg.zeros(2, 0))
    np.testing.assert_array_equal(y.numpy(), [expected, expected])
    assert method(name, 0, True)(mg.zeros(2, 0)).shape == (1, 0)


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_nothing_has_no_extreme(name):
    assert method(name, 0, False)(mg.zeros(2, 0)).shape == (0,)
    with pytest.raises((ValueError, IndexError), match=name):
        method(name, 1, False)(mg.zeros(2, 0))


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_gradients_of_nothing(name):
    x = mg.zeros(2, 0, requires_grad=True)
    (dx,) = mg.grad(method(name, 0, False)(x), x, mg.zeros(0))
    assert dx.shape == (2, 0)


# ------------------------------------------------------------------------------- integers and half


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, bool])
def test_integers_add_up_as_int64(dtype):
    x = np.array([100, 120, 1], dtype)
    y = mg.tensor(x).sum()
    assert y.dtype == np.int64
    assert y.item() == sum(int(v) for v in x)
    assert mg.tensor(x).cumsum(0).dtype == np.int64
    np.testing.assert_array_equal(
        mg.tensor(x).cumsum(0).numpy(), list(itertools.accumulate(int(v) for v in x))
    )


def test_extremes_of_integers_keep_their_type():
    x = mg.tensor(np.array([[3, -7], [5, 2]], np.int16))
    assert x.amax(0).tolist() == [5, 2]
    assert x.amin().item() == -7
    assert x.amax().dtype == np.int16


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("name", "expected"), [("sum", 10000), ("mean", 2), ("var", 1), ("std", 1)]
)
def test_half_precision_is_added_up_in_single(name, expected, axis):
    """1, 3, 1, 3, ...: float16 itself cannot count beyond 2048."""
    x = np.tile(np.array([1, 3], np.float16), 2500)
    x = np.stack([x, x], axis=1 - axis)
    y = getattr(mg, name)(mg.tensor(x), axis)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.numpy().astype(float), expected, rtol=1e-3)


def test_cumsum_of_half_precision_is_added_up_in_single():
    y = mg.ones(5000, dtype=np.float16).cumsum(0)
    assert y.dtype == np.float16
    assert y[-1].item() == 5000


def test_standard_deviation_of_half_precision_does_not_overflow():
    """The squares, 90000, do not fit into float16; the result does."""
    x = np.array([-300, 300], np.float16)
    assert mg.tensor(x).std(correction=0).item() == 300


# ------------------------------------------------------------------------------------- variance


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize(
    ("correction", "reference"), [(0, statistics.pvariance), (1, statistics.variance)]
)
def test_correction(name, correction, reference, rng, check):
    x = rng.standard_normal((4, 3)) + 5
    y = getattr(mg, name)(mg.tensor(x), 0, correction=correction)
    expected = reduced(reference, x, 0, False) ** (1 if name == "var" else 0.5)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    check(lambda t: getattr(mg, name)(t, 0, correction=correction), x)


def test_a_fractional_correction(rng):
    x = rng.standard_normal(5)
    squares = math.fsum((v - statistics.fmean(x)) ** 2 for v in x)
    assert mg.tensor(x).var(correction=1.5).item() == pytest.approx(squares / 3.5, rel=1e-13)


def test_variance_of_numbers_far_from_zero():
    """E[x^2] - E[x]^2 would give 0 or less here."""
    x = mg.tensor(np.array([4, 7, 13, 16], np.float64) + 1e9)
    assert x.var().item() == pytest.approx(30, rel=1e-12)


def test_standard_deviation_of_equal_numbers_has_slope_zero():
    x = mg.tensor(np.full((3, 2), 1.5), requires_grad=True)
    y = x.std(0)
    np.testing.assert_array_equal(y.detach().numpy(), [0, 0])
    np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].numpy(), np.zeros((3, 2)))


# ------------------------------------------------------------------------------------- extremes


@pytest.mark.parametrize(("name", "sign"), [("amax", 1), ("amin", -1)])
def test_ties_share_the_gradient_equally(name, sign):
    x = np.array([[2.0, 5.0, 5.0], [4.0, 1.0, 4.0], [3.0, 3.0, 3.0]]) * sign
    t = mg.tensor(x, requires_grad=True)
    g = mg.tensor(np.array([6.0, 10.0, -9.0]))
    (dx,) = mg.grad(getattr(mg, name)(t, 1), t, g)
    np.testing.assert_allclose(dx.numpy(), [[0, 3, 3], [5, 0, 5], [-3, -3, -3]], rtol=1e-15)


def test_extremes_have_no_second_derivative():
    x = mg.tensor(np.array([1.5, 4.5, 2.5]), requires_grad=True)
    (dx,) = mg.grad(x.amax() ** 2, x, create_graph=True)
    (ddx,) = mg.grad(dx, x, mg.tensor(np.array([3.0, 5.0, 7.0])))
    np.testing.assert_array_equal(ddx.numpy(), [0, 2 * 5, 0])  # of max itself none: only of max^2


# ------------------------------------------------------------------------------------ logsumexp


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logsumexp_of_large_numbers(dtype):
    x = mg.tensor(np.array([[1e4, 1e4], [-1e4, -1e4], [1e4, -1e4]], dtype), requires_grad=True)
    y = x.logsumexp(1)
    expected = np.array([1e4 + math.log(2), -1e4 + math.log(2), 1e4]).astype(dtype)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    tolerance = 1e-2 if dtype == np.float16 else 1e-3  # of e^(x - y), as y itself is rounded
    if dtype != np.float16:
        (dx,) = mg.grad(y.sum(), x)
        np.testing.assert_allclose(dx.numpy(), [[0.5, 0.5], [0.5, 0.5], [1, 0]], rtol=tolerance)


def test_logsumexp_of_minus_infinity():
    x = mg.tensor(np.array([[-math.inf, -math.inf], [-math.inf, 1.5]]))
    np.testing.assert_array_equal(x.logsumexp(1).numpy(), [-math.inf, 1.5])
    x = mg.tensor(np.array([-math.inf, 1.5]), requires_grad=True)
    np.testing.assert_array_equal(mg.grad(x.logsumexp(0), x)[0].numpy(), [0, 1])


def test_logsumexp_of_infinity():
    assert mg.tensor([math.inf, 2.0]).logsumexp(0).item() == math.inf


# --------------------------------------------------------------------------------------- cumsum


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cumsum(dim, rng, check, check_layouts, check_types):
    x = rng.standard_normal((3, 4)) + 0.5
    y = mg.cumsum(mg.tensor(x), dim)
    rows = np.moveaxis(x, dim, -1).tolist()
    expected = np.moveaxis(np.array([list(itertools.accumulate(r)) for r in rows]), -1, dim)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-13)
    for checked in (check, check_layouts, check_types):
        checked(lambda t: t.cumsum(dim), x)


def test_cumsum_of_a_single_number_and_of_nothing(check):
    assert mg.tensor(2.5).cumsum(0).item() == 2.5
    check(lambda t: t.cumsum(0), 2.5)
    check(lambda t: t.cumsum(1), np.zeros((2, 0)))


# ----------------------------------------------------------------------------------- properties


@given(
    hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.floats(-5, 5)
    ),
    st.data(),
)
def test_sums_in_steps_are_sums_at_once(x, data):
    """Adding up axis by axis gives what adding up all of them gives, in any order."""
    dims = data.draw(st.permutations(range(x.ndim)))
    t = mg.tensor(x)
    for dim in dims:
        t = t.sum(dim, keepdim=True)
    assert t.item() == pytest.approx(math.fsum(x.flat), abs=1e-10)


@given(hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(-700, 700)))
def test_logsumexp_lies_between_its_bounds(x):
    """max <= logsumexp <= max + log n."""
    y = mg.tensor(x).logsumexp(0).item()
    assert max(x) <= y <= max(x) + math.log(len(x)) + 1e-12 * abs(max(x))


@pytest.mark.parametrize("n", [700, 10_000, 70_000])
def test_the_mean_of_half_precision_does_not_overflow_on_its_way(n):
    x = mg.full((n,), 100.0).half().requires_grad_()
    mean = x.mean()
    assert mean.item() == 100
    mean.backward()
    assert x.grad.numpy()[0] == np.float16(1 / n)


def test_long_softmaxes_of_half_precision(rng):
    x = mg.tensor(rng.standard_normal((5000, 2)), dtype=mg.float16)
    exact = np.exp(x.numpy().astype(np.float64))
    exact /= exact.sum(0)
    np.testing.assert_allclose(x.softmax(0).numpy(), exact, rtol=0.05, atol=1e-6)
    assert mg.zeros(4096, 2).half().logsumexp(0).numpy()[0] == np.float16(np.log(4096))
    labels = mg.zeros(70_000, dtype=mg.int64)
    loss = mg.functional.cross_entropy(mg.zeros(70_000, 4).half(), labels)
    assert loss.item() == np.float16(np.log(4))
