"""Matrix products and the affine map, and the steps of their derivations."""

import math

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.ops import Linear

pytestmark = pytest.mark.usefixtures("rules_and_kernels")

SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((1, 1), (1, 1)),
    ((2, 0), (0, 3)),  # sums of nothing
    ((0, 3), (3, 2)),
    ((0,), (0,)),
]


def products(a, b):
    """A B as sums of products, written out for one output element after another."""
    rows = a if a.ndim > 1 else a[None]
    columns = b if b.ndim > 1 else b[:, None]
    stack = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    n, k, m = rows.shape[-2], rows.shape[-1], columns.shape[-1]
    rows = np.broadcast_to(rows, (*stack, n, k))
    columns = np.broadcast_to(columns, (*stack, k, m))
    y = np.empty((*stack, n, m))
    for *s, i, j in np.ndindex(y.shape):
        y[(*s, i, j)] = math.fsum(rows[(*s, i, q)] * columns[(*s, q, j)] for q in range(k))
    y = y[..., 0] if b.ndim == 1 else y
    return y if a.ndim > 1 else y[..., 0] if b.ndim == 1 else y[..., 0, :]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes, rng, check):
    a, b = (rng.standard_normal(s) for s in shapes)
    y = mg.matmul(mg.tensor(a), mg.tensor(b))
    expected = products(a, b)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-13)
    check(mg.matmul, a, b)


@pytest.mark.parametrize("shapes", SHAPES[:9], ids=str)
def test_matmul_layouts_and_types(shapes, rng, check_layouts, check_types):
    a, b = (rng.standard_normal(s) for s in shapes)
    check_layouts(mg.matmul, a, b)
    check_types(mg.matmul, a, b)


def test_products_by_other_names(rng):
    a, b, v, w = (rng.standard_normal(s) for s in ((2, 3), (3, 4), (3,), (2,)))
    np.testing.assert_allclose(mg.mm(mg.tensor(a), mg.tensor(b)).numpy(), products(a, b))
    np.testing.assert_allclose(mg.dot(mg.tensor(v), mg.tensor(a[0])).item(), products(v, a[0]))
    np.testing.assert_array_equal(
        mg.outer(mg.tensor(w), mg.tensor(v)).numpy(), [[x * y for y in v] for x in w]
    )
    np.testing.assert_allclose(
        mg.bmm(mg.tensor(a[None]), mg.tensor(b[None])).numpy(), products(a[None], b[None])
    )


def test_gradients_of_outer(rng, check):
    check(mg.outer, rng.standard_normal(2), rng.standard_normal(3))


def test_a_matrix_with_itself(rng, check):
    check(lambda x: x @ x, rng.standard_normal((3, 3)))
    check(lambda x: x @ x.T, rng.standard_normal((2, 3)))


@pytest.mark.parametrize("wanted", [0, 1])
def test_matmul_with_a_constant(wanted, rng):
    """Only the wanted gradient is worked out, and it is the right one."""
    a, b = (mg.tensor(rng.standard_normal((3, 3)), requires_grad=i == wanted) for i in range(2))
    y = a @ b
    g = mg.tensor(rng.standard_normal((3, 3)))
    shares = y.grad_fn.backward(g.numpy(), *y.grad_fn.saved)
    assert shares[1 - wanted] is None
    expected = products(g.numpy(), b.numpy().T) if wanted == 0 else products(a.numpy().T, g.numpy())
    np.testing.assert_allclose(shares[wanted], expected)


def test_integer_matrices():
    a = mg.tensor([[1, 2], [3, 4]])
    y = a @ a
    assert y.dtype == np.int64
    assert y.tolist() == [[7, 10], [15, 22]]


# --------------------------------------------------------------------------------------- linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(5,), (), (2, 3), (0,), (1,), (2, 0)], ids=str)
def test_linear(leading, bias, rng, check, check_layouts, check_types):
    x, w = rng.standard_normal((*leading, 3)), rng.standard_normal((4, 3))
    inputs = (x, w, rng.standard_normal(4)) if bias else (x, w)
    y = F.linear(*map(mg.tensor, inputs)).numpy()
    assert y.shape == (*leading, 4)
    for *n, o in np.ndindex(y.shape):
        terms = [x[(*n, i)] * w[o, i] for i in range(3)] + ([inputs[2][o]] if bias else [])
        assert y[(*n, o)] == pytest.approx(math.fsum(terms), abs=1e-13)
    check(F.linear, *inputs)
    check_layouts(F.linear, *inputs)
    check_types(F.linear, *inputs)


@pytest.mark.parametrize("shapes", [((2, 3, 0), (4, 0)), ((2, 3, 4), (0, 4))], ids=str)
def test_linear_without_features(shapes):
    """Nothing in: the output is 0. Nothing out: it is empty. The gradients are 0."""
    x, w = (mg.ones(*s, requires_grad=True) for s in shapes)
    y = F.linear(x, w)
    assert y.shape == (*shapes[0][:-1], shapes[1][0])
    assert not y.detach().numpy().any()
    dx, dw = mg.grad(y, (x, w), mg.ones(*y.shape))
    assert not dx.numpy().any()
    assert not dw.numpy().any()


def test_the_bias_of_many_rows_in_half_precision():
    """float16 counts 2048 + 1 = 2048: the rows are added up in float32."""
    x, w = mg.zeros(5000, 2, dtype=np.float16), mg.zeros(3, 2, dtype=np.float16)
    b = mg.zeros(3, dtype=np.float16, requires_grad=True)
    (db,) = mg.grad(F.linear(x, w, b), b, mg.ones(5000, 3, dtype=np.float16))
    assert db.dtype == np.float16
    assert db.tolist() == [5000, 5000, 5000]


def test_steps_of_the_derivation_of_linear(rng):
    """Each step of ``Linear``'s docstring, element by element, against the operation."""
    x, w, b = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    dy = rng.standard_normal((5, 4))
    rows, outs, ins = range(5), range(4), range(3)
    op = Linear()
    op.parents = (op, op, op)  # none is None: all three gradients are wanted
    y = op.forward(x, w, b)
    dx, dw, db = op.backward(dy, y, x, w, b)

    step1 = [[sum(x[n, i] * w[o, i] for i in ins) + b[o] for o in outs] for n in rows]
    np.testing.assert_allclose(y, step1, err_msg="step 1: the elements of Y")

    def slope(array, index, h=1e-6):
        ends = []
        for sign in (1, -1):
            moved = {id(v): v.copy() for v in (x, w, b)}
            moved[id(array)][index] += sign * h
            values = Linear().forward(*(moved[id(v)] for v in (x, w, b)))
            ends.append(float((dy * values).sum()))
        return (ends[0] - ends[1]) / (2 * h)

    step2 = [[sum(dy[n, o] * w[o, i] for o in outs) for i in ins] for n in rows]
    np.testing.assert_allclose(step2, dy @ w, err_msg="step 2: dX = dY W")
    np.testing.assert_allclose(dx, step2, err_msg="step 2: dX of the operation")
    assert slope(x, (3, 1)) == pytest.approx(step2[3][1], rel=1e-6), "step 2: dX_ni is a slope"

    step3 = [[sum(dy[n, o] * x[n, i] for n in rows) for i in ins] for o in outs]
    np.testing.assert_allclose(step3, dy.T @ x, err_msg="step 3: dW = dY^T X")
    np.testing.assert_allclose(dw, step3, err_msg="step 3: dW of the operation")
    assert slope(w, (2, 1)) == pytest.approx(step3[2][1], rel=1e-6), "step 3: dW_oi is a slope"

    step4 = [sum(dy[n, o] for n in rows) for o in outs]
    np.testing.assert_allclose(db, step4, err_msg="step 4: db = dY summed over the rows")
    assert slope(b, (2,)) == pytest.approx(step4[2], rel=1e-6), "step 4: db_o is a slope"


def test_the_derivation_of_matmul(rng):
    """dL/dA = dL/dY B^T and dL/dB = A^T dL/dY, element by element."""
    a, b = (mg.tensor(rng.standard_normal(s), requires_grad=True) for s in ((2, 3), (3, 4)))
    g = rng.standard_normal((2, 4))
    da, db = mg.grad(a @ b, (a, b), mg.tensor(g))
    an, bn = a.detach().numpy(), b.detach().numpy()
    expected = [[sum(g[i, j] * bn[k, j] for j in range(4)) for k in range(3)] for i in range(2)]
    np.testing.assert_allclose(da.numpy(), expected, err_msg="dL/dA_ik = sum_j dL/dY_ij B_kj")
    expected = [[sum(an[i, k] * g[i, j] for i in range(2)) for j in range(4)] for k in range(3)]
    np.testing.assert_allclose(db.numpy(), expected, err_msg="dL/dB = A^T dL/dY")


def test_linear_keeps_its_input_and_weight_only():
    assert Linear.unsaved == (0, 3)  # all but x and the weight
