"""Convolutions and pooling, against sums written out, and each step of the derivation."""

from itertools import product

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, ops
from minigrad.ops import apply
from minigrad.ops.convolution import Window
from minigrad.testing import GradcheckError, gradcheck

# x: (N, C, H, W), kernel, out channels, stride, padding, dilation, groups
CASES = {
    "plain": ((2, 3, 5, 4), (3, 2), 4, (1, 1), (0, 0), (1, 1), 1),
    "strided": ((1, 2, 7, 6), (3, 3), 3, (2, 3), (0, 0), (1, 1), 1),
    "padded": ((2, 2, 4, 5), (3, 3), 2, (1, 2), (1, 2), (1, 1), 1),
    "dilated": ((1, 2, 7, 8), (2, 3), 2, (1, 1), (1, 0), (3, 2), 1),
    "grouped": ((2, 4, 4, 4), (2, 2), 6, (1, 1), (0, 1), (1, 1), 2),
    "each channel": ((1, 3, 5, 5), (3, 3), 3, (2, 2), (1, 1), (1, 1), 3),
    "one pixel": ((2, 3, 2, 2), (1, 1), 2, (1, 1), (0, 0), (1, 1), 1),
}


def written_out(x, w, b, stride, padding, dilation, groups):
    """The definition, one multiplication at a time."""
    (n, _, h, width), (o, per_group, kh, kw) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    oh = (h + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (width + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, oh, ow))
    for s, out, r, q in product(range(n), range(o), range(oh), range(ow)):
        first = out // (o // groups) * per_group
        total = b[out]
        for k, i, j in product(range(per_group), range(kh), range(kw)):
            pixel = padded[
                s, first + k, r * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
            ]
            total += w[out, k, i, j] * pixel
        y[s, out, r, q] = total
    return y


def drawn(name, rng):
    shape, kernel, out, *options = CASES[name]
    groups = options[-1]
    w = rng.normal(0.2, 0.7, (out, shape[1] // groups, *kernel))
    return rng.normal(0.5, 1.1, shape), w, rng.normal(0.3, 0.5, out), options


@pytest.mark.parametrize("name", CASES)
def test_the_definition_and_both_derivatives(name, rng, check):
    x, w, b, options = drawn(name, rng)
    y = F.conv2d(*map(mg.tensor, (x, w, b)), *options)
    np.testing.assert_allclose(y.numpy(), written_out(x, w, b, *options), rtol=1e-12, atol=1e-12)
    check(lambda *t: F.conv2d(*t, *options), x, w, b)


def test_without_bias_and_in_the_other_types(rng, check, check_types):
    x, w, b, options = drawn("padded", rng)
    check(lambda t, v: F.conv2d(t, v, None, *options), x, w)
    check_types(lambda t, v, c: F.conv2d(t, v, c, *options), x, w, b)


@pytest.mark.parametrize("name", CASES)
def test_fold_is_the_transpose_of_unfold(name, rng, check):
    """<unfold(x), u> = <x, fold(u)> for all x and u."""
    shape, kernel, _, stride, padding, dilation, _ = CASES[name]
    options = {"dilation": dilation, "padding": padding, "stride": stride}
    x = rng.normal(size=shape)
    columns = F.unfold(mg.tensor(x), kernel, **options)
    u = rng.normal(size=columns.shape)
    back = F.fold(mg.tensor(u), shape[2:], kernel, **options)
    assert back.shape == shape
    assert (columns.numpy() * u).sum() == pytest.approx((x * back.numpy()).sum(), rel=1e-12)
    check(lambda t: F.unfold(t, kernel, **options), x)
    check(lambda t: F.fold(t, shape[2:], kernel, **options), u)


def test_steps_of_the_derivation(rng):
    """3 to 6 of ``Convolution``'s docstring, with the sums written out over columns."""
    x, w, b, (stride, padding, dilation, _) = drawn("padded", rng)
    op = ops.Convolution(Window(w.shape[2:], stride, padding, dilation), 1)
    op.parents = (object(),) * 3
    y = op.forward(x, w, b)
    dy = rng.normal(size=y.shape)
    dx, dw, db = op.backward(dy, y, x, w, b)
    u = ops.Unfold(op.window).forward(x)
    flat, wide = dy.reshape(*dy.shape[:2], -1), w.reshape(len(w), -1)
    du = np.einsum("ok,nol->nkl", wide, flat)
    np.testing.assert_allclose(dx, ops.Fold(op.window, x.shape[2:]).forward(du), rtol=1e-12)
    np.testing.assert_allclose(
        dw.reshape(len(w), -1), np.einsum("nol,nkl->ok", flat, u), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(db, np.einsum("nol->o", flat), rtol=1e-12)


def test_series(rng, check):
    x, w, b = rng.normal(size=(2, 4, 9)), rng.normal(size=(6, 2, 3)), rng.normal(size=6)
    options = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    y = F.conv1d(*map(mg.tensor, (x, w, b)), **options)
    expected = written_out(x[:, :, None], w[:, :, None], b, (1, 2), (0, 1), (1, 2), 2)[:, :, 0]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    check(lambda *t: F.conv1d(*t, **options), x, w, b)


@pytest.mark.parametrize("kernel", [(3, 5), (2, 4), (1, 2)])
def test_padding_that_keeps_the_size(kernel, rng, check):
    """Of an odd number of rows the larger part comes after the image."""
    x, w = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, *kernel))
    total = [2 * (k - 1) for k in kernel]  # with dilation 2
    wide = np.pad(x, ((0, 0), (0, 0), *((n // 2, n - n // 2) for n in total)))
    y = F.conv2d(mg.tensor(x), mg.tensor(w), padding="same", dilation=2)
    assert y.shape == (2, 2, 4, 5)
    np.testing.assert_allclose(
        y.numpy(), written_out(wide, w, np.zeros(2), (1, 1), (0, 0), (2, 2), 1), rtol=1e-12
    )
    y = F.conv2d(mg.tensor(x), mg.tensor(w), padding="same")
    total = [k - 1 for k in kernel]
    wide = np.pad(x, ((0, 0), (0, 0), *((n // 2, n - n // 2) for n in total)))
    expected = written_out(wide, w, np.zeros(2), (1, 1), (0, 0), (1, 1), 1)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    check(lambda *t: F.conv2d(*t, padding="same"), x, w)


def test_a_single_image_is_a_batch_of_one(rng):
    x, w = mg.tensor(rng.normal(size=(2, 6, 5))), mg.tensor(rng.normal(size=(3, 2, 2, 2)))
    for function in (
        lambda t: F.conv2d(t, w, padding=1),
        lambda t: F.max_pool2d(t, 2, 1),
        lambda t: F.avg_pool2d(t, 3, 2, 1, count_include_pad=False),
        lambda t: F.unfold(t, 2),
    ):
        one, many = function(x), function(x.unsqueeze(0))
        np.testing.assert_array_equal(one.numpy(), many.numpy()[0])
    series, kernel = mg.tensor(rng.normal(size=(2, 6))), mg.tensor(rng.normal(size=(3, 2, 2)))
    one, many = (F.conv1d(t, kernel, padding="valid") for t in (series, series.unsqueeze(0)))
    np.testing.assert_array_equal(one.numpy(), many.numpy()[0])


def test_what_a_mean_divides_by(rng, check):
    x = rng.normal(size=(1, 2, 3, 4))
    total = F.avg_pool2d(mg.tensor(x), 2, 1, 1, divisor_override=1).numpy()
    counts = np.full((4, 5), 4.0)
    counts[[0, -1]] /= 2
    counts[:, [0, -1]] /= 2  # a corner sees one pixel
    np.testing.assert_allclose(total[0, 0, 0, 0], x[0, 0, 0, 0])
    np.testing.assert_allclose(total[0, 1, 2, 1], x[0, 1, 1:3, 0:2].sum())
    found = F.avg_pool2d(mg.tensor(x), 2, 1, 1, count_include_pad=False).numpy()
    np.testing.assert_allclose(found, total / counts, rtol=1e-12)
    check(lambda t: F.avg_pool2d(t, 2, 1, 1, count_include_pad=False), x)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 1))]
)
def test_pooling(kernel, stride, padding, rng, check):
    x = rng.permutation(2 * 3 * 5 * 7).reshape(2, 3, 5, 7) / 50 - 3.1  # no two are equal; below 0
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    sh, sw = (kh, kw) if stride is None else (stride, stride) if isinstance(stride, int) else stride
    ph, pw = (padding, padding) if isinstance(padding, int) else padding
    for function, outside, reduce in (
        (F.max_pool2d, -np.inf, np.max),
        (F.avg_pool2d, 0.0, np.mean),
    ):
        padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=outside)
        oh, ow = (5 + 2 * ph - kh) // sh + 1, (7 + 2 * pw - kw) // sw + 1
        expected = np.empty((2, 3, oh, ow))
        for r, q in product(range(oh), range(ow)):
            seen = padded[:, :, r * sh : r * sh + kh, q * sw : q * sw + kw]
            expected[:, :, r, q] = reduce(seen, axis=(2, 3))
        found = function(mg.tensor(x), kernel, stride, padding)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
        check(lambda t, f=function: f(t, kernel, stride, padding), x)


def test_the_first_of_several_largest_pixels_gets_the_gradient():
    """After a ReLU whole windows are 0."""
    image = [
        [0.0, 0.0, 2.0, 1.0],
        [0.0, 0.0, 2.0, 2.0],
        [-1.0, 3.0, 0.5, 7.0],
        [3.0, 3.0, 7.0, 7.0],
    ]
    x = mg.tensor([[image]], requires_grad=True)
    y = F.max_pool2d(x, 2)
    y.backward(mg.tensor([[[[0.3, -1.2], [0.8, 2.5]]]]))
    assert y.tolist() == [[[[0.0, 2.0], [3.0, 7.0]]]]
    where = np.zeros((4, 4), np.float32)
    where[0, 0], where[0, 2], where[2, 1], where[2, 3] = 0.3, -1.2, 0.8, 2.5
    np.testing.assert_array_equal(x.grad.numpy()[0, 0], where)


def test_a_pixel_that_is_not_a_number_wins():
    x = mg.tensor([[[[1.0, float("nan"), 2.0, 3.0]]]], requires_grad=True)
    y = F.max_pool2d(x, (1, 2))
    y.backward(mg.tensor([[[[0.7, -0.4]]]]))
    np.testing.assert_array_equal(y.detach().numpy(), [[[[np.nan, 3.0]]]])
    np.testing.assert_allclose(x.grad.numpy(), [[[[0.0, 0.7, 0.0, -0.4]]]], rtol=1e-7)


def test_a_window_of_padding_alone_has_no_largest_pixel():
    x = mg.tensor([[[[1.5]]]], requires_grad=True)
    y = F.max_pool2d(x, 2, 1, padding=1, dilation=2)
    y.sum().backward()
    assert y.tolist() == [[[[-np.inf]]]]
    assert x.grad.tolist() == [[[[0.0]]]]


def images(*shape):
    return mg.ones(*shape)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f, x: f.conv2d([1.0], x(1, 1, 2, 2)), TypeError, "the input is a list"),
        (lambda f, x: f.conv2d(x(1, 4), x(1, 1, 2, 2)), ValueError, r"expected \(N, C, H"),
        (lambda f, x: f.conv2d(x(1, 1, 4, 4), x(1, 1, 2)), ValueError, r"\(O, C/groups, kh"),
        (lambda f, x: f.conv2d(x(1, 2, 4, 4), x(3, 1, 2, 2)), ValueError, "expected 2 in its"),
        (lambda f, x: f.conv2d(x(1, 1, 2, 2), x(1, 1, 3, 3)), ValueError, "does not fit into"),
        (
            lambda f, x: f.conv2d(x(1, 1, 4, 4), x(1, 1, 2, 2), stride=0),
            ValueError,
            r"stride is \(0, 0\), expected at least 1",
        ),
        (
            lambda f, x: f.conv2d(x(1, 3, 4, 4), x(2, 3, 2, 2), groups=2),
            ValueError,
            "groups is 2, expected a divisor",
        ),
        (
            lambda f, x: f.conv2d(x(1, 1, 4, 4), x(2, 1, 2, 2), x(3)),
            ValueError,
            r"bias has shape \(3,\), expected \(2,\)",
        ),
        (
            lambda f, x: f.conv2d(x(1, 1, 4, 4), x(1, 1, 2, 2), stride=(1, 2, 3)),
            ValueError,
            "expected a number or two",
        ),
        (lambda f, x: f.max_pool2d(x(1, 1, 4, 4), 2, padding=2), ValueError, "at most half"),
        (lambda f, x: f.fold(x(1, 4, 5), 3, 2), ValueError, r"expected \(N, C \* 4, 4\)"),
        (
            lambda f, x: f.conv2d(x(1, 1, 4, 4), x(1, 1, 2, 2), padding="some"),
            ValueError,
            "expected a number, 'same' or 'valid'",
        ),
        (
            lambda f, x: f.conv2d(x(1, 1, 4, 4), x(1, 1, 2, 2), stride=2, padding="same"),
            ValueError,
            "is for stride 1",
        ),
        (lambda f, x: f.avg_pool2d(x(1, 1, 4, 4), 2, divisor_override=0), ValueError, "is 0"),
        (lambda f, x: nn.Conv2d(3, 4, 2, padding="some"), ValueError, "'same' or 'valid'"),
        (lambda f, x: nn.Conv2d(3, 4, 2, groups=2), ValueError, "expected a divisor of 3"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(F, images)


def test_a_small_network_learns_to_tell_stripes(rng):
    """Horizontal from vertical stripes, at any place: what one kernel can see everywhere."""
    mg.manual_seed(1)
    x = np.zeros((40, 1, 8, 8), np.float32)
    labels = rng.integers(0, 2, 40)
    for image, label in zip(x, labels, strict=True):
        if label:
            image[0, :, rng.integers(8)] = 1.5
        else:
            image[0, rng.integers(8), :] = 1.5
    x += rng.normal(0, 0.1, x.shape).astype(np.float32)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    optimizer = mg.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(mg.tensor(x)), mg.tensor(labels))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    assert "Conv2d(1, 4, kernel_size=(3, 3), stride=1, padding=1" in repr(model)


def test_an_operation_checks_gradients_that_a_rule_gets_wrong(rng):
    x, w, b, options = drawn("plain", rng)

    class Turned(ops.Convolution):
        """The kernel turned round, as in a true convolution: another function's gradient."""

        def backward(self, grad, y, x, weight, bias=None):
            return super().backward(grad, y, x, weight[:, :, ::-1, ::-1], bias)

    window = Window(w.shape[2:], *options[:3])
    inputs = tuple(mg.tensor(v, requires_grad=True) for v in (x, w, b))
    with pytest.raises(GradcheckError):
        gradcheck(lambda *t: apply(Turned(window, 1), *t), inputs)


def test_an_empty_batch_has_empty_results():
    x = mg.zeros(0, 4, 6, 6, requires_grad=True)
    for pool in (F.avg_pool2d, F.max_pool2d):
        assert pool(x, 2).shape == (0, 4, 3, 3)
    y = F.avg_pool2d(F.conv2d(x, mg.ones(5, 4, 3, 3)), 2)
    assert y.shape == (0, 5, 2, 2)
    (gradient,) = mg.grad(y.sum(), x)
    assert gradient.shape == (0, 4, 6, 6)


def test_adaptive_pooling_takes_means_of_parts(rng):
    a = rng.standard_normal((2, 3, 5, 7))
    y = F.adaptive_avg_pool2d(mg.tensor(a), (2, 3)).numpy()
    assert y.shape == (2, 3, 2, 3)
    for i, (top, bottom) in enumerate([(0, 3), (2, 5)]):  # floor(5 i / 2) to ceil(5 (i + 1) / 2)
        for j, (left, right) in enumerate([(0, 3), (2, 5), (4, 7)]):
            expected = a[:, :, top:bottom, left:right].mean((2, 3))
            np.testing.assert_allclose(y[:, :, i, j], expected, rtol=1e-12)
    pool = nn.AdaptiveAvgPool2d((None, 1))
    np.testing.assert_allclose(pool(mg.tensor(a[0])).numpy(), a[0].mean(2, keepdims=True))
    x = mg.tensor(a[:1, :2], requires_grad=True)
    assert gradcheck(lambda x: F.adaptive_avg_pool2d(x, 3), (x,))
    with pytest.raises(ValueError, match="output_size is 0, expected"):
        F.adaptive_avg_pool2d(x, 0)
    with pytest.raises(ValueError, match=r"shape \(3, 4\), expected \(N, C, H, W\)"):
        F.adaptive_avg_pool2d(mg.ones(3, 4), 2)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [((3, 2), (2, 3), (1, 0)), (3, 2, 0)])
def test_pooling_over_the_end_and_where_the_largest_stand(kernel, stride, padding, rng):
    """In ceil_mode a last place reaches over the end; what lies there does not count."""
    a = rng.standard_normal((2, 3, 6, 8)) - 3.0  # a padding of 0 would win
    y, places = F.max_pool2d(mg.tensor(a), kernel, stride, padding, 1, True, True)
    mean = F.avg_pool2d(mg.tensor(a), kernel, stride, padding, True, False).numpy()
    (kh, kw), (sh, sw), (ph, pw) = (
        (n, n) if isinstance(n, int) else n for n in (kernel, stride, padding)
    )
    for i, j in np.ndindex(y.shape[2:]):
        top, left = i * sh - ph, j * sw - pw
        part = a[:, :, max(top, 0) : top + kh, max(left, 0) : left + kw]
        np.testing.assert_array_equal(y.numpy()[:, :, i, j], part.max((2, 3)))
        np.testing.assert_allclose(mean[:, :, i, j], part.mean((2, 3)), rtol=1e-12)
    assert (y.shape[2] - 1) * sh - ph < 6 <= (y.shape[2] - 1) * sh - ph + kh
    flat = np.take_along_axis(a.reshape(2, 3, -1), places.numpy().reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(flat.reshape(y.shape), y.numpy())
    x = mg.tensor(a[:1, :1], requires_grad=True)
    assert gradcheck(lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=True), (x,))
    module = nn.MaxPool2d(kernel, stride, padding, return_indices=True, ceil_mode=True)
    assert [t.tolist() for t in module(mg.tensor(a))] == [y.tolist(), places.tolist()]
    average = nn.AvgPool2d(kernel, stride, padding, ceil_mode=True, count_include_pad=False)
    np.testing.assert_array_equal(average(mg.tensor(a)).numpy(), mean)
