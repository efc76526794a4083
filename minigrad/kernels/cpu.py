"""Kernels for NumPy: the operations of a layer with fewer passes over memory.

Three habits make the difference; ``docs/where-the-time-goes.md`` has what was measured.

* A fresh large array costs more than the arithmetic on it, because the operating system hands out
  its pages one by one. So intermediate results are written over each other with ``out=``, and the
  allocator is told once to keep the pages it has (``keep_pages``).
* Summing columns with ``ones @ x`` runs in BLAS; ``x.sum(axis=0)`` adds one short row at a time.
* What BatchNorm's two halves share is kept as the centred values, and its scalings are folded into
  vectors of length C before they meet the matrix.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array


def keep_pages() -> None:
    """Make the allocator of Linux (glibc) keep freed memory for the next array: up to 1 GiB of it,
    and blocks of up to 32 MiB, the most it allows.

    By itself it returns each block above 128 KiB to the system when it is freed, and whatever is
    free at the end of the heap, and the next array is faulted in page by page again: thousands
    of page faults in a training step. See mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD. This
    holds for the process; other allocators have no such function. MINIGRAD_KEEP_PAGES=0 in the
    environment leaves things as they are.
    """
    if os.environ.get("MINIGRAD_KEEP_PAGES", "1") == "0" or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
keep_pages()


@lru_cache(maxsize=64)
def _number(value: float, kind: str) -> Array:
    """() of a value: a Python number would be converted anew in each call."""
    return np.full((), value, kind)


@lru_cache(maxsize=16)
def _rows(n: int) -> Array:
    """0, 1, ..., n - 1."""
    return np.arange(n)


@lru_cache(maxsize=64)
def _column_sums(n: int, kind: str, factor: float = 1.0) -> Callable[[Array], Array]:
    """A function of (n, C): ``factor`` times the sum of each column. Of many rows, the sums of
    each few thousand are added in float64: one long sum in float32 loses a digit for every
    hundredfold of its length."""
    if n <= 4096:
        return np.full(n, factor, kind).dot
    ones = np.ones(4096, kind)

    def in_parts(x: Array) -> Array:
        total = np.zeros(x.shape[1])
        for start in range(0, n, 4096):
            rows = x[start : start + 4096]
            total += ones[: len(rows)].dot(rows)
        return (total * factor).astype(kind)

    return in_parts


def _is_matrix(x: Array) -> bool:
    """Two axes, of a type that BLAS knows, and not empty."""
    return x.ndim == 2 and x.dtype.char in "fd" and x.size > 0


# -------------------------------------------------------------------------------------- linear


def linear_forward(op: ops.Linear, x: Array, weight: Array, bias: Array | None = None) -> Any:
    """Y = X W^T, and b added in place."""
    if bias is None or x.ndim != 2 or x.dtype.char not in "fd" or not x.size:
        return None
    y = x.dot(weight.T)
    y += bias
    return y


def linear_backward(
    op: ops.Op, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """dX = dY W, dW = dY^T X, and db as ones @ dY."""
    if grad.ndim != 2 or grad.dtype.char not in "fd" or not grad.size:
        return None
    to_x, to_weight, *_ = op.parents
    dx = None if to_x is None else grad.dot(weight)
    dw = None if to_weight is None else grad.T.dot(x)
    return (dx, dw) if bias is None else (dx, dw, _column_sums(len(grad), grad.dtype.char)(grad))


# ------------------------------------------------------------------------------------- sigmoid


def sigmoid_forward(op: ops.Sigmoid, x: Array) -> Any:
    """1 / (1 + e^-x) in one buffer."""
    if x.dtype.char not in "fd" or x.ndim == 0:
        return None
    return _sigmoid_of_negated(-x)


@np.errstate(over="ignore")  # half the price of a `with`
def _sigmoid_of_negated(y: Array) -> Array:
    """1 / (1 + e^y), in the place of y. Where e^y overflows, the result is 0; the rule has a
    number there that is too small to have all its digits (in float32 below 1.2e-38)."""
    one = _number(1.0, y.dtype.char)
    np.exp(y, y)
    y += one
    np.divide(one, y, y)
    return y


def sigmoid_backward(op: ops.Sigmoid, grad: Array, y: Array, x: Array) -> Any:
    """dy y (1 - y) in one buffer."""
    if y.dtype.char not in "fd" or y.ndim == 0:
        return None
    dx = _number(1.0, y.dtype.char) - y
    dx *= y
    dx *= grad
    return dx


# ---------------------------------------------------------------------- linear and activation


def linear_activation_forward(
    op: ops.LinearActivation, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """One after the other, a sigmoid in the place of the product."""
    a = linear_forward(op, x, weight, bias)
    if a is None or type(op.activation) is not ops.Sigmoid:
        return None if a is None else op.activation.forward(a)
    return _sigmoid_of_negated(np.negative(a, a))


def linear_activation_backward(
    op: ops.LinearActivation,
    grad: Array,
    y: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
) -> Any:
    """dA by the activation's kernel or rule, and Linear's with it."""
    if not _is_matrix(grad):
        return None
    kind = type(op.activation)
    da = BACKWARD.get(kind, kind.backward)(op.activation, grad, y, y)
    return linear_backward(op, da, y, x, weight, bias)


# ----------------------------------------------------------------------------------- batch norm


def batch_norm_forward(
    op: ops.BatchNorm, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """See ``_normalise``."""
    if gamma is None or beta is None or not _is_matrix(x):
        return None
    return _normalise(op, x - x[0], x[0], gamma, beta)


def _normalise(
    op: Any, c: Array, first: Array, gamma: Array, beta: Array, negated: bool = False
) -> Array:
    """y = c (gamma r) + beta with c = x - mean, or -y: x_hat is never written.

    A mean that is large beside sigma cannot be taken away as it is: its own rounding would be
    left in c. So the batch's first sample has been taken away before, which is as large and makes
    the difference exact where that matters: c is given as x - ``first``. Here, in its place, the
    mean of what is left goes, which is small.
    """
    n, kind = len(c), c.dtype.char
    means = _column_sums(n, kind, 1 / n)
    mean = means(c)
    c -= mean
    y = c * c
    var = means(y)
    r = var + _number(op.eps, kind)
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
    sums = _column_sums(n, kind)
    d_beta = sums(grad)
    dx = grad * c
    d_gamma = sums(dx)
    d_gamma *= r
    share = _number(1 / n, kind)
    row = r * d_gamma
    row *= share
    np.multiply(c, row, dx)
    np.subtract(grad, dx, dx)
    np.multiply(d_beta, share, row)
    dx -= row
    dx *= scale
    return dx, d_gamma, d_beta


def update_running(mean: Array, var: Array, op: Any, momentum: float, m: int) -> None:
    """running <- (1 - momentum) running + momentum batch, with the unbiased variance."""
    kept = _number(1 - momentum, mean.dtype.char)
    mean *= kept
    mean += op.batch_mean * _number(momentum, mean.dtype.char)
    var *= kept
    var += op.batch_var * _number(momentum * (m / (m - 1)), var.dtype.char)


def batch_norm_sigmoid_forward(
    op: ops.BatchNormSigmoid, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """The sigmoid in the place of what BatchNorm has made."""
    if gamma is None or beta is None or not _is_matrix(x):
        return None
    return _sigmoid_of_negated(_normalise(op, x - x[0], x[0], gamma, beta, negated=True))


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
    if not _is_matrix(x):
        return None
    z = x.dot(weight.T)
    first = z[0].copy()
    z -= first
    y = _sigmoid_of_negated(_normalise(op, z, first, gamma, beta, negated=True))
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
    return *linear_backward(op, dz, y, x, weight), np.zeros(bias.shape, dz.dtype), d_gamma, d_beta


# -------------------------------------------------------------------------------- cross-entropy


def cross_entropy_forward(op: ops.SoftmaxCrossEntropy, logits: Array, labels: Array) -> Any:
    """The mean of log sum e^z - z_label; the exponentials are kept for backward. Class by class, so
    that a sum over the classes adds up whole rows."""
    if op.reduction != "mean" or not _is_matrix(logits) or not _counts_all(labels, logits, op):
        return None
    z = np.array(logits.T, order="C")  # (C, N), and a copy in any case
    z -= np.maximum.reduce(z, 0)
    picked = z[labels, _rows(len(labels))]
    np.exp(z, z)
    total = np.add.reduce(z, 0)
    op.workspace = z, total
    losses = np.log(total)
    losses -= picked
    return np.add.reduce(losses) / len(labels)


def _counts_all(labels: Array, logits: Array, op: ops.SoftmaxCrossEntropy) -> bool:
    """Whether every label is a class, and none of them one to be ignored."""
    if labels.dtype != np.int64:
        return False
    if 0 <= op.ignore_index < logits.shape[1] and (labels == op.ignore_index).any():
        return False
    return bool(labels.view(np.uint64).max() < logits.shape[1])  # where -1 is a large number


def cross_entropy_backward(
    op: ops.SoftmaxCrossEntropy, grad: Array, y: Array, logits: Array, labels: Array
) -> Any:
    """(p - one_hot) dL / N, with p = e^z / sum e^z."""
    if op.workspace is None:
        return None
    exponentials, total = op.workspace
    dz = exponentials / total
    dz[labels, _rows(len(labels))] -= 1
    dz *= grad / len(labels)
    return np.ascontiguousarray(dz.T), None


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Linear: linear_forward,
    ops.LinearActivation: linear_activation_forward,
    ops.Sigmoid: sigmoid_forward,
    ops.BatchNorm: batch_norm_forward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_forward,
    ops.LinearBatchNormSigmoid: linear_batch_norm_sigmoid_forward,
    ops.SoftmaxCrossEntropy: cross_entropy_forward,
}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Linear: linear_backward,
    ops.LinearActivation: linear_activation_backward,
    ops.Sigmoid: sigmoid_backward,
    ops.BatchNorm: batch_norm_backward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_backward,
    ops.LinearBatchNormSigmoid: linear_batch_norm_sigmoid_backward,
    ops.SoftmaxCrossEntropy: cross_entropy_backward,
}
