"""Kernels for NumPy: the operations of a layer with fewer passes over memory.

Three habits make the difference; ``docs/where-the-time-goes.md`` has what was measured.

* A fresh large array costs more than the arithmetic on it, because the operating system hands out
  its pages one by one. So intermediate results are written over each other with ``out=``, and the
  allocator is told once to keep the pages it has (``keep_pages``).
* Summing columns with ``ones @ x`` runs in BLAS; ``x.sum(axis=0)`` adds one short row at a time.

BatchNorm's kernels are in ``cpu_batchnorm.py``.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..ops.ieee import ieee


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
def number(value: float, kind: str) -> Array:
    """() of a value: a Python number would be converted anew in each call."""
    return np.full((), value, kind)


@lru_cache(maxsize=16)
def rows(n: int) -> Array:
    """0, 1, ..., n - 1."""
    return np.arange(n)


ROWS_AT_ONCE = 1024
"""Rows that one product sums: with more, a sum in float32 is further off than PyTorch's (6e-7 of it
for 4096 rows, against 2e-7 in blocks of 1024, which take a third longer)."""


@lru_cache(maxsize=64)
def column_sums(n: int, kind: str, factor: float = 1.0) -> Callable[[Array], Array]:
    """A function of (n, C): ``factor`` times the sum of each column. Of many rows, the sums of
    each thousand are added in float64: one long sum in float32 loses a digit for every
    hundredfold of its length."""
    if n <= ROWS_AT_ONCE:
        return partial(np.dot, np.full(n, factor, kind))
    ones = np.ones(ROWS_AT_ONCE, kind)

    def in_parts(x: Array) -> Array:
        total = np.zeros_like(x, np.float64, shape=x.shape[1])
        for start in range(0, n, ROWS_AT_ONCE):
            rows = x[start : start + ROWS_AT_ONCE]
            total += np.dot(ones[: len(rows)], rows)
        return (total * factor).astype(kind)

    return in_parts


def is_matrix(x: Array) -> bool:
    """Two axes, of a type that BLAS knows, and not empty."""
    return x.ndim == 2 and x.dtype.char in "fd" and x.size > 0


# -------------------------------------------------------------------------------------- linear


def linear_forward(op: ops.Linear, x: Array, weight: Array, bias: Array | None = None) -> Any:
    """Y = X W^T, and b added in place."""
    if bias is None or x.ndim != 2 or x.dtype.char not in "fd" or not x.size:
        return None
    y = np.dot(x, weight.T)
    y += bias
    return y


def linear_backward(
    op: ops.Op, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """dX = dY W, dW = dY^T X, and db as ones @ dY."""
    if grad.ndim != 2 or grad.dtype.char not in "fd" or not grad.size:
        return None
    to_x, to_weight, *_ = op.parents
    dx = None if to_x is None else np.dot(grad, weight)
    dw = None if to_weight is None else np.dot(grad.T, x)
    return (dx, dw) if bias is None else (dx, dw, column_sums(len(grad), grad.dtype.char)(grad))


# ------------------------------------------------------------------------------------- sigmoid


def sigmoid_forward(op: ops.Sigmoid, x: Array) -> Any:
    """1 / (1 + e^-x) in one buffer."""
    if x.dtype.char not in "fd" or x.ndim == 0:
        return None
    return sigmoid_of_negated(-x)


def sigmoid_of_negated(y: Array) -> Array:
    """1 / (1 + e^y), in the place of y. Where e^y overflows, the result is 0; the rule has a
    number there that is too small to have all its digits (in float32 below 1.2e-38)."""
    one = number(1.0, y.dtype.char)
    ieee().run(np.exp, y, y)
    y += one
    np.divide(one, y, y)
    return y


def sigmoid_backward(op: ops.Sigmoid, grad: Array, y: Array, x: Array) -> Any:
    """dy y (1 - y) in one buffer."""
    if y.dtype.char not in "fd" or y.ndim == 0:
        return None
    dx = number(1.0, y.dtype.char) - y
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
    return sigmoid_of_negated(np.negative(a, a))


def linear_activation_backward(
    op: ops.LinearActivation,
    grad: Array,
    y: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
) -> Any:
    """dA by the activation's kernel or rule, and Linear's with it."""
    if not is_matrix(grad):
        return None
    kind = type(op.activation)
    da = BACKWARD.get(kind, kind.backward)(op.activation, grad, y, y)
    return linear_backward(op, da, y, x, weight, bias)


# -------------------------------------------------------------------------------- cross-entropy


def cross_entropy_forward(op: ops.SoftmaxCrossEntropy, logits: Array, labels: Array) -> Any:
    """The mean of log sum e^z - z_label; the exponentials are kept for backward. Class by class, so
    that a sum over the classes adds up whole rows."""
    if op.reduction != "mean" or not is_matrix(logits) or not _counts_all(labels, logits, op):
        return None
    z = logits.T.copy()  # (C, N)
    z -= np.maximum.reduce(z, 0)
    picked = z[labels, rows(len(labels))]
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
    dz[labels, rows(len(labels))] -= 1
    dz *= grad / len(labels)
    return dz.T.copy(), None


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Linear: linear_forward,
    ops.LinearActivation: linear_activation_forward,
    ops.Sigmoid: sigmoid_forward,
    ops.SoftmaxCrossEntropy: cross_entropy_forward,
}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Linear: linear_backward,
    ops.LinearActivation: linear_activation_backward,
    ops.Sigmoid: sigmoid_backward,
    ops.SoftmaxCrossEntropy: cross_entropy_backward,
}
