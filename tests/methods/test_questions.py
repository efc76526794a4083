"""Questions about elements, and the operations that give whole numbers, extremes and lengths."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck

SPECIAL = np.array([1.5, -2.0, np.nan, np.inf, -np.inf, 0.0])


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
def test_what_a_number_is(name):
    found = getattr(mg.tensor(SPECIAL), name)()
    assert found.dtype == bool
    np.testing.assert_array_equal(found.numpy(), getattr(np, name)(SPECIAL))


def test_any_and_all():
    x = mg.tensor([[True, False, True], [True, True, True]])
    assert (x.any().item(), x.all().item()) == (True, False)
    assert x.all(0).tolist() == [True, False, True]
    assert x.all(dim=1, keepdim=True).tolist() == [[False], [True]]
    assert (x == False).any(1).tolist() == [True, False]  # noqa: E712
    assert mg.tensor(2.5).any().item()


def test_equal_and_allclose():
    a = mg.tensor([1.0, 2.0])
    assert a.equal(mg.tensor([1.0, 2.0]))
    assert not a.equal(mg.tensor([1.0, 2.5]))
    assert not a.equal(mg.tensor([[1.0, 2.0]]))
    assert not mg.tensor([np.nan]).equal(mg.tensor([np.nan]))
    assert a.allclose(mg.tensor([1.000001, 2.0]))
    assert not a.allclose(mg.tensor([1.1, 2.0]))
    assert a.allclose(mg.tensor([1.1, 2.1]), rtol=0, atol=0.2)
    with pytest.raises(TypeError, match="equal: the other operand is a list"):
        a.equal([1.0, 2.0])


@pytest.mark.parametrize(("name", "numpy"), [("floor",) * 2, ("ceil",) * 2, ("round", "rint")])
def test_rounding(name, numpy):
    x = np.array([-2.5, -1.2, 0.5, 1.5, 2.5, 3.7])
    t = mg.tensor(x, requires_grad=True)
    y = getattr(t, name)()
    np.testing.assert_array_equal(y.detach().numpy(), getattr(np, numpy)(x))
    y.backward(mg.tensor(x))
    assert t.grad.tolist() == [0.0] * 6
    whole = mg.tensor([3, -4])
    assert getattr(whole, name)() is whole


def test_sign():
    x = mg.tensor([-2.5, 0.0, 3.5], requires_grad=True)
    y = x.sign()
    assert y.tolist() == [-1, 0, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["expm1", "log1p"])
def test_digits_near_zero(name, rng):
    x = np.array([1e-12, -3e-9, 0.4, 2.5])
    np.testing.assert_allclose(
        getattr(mg.tensor(x), name)().numpy(), getattr(np, name)(x), rtol=1e-15
    )
    inputs = (mg.tensor(rng.uniform(-0.6, 2.0, (3, 2)), requires_grad=True),)
    assert gradcheck(lambda t: getattr(t, name)(), inputs)
    assert gradgradcheck(lambda t: getattr(t, name)(), inputs)


def test_masked_fill(rng):
    x = rng.normal(size=(2, 3))
    mask = np.array([[True, False, False], [False, True, True]])
    t = mg.tensor(x, requires_grad=True)
    y = t.masked_fill(mg.tensor(mask), -7.5)
    np.testing.assert_array_equal(y.detach().numpy(), np.where(mask, -7.5, x))
    seed = rng.normal(size=(2, 3))
    y.backward(mg.tensor(seed))
    np.testing.assert_array_equal(t.grad.numpy(), np.where(mask, 0, seed))
    with pytest.raises(TypeError, match="masked_fill: the mask is float64, expected a boolean"):
        t.masked_fill(mg.tensor(x), 1.0)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("keepdim", [False, True])
def test_extremes_along_an_axis(name, keepdim, rng):
    x = rng.permutation(24).reshape(2, 3, 4) / 5 - 2.3
    for dim in (0, 1, -1):
        found = getattr(mg.tensor(x), name)(dim, keepdim)
        np.testing.assert_array_equal(
            found.values.numpy(), getattr(x, name)(axis=dim, keepdims=keepdim)
        )
        np.testing.assert_array_equal(
            found.indices.numpy(), getattr(x, f"arg{name}")(axis=dim, keepdims=keepdim)
        )
        values, indices = found
        assert values is found.values
        assert indices.dtype == np.int64
        inputs = (mg.tensor(x, requires_grad=True),)
        assert gradcheck(lambda t, d=dim: getattr(t, name)(d, keepdim).values, inputs)
    assert getattr(mg.tensor(x), name)().item() == getattr(x, name)()
    other = x[::-1].copy()
    expected = getattr(np, f"{name}imum")(x, other)
    np.testing.assert_array_equal(getattr(mg.tensor(x), name)(mg.tensor(other)).numpy(), expected)


@pytest.mark.parametrize("p", [1, 2, 3, 2.5, np.inf])
@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1)])
def test_norm(p, dim, rng):
    x = rng.uniform(0.3, 2.0, (3, 4)) * rng.choice([-1, 1], (3, 4))
    axes = dim if dim is not None else (0, 1)
    size = np.abs(x)
    expected = size.max(axes) if p == np.inf else (size**p).sum(axes) ** (1 / p)
    np.testing.assert_allclose(mg.tensor(x).norm(p, dim).numpy(), expected, rtol=1e-12)
    kept = mg.tensor(x).norm(p, dim, keepdim=True)
    assert kept.shape == np.sum(x, axes, keepdims=True).shape
    inputs = (mg.tensor(x, requires_grad=True),)
    assert gradcheck(lambda t: t.norm(p, dim), inputs)


def test_norms_at_the_ends_of_the_range():
    assert mg.tensor([3e20, 4e20]).norm().item() == pytest.approx(5e20, rel=1e-6)
    assert mg.tensor([3e-30, 4e-30]).norm().item() == pytest.approx(5e-30, rel=1e-6)
    x = mg.tensor([0.0, 0.0], requires_grad=True)
    y = x.norm()
    y.backward()
    assert (y.item(), x.grad.tolist()) == (0.0, [0.0, 0.0])
    with pytest.raises(ValueError, match="norm: p is nan, expected a number or 'fro'"):
        x.norm(float("nan"))


def test_norms_of_other_orders(rng):
    a = rng.standard_normal((3, 4))
    a[1, 2] = 0.0
    for p in (0, -1.5, 0.5, 3, -np.inf, np.inf):
        with np.errstate(divide="ignore"):
            expected = np.linalg.norm(a, p, axis=1)
        np.testing.assert_allclose(mg.tensor(a).norm(p, 1).numpy(), expected, rtol=1e-12)
    assert mg.tensor(a).norm("fro").item() == pytest.approx(np.linalg.norm(a))
