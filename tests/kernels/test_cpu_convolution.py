"""The kernel of the convolution against its rule, however many images it takes at a time."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import ops
from minigrad.kernels import cpu_convolution as kernel
from minigrad.ops.convolution import Window

# x: (N, C, H, W), out channels, kernel, padding, dilation
CASES = {
    "plain": ((5, 3, 6, 5), 4, (3, 3), (0, 0), (1, 1)),
    "padded": ((5, 2, 4, 7), 3, (3, 3), (1, 1), (1, 1)),
    "one pixel": ((3, 4, 5, 3), 2, (1, 1), (0, 0), (1, 1)),
    "one pixel, padded": ((3, 4, 5, 3), 2, (1, 1), (2, 1), (1, 1)),
    "much padding": ((4, 2, 3, 4), 3, (2, 3), (4, 5), (1, 1)),
    "dilated": ((4, 2, 9, 8), 3, (3, 2), (1, 0), (2, 3)),
    "dilated and padded": ((4, 1, 5, 6), 2, (2, 3), (3, 4), (3, 2)),
    "wide kernel": ((3, 2, 1, 9), 3, (1, 5), (0, 2), (1, 1)),
    "the whole image": ((3, 2, 4, 5), 3, (4, 5), (0, 0), (1, 1)),
    "a tall kernel that the padding alone makes room for": (
        (3, 2, 2, 3),
        2,
        (5, 2),
        (2, 0),
        (1, 1),
    ),
}


def drawn(name, rng, dtype=np.float64):
    shape, o, k, padding, dilation = CASES[name]
    x, w = rng.normal(0.4, 1.2, shape), rng.normal(0.2, 0.8, (o, shape[1], *k))
    b = rng.normal(0.5, 0.7, o)
    op = ops.Convolution(Window(k, (1, 1), padding, dilation), 1)
    op.parents = (op,) * 3
    return op, *(a.astype(dtype) for a in (x, w, b))


def compare(op, rng, *arrays, rtol=1e-11):
    y = op.forward(*arrays)
    found = kernel.forward(op, *arrays)
    size = np.abs(y).max()
    np.testing.assert_allclose(found, y, rtol=rtol, atol=rtol * size)
    assert found.flags.c_contiguous
    assert found.dtype == y.dtype
    grad = rng.normal(0.3, 1.0, y.shape).astype(y.dtype)
    expected = op.backward(grad, y, *arrays)
    gradients = kernel.backward(op, grad, y, *arrays)
    for a, b in zip(gradients, expected, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("images", [1, 2, 100])
@pytest.mark.parametrize("name", CASES)
def test_the_kernel_equals_the_rule(rng, monkeypatch, name, images):
    op, x, w, b = drawn(name, rng)
    one = w[0].size * kernel.Strips(op, x, w, 1).size * x.itemsize
    monkeypatch.setattr(kernel, "BLOCK", images * one)
    assert next(s.many for _, s in kernel.blocks(op, x, w)) == min(images, len(x))
    compare(op, rng, x, w, b)
    op.parents = (op,) * 2
    compare(op, rng, x, w)


@pytest.mark.parametrize("columns", [1, 7, 40, 1000])
def test_products_in_parts(rng, monkeypatch, columns):
    """Also where a part is left over, and where the rows are part of longer ones."""
    monkeypatch.setattr(kernel, "LEAST", 1)
    monkeypatch.setattr(kernel, "SMALL", columns * 12)
    a, b, c = rng.normal(size=(3, 4)), rng.normal(size=(4, 50))[:, :41], rng.normal(size=(3, 41))
    assert kernel.at_once(41, 12) <= columns
    np.testing.assert_allclose(kernel.product(a, b), a @ b, rtol=1e-12)
    np.testing.assert_allclose(kernel.inner(c, b), c @ b.T, rtol=1e-12)


@pytest.mark.parametrize("needed", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)])
def test_what_nobody_needs_is_not_computed(rng, needed):
    op, x, w, b = drawn("padded", rng)
    op.parents = tuple(op if n else None for n in needed)
    y = op.forward(x, w, b)
    grad = rng.normal(size=y.shape)
    gradients = kernel.backward(op, grad, y, x, w, b)
    for a, e, n in zip(gradients, op.backward(grad, y, x, w, b), needed, strict=True):
        if n:
            np.testing.assert_allclose(a, e, rtol=1e-11)
    assert (gradients[0] is None, gradients[1] is None) == (not needed[0], not needed[1])


def test_arrays_in_any_layout(rng):
    op, x, w, b = drawn("padded", rng)
    compare(op, rng, np.asfortranarray(x), w[:, :, ::-1], np.repeat(b, 2)[::2])
    compare(op, rng, x.transpose(0, 1, 3, 2), w.transpose(0, 1, 3, 2), b)


def test_float32_is_as_near_to_float64_as_the_rule(rng):
    op, *wide = drawn("padded", rng)
    single = [a.astype(np.float32) for a in wide]
    compare(op, rng, *single, rtol=2e-6)


@pytest.mark.parametrize(
    ("stride", "groups", "x", "w"),
    [
        (2, 1, np.ones((1, 2, 4, 4)), np.ones((2, 2, 2, 2))),
        (1, 2, np.ones((1, 2, 4, 4)), np.ones((2, 1, 2, 2))),
        (1, 1, np.ones((1, 2, 4, 4), np.float16), np.ones((2, 2, 2, 2), np.float16)),
        (1, 1, np.ones((1, 2, 4, 4), np.float32), np.ones((2, 2, 2, 2))),
        (1, 1, np.ones((0, 2, 4, 4)), np.ones((2, 2, 2, 2))),
    ],
)
def test_what_is_left_to_the_rule(stride, groups, x, w):
    op = ops.Convolution(Window((2, 2), (stride, stride), (0, 0), (1, 1)), groups)
    op.parents = (op, op)
    y = op.forward(x, w)
    assert kernel.forward(op, x, w) is None
    assert kernel.backward(op, np.ones_like(y), y, x, w) is None


def test_its_inputs_are_not_changed_and_nothing_is_kept(rng):
    op, x, w, b = drawn("plain", rng)
    before = [a.copy() for a in (x, w, b)]
    y = kernel.forward(op, x, w, b)
    first, grad = y.copy(), rng.normal(size=y.shape)
    kernel.backward(op, grad, y, x, w, b)
    kernel.forward(op, 2 * x, w, b)
    np.testing.assert_array_equal(y, first)
    for a, e in zip((x, w, b), before, strict=True):
        np.testing.assert_array_equal(a, e)
    assert op.workspace is None


def test_a_convolution_runs_by_the_kernel(rng, monkeypatch):
    called = []
    taken = kernel.Strips.unfold

    def unfold(self, x):
        called.append(len(x))
        return taken(self, x)

    monkeypatch.setattr(kernel.Strips, "unfold", unfold)
    x = mg.tensor(rng.normal(size=(3, 2, 5, 5)), requires_grad=True)
    w = mg.tensor(rng.normal(size=(2, 2, 3, 3)), requires_grad=True)
    y = F.conv2d(x, w, padding=1)
    y.backward(mg.tensor(rng.normal(size=y.shape)))
    assert called == [3, 3]
