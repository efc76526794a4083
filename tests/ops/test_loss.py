"""Losses: values against ``math``, derivations step by step, large logits."""

import math

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import ops

pytestmark = pytest.mark.usefixtures("rules_and_kernels")


def log_sum_exp(values):
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def losses_of(logits, labels, ignore_index=-100):
    """-log p[label], row by row; None where the label does not count."""
    return [
        None if t == ignore_index else log_sum_exp([float(v) for v in z]) - float(z[t])
        for z, t in zip(logits, labels, strict=True)
    ]


def cross_entropy(labels, reduction="mean", ignore_index=-100):
    def loss(logits):
        t = mg.tensor(np.asarray(labels))
        return F.cross_entropy(logits, t, reduction=reduction, ignore_index=ignore_index)

    return loss


@pytest.mark.parametrize("ignore_index", [-100, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction, ignore_index, rng, check, check_layouts, check_types):
    logits = rng.standard_normal((5, 4)) * 2
    labels = [0, 3, ignore_index, 2, 1]
    rows = losses_of(logits, labels, ignore_index)
    counted = [v for v in rows if v is not None]
    expected = {
        "mean": math.fsum(counted) / len(counted),
        "sum": math.fsum(counted),
        "none": [v or 0.0 for v in rows],
    }[reduction]
    loss = cross_entropy(labels, reduction, ignore_index)
    np.testing.assert_allclose(loss(mg.tensor(logits)).numpy(), expected, rtol=1e-13)
    for checked in (check, check_layouts, check_types):
        checked(loss, logits)


def test_steps_of_the_derivation_of_cross_entropy(rng):
    z, t = rng.standard_normal(5), 3
    h = 1e-6
    moves = h * np.eye(5)

    def slope(function):
        return np.array([(function(z + d) - function(z - d)) / (2 * h) for d in moves])

    one_hot = np.arange(5) == t
    p = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(
        slope(lambda v: -v[t]), -1.0 * one_hot, atol=1e-9, err_msg="step 1: -one_hot"
    )
    np.testing.assert_allclose(slope(log_sum_exp), p, atol=1e-9, err_msg="step 2: p_j")
    step3 = p - one_hot
    np.testing.assert_allclose(
        slope(lambda v: -math.log(math.exp(v[t]) / np.exp(v).sum())),
        step3,
        atol=1e-9,
        err_msg="step 3: p - one_hot",
    )
    rows = np.stack([z, z[::-1], 2 * z])
    labels = np.array([3, -100, 0])
    for reduction, weights in (("sum", [1, 0, 1]), ("mean", [0.5, 0, 0.5]), ("none", [1, 0, 1])):
        op = ops.SoftmaxCrossEntropy(reduction, -100)
        y = op.forward(rows, labels)
        grad = np.array([1.7, 0.4, -0.9]) if reduction == "none" else np.array(1.7)
        dz, d_labels = op.backward(grad, y, rows, labels)
        ps = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
        for n in range(3):
            expected = weights[n] * (ps[n] - (np.arange(5) == labels[n]))
            expected = expected * (grad[n] if reduction == "none" else grad)
            np.testing.assert_allclose(
                dz[n], expected, atol=1e-14, err_msg=f"step 3 with w_n of {reduction}"
            )
        np.testing.assert_allclose(dz.sum(axis=1), 0, atol=1e-14, err_msg="each row sums to 0")
        assert d_labels is None


def test_cross_entropy_of_equal_logits():
    """Every class is as likely: ln C, whatever the label."""
    for classes in (2, 10):
        loss = F.cross_entropy(mg.full((3, classes), 2.5, dtype=np.float64), mg.tensor([0, 1, 1]))
        assert loss.item() == pytest.approx(math.log(classes), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_cross_entropy_of_large_logits(dtype):
    z = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4], [0, 0, -1e4]], dtype)
    logits, labels = mg.tensor(z, requires_grad=True), mg.tensor([0, 1, 1])
    loss = F.cross_entropy(logits, labels, reduction="none")
    expected = np.array([0, 1e4, math.log(2)]).astype(dtype)
    np.testing.assert_array_equal(loss.detach().numpy(), expected)
    (dz,) = mg.grad(loss, logits, mg.tensor(np.array([1, 2, 3], dtype)))
    np.testing.assert_allclose(dz.numpy(), [[0, 0, 0], [2, -2, 0], [1.5, -1.5, 0]], atol=1e-3)


def test_impossible_classes():
    """A logit of -inf takes a class out; the others are what they are without it."""
    z = mg.tensor(np.array([[0.5, -math.inf, 1.5]]), requires_grad=True)
    loss = F.cross_entropy(z, mg.tensor([2]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    (dz,) = mg.grad(loss, z)
    p = 1 / (1 + math.e)
    np.testing.assert_allclose(dz.numpy(), [[p, 0, -p]])


def test_a_row_that_does_not_count_may_hold_infinities():
    z = np.array([[-math.inf, 0.5, 1.0], [0.0, 0.0, 0.0]])
    loss = F.cross_entropy(mg.tensor(z), mg.tensor([-100, 1]), reduction="sum")
    assert loss.item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_the_mean_of_no_losses_is_not_a_number(name):
    function = getattr(F, name)
    assert math.isnan(function(mg.zeros(2, 3), mg.tensor([-100, -100])).item())
    assert math.isnan(function(mg.zeros(0, 3), mg.tensor(np.zeros(0, int))).item())
    assert function(mg.zeros(0, 3), mg.tensor(np.zeros(0, int)), reduction="sum").item() == 0


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_labels_of_any_integer_type(name, dtype, rng):
    logits = mg.tensor(rng.standard_normal((3, 4)))
    labels = np.array([3, 0, 2])
    expected = getattr(F, name)(logits, mg.tensor(labels)).item()
    loss = getattr(F, name)(logits, mg.tensor(labels.astype(dtype))).item()
    assert loss == pytest.approx(expected, rel=1e-14)


# ----------------------------------------------------------------------------------- elementwise


def bce(x, t):
    return -(t * math.log(1 / (1 + math.exp(-x))) + (1 - t) * math.log(1 / (1 + math.exp(x))))


LOSSES = {
    "mse_loss": (lambda a, b: F.mse_loss(a, b, reduction="none"), lambda a, b: abs(a - b) ** 2),
    "huber_loss": (
        lambda a, b: F.huber_loss(a, b, reduction="none"),
        lambda a, b: abs(a - b) - 0.5 if abs(a - b) > 1 else (a - b) ** 2 / 2,
    ),
    "huber_loss .4": (
        lambda a, b: F.huber_loss(a, b, reduction="none", delta=0.4),
        lambda a, b: 0.4 * abs(a - b) - 0.08 if abs(a - b) > 0.4 else (a - b) ** 2 / 2,
    ),
    "l1_loss": (lambda a, b: F.l1_loss(a, b, reduction="none"), lambda a, b: abs(a - b)),
    "smooth_l1_loss": (
        lambda a, b: F.smooth_l1_loss(a, b, reduction="none"),
        lambda a, b: abs(a - b) - 0.5 if abs(a - b) > 1 else (a - b) ** 2 / 2,
    ),
    "smooth_l1_loss .4": (
        lambda a, b: F.smooth_l1_loss(a, b, reduction="none", beta=0.4),
        lambda a, b: abs(a - b) - 0.2 if abs(a - b) > 0.4 else (a - b) ** 2 / 0.8,
    ),
    "smooth_l1_loss 0": (
        lambda a, b: F.smooth_l1_loss(a, b, reduction="none", beta=0.0),
        lambda a, b: abs(a - b),
    ),
    "binary_cross_entropy_with_logits": (
        lambda a, b: F.binary_cross_entropy_with_logits(a, b, reduction="none"),
        bce,
    ),
}
A = np.array([[0.8, -1.9, 2.2], [-0.6, 0.1, 1.4]])
B = np.array([[0.3, 0.65, 0.9], [0.05, 0.3, 0.15]])


@pytest.mark.parametrize("name", LOSSES)
def test_elementwise_losses(name, check, check_layouts, check_types):
    function, reference = LOSSES[name]
    y = function(mg.tensor(A), mg.tensor(B)).numpy()
    np.testing.assert_allclose(y, np.vectorize(reference)(A, B), rtol=1e-12)
    for checked in (check, check_layouts, check_types):
        checked(function, A, B)


@pytest.mark.parametrize("shape", [(), (0, 2)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_elementwise_losses_of_odd_shapes(name, shape, check):
    check(LOSSES[name][0], np.resize(A, shape), np.resize(B, shape))


def test_huber_is_smooth_at_delta():
    """Slope delta on both sides of the seam, and at it."""
    a = mg.tensor(np.array([0.5, 0.5 - 1e-9, 0.5 + 1e-9, -0.5]), requires_grad=True)
    y = F.huber_loss(a, mg.zeros(4, dtype=np.float64), reduction="none", delta=0.5)
    np.testing.assert_allclose(y.detach().numpy(), 0.125, rtol=1e-8)
    np.testing.assert_allclose(mg.grad(y.sum(), a)[0].numpy(), [0.5, 0.5, 0.5, -0.5], rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_binary_cross_entropy_of_large_logits(dtype):
    x = mg.tensor(np.array([1000, -1000, 1000, -1000], dtype), requires_grad=True)
    t = mg.tensor(np.array([1, 0, 0, 1], dtype))
    y = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    np.testing.assert_array_equal(y.detach().numpy(), [0, 0, 1000, 1000])
    np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].numpy(), [0, 0, 1, -1])


def test_steps_of_the_derivation_of_binary_cross_entropy(rng):
    x, t, dy = rng.standard_normal(6) * 2, rng.random(6), rng.standard_normal(6)
    s = 1 / (1 + np.exp(-x))
    plus = np.log(1 + np.exp(x))
    np.testing.assert_allclose(np.log(s), x - plus, rtol=1e-10, err_msg="step 1: log s")
    np.testing.assert_allclose(np.log(1 - s), -plus, rtol=1e-10, err_msg="step 1: log(1 - s)")
    y = -(t * np.log(s) + (1 - t) * np.log(1 - s))
    np.testing.assert_allclose(y, plus - t * x, rtol=1e-10, err_msg="step 1: y")
    h = 1e-6
    slope = (np.log(1 + np.exp(x + h)) - np.log(1 + np.exp(x - h))) / (2 * h)
    np.testing.assert_allclose(slope, s, rtol=1e-8, err_msg="step 2: the slope of log(1 + e^x)")
    op = ops.BinaryCrossEntropyWithLogits()
    np.testing.assert_allclose(op.forward(x, t), y, rtol=1e-10, err_msg="forward")
    dx, dt = op.backward(dy, y, x, t)
    np.testing.assert_allclose(dx, dy * (s - t), rtol=1e-12, err_msg="step 2: dy/dx = s - t")
    np.testing.assert_allclose(dt, -dy * x, rtol=1e-12, err_msg="step 2: dy/dt = -x")
    stable = np.maximum(x, 0) + np.log(1 + np.exp(-abs(x)))
    np.testing.assert_allclose(stable, plus, rtol=1e-12, err_msg="what forward uses")
    h = np.where(x > 0, 1, 0)
    expected = np.maximum(x, 0) - t * x
    np.testing.assert_allclose(x * (h - t), expected, atol=1e-12, err_msg="the difference")


@pytest.mark.parametrize("weighted", [False, True])
def test_small_binary_losses_keep_their_digits(weighted):
    """log(1 + e^-|x|), where the class is the right one."""
    values = np.array([8.0, 12.0, 16.0, -16.0, 60.0, -40.0], np.float32)
    x, t = mg.tensor(values), mg.tensor((values > 0).astype(np.float32))
    factor = mg.tensor(3.0) if weighted else None
    y = F.binary_cross_entropy_with_logits(x, t, reduction="none", pos_weight=factor)
    expected = [math.log1p(math.exp(-abs(v))) * (3 if weighted and v > 0 else 1) for v in values]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


def test_infinite_logits():
    x = mg.tensor([math.inf, -math.inf], requires_grad=True)
    y = F.binary_cross_entropy_with_logits(x, mg.tensor([0.0, 1.0]), reduction="none")
    assert y.tolist() == [math.inf, math.inf]
    assert mg.grad(y.sum(), x)[0].tolist() == [1, -1]


def test_labels_that_are_all_ignored(rng):
    """The mean of nothing is NaN; its derivatives, also the second, are 0."""
    z = mg.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    labels = mg.tensor([-100, -100])
    weight = mg.tensor(rng.random(3) + 0.5)
    for options in ({}, {"weight": weight}, {"label_smoothing": 0.2}):
        loss = F.cross_entropy(z, labels, **options)
        assert math.isnan(loss.item())
        (dz,) = mg.grad(loss, z, create_graph=True)
        assert not dz.detach().numpy().any()
        (ddz,) = mg.grad((dz * mg.tensor(rng.standard_normal((2, 3)))).sum(), z)
        assert not ddz.numpy().any()
    assert F.cross_entropy(z, labels, reduction="sum").item() == 0


def test_no_rows_with_probabilities_have_no_mean():
    nothing = mg.zeros(0, 3)
    assert math.isnan(F.cross_entropy(nothing, nothing).item())
    assert F.cross_entropy(nothing, nothing, reduction="sum").item() == 0


def test_probabilities_are_no_labels_to_be_ignored():
    with pytest.raises(ValueError, match="ignore_index is 1, but the targets are probabilities"):
        F.cross_entropy(mg.zeros(2, 3), mg.ones(2, 3) / 3, ignore_index=1)
