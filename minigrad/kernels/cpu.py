"""Kernels for NumPy: the operations of a layer with fewer passes over memory.

Three habits make the difference; ``docs/benchmarks`` has the measurements.

* A fresh large array costs more than the arithmetic on it, because the operating system hands out
  its pages one by one. So intermediate results are written over each other with ``out=``, and the
  allocator is told once to keep the pages it has (``keep_pages``).
* Summing columns with ``ones @ x`` runs in BLAS; ``x.sum(axis=0)`` adds one short row at a time.
* What BatchNorm's two halves share is kept as the centred values, and its scalings are folded into
  vectors of length C before they meet the matrix.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..ops.activation import sigmoid_cap


def keep_pages() -> None:
    """Make the allocator of Linux (glibc) reuse the memory of arrays up to 32 MiB.

    By itself it returns each block above 128 KiB to the system when it is freed, and the next one
    of that size is faulted in page by page again: thousands of page faults in a training step.
    When a block is freed that was mapped from the system, it raises that limit to the block's
    size, and the limit for trimming the heap to twice that (mallopt(3), M_MMAP_THRESHOLD). So
    one block just under its maximum of 32 MiB, never touched, changes it for the process. Other
    allocators take no notice. MINIGRAD_KEEP_PAGES=0 in the environment leaves things as they are.
    """
    if os.environ.get("MINIGRAD_KEEP_PAGES", "1") != "0":
        np.empty((32 << 20) - (64 << 10), np.uint8)


keep_pages()


@lru_cache(maxsize=16)
def _ones(n: int, dtype: np.dtype[Any]) -> Array:
    """(n,) of 1: ``_ones(n) @ x`` is the sum of each column."""
    return np.ones(n, dtype)


@lru_cache(maxsize=16)
def _rows(n: int) -> Array:
    """0, 1, ..., n - 1."""
    return np.arange(n)


def _column_means(x: Array) -> Array:
    """The mean of each column. Of many rows, the sums of each few thousand are added in float64:
    one long sum in float32 loses a digit for every hundredfold of its length."""
    n = len(x)
    if n <= 4096:
        return _ones(n, x.dtype) @ x / n
    total = np.zeros(x.shape[1])
    for start in range(0, n, 4096):
        rows = x[start : start + 4096]
        total += _ones(len(rows), x.dtype) @ rows
    return (total / n).astype(x.dtype)


def _is_matrix(x: Array) -> bool:
    """Two axes, of a type that BLAS knows, and not empty."""
    return x.ndim == 2 and x.dtype.char in "fd" and x.size > 0


# -------------------------------------------------------------------------------------- linear


def linear_forward(op: ops.Linear, x: Array, weight: Array, bias: Array | None = None) -> Any:
    """Y = X W^T, and b added in place."""
    if bias is None or not _is_matrix(x):
        return None
    y = x @ weight.T
    y += bias
    return y


def linear_backward(
    op: ops.Linear, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """dX = dY W, dW = dY^T X, and db as ones @ dY."""
    if not _is_matrix(grad):
        return None
    dx, dw = op.needs_input_grad[:2]
    gradients = grad @ weight if dx else None, grad.T @ x if dw else None
    return gradients if bias is None else (*gradients, _ones(len(grad), grad.dtype) @ grad)


# ------------------------------------------------------------------------------------- sigmoid


def sigmoid_forward(op: ops.Sigmoid, x: Array) -> Any:
    """e^x / (1 + e^x) in two buffers."""
    if x.dtype.char not in "fd" or x.ndim == 0:
        return None
    y = np.minimum(x, sigmoid_cap(x.dtype))
    np.exp(y, out=y)
    np.divide(y, y + 1, out=y)
    return y


def sigmoid_backward(op: ops.Sigmoid, grad: Array, y: Array, x: Array) -> Any:
    """dy y (1 - y) in one buffer."""
    if y.dtype.char not in "fd" or y.ndim == 0:
        return None
    dx = np.subtract(1, y)
    dx *= y
    dx *= grad
    return dx


# ---------------------------------------------------------------------- linear and activation


def linear_activation_forward(
    op: ops.LinearActivation, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """One after the other, as for BatchNorm and sigmoid below."""
    a = linear_forward(op, x, weight, bias)
    if a is None:
        return None
    kind = type(op.activation)
    return FORWARD.get(kind, kind.forward)(op.activation, a)


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
    """y = c (gamma r) + beta, with c = x - mean: x_hat is never written."""
    if not _is_matrix(x) or beta is None:
        return None
    mean = _column_means(x)
    centred = x - mean
    missed = _column_means(centred)  # what the rounding of the mean has left
    centred -= missed
    y = centred * centred
    var = _column_means(y)
    r = 1 / np.sqrt(var + op.eps)
    np.multiply(centred, gamma * r, out=y)
    y += beta
    op.workspace = centred, r
    op.batch_mean, op.batch_var = mean + missed, var
    return y


def batch_norm_backward(
    op: ops.BatchNorm,
    grad: Array,
    y: Array,
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Any:
    """dx = gamma r (dy - mean(dy) - c r k),  k = mean(dy x_hat) = r mean(dy c)."""
    if op.workspace is None:
        return None
    centred, r = op.workspace
    mean_dy = _column_means(grad)
    dx = grad * centred
    k = r * _column_means(dx)
    np.multiply(centred, r * k, out=dx)
    np.subtract(grad, dx, out=dx)
    dx -= mean_dy
    dx *= gamma * r
    n = len(grad)
    return dx, k * n, mean_dy * n


def batch_norm_sigmoid_forward(
    op: ops.BatchNormSigmoid, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """One after the other: a matrix that has just been written is still in the cache, and doing
    both in place was measured to be no faster."""
    a = batch_norm_forward(op, x, gamma, beta)
    return None if a is None else sigmoid_forward(ops.Sigmoid(), a)


def batch_norm_sigmoid_backward(
    op: ops.BatchNormSigmoid,
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


# -------------------------------------------------------------------------------- cross-entropy


def cross_entropy_forward(op: ops.SoftmaxCrossEntropy, logits: Array, labels: Array) -> Any:
    """The mean of log sum e^z - z_label; the exponentials are kept for backward."""
    if op.reduction != "mean" or not _is_matrix(logits) or (labels == op.ignore_index).any():
        return None
    z = logits - logits.max(axis=1, keepdims=True)
    picked = z[_rows(len(z)), labels]
    np.exp(z, out=z)
    total = z.sum(axis=1, keepdims=True)
    op.workspace = z, total
    return (np.log(total[:, 0]) - picked).mean()


def cross_entropy_backward(
    op: ops.SoftmaxCrossEntropy, grad: Array, y: Array, logits: Array, labels: Array
) -> Any:
    """(p - one_hot) dL / N, with p = e^z / sum e^z."""
    if op.workspace is None:
        return None
    exponentials, total = op.workspace
    dz = exponentials / total
    dz[_rows(len(dz)), labels] -= 1
    dz *= grad / len(dz)
    return dz, None


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Linear: linear_forward,
    ops.LinearActivation: linear_activation_forward,
    ops.Sigmoid: sigmoid_forward,
    ops.BatchNorm: batch_norm_forward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_forward,
    ops.SoftmaxCrossEntropy: cross_entropy_forward,
}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Linear: linear_backward,
    ops.LinearActivation: linear_activation_backward,
    ops.Sigmoid: sigmoid_backward,
    ops.BatchNorm: batch_norm_backward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_backward,
    ops.SoftmaxCrossEntropy: cross_entropy_backward,
}
