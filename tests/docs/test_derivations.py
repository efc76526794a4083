"""Each named step of docs/derivations is right: one test per step, named after it.

The pages hold the formulas as lines of NumPy. They are run (``pages`` does it), and what they leave
behind is compared with slopes measured here: of the forward pass, by central differences, with
everything held fixed that the step holds fixed. No formula of a page is repeated as its own proof.
"""

import inspect
import math
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, nn, ops
from minigrad.core.autograd import apply
from minigrad.ops.activation import SIGMOID_CAP
from minigrad.ops.convolution import Window

Array = np.ndarray[Any, Any]
Names = SimpleNamespace

H = 1e-5


def slope(f: Callable[[Array], Any], at: Array | float) -> Array:
    """df/d(at) for a scalar f, by central differences of a fourth order: error about 1e-10."""
    at = np.array(at, dtype=np.float64)
    found = np.empty_like(at)
    for index in np.ndindex(at.shape):

        def moved(steps: float, index: Any = index) -> Any:
            there = at.copy()
            there[index] += steps * H
            return float(f(there))

        near, far = moved(1) - moved(-1), moved(2) - moved(-2)
        found[index] = (8 * near - far) / (12 * H)
    return found


def agree(a: Any, b: Any, rtol: float = 1e-7) -> None:
    """Equal to within what a measured slope can tell."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.abs(b).max()))


def same(a: Any, b: Any) -> None:
    """Equal to rounding, where both sides are computed exactly."""
    agree(a, b, rtol=1e-12)


def names_of(pages: dict[str, Any], page: str) -> Names:
    return SimpleNamespace(**pages[f"derivations/{page}"].names)


# ------------------------------------------------------------------- every step has its test


STEP = re.compile(r'^<a id="([a-z0-9-]+-\d+)"></a>\*\*([a-z0-9-]+-\d+)\.\*\*', re.M)


def steps_of(page: Any) -> list[str]:
    return [match[2] for match in STEP.finditer(page.text)]


def derivations(pages: dict[str, Any]) -> list[Any]:
    found = [page for name, page in pages.items() if name.startswith("derivations/")]
    assert len(found) >= 6
    return found


def test_every_step_has_a_test_and_every_test_a_step(pages: dict[str, Any]) -> None:
    steps = [step for page in derivations(pages) for step in steps_of(page)]
    assert len(set(steps)) == len(steps)
    tested = {
        name.removeprefix("test_").replace("_", "-")
        for name in globals()
        if re.fullmatch(r"test_\w+_\d+", name)
    }
    assert set(steps) == tested


def test_steps_are_counted_without_gaps_and_can_be_linked_to(pages: dict[str, Any]) -> None:
    for page in derivations(pages):
        assert all(match[1] == match[2] for match in STEP.finditer(page.text))
        assert page.text.count("<a id=") == len(steps_of(page))
        counted: dict[str, int] = {}
        for step in steps_of(page):
            series, _, number = step.rpartition("-")
            counted[series] = counted.get(series, 0) + 1
            assert int(number) == counted[series], step


def test_every_displayed_formula_belongs_to_a_step(pages: dict[str, Any]) -> None:
    """Between two headings, a formula may stand only after a step has begun."""
    for page in derivations(pages):
        for section in re.split(r"^#+ ", page.text, flags=re.M):
            before_steps = STEP.split(section)[0]
            assert "```math" not in before_steps, (page.name, before_steps[:60])


def test_every_step_displays_a_formula(pages: dict[str, Any]) -> None:
    for page in derivations(pages):
        starts = [match.start() for match in STEP.finditer(page.text)] + [len(page.text)]
        for step, start, end in zip(steps_of(page), starts, starts[1:], strict=False):
            assert "```math" in page.text[start:end], step


# --------------------------------------------------------------------------------- linear


@pytest.fixture
def lin(pages: dict[str, Any]) -> Names:
    return names_of(pages, "linear")


def linear_loss(n: Names, X: Array | None = None, W: Any = None, b: Any = None) -> float:
    """sum(dY * Y): a loss whose gradient with respect to Y is dY. Y by einsum."""
    X, W, b = (given if own is None else own for given, own in ((n.X, X), (n.W, W), (n.b, b)))
    return float((n.dY * (np.einsum("ni,oi->no", X, W) + b)).sum())


def test_lin_1(lin: Names) -> None:
    same(lin.Y, np.einsum("ni,oi->no", lin.X, lin.W) + lin.b)
    same(lin.Y, ops.Linear().forward(lin.X, lin.W, lin.b))


def test_lin_2(lin: Names) -> None:
    def check(m: int, o: int) -> None:
        measured = slope(lambda X: (X @ lin.W.T + lin.b)[m, o], lin.X)
        agree([[lin.dY_dX(m, o, n, i) for i in range(lin.I)] for n in range(lin.N)], measured)

    for m, o in np.ndindex(lin.N, lin.O):
        check(m, o)


def test_lin_3(lin: Names) -> None:
    agree(lin.dX_ni, slope(lambda X: linear_loss(lin, X=X), lin.X))


def test_lin_4(lin: Names) -> None:
    same(lin.dX, lin.dX_ni)
    assert lin.dX.shape == (lin.N, lin.I)


def test_lin_5(lin: Names) -> None:
    agree(lin.dW, slope(lambda W: linear_loss(lin, W=W), lin.W))
    assert lin.dW.shape == (lin.O, lin.I)


def test_lin_6(lin: Names) -> None:
    agree(lin.db, slope(lambda b: linear_loss(lin, b=b), lin.b))


def test_lin_7(lin: Names) -> None:
    leaves = [Tensor(v, requires_grad=True) for v in (lin.X, lin.W, lin.b)]
    apply(ops.Linear(), *leaves).backward(Tensor(lin.dY))
    collapsed = lin.linear_backward(lin.dY, lin.X, lin.W)
    for leaf, stated, stepwise in zip(leaves, collapsed, (lin.dX, lin.dW, lin.db), strict=True):
        same(stated, stepwise)
        assert leaf.grad is not None
        same(stated, leaf.grad.data)
    assert ops.Linear.saves == ("x", "weight")  # "nothing but X and W has to be kept"


def test_lin_7_holds_with_more_axes_in_front(lin: Names, rng: np.random.Generator) -> None:
    X, dY = rng.normal(size=(2, 3, lin.I)), rng.normal(size=(2, 3, lin.O))
    dX, dW, db = (
        dY @ lin.W,
        dY.reshape(-1, lin.O).T @ X.reshape(-1, lin.I),
        dY.reshape(-1, lin.O).sum(axis=0),
    )
    agree(dX, slope(lambda X: (dY * (X @ lin.W.T + lin.b)).sum(), X))
    agree(dW, slope(lambda W: (dY * (X @ W.T + lin.b)).sum(), lin.W))
    agree(db, slope(lambda b: (dY * (X @ lin.W.T + b)).sum(), lin.b))


def test_lin_8(lin: Names) -> None:
    same(lin.forward_then_compare, lin.back_then_compare)
    assert abs(lin.forward_then_compare) > 0.01


def test_lin_9(lin: Names) -> None:
    same(lin.dW_from_samples, lin.dW)
    alike = np.tile(lin.X[:1], (lin.N, 1))  # all samples look alike: rank 1 ("however large")
    assert np.linalg.matrix_rank(lin.dW) == min(lin.O, lin.I, lin.N)
    assert np.linalg.matrix_rank(lin.dY.T @ alike) == 1


# -------------------------------------------------------------------------------- sigmoid


@pytest.fixture
def sig(pages: dict[str, Any]) -> Names:
    return names_of(pages, "sigmoid")


def by_tanh(x: Any) -> Any:
    """The sigmoid by another formula."""
    return 0.5 + 0.5 * np.tanh(np.asarray(x) / 2)


def test_sig_1(sig: Names) -> None:
    same(sig.y, by_tanh(sig.x))


def test_sig_2(sig: Names) -> None:
    agree(sig.slope, [slope(by_tanh, v) for v in sig.x])


def test_sig_3(sig: Names) -> None:
    same(sig.what_is_missing, 1 - sig.y)
    same(sig.slope_from_y, sig.slope)


def test_sig_4(sig: Names) -> None:
    agree(sig.dx, slope(lambda x: (sig.dy * by_tanh(x)).sum(), sig.x))
    same(sig.dx, ops.Sigmoid().backward(sig.dy, sig.y, sig.x))
    assert ops.Sigmoid.saves == ("y",)


def test_sig_5(sig: Names, pages: dict[str, Any]) -> None:
    same(sig.slope_by_square, sig.slope)
    everywhere = np.linspace(-40, 40, 8001)
    slopes = by_tanh(everywhere) * by_tanh(-everywhere)
    assert slopes.max() == 0.25
    assert everywhere[slopes.argmax()] == pytest.approx(0, abs=1e-9)
    assert f"{4.0**-20:.0e}" == "9e-13"
    assert pages["derivations/sigmoid"].says("at most `4^-20`, about 9e-13")


def test_sig_6(sig: Names, pages: dict[str, Any]) -> None:
    same(sig.slope_by_size, sig.slope)
    assert np.all(sig.slope_by_size <= np.exp(-np.abs(sig.x)))
    at_3, at_5 = (float(slope(by_tanh, v)) for v in (3.0, 5.0))
    sentence = (
        f"At `x = 3` the slope is {at_3:.4f}, which is {4 * at_3:.0%} of its largest value; "
        f"at `x = 5` it is {at_5:.5f}, or {4 * at_5:.1%}."
    )
    assert pages["derivations/sigmoid"].says(sentence), sentence


def test_sig_7(sig: Names) -> None:
    agree(sig.curvature, [slope(lambda x: by_tanh(x) * by_tanh(-x), v) for v in sig.x])
    assert float(slope(lambda x: by_tanh(x) * by_tanh(-x), 0.0)) == pytest.approx(0, abs=1e-12)


def test_sig_8(sig: Names) -> None:
    same(sig.tanh, np.tanh(sig.x))
    agree(sig.tanh_slope, [slope(np.tanh, v) for v in sig.x])


def test_sig_9(sig: Names, pages: dict[str, Any]) -> None:
    same(sig.y_safe, sig.y)
    assert np.array_equal(sig.y_safe, ops.Sigmoid().forward(sig.x))  # the code's own form
    caps = {kind: SIGMOID_CAP[np.dtype(kind).char] for kind in (np.float64, np.float32, np.float16)}
    stated = f"at {caps[np.float32]:g}, and in half precision at {caps[np.float16]:g}"
    assert caps[np.float64] == caps[np.float32]
    assert pages["derivations/sigmoid"].says(stated)
    for kind, cap in caps.items():
        assert ops.Sigmoid().forward(np.array([cap, 2 * cap], kind)).tolist() == [1, 1]
    x = np.array([-1000.0, -60.0, 0.0, 60.0, 1000.0])
    y = ops.Sigmoid().forward(x)  # warnings are errors: nothing overflows
    np.testing.assert_allclose(y, [0, math.exp(-60), 0.5, 1, 1], rtol=1e-14)


@pytest.mark.parametrize(("dtype", "first"), [(np.float32, 17), (np.float64, 37)])
def test_sig_10(dtype: Any, first: int, pages: dict[str, Any]) -> None:
    x = np.arange(0, 50, dtype=dtype)
    y = ops.Sigmoid().forward(x)
    slopes = ops.Sigmoid().backward(np.ones_like(x), y, x)
    begin = int(x[np.argmax(slopes == 0)])
    assert abs(begin - first) <= 1  # "near": where exactly depends on how forward rounds
    left = ops.Sigmoid().backward(np.ones_like(x), ops.Sigmoid().forward(-x), -x)
    assert np.all(left > 0)
    assert np.all(slopes[begin:] == 0)
    assert f"{np.spacing(np.float32(0.999)):.0e}" == "6e-08"
    page = pages["derivations/sigmoid"]
    assert page.says("In float32 this begins near 17, in float64 near 37.")


def test_the_sigmoid_applied_twice_never_saturates(pages: dict[str, Any]) -> None:
    y = by_tanh(np.linspace(-50, 50, 1001))
    assert (by_tanh(y) * by_tanh(-y)).min() > 0.19
    assert pages["derivations/sigmoid"].says("This slope never gets below 0.19")


# ------------------------------------------------------------------ softmax and cross-entropy


@pytest.fixture
def ce(pages: dict[str, Any]) -> Names:
    return names_of(pages, "softmax-cross-entropy")


def surprise(z: Array, t: int) -> float:
    """-log softmax(z)[t], by another formula: log of a sum of ratios."""
    return math.log(sum(math.exp(v - z[t]) for v in z))


def test_ce_1(ce: Names) -> None:
    same(ce.p, [1 / sum(math.exp(other - own) for other in ce.z) for own in ce.z])
    same(ce.p.sum(), 1.0)


def test_ce_2(ce: Names) -> None:
    same(ce.loss, surprise(ce.z, ce.t))
    same(ce.loss, -math.log(ce.p[ce.t]))


def test_ce_3(ce: Names) -> None:
    agree(ce.from_the_label, slope(lambda z: -z[ce.t], ce.z))


def test_ce_4(ce: Names) -> None:
    agree(ce.from_the_sum, slope(lambda z: math.log(sum(map(math.exp, z))), ce.z))


def test_ce_5(ce: Names) -> None:
    agree(ce.dz, slope(lambda z: surprise(z, ce.t), ce.z))


def test_ce_6(ce: Names) -> None:
    def mean_loss(Z: Array) -> float:
        rows = [surprise(z, t) for z, t in zip(Z, ce.labels, strict=True)]
        return ce.dL * sum(rows) / len(rows)

    agree(ce.dZ, slope(mean_loss, ce.Z))
    op = ops.SoftmaxCrossEntropy("mean", -100)
    y = op.forward(ce.Z, ce.labels)
    same(ce.dZ, op.backward(np.asarray(ce.dL), y, ce.Z, ce.labels)[0])


def test_ce_6_rows_that_are_ignored_do_not_count(ce: Names) -> None:
    op = ops.SoftmaxCrossEntropy("mean", 0)  # two of the four labels are 0
    y = op.forward(ce.Z, ce.labels)
    dZ, _ = op.backward(np.asarray(ce.dL), y, ce.Z, ce.labels)
    kept = ce.labels != 0
    assert kept.sum() == 2
    same(dZ[kept], ce.dZ[kept] * len(kept) / kept.sum())
    assert np.all(dZ[~kept] == 0)


def test_ce_7(ce: Names) -> None:
    np.testing.assert_allclose(ce.row_sums, 0, atol=1e-15)


def test_ce_8(ce: Names) -> None:
    same(ce.safe_loss, ce.loss)
    same(surprise(ce.z + 7.5, ce.t), surprise(ce.z, ce.t))
    far = F.cross_entropy(Tensor(ce.Z + 1e4), Tensor(ce.labels))  # would overflow without it
    assert float(far) == pytest.approx(float(F.cross_entropy(Tensor(ce.Z), Tensor(ce.labels))))


def test_ce_9(ce: Names, pages: dict[str, Any]) -> None:
    same(ce.loss_at_chance, math.log(10))
    assert pages["derivations/softmax-cross-entropy"].says(
        f"For ten classes this is {math.log(10):.3f},"
    )


def test_ce_10(ce: Names) -> None:
    agree(ce.dp, slope(lambda p: -math.log(p[ce.t]), ce.p))


def test_ce_11(ce: Names) -> None:
    def check(i: int) -> None:
        agree(ce.J[i], slope(lambda z: 1 / sum(math.exp(other - z[i]) for other in z), ce.z))

    for i in range(ce.C):
        check(i)


def test_ce_12(ce: Names) -> None:
    same(ce.dz_the_long_way, ce.J.T @ ce.dp)
    same(ce.dz_the_long_way, ce.dz)


def test_ce_13(ce: Names) -> None:
    def check(i: int) -> None:
        agree(ce.J[i], slope(lambda z: slope_of_loss(z, ce.t, i), ce.z), rtol=1e-6)

    for i in range(ce.C):
        check(i)
    same(ce.v @ ce.J @ ce.v, ce.variance)
    assert np.linalg.eigvalsh(ce.J).min() > -1e-15


def slope_of_loss(z: Array, t: int, i: int) -> float:
    """d(surprise)/dz_i, by complex step: exact to rounding, so that it can be differenced again."""
    moved = z.astype(complex)
    moved[i] += 1e-30j
    return float(np.imag(np.log(np.exp(moved - z[t]).sum()) - (moved[t] - z[t]))) / 1e-30


def test_a_softmax_too_many_has_a_floor(pages: dict[str, Any]) -> None:
    """The best it can do: probabilities 1 and 0, taken for logits."""
    floor = surprise(np.eye(10)[0], 0)
    assert pages["derivations/softmax-cross-entropy"].says(
        f"cannot fall below {floor:.2f} for ten classes"
    )


# ------------------------------------------------------------------------------- batch norm


@pytest.fixture
def bn(pages: dict[str, Any]) -> Names:
    return names_of(pages, "batchnorm")


def forward(
    n: Names,
    x: Any = None,
    *,
    mu: Any = None,
    c: Any = None,
    var: Any = None,
    r: Any = None,
    x_hat: Any = None,
    gamma: Any = None,
    beta: Any = None,
) -> float:
    """sum(dy * y). What is given is taken as it is; the rest is computed from what came before.

    So the slope with respect to ``r`` is taken with ``c`` held fixed, and that with respect to
    ``c`` includes its way through the variance, unless ``r`` is given as well.
    """
    x = n.x if x is None else x
    m = len(x)
    mu = np.einsum("nc->c", x) / m if mu is None else mu
    c = x - mu if c is None else c
    var = np.einsum("nc,nc->c", c, c) / m if var is None else var
    r = 1 / np.sqrt(var + n.eps) if r is None else r
    x_hat = c * r if x_hat is None else x_hat
    y = x_hat * (n.gamma if gamma is None else gamma) + (n.beta if beta is None else beta)
    return float((n.dy * y).sum())


def test_bn_1(bn: Names) -> None:
    agree(bn.dbeta, slope(lambda v: forward(bn, beta=v), bn.beta))


def test_bn_2(bn: Names) -> None:
    agree(bn.dgamma, slope(lambda v: forward(bn, gamma=v), bn.gamma))


def test_bn_3(bn: Names) -> None:
    agree(bn.dx_hat, slope(lambda v: forward(bn, x_hat=v), bn.x_hat))


def test_bn_4(bn: Names) -> None:
    agree(bn.dr, slope(lambda v: forward(bn, r=v), bn.r))


def test_bn_5(bn: Names) -> None:
    agree(bn.dc_direct, slope(lambda v: forward(bn, c=v, r=bn.r), bn.c))


def test_bn_6(bn: Names) -> None:
    agree(bn.dvar, slope(lambda v: forward(bn, var=v, c=bn.c), bn.var))


def test_bn_7(bn: Names) -> None:
    agree(bn.dc, slope(lambda v: forward(bn, c=v), bn.c))
    through_var = slope(lambda v: forward(bn, c=bn.c, var=(v * v).mean(axis=0)), bn.c)
    agree(bn.dc_through_var, through_var)


def test_bn_8(bn: Names) -> None:
    agree(bn.dmu, slope(lambda v: forward(bn, mu=v), bn.mu))


def test_bn_9(bn: Names) -> None:
    agree(bn.dx_direct, slope(lambda v: forward(bn, v, mu=bn.mu), bn.x))


def test_bn_10(bn: Names) -> None:
    agree(bn.dx, slope(lambda v: forward(bn, v), bn.x))


def test_bn_11(bn: Names) -> None:
    same(bn.dc_through_var_short, bn.dc_through_var)


def test_bn_12(bn: Names) -> None:
    np.testing.assert_allclose(bn.dc_through_var.sum(axis=0), 0, atol=1e-14)
    same(bn.mean_dc, bn.dc.mean(axis=0))
    same(bn.dc - bn.dc.mean(axis=0), bn.dx)


def test_bn_13(bn: Names) -> None:
    same(bn.dx_collapsed, bn.dx)


def test_bn_14(bn: Names) -> None:
    same(bn.dx_in_code, bn.dx)
    op = ops.BatchNorm(bn.eps)
    y = op.forward(bn.x, bn.gamma, bn.beta)
    ours = op.backward(bn.dy, y, bn.x, bn.gamma, bn.beta)
    for stated, own in zip((bn.dx_in_code, bn.dgamma, bn.dbeta), ours, strict=True):
        same(stated, own)


def test_bn_15(bn: Names) -> None:
    np.testing.assert_allclose(bn.x_hat.sum(axis=0), 0, atol=1e-14)
    same(bn.squared_length, bn.m * bn.var / (bn.var + bn.eps))


def test_bn_16(bn: Names) -> None:
    gap = np.abs(bn.dx_projected - bn.dx).max(axis=0) / np.abs(bn.dx).max(axis=0)
    assert np.all(gap < 2 * bn.eps / bn.var)  # up to eps
    assert np.all(gap > 0)
    tiny = 1e-30  # with it, the two are the same to rounding
    x_hat = bn.standardised(bn.x, tiny)
    r = 1 / np.sqrt(bn.var)
    exact = bn.gamma * r * (bn.dy - bn.dy.mean(0) - x_hat * (bn.dy * x_hat).mean(0))
    same(bn.gamma * r * bn.without_both_parts(bn.dy, x_hat), exact)
    once = bn.without_both_parts(bn.dy, x_hat)
    same(bn.without_both_parts(once, x_hat), once)  # a projection: twice is once


def test_bn_17(bn: Names) -> None:
    agree(bn.x_hat_of_moved, bn.x_hat, rtol=1e-11)
    same_eps = bn.standardised(bn.a * bn.x + bn.shift, bn.eps)
    assert 0 < np.abs(same_eps - bn.x_hat).max() < 2 * bn.eps / bn.var.min()


def test_bn_18(bn: Names) -> None:
    np.testing.assert_allclose(bn.along_one, 0, atol=1e-14)


def test_bn_19(bn: Names) -> None:
    agree(bn.along_x_hat, (bn.dx * bn.x_hat).sum(axis=0), rtol=1e-9)


def test_bn_20(bn: Names) -> None:
    same(bn.dx_squared, (bn.dx * bn.dx).sum(axis=0))


def test_bn_21(bn: Names) -> None:
    dy = bn.p + bn.q * bn.x_hat
    dx = ops.BatchNorm(bn.eps).backward(dy, bn.y, bn.x, bn.gamma)[0]
    agree(bn.dx_from_the_plane, dx, rtol=1e-9)
    ones = ops.BatchNorm(bn.eps).backward(np.ones_like(bn.x), bn.y, bn.x, bn.gamma)[0]
    np.testing.assert_allclose(ones, 0, atol=1e-15)


def test_bn_21_a_batch_of_two_gets_nothing(bn: Names) -> None:
    x, dy = bn.x[:2], bn.dy[:2]
    dx = ops.BatchNorm(bn.eps).backward(dy, x, x, bn.gamma)[0]
    var = x.var(axis=0)
    eps_share = bn.eps / (var + bn.eps)
    agree(dx, bn.gamma / np.sqrt(var + bn.eps) * eps_share * (dy - dy.mean(axis=0)), rtol=1e-6)
    assert eps_share[2] < 1e-4  # where the two are well apart, hardly anything is left


def test_bn_22(bn: Names) -> None:
    assert np.all(bn.farthest <= math.sqrt(bn.m - 1))
    one_apart = np.zeros((bn.m, 1))
    one_apart[3] = 100.0
    farthest = np.abs(bn.standardised(one_apart, 1e-30)).max()
    same(farthest, math.sqrt(bn.m - 1))


def test_bn_23(bn: Names) -> None:
    agree(bn.dx_of_small, bn.dx / 0.01, rtol=1e-9)
    same(bn.dx_at(bn.x, bn.eps), bn.dx)


def test_bn_24(bn: Names) -> None:
    np.testing.assert_allclose(bn.db, 0, atol=1e-14)
    moved = slope(lambda b: forward(bn, bn.X @ bn.W.T + b), bn.b)
    np.testing.assert_allclose(moved, 0, atol=1e-9)


def test_bn_25(bn: Names) -> None:
    x = bn.X @ bn.W.T + bn.b
    var = x.var(axis=0)
    x_hat = (x - x.mean(axis=0)) / np.sqrt(var + bn.eps)
    stated = bn.gamma * bn.eps / (var + bn.eps) * (bn.dy * x_hat).sum(axis=0)
    agree(bn.W_dot_dW, stated, rtol=1e-8)
    agree(bn.dW, slope(lambda W: forward(bn, bn.X @ W.T + bn.b), bn.W))
    lengths = np.linalg.norm(bn.W, axis=1) * np.linalg.norm(bn.dW, axis=1)
    assert np.all(np.abs(bn.W_dot_dW) < 1e-4 * lengths)


def test_bn_26(bn: Names) -> None:
    agree(bn.dW_of_larger, bn.dW / bn.a, rtol=1e-10)
    same(
        bn.standardised(bn.X @ (bn.a * bn.W).T, bn.a**2 * bn.eps),
        bn.standardised(bn.X @ bn.W.T, bn.eps),
    )


def test_bn_27(bn: Names) -> None:
    same(bn.longer, ((bn.W - bn.lr * bn.dW) ** 2).sum())
    with_tiny_eps = bn.dx_at(bn.X @ bn.W.T, 1e-30).T @ bn.X
    after = ((bn.W - bn.lr * with_tiny_eps) ** 2).sum()
    same(after, (bn.W**2).sum() + bn.lr**2 * (with_tiny_eps**2).sum())


def test_bn_28(bn: Names) -> None:
    same(bn.undone, bn.x)
    y = ops.BatchNorm(bn.eps).forward(bn.x, np.sqrt(bn.var + bn.eps), bn.mu)
    same(y, bn.x)


def test_bn_29(bn: Names) -> None:
    expected = np.broadcast_to(1 - np.sqrt(bn.var / (bn.var + bn.eps)), bn.x.shape)
    agree(bn.missing, expected, rtol=1e-8)
    agree(expected[0], bn.eps / (2 * bn.var), rtol=1e-3)


def test_bn_eval_1(bn: Names) -> None:
    mean, var, gamma, beta = map(Tensor, (bn.running_mean, bn.running_var, bn.gamma, bn.beta))
    same(bn.y_eval, F.batch_norm(Tensor(bn.x), mean, var, gamma, beta).data)
    alone = F.batch_norm(Tensor(bn.x[2:3]), mean, var, gamma, beta)
    same(bn.y_eval[2:3], alone.data)


def eval_loss(n: Names, x: Any = None, gamma: Any = None, beta: Any = None) -> float:
    x, gamma, beta = (
        given if own is None else own for given, own in ((n.x, x), (n.gamma, gamma), (n.beta, beta))
    )
    x_hat = (x - n.running_mean) / np.sqrt(n.running_var + n.eps)
    return float((n.dy * (gamma * x_hat + beta)).sum())


def test_bn_eval_2(bn: Names) -> None:
    agree(bn.dx_eval, slope(lambda v: eval_loss(bn, x=v), bn.x))
    op = ops.BatchNormEval(bn.eps)
    given = bn.x, bn.running_mean, bn.running_var, bn.gamma, bn.beta
    dx, _, _, dgamma, dbeta = op.backward(bn.dy, op.forward(*given), *given)
    for stated, own in (
        (bn.dx_eval, dx),
        (bn.dgamma_eval, dgamma),
        (bn.dbeta_eval, dbeta),
    ):
        same(stated, own)


def test_bn_eval_3(bn: Names) -> None:
    agree(bn.dgamma_eval, slope(lambda v: eval_loss(bn, gamma=v), bn.gamma))
    agree(bn.dbeta_eval, slope(lambda v: eval_loss(bn, beta=v), bn.beta))


def test_bn_eval_4(bn: Names) -> None:
    same(bn.sum_dx_eval, bn.dx_eval.sum(axis=0))
    assert np.all(np.abs(bn.sum_dx_eval) > 0.01)  # not 0, as it would be in training


def test_bn_run_1(bn: Names) -> None:
    mean, var = Tensor(bn.running_mean), Tensor(bn.running_var)
    F.batch_norm(Tensor(bn.x), mean, var, training=True, momentum=bn.momentum)
    same(bn.new_mean, mean.data)


def test_bn_run_2(bn: Names) -> None:
    mean, var = Tensor(bn.running_mean), Tensor(bn.running_var)
    F.batch_norm(Tensor(bn.x), mean, var, training=True, momentum=bn.momentum)
    same(bn.new_var, var.data)
    unbiased = bn.x.var(axis=0, ddof=1)
    same(bn.new_var, 0.9 * bn.running_var + 0.1 * unbiased)


def test_bn_run_3(bn: Names, pages: dict[str, Any]) -> None:
    mean, var = Tensor(np.zeros(bn.C)), Tensor(np.ones(bn.C))
    gone = []
    for step in range(1, 45):
        F.batch_norm(Tensor(bn.x), mean, var, training=True, momentum=0.1)
        if step in (1, 5, 10, 22, 44):
            gone.append(float((mean.data / bn.mu)[0]))
    same(gone, bn.way_gone)
    shares = [f"{share:.0%}" for share in gone]
    sentence = f"{', '.join(shares[:-1])} and {shares[-1]} after 1, 5, 10, 22 and 44 steps"
    assert pages["derivations/batchnorm"].says(sentence), sentence


def test_bn_run_4(bn: Names) -> None:
    same(bn.cumulative, bn.batch_means.mean(axis=0))


def test_bn_sync_1(bn: Names) -> None:
    assert sorted(bn.counts[:, 0]) == [0, 1, 2, 5]
    same(bn.merged_mu, bn.x.mean(axis=0))


def test_bn_sync_2(bn: Names) -> None:
    same(bn.merged_var, bn.x.var(axis=0))


def test_bn_sync_3(bn: Names) -> None:
    agree(np.concatenate(bn.dx_shares), slope(lambda v: forward(bn, v), bn.x))


def test_bn_sync_4(bn: Names) -> None:
    agree(bn.dgamma_added_once, slope(lambda v: forward(bn, gamma=v), bn.gamma))
    agree(bn.dbeta_added_once, slope(lambda v: forward(bn, beta=v), bn.beta))


def test_the_exactness_of_up_to_eps_is_as_the_page_says(pages: dict[str, Any]) -> None:
    assert pages["derivations/batchnorm"].says(
        "With `eps = 1e-5` and a variance near 1 that is an error of `1e-5`; with a variance near "
        "`1e-5` it is half of everything"
    )
    error = 1 - 1 / (1 + 1e-5)
    assert error == pytest.approx(1e-5, rel=1e-4)
    assert 1 - 1e-5 / (1e-5 + 1e-5) == 0.5


def test_the_textbook_variance_fails_as_the_page_says(pages: dict[str, Any]) -> None:
    page = pages["derivations/batchnorm"]
    assert page.says("two numbers near 100,000,000, which are 8 apart at the closest")
    assert np.spacing(np.float32(1e8)) == 8
    worst = 0.0
    for seed in range(10):
        x = (np.random.default_rng(seed).normal(size=64) + 1e4).astype(np.float32)
        worst = min(worst, float((x * x).mean() - x.mean() ** 2))
    assert worst < 0  # "The result can be negative"


MISTAKES = {  # the row of the page's table, and what was written
    "mean and variance taken for constants": "gamma * r * dy",
    "no path through the mean": "gamma * r * (dy - x_hat * k)",
    "no path through the variance": "gamma * r * (dy - dy.mean(0))",
    "sums for means": "gamma * r * (dy - dy.sum(0) - x_hat * (dy * x_hat).sum(0))",
    "`x - mu` for `x_hat`, once": "gamma * r * (dy - dy.mean(0) - c * k)",
    "the 2 of the square forgotten": "without_2 - without_2.mean(0)",
    "gamma forgotten": "r * (dy - dy.mean(0) - x_hat * k)",
    "`r` forgotten": "gamma * (dy - dy.mean(0) - x_hat * k)",
}


def table_of_mistakes(pages: dict[str, Any]) -> dict[str, str]:
    text = pages["derivations/batchnorm"].text.partition("## Common mistakes")[2]
    return dict(re.findall(r"^\| (?!what was done|---)(.*?) \| (.*?) \|$", text, re.M))


def test_the_table_of_mistakes_is_complete(pages: dict[str, Any]) -> None:
    assert list(table_of_mistakes(pages)) == list(MISTAKES)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_comes_out_as_the_table_says(
    bn: Names, pages: dict[str, Any], mistake: str
) -> None:
    """The three factors, fitted to the wrong result channel by channel."""
    names = {
        **vars(bn),
        "k": (bn.dy * bn.x_hat).mean(axis=0),
        "without_2": bn.dc_direct + bn.dvar * bn.c / bn.m,  # bn-7
    }
    factors: dict[str, Any] = {"A": 1, "B": 1, "C": 1}
    stated = re.findall(r"((?:[ABC] = )+)([\w/]+)", table_of_mistakes(pages)[mistake])
    assert stated
    for letters, value in stated:
        factors.update(dict.fromkeys(re.findall("[ABC]", letters), eval(value, names)))
    wrong = eval(MISTAKES[mistake], names)
    for channel in range(bn.C):
        x_hat, dy = bn.x_hat[:, channel], bn.dy[:, channel]
        terms = np.stack([dy, np.full(bn.m, -dy.mean()), -x_hat * (dy * x_hat).mean()], axis=1)
        scaled = bn.gamma[channel] * bn.r[channel] * terms
        found, *_ = np.linalg.lstsq(scaled, wrong[:, channel], rcond=None)
        expected = [np.broadcast_to(factors[letter], bn.C)[channel] for letter in "ABC"]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# ----------------------------------------------------- the docstring says what the page says


def test_the_steps_in_the_docstring_of_batch_norm_are_those_of_the_page(bn: Names) -> None:
    """The docstring's ten lines, read as formulas: a space between two names is a product."""
    doc = inspect.getdoc(ops.BatchNorm) or ""
    lines = re.findall(
        r"^ ?(\d+)\.\s+(?:.*?\s{2,})?(d\w+)\s*(\+?=)\s*(.*?)(?:\s{3,}.*)?$", doc, re.M
    )
    assert [int(number) for number, *_ in lines] == list(range(1, 11))
    values: dict[str, Any] = {
        "dy": bn.dy, "gamma": bn.gamma, "x_hat": bn.x_hat, "c": bn.c, "r": bn.r, "m": bn.m,
        "sum": lambda v: v.sum(axis=0),
    }  # fmt: skip
    stated = [
        ("dbeta", bn.dbeta), ("dgamma", bn.dgamma), ("dx_hat", bn.dx_hat), ("dr", bn.dr),
        ("dc", bn.dc_direct), ("dvar", bn.dvar), ("dc", bn.dc), ("dmu", bn.dmu),
        ("dx", bn.dx_direct), ("dx", bn.dx),
    ]  # fmt: skip
    for (_, name, sign, formula), (expected_name, expected) in zip(lines, stated, strict=True):
        product = re.sub(r"(?<=[\w)]) +(?=[\w(])", " * ", formula.replace("^", "**"))
        value = eval(product, values)
        values[name] = values[name] + value if sign == "+=" else value
        assert name == expected_name
        same(values[name], expected)


def test_the_collapsed_lines_in_the_docstring_are_those_of_the_page(bn: Names) -> None:
    doc = inspect.getdoc(ops.BatchNorm) or ""
    collapsed = re.search(r"dx = (r .*)\n\s+= (gamma .*)\n\s+= (gamma .*)\n", doc)
    assert collapsed
    values: dict[str, Any] = {
        "dy": bn.dy, "gamma": bn.gamma, "x_hat": bn.x_hat, "r": bn.r, "m": bn.m,
        "dx_hat": bn.dx_hat, "dbeta": bn.dbeta, "dgamma": bn.dgamma,
        "mean": lambda v: v.mean(axis=0),
    }  # fmt: skip
    for formula in collapsed.groups():
        product = re.sub(r"(?<=[\w)]) +(?=[\w(])", " * ", formula)
        product = product.replace("mean * (", "mean(")
        same(eval(product, values), bn.dx)


def test_minigrad_computes_the_whole_page_in_images_too(rng: np.random.Generator) -> None:
    """(N, C, H, W) is (m, C) with m = N H W."""
    x, dy = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))

    def rows(v: Array) -> Array:
        return v.transpose(0, 2, 3, 1).reshape(-1, 3)

    def dx(x: Array, dy: Array) -> Any:
        leaf = Tensor(x, requires_grad=True)
        apply(ops.BatchNorm(1e-5), leaf).backward(Tensor(dy))
        assert leaf.grad is not None
        return leaf.grad.data

    same(rows(dx(x, dy)), dx(rows(x), rows(dy)))


# ------------------------------------------------------------------------------ convolution


@pytest.fixture
def conv(pages: dict[str, Any]) -> Names:
    return names_of(pages, "convolution")


def by_views(X: Array, K: Array, s: int, p: int, d: int) -> Array:
    """A convolution by NumPy's windows: another way than the page's loops."""
    X = np.pad(X, ((0, 0), (0, 0), (p, p), (p, p)))
    covered = tuple(d * (k - 1) + 1 for k in K.shape[2:])
    windows = np.lib.stride_tricks.sliding_window_view(X, covered, axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows[:, :, ::s, ::s, ::d, ::d], K)


def conv_loss(n: Names, X: Any = None, K: Any = None, b: Any = None) -> float:
    """sum(dY * Y)"""
    X, K, b = (given if own is None else own for given, own in ((n.X, X), (n.K, K), (n.b, b)))
    return float((n.dY * (by_views(X, K, n.s, n.p, n.d) + b[:, None, None])).sum())


def test_conv_1(conv: Names) -> None:
    """Number the pixels of a padded axis, and let NumPy walk over them."""
    axis = np.arange(-conv.p, conv.H + conv.p)
    covered = conv.d * (conv.kh - 1) + 1
    met = np.lib.stride_tricks.sliding_window_view(axis, covered)[:: conv.s, :: conv.d]
    assert met.tolist() == [[conv.pixel(r, i) for i in range(conv.kh)] for r in range(len(met))]


def test_conv_2(conv: Names) -> None:
    assert conv.Y.shape[2:] == by_views(conv.X, conv.K, conv.s, conv.p, conv.d).shape[2:]
    met = {conv.pixel(r, i) for r in range(conv.oh) for i in range(conv.kh)}
    assert conv.H - 1 + conv.p not in met  # "the last rows of a padded image may be met by no tap"
    assert max(met) + conv.s >= conv.H + conv.p  # one place more would not fit


def test_conv_3(conv: Names) -> None:
    same(conv.Y, by_views(conv.X, conv.K, conv.s, conv.p, conv.d) + conv.b[:, None, None])


def test_conv_4(conv: Names) -> None:
    agree(conv.dK, slope(lambda K: conv_loss(conv, K=K), conv.K))


def test_conv_5(conv: Names) -> None:
    agree(conv.db, slope(lambda b: conv_loss(conv, b=b), conv.b))


def test_conv_6(conv: Names) -> None:
    agree(conv.dX, slope(lambda X: conv_loss(conv, X=X), conv.X))
    unseen = np.ones(conv.H, bool)
    unseen[[conv.pixel(r, i) for r in range(conv.oh) for i in range(conv.kh)][1:]] = False
    assert np.all(conv.dX[:, :, unseen] == 0)  # no output touched


def test_conv_7(conv: Names) -> None:
    same(conv.U, ops.Unfold(window_of(conv)).forward(conv.X))


def window_of(n: Names) -> Window:
    return Window((n.kh, n.kw), (n.s, n.s), (n.p, n.p), (n.d, n.d))


def test_conv_8(conv: Names) -> None:
    same(conv.Y_by_product, conv.Y)
    op = ops.Convolution(window_of(conv), 1)
    same(conv.Y_by_product, op.forward(conv.X, conv.K, conv.b))


def test_conv_9(conv: Names) -> None:
    measured = slope(lambda U: (conv.dY_flat * (conv.K_rows @ U)).sum(), conv.U)
    agree(conv.dU, measured)


def test_conv_10(conv: Names) -> None:
    same(conv.dX_by_fold, conv.dX)
    same(conv.dX_by_fold, ops.Fold(window_of(conv), (conv.H, conv.W)).forward(conv.dU))


def test_conv_11(conv: Names) -> None:
    same(conv.dK_by_product, conv.dK)


def test_conv_12(conv: Names) -> None:
    leaves = [Tensor(v, requires_grad=True) for v in (conv.X, conv.K, conv.b)]
    apply(ops.Convolution(window_of(conv), 1), *leaves).backward(Tensor(conv.dY))
    collapsed = conv.conv_backward(conv.dY, conv.X, conv.K)
    for leaf, stated, stepwise in zip(leaves, collapsed, (conv.dX, conv.dK, conv.db), strict=True):
        same(stated, stepwise)
        assert leaf.grad is not None
        same(stated, leaf.grad.data)
    assert ops.Convolution.saves == ("x", "weight")


def test_conv_13(conv: Names) -> None:
    same(conv.copied_then_compared, conv.added_then_compared)
    assert abs(conv.copied_then_compared) > 0.01
    columns = conv.fold(conv.unfold(np.ones_like(conv.X)))
    same(conv.fold(conv.unfold(conv.X)), conv.X * columns)
    assert columns.min() == 0
    assert columns.max() > 1


def test_conv_14(conv: Names) -> None:
    n = conv
    agree(n.dX_dense, slope(lambda X: (n.dense * by_views(X, n.K, 1, n.p, n.d)).sum(), n.X))


def test_conv_15(conv: Names) -> None:
    same(conv.dK_as_convolution, conv.dK)


def test_conv_16(conv: Names) -> None:
    flat = conv.X.reshape(conv.N, -1) @ conv.M.T
    same(flat.reshape(conv.Y.shape) + conv.b[:, None, None], conv.Y)
    same(conv.dX_by_matrix, conv.dX)
    assert (conv.M != 0).sum(axis=1).max() <= conv.C * conv.kh * conv.kw
    for o, rows in enumerate(conv.M.reshape(conv.O, -1, conv.M.shape[1])):
        assert set(rows[rows != 0]) <= set(conv.K[o].ravel())


def test_conv_17(conv: Names) -> None:
    assert np.all(conv.spot[:, :, -conv.s :] == 0)  # nothing is lost at the border
    same(conv.Y_spot, by_views(conv.spot, conv.K, conv.s, conv.p, conv.d))
    assert np.abs(conv.Y_spot).max() > 0.1
    # A row is compared if all that its kernel met before the shift is in the image: none is lost.
    same(conv.Y_shifted[:, :, 1:], conv.Y_spot[:, :, :-1])


def test_conv_18(conv: Names) -> None:
    one = by_views(conv.X, conv.K_one[:, :, None, None], 1, 0, 1)
    same(conv.Y_one, one + conv.b[:, None, None])


def test_conv_19(conv: Names) -> None:
    options = {"stride": conv.s, "padding": conv.p, "dilation": conv.d}
    grouped = F.conv2d(Tensor(conv.X_even), Tensor(conv.K_group), None, groups=conv.G, **options)
    same(grouped.data, by_views(conv.X_even, conv.K_full, conv.s, conv.p, conv.d))


def test_conv_20(conv: Names, rng: np.random.Generator) -> None:
    X = rng.normal(size=conv.X.shape)
    X /= np.sqrt((X**2).mean())
    draws = rng.uniform(-1, 1, size=(4000, conv.C, 3, 2))  # of variance 1/3
    Y = by_views(X, draws, 1, 0, 1)
    assert Y.var() == pytest.approx(conv.fan_in / 3, rel=0.2)  # few places, and pixels not alike
    bound = np.abs(nn.Conv2d(conv.C, 300, (conv.kh, conv.kw)).weight.data).max()
    assert 0.99 * conv.fan_in**-0.5 < bound <= conv.fan_in**-0.5  # what nn.Conv2d draws within


def test_pool_1(conv: Names) -> None:
    n = conv

    def mean(X: Array) -> Array:
        kernel = np.einsum("oc,ij->ocij", np.eye(n.C), np.full((n.kh, n.kw), 1 / (n.kh * n.kw)))
        return by_views(X, kernel, n.s, n.p, n.d).reshape(n.N, n.C, -1)

    same(n.Y_mean, mean(n.X))
    agree(n.dX_mean, slope(lambda X: (n.dY_pool * mean(X)).sum(), n.X))


def test_pool_2(conv: Names) -> None:
    n = conv

    def largest(X: Array) -> Any:
        X = np.pad(X, ((0, 0), (0, 0), (n.p, n.p), (n.p, n.p)))
        covered = (n.d * (n.kh - 1) + 1, n.d * (n.kw - 1) + 1)
        seen = np.lib.stride_tricks.sliding_window_view(X, covered, axis=(2, 3))
        return seen[:, :, :: n.s, :: n.s, :: n.d, :: n.d].max(axis=(4, 5)).reshape(n.N, n.C, -1)

    agree(n.dX_max, slope(lambda X: (n.dY_pool * largest(X)).sum(), n.X))


def test_the_mistakes_of_a_convolution_come_out_as_the_table_says(conv: Names) -> None:
    """One assertion for each row, in the order of the rows."""
    n = conv

    def overwriting(dy: Array, s: int) -> Array:
        oh, ow = dy.shape[2:]
        dX = np.zeros((n.N, n.C, s * (oh - 1) + n.kh, s * (ow - 1) + n.kw))
        for r, q in np.ndindex(dy.shape[2:]):
            share = np.einsum("no,ocij->ncij", dy[:, :, r, q], n.K)
            dX[:, :, r * s : r * s + n.kh, q * s : q * s + n.kw] = share
        return dX

    def summing(dy: Array, s: int) -> Array:
        shape = overwriting(dy, s).shape
        return slope(lambda X: (dy * by_views(X, n.K, s, 0, 1)).sum(), np.zeros(shape))

    def differ(a: Array, b: Array) -> bool:
        return float(np.abs(a - b).max()) > 0.01

    dy = n.dY[:, :, :2, :2]
    agree(overwriting(dy, 3), summing(dy, 3))
    assert differ(overwriting(dy, 1), summing(dy, 1))
    agree(overwriting(dy, 1)[:, :, 1:, 1:], np.einsum("no,ocij->ncij", dy[:, :, 1, 1], n.K))
    symmetric = n.K + n.K[:, :, ::-1, ::-1]
    rows, turned = (k.reshape(n.O, -1) for k in (symmetric, symmetric[:, :, ::-1, ::-1]))
    same(n.fold(turned.T @ n.dY_flat), n.fold(rows.T @ n.dY_flat))
    other = n.K[:, :, ::-1, ::-1].reshape(n.O, -1)
    assert differ(n.fold(other.T @ n.dY_flat), n.dX)
    edges = n.d * (n.kh - 1) - n.p, n.d * (n.kw - 1) - n.p
    unturned = n.conv1(n.dense, n.K.swapaxes(0, 1), edges, (n.d, n.d))
    assert differ(unturned, n.dX_dense)
    expected = slope(lambda X: (n.dense * by_views(X, symmetric, 1, n.p, n.d)).sum(), n.X)
    agree(n.conv1(n.dense, symmetric.swapaxes(0, 1), edges, (n.d, n.d)), expected)
    large = np.pad(n.X, ((0, 0), (0, 0), (n.p, n.p), (n.p, n.p)))
    collected = slope(lambda X: (n.dY * by_views(X, n.K, n.s, 0, n.d)).sum(), large)
    agree(collected[:, :, : n.H, : n.W][:, :, n.p :, n.p :], n.dX[:, :, : -n.p, : -n.p])
    per_place = n.dY_flat @ n.U.swapaxes(1, 2) / (n.oh * n.ow)
    same(per_place.sum(axis=0).reshape(n.K.shape) * n.oh * n.ow, n.dK)
    same((n.dY_flat @ n.U.swapaxes(1, 2)).mean(axis=0).reshape(n.K.shape) * n.N, n.dK)
    assert n.dY.sum(axis=0).shape == (n.O, n.oh, n.ow)


def test_the_steps_in_the_docstring_of_convolution_are_those_of_the_page(conv: Names) -> None:
    """Its three products, read as formulas: a space between two names is a product."""
    doc = inspect.getdoc(ops.Convolution) or ""
    found = re.findall(r"(?:=>|:) +(d[UXW]) = (.*?)(?:, summed over .*)?$", doc, re.M)
    W, dY, U = conv.K_rows, conv.dY_flat, conv.U

    def transposed(v: Array) -> Array:
        return v.swapaxes(-1, -2)

    values = {"W": W, "dY": dY, "U": U, "dU": conv.dU, "fold": conv.fold}
    stated = {}
    for name, formula in found:
        product = re.sub(r"(\w+)\^T", r"transposed(\1)", formula)
        product = re.sub(r"(?<=[\w)]) +(?=[\w(])", " @ ", product)
        stated[name] = eval(product, {"transposed": transposed, **values})
    assert list(stated) == ["dU", "dX", "dW"]
    same(stated["dU"], conv.dU)
    same(stated["dX"], conv.dX)
    same(stated["dW"].sum(axis=0).reshape(conv.K.shape), conv.dK)


# ------------------------------------------------------------------------ vanishing gradients


@pytest.fixture
def vg(pages: dict[str, Any]) -> Names:
    return names_of(pages, "vanishing-gradients")


def normal_mean(f: Callable[[Array], Array]) -> float:
    """E[f(u)] for normal u, by Gauss-Hermite quadrature (the page uses a sum over a grid)."""
    points, weights = np.polynomial.hermite_e.hermegauss(150)
    return float((weights * f(points)).sum() / weights.sum())


def by_cosh(z: Array) -> Array:
    """The slope of the sigmoid by another formula, which keeps its digits where it is tiny."""
    return 1 / (2 + 2 * np.cosh(z))


def test_vg_1(vg: Names) -> None:
    agree(vg.dz_14, vg.plain["dz"][14], rtol=1e-9)
    above = vg.dz[15]

    def loss(z: Array) -> float:  # the layers above enter through dz_15 alone
        return float((above[:2] * (by_tanh(z) @ vg.W[15].T)).sum()) / float(np.abs(above).max())

    agree(vg.dz_14[:2], slope(loss, vg.z[14][:2]) * float(np.abs(above).max()), rtol=1e-6)


def test_vg_2(vg: Names) -> None:
    for layer, bound in vg.bound.items():
        assert 0 < vg.size(vg.dz[layer]) <= bound


def test_vg_3(vg: Names) -> None:
    expected = vg.sw**2 * vg.size(vg.v) ** 2
    assert np.mean(vg.lengths) == pytest.approx(expected, rel=0.03)  # 400 draws: +- 0.9%


def test_vg_4(vg: Names, pages: dict[str, Any]) -> None:
    q = vg.q
    assert q == pytest.approx(normal_mean(lambda u: by_tanh(np.sqrt(q) * u) ** 2), rel=1e-9)
    assert pages["derivations/vanishing-gradients"].says(f"Then `q = {q:.3f}`")
    measured = np.mean(vg.plain["z"][15] ** 2)  # 64 units, one draw of the weights
    assert measured == pytest.approx(q, rel=0.35)


def test_vg_5(vg: Names, pages: dict[str, Any]) -> None:
    stated = math.sqrt(normal_mean(lambda u: by_cosh(math.sqrt(vg.q) * u) ** 2))
    assert vg.per_layer == pytest.approx(stated, rel=1e-9)
    assert vg.factor(vg.plain) == pytest.approx(stated, rel=0.03)
    page = pages["derivations/vanishing-gradients"]
    assert page.says(f"the factor is {stated:.3f} per layer")
    assert page.says(f"by a factor of {stated:.3f} per layer ([vg-5]")
    assert page.says(f"`{stated:.3f}^19 = {stated**19:.1e}`")
    assert page.says(f"(`sw^2 = 1/3`) and give {math.sqrt(vg.chi(3**-0.5)):.3f}.")
    layers = [vg.plain["z"][layer] for layer in range(1, 21)]
    assert np.mean(np.abs(layers) < 1.5) > 0.99  # "nearly all z are between -1.5 and 1.5"


def test_vg_6(vg: Names, rng: np.random.Generator) -> None:
    for layer, reach in vg.reach.items():
        assert np.all(np.abs(vg.z[layer]) <= reach)
    below = (rng.random((1000, 64)) > 0.5).astype(float)  # whatever happened below
    assert np.all(np.abs(below @ vg.W[15].T) <= vg.reach[15])


def test_vg_7(vg: Names, pages: dict[str, Any], rng: np.random.Generator) -> None:
    delta = rng.normal(size=64) * 1e-6
    z = vg.z[14][0]
    measured = (by_tanh(z + delta) - by_tanh(z - delta)) @ vg.W[15].T / 2
    agree((delta * by_cosh(z)) @ vg.W[15].T, measured, rtol=1e-6)
    assert vg.forward_factor == pytest.approx(vg.per_layer, rel=0.03)
    page = pages["derivations/vanishing-gradients"]
    first, fifteenth = vg.spread[1], vg.spread[15]
    assert page.says(f"is {first:.2f} in layer 1 and {fifteenth:.0e} in layer 15")
    singular = np.linalg.svd(vg.plain["dW"][19], compute_uv=False)
    assert singular[1] < 1e-6 * singular[0]  # "The weight gradient has rank 1 there"


def test_vg_8(vg: Names, pages: dict[str, Any]) -> None:
    reach = max(float(np.abs(vg.moved["W"][layer]).sum(axis=1).max()) for layer in range(1, 21))
    assert 0 < vg.highest_slope <= math.exp(-(50 - reach))
    assert np.all(vg.moved["dW"][1] == 0)  # "not small but exactly 0"
    assert np.any(vg.moved["dW"][20] != 0)
    by_table = f"at `z = 5` the slope is {by_cosh(np.array(5.0)):.4f}, at 50 it is"
    page = pages["derivations/vanishing-gradients"]
    assert page.says(by_table)
    assert page.says(f"at 50 it is {math.exp(-50) / (1 + math.exp(-50)) ** 2:.0e}.")


def test_vg_9(vg: Names) -> None:
    assert vg.integral == pytest.approx(1 / 6, rel=1e-9)
    # The exact chi, on a grid that is fine where the slope is: z instead of u.
    q = vg.sw_large**2 / 2
    z = np.linspace(-60, 60, 120001)
    density = np.exp(-z * z / (2 * q)) / math.sqrt(2 * math.pi * q)
    exact = vg.sw_large**2 * float((density * by_cosh(z) ** 2).sum()) * (z[1] - z[0])
    assert vg.chi_large == pytest.approx(exact, rel=1e-3)
    assert np.isclose(vg.settled(vg.sw_large), q, rtol=1e-2)
    assert vg.chi_large > 50  # "the gradient explodes"


def test_vg_10(vg: Names, pages: dict[str, Any]) -> None:
    assert vg.chi(vg.critical) == pytest.approx(1, abs=1e-3)
    assert vg.chi(0.98 * vg.critical) < 1 < vg.chi(1.02 * vg.critical)
    share = math.erfc(5 / math.sqrt(2 * vg.q_critical))
    assert vg.saturated == pytest.approx(share, abs=1e-3)
    page = pages["derivations/vanishing-gradients"]
    assert page.says(f"`sw = {vg.critical:.2f}`; nearly half of the units ({share:.0%})")


def test_vg_11(vg: Names, pages: dict[str, Any], rng: np.random.Generator) -> None:
    spread = normal_mean(lambda u: by_tanh(u) ** 2) - normal_mean(by_tanh) ** 2
    stated = normal_mean(lambda u: by_cosh(u) ** 2) / spread
    assert vg.lam == pytest.approx(stated, rel=1e-9)
    # One wide layer with a large batch, whatever the size of its weights.
    u, above = rng.normal(size=(1000, 500)), rng.normal(size=(1000, 500))
    for sw in (0.3, 5.0):
        leaf = Tensor(u, requires_grad=True)
        weight = Tensor(rng.normal(size=(500, 500)) * sw / math.sqrt(500))
        apply(ops.BatchNorm(1e-12), F.linear(leaf.sigmoid(), weight)).backward(Tensor(above))
        assert leaf.grad is not None
        measured = vg.size(leaf.grad.data) ** 2 / vg.size(above) ** 2
        assert measured == pytest.approx(stated, rel=0.02)
    page = pages["derivations/vanishing-gradients"]
    grown = stated**9.5
    assert page.says(
        f"This is {stated:.3f}, and its root, the factor per layer, is {stated**0.5:.3f}"
    )
    assert page.says(f"the gradient grows to {grown:.1f} times what it was")
    assert page.says(f"come out at {vg.factor(vg.normed):.2f}.)")


def test_vg_12(vg: Names) -> None:
    spread = normal_mean(lambda u: by_tanh(u) ** 2) - normal_mean(by_tanh) ** 2
    assert vg.variance_of_s == pytest.approx(spread, rel=1e-6)
    slopes = normal_mean(lambda u: by_cosh(u) ** 2)
    assert vg.mean_slope_squared == pytest.approx(slopes, rel=1e-5)
    pairs: list[tuple[Callable[[Array], Array], Callable[[Array], Array]]] = [
        (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
        (np.sin, np.cos),
        (lambda u: u**3 - u, lambda u: 3 * u**2 - 1),
    ]

    def sides(f: Callable[[Array], Array], df: Callable[[Array], Array]) -> tuple[float, float]:
        variance = normal_mean(lambda u: f(u) ** 2) - normal_mean(f) ** 2
        return variance, normal_mean(lambda u: df(u) ** 2)

    for f, df in pairs:
        variance, mean_slope_squared = sides(f, df)
        assert variance < mean_slope_squared
    variance, mean_slope_squared = sides(lambda u: 3 * u + 2, lambda u: 0 * u + 3)
    assert variance == pytest.approx(mean_slope_squared)  # degree 1: equality


def test_vg_13(vg: Names, pages: dict[str, Any]) -> None:
    spread = normal_mean(lambda u: by_tanh(u) ** 2) - normal_mean(by_tanh) ** 2
    same(vg.factor_without_r, math.sqrt(vg.lam * spread))
    assert vg.factor(vg.crippled) == pytest.approx(vg.factor_without_r, rel=0.03)
    for layer in range(1, 21):
        agree(vg.crippled["u"][layer], vg.normed["u"][layer])
    page = pages["derivations/vanishing-gradients"]
    assert page.says(f"That is {vg.factor_without_r:.3f} with Xavier's weights")
    share = vg.size(vg.crippled["dW"][1]) / vg.size(vg.crippled["dW"][20])
    assert 0.5e-13 < share < 5e-13
    assert page.says("at 1e-13 of that of the last")
    assert vg.factor_without_r < vg.per_layer  # "worse than without any BatchNorm"


def test_vg_14(vg: Names, rng: np.random.Generator) -> None:
    other = rng.normal(size=vg.A.shape) * vg.A.std()
    usual = vg.size(vg.weight_gradient(other))
    assert vg.size(vg.dW_of_one_number) < 1e-8 * usual
    assert vg.size(vg.weight_gradient(vg.A, 1e-5)) < 1e-3 * usual


def test_a_gain_of_1_3_is_51_after_15_layers(pages: dict[str, Any]) -> None:
    assert pages["derivations/vanishing-gradients"].says(
        f"a gain of 1.3 per layer is {1.3**15:.0f} after 15 layers"
    )


@pytest.mark.parametrize("init", ["xavier", "pytorch_default", "large", "shifted"])
def test_the_measured_table_holds(vg: Names, pages: dict[str, Any], init: str) -> None:
    norms: dict[str, Any] = {"no": None, "yes": ops.BatchNorm}
    if init == "xavier":
        norms["without r"] = vg.WithoutR
    text = pages["derivations/vanishing-gradients"].text.partition("## Measured")[2]
    rows = re.findall(rf"^\| {init} \| .*$", text, re.M)
    assert rows == [measured_row(vg, init, norm, named) for named, norm in norms.items()]


def measured_row(vg: Names, init: str, norm: Any, named: str) -> str:
    """The line of the page's table, measured again."""
    found: list[list[float]] = []
    for seed in range(3):
        seen = vg.measure(getattr(vg, init), norm, seed)
        u, dW = seen["u"][15], seen["dW"]
        gone = vg.size(seen["dz"][2]) == 0
        found.append(
            [
                float(u.min()),
                float(u.max()),
                float(np.mean(np.abs(u) > 5)),
                float(np.mean(by_cosh(u))),
                0.0 if gone else vg.factor(seen),
                vg.size(dW[1]) / vg.size(dW[20]),
            ]
        )
    low, high, share, mean_slope, factor, ratio = np.median(found, axis=0)
    return (
        f"| {init} | {named} | {low:.1f} to {high:.1f} | {share:.0%} | {mean_slope:.2g} "
        f"| {factor:.3f} | {ratio:.2g} |"
    )
