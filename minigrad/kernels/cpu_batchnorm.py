"""Kernels for NumPy: BatchNorm in training, and the fused operations around it.

What the two halves share is kept as the centred values, and the scalings are folded into vectors of
length C before they meet the matrix. See ``cpu.py`` for what else makes a kernel fast.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..ops.ieee import ieee
from .cpu import (
    column_sums,
    is_matrix,
    linear_backward,
    number,
    sigmoid_backward,
    sigmoid_of_negated,
)


def batch_norm_forward(
    op: ops.BatchNorm, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """See ``_normalise``."""
    if gamma is None or beta is None or not is_matrix(x):
        return None
    return _normalised(op, x, gamma, beta)


def _sigmoid_of(negated: Array | None) -> Array | None:
    return None if negated is None else sigmoid_of_negated(negated)


def _normalised(op: Any, x: Array, gamma: Array, beta: Array, negated: bool = False) -> Any:
    context = ieee()  # what is not finite is for the rule to see
    return context.run(
        _normalise, op, context.run(np.subtract, x, x[0]), x[0], gamma, beta, negated
    )


def _normalise(
    op: Any, c: Array, first: Array, gamma: Array, beta: Array, negated: bool
) -> Array | None:
    """y = c (gamma r) + beta with c = x - mean, or -y: x_hat is never written. None if a variance
    is not finite: the rule then scales x, or has to do with what is no number.

    A mean that is large beside sigma cannot be taken away as it is: its own rounding would be
    left in c. So the batch's first sample has been taken away before, which is as large and makes
    the difference exact where that matters: c is given as x - ``first``. Here, in its place, the
    mean of what is left goes, which is small.
    """
    n, kind = len(c), c.dtype.char
    means = column_sums(n, kind, 1 / n)
    mean = means(c)
    c -= mean
    y = c * c
    var = means(y)
    if not np.maximum.reduce(var) < np.inf:  # NaN is not less either
        return None
    r = var + number(op.eps, kind)
    np.sqrt(r, r)
    np.reciprocal(r, r)
    scale = gamma * r
    if negated:
        np.multiply(c, -scale, y)
        y -= beta
    else:
        np.multiply(c, scale, y)
        y += beta
    mean += first
    op.workspace = c, r, scale
    op.batch_mean, op.batch_var = mean, var
    return y


def batch_norm_backward(
    op: Any,
    grad: Array,
    y: Array,
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Any:
    """dx = gamma r (dy - mean(dy) - c r mean(dy x_hat)),  with  mean(dy x_hat) = r mean(dy c)."""
    if op.workspace is None:
        return None
    c, r, scale = op.workspace
    n, kind = len(grad), grad.dtype.char
    sums = column_sums(n, kind)
    d_beta = sums(grad)
    dx = grad * c
    d_gamma = sums(dx)
    d_gamma *= r
    share = number(1 / n, kind)
    row = r * d_gamma
    row *= share
    np.multiply(c, row, dx)
    np.subtract(grad, dx, dx)
    np.multiply(d_beta, share, row)
    dx -= row
    dx *= scale
    return dx, d_gamma, d_beta


def update_running(mean: Array, var: Array, op: Any, momentum: float, m: int) -> bool:
    """Without looking at what is finite: the kernel has done so. False if the rule has run."""
    if op.workspace is None:
        return False
    kind = mean.dtype.char
    rest = number(1 - momentum, kind)
    mean *= rest
    mean += op.batch_mean * number(momentum, kind)
    var *= rest
    var += op.batch_var * number(momentum * (m / (m - 1)), kind)
    return True


ONE = np.ones((), np.int64)


def count_one(count: Array) -> bool:
    """A third of the time that NumPy needs for count += 1."""
    np.add(count, ONE, count)
    return True


def batch_norm_sigmoid_forward(
    op: ops.BatchNormSigmoid, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """The sigmoid in the place of what BatchNorm has made."""
    if gamma is None or beta is None or not is_matrix(x):
        return None
    return _sigmoid_of(_normalised(op, x, gamma, beta, negated=True))


def batch_norm_sigmoid_backward(
    op: Any,
    grad: Array,
    y: Array,
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Any:
    """da = dy y (1 - y), and BatchNorm's with it."""
    if op.workspace is None:
        return None
    da = sigmoid_backward(ops.Sigmoid(), grad, y, x)
    return batch_norm_backward(op, da, y, x, gamma, beta)


def linear_batch_norm_sigmoid_forward(
    op: ops.LinearBatchNormSigmoid,
    x: Array,
    weight: Array,
    bias: Array,
    gamma: Array,
    beta: Array,
) -> Any:
    """Two matrices are written, where the three operations write four: z is centred in its place,
    and the bias, which centring would take away again, is not added to it."""
    if not is_matrix(x):
        return None
    z = np.dot(x, weight.T)
    first = z[0].copy()
    z -= first
    y = _sigmoid_of(ieee().run(_normalise, op, z, first, gamma, beta, True))
    if y is not None:
        op.batch_mean += bias
    return y


def linear_batch_norm_sigmoid_backward(
    op: ops.LinearBatchNormSigmoid,
    grad: Array,
    y: Array,
    x: Array,
    weight: Array,
    bias: Array,
    gamma: Array,
    beta: Array,
) -> Any:
    """dz by the kernel above, and Linear's products with it; db = 0."""
    if op.workspace is None:
        return None
    dz, d_gamma, d_beta = batch_norm_sigmoid_backward(op, grad, y, x, gamma, beta)
    return *linear_backward(op, dz, y, x, weight), np.zeros_like(d_beta), d_gamma, d_beta


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.BatchNorm: batch_norm_forward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_forward,
    ops.LinearBatchNormSigmoid: linear_batch_norm_sigmoid_forward,
}
IN_PLACE: dict[Callable[..., None], Callable[..., bool]] = {
    ops.update_running: update_running,
    ops.count_one: count_one,
}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.BatchNorm: batch_norm_backward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_backward,
    ops.LinearBatchNormSigmoid: linear_batch_norm_sigmoid_backward,
}
