"""Kernels for CuPy: the operations of a layer in as few launches as they need.

CuPy launches one kernel for each ``+``, which reads and writes whole matrices in GPU memory, and
its sum over the rows of a matrix keeps a few of the GPU's processors busy and the others waiting.
The CUDA sources stand in the folder ``cuda/``, each with its formula; ``launch.py`` compiles and
starts them, and here is with what.

A kernel takes matrices without gaps, so what comes in is checked; for anything else the answer is
``None``, and the rule in ``ops/`` runs. Nothing here waits for the GPU.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, array_module
from .cublas import product
from .launch import (
    BLOCK,
    HEIGHT,
    TYPES,
    WIDTH,
    ceil,
    is_matrix,
    kernel,
    launch,
    lines,
    number,
    split_rows,
    statistics_type,
    sums,
    tiles,
    usable,
)


def _are_matrices(*arrays: Array) -> bool:
    """Whether ``product`` takes these, however they lie in memory."""
    return all(a.ndim == 2 and a.size and a.dtype.char in TYPES for a in arrays)


# ------------------------------------------------------------------------------------ batch norm


def normalise(
    op: Any,
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    sigmoid: bool,
    shift: Array | None = None,
) -> Any:
    """y = gamma x_hat + beta with the batch's statistics, or the sigmoid of it; in 3 launches.
    ``shift`` is added to the mean that is reported, and to nothing else."""
    if not is_matrix(x) or not statistics_type(x, gamma, beta):
        return None
    n, c = x.shape
    chunks, size = split_rows(n, c)
    partial = sums((2, chunks, c), x)
    offset, mean, var, inv_std = sums((4, c), x)
    grid = ceil(c, WIDTH), chunks
    launch("batch_statistics", x, grid, BLOCK, x, partial[0], partial[1], n, c, size)
    launch(
        "merge_statistics", x, (ceil(c, 256),), (256,), x, partial[0], partial[1],
        shift, offset, mean, var, inv_std, n, c, chunks, size, number(op.eps, x),
    )  # fmt: skip
    y = array_module(x).empty_like(x)
    launch(
        "normalise", x, tiles(n, c), BLOCK, x, offset, inv_std, gamma, beta, y, n, c, int(sigmoid)
    )
    op.workspace = offset, inv_std
    op.batch_mean, op.batch_var = mean, var
    return y


def normalise_backward(
    statistics: tuple[Array, Array] | None,
    grad: Array,
    y: Array | None,
    x: Array,
    gamma: Array | None,
    sigmoid: bool,
    zeros: Array | None = None,
) -> Any:
    """dx, dgamma and dbeta; in 3 launches. ``statistics`` are what ``normalise`` has left, ``y`` is
    read where a sigmoid follows. ``zeros`` (C,) is filled with zeros on the way."""
    if statistics is None:
        return None
    offset, inv_std = statistics
    grad = array_module(x).ascontiguousarray(grad)
    n, c = x.shape
    chunks, size = split_rows(n, c)
    partial = sums((2, chunks, c), x)
    d_beta, d_gamma = sums((c,), x), sums((c,), x)
    output, follows = (y, 1) if sigmoid else (None, 0)
    launch(
        "normalise_backward_sums", x, (ceil(c, WIDTH), chunks), BLOCK, grad, output, x,
        offset, inv_std, partial[0], partial[1], n, c, size, follows,
    )  # fmt: skip
    launch(
        "merge_backward_sums", x, (ceil(c, 256),), (256,),
        partial[0], partial[1], d_beta, d_gamma, zeros, c, chunks,
    )  # fmt: skip
    dx = array_module(x).empty_like(x)
    launch(
        "normalise_backward", x, tiles(n, c), BLOCK, grad, output, x,
        offset, inv_std, gamma, d_beta, d_gamma, dx, n, c, follows,
    )  # fmt: skip
    return dx, d_gamma, d_beta


def batch_norm_forward(
    op: ops.BatchNorm, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """See ``normalise``."""
    return normalise(op, x, gamma, beta, sigmoid=False)


def batch_norm_backward(
    op: ops.BatchNorm,
    grad: Array,
    y: Array,
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Any:
    """See ``normalise_backward``."""
    gradients = normalise_backward(op.workspace, grad, None, x, gamma, sigmoid=False)
    if gradients is None:
        return None
    return gradients[: 1 + (gamma is not None) + (beta is not None)]


def batch_norm_sigmoid_forward(
    op: ops.BatchNormSigmoid, x: Array, gamma: Array | None = None, beta: Array | None = None
) -> Any:
    """See ``normalise``: the sigmoid costs no launch and no pass over the matrix."""
    return normalise(op, x, gamma, beta, sigmoid=True)


def batch_norm_sigmoid_backward(
    op: ops.BatchNormSigmoid,
    grad: Array,
    y: Array,
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Any:
    """See ``normalise_backward``: da = dy y (1 - y) is computed where it is read."""
    gradients = normalise_backward(op.workspace, grad, y, x, gamma, sigmoid=True)
    if gradients is None:
        return None
    return gradients[: 1 + (gamma is not None) + (beta is not None)]


def linear_batch_norm_sigmoid_forward(
    op: ops.LinearBatchNormSigmoid,
    x: Array,
    weight: Array,
    bias: Array,
    gamma: Array,
    beta: Array,
) -> Any:
    """The product, and ``normalise`` of it. The bias, which normalising takes away again, is added
    to the mean and to nothing else."""
    if not _are_matrices(x, weight) or not statistics_type(x, bias):
        return None
    z = product(x, weight.T)
    y = normalise(op, z, gamma, beta, sigmoid=True, shift=bias)
    if y is not None:
        op.workspace = z, op.workspace
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
    """dz by ``normalise_backward``, and the two products with it; db = 0."""
    if op.workspace is None:
        return None
    z, statistics = op.workspace
    zeros = sums(gamma.shape, z)
    dz, d_gamma, d_beta = normalise_backward(statistics, grad, y, z, gamma, True, zeros)
    dx, dw, *_ = op.needs_input_grad
    products = product(dz, weight) if dx else None, product(dz.T, x) if dw else None
    return *products, zeros, d_gamma, d_beta


def update_running(mean: Array, var: Array, op: Any, momentum: float, m: int) -> bool:
    """Move running statistics towards the batch's, in place and in 1 launch; False if they are not
    of a kind that the kernel takes. ``m``: how many values each of the batch's was taken over."""
    batch = op.batch_mean, op.batch_var
    kinds = {a.dtype.char for a in (mean, var, *batch)}
    if not usable(mean, var, *batch) or kinds not in ({"f"}, {"d"}):
        return False
    c = len(mean)
    launch(
        "update_running", mean, (ceil(c, 256),), (256,), *batch, mean, var, c,
        number(momentum, mean), number(m / (m - 1), mean),
    )  # fmt: skip
    return True


def count_one(count: Array) -> bool:
    """count += 1, in 1 launch that takes the host a third of what CuPy's ``+=`` does; False if it
    is not of 64 bits."""
    if count.dtype.char not in "lq" or count.dtype.itemsize != 8:
        return False
    kernel(array_module(count), "f", "count_one")((1,), (1,), (count,))
    return True


# --------------------------------------------------------------------------- linear, activations


def column_sums(x: Array) -> Array:
    """The sums over the rows of a usable matrix; in 2 launches."""
    n, c = x.shape
    chunks, size = split_rows(n, c)
    partial = sums((chunks, c), x)
    y = array_module(x).empty(c, dtype=x.dtype)
    launch("column_sums", x, (ceil(c, WIDTH), chunks), BLOCK, x, partial, n, c, size)
    launch("merge_column_sums", x, (ceil(c, WIDTH),), BLOCK, partial, y, c, chunks)
    return y


IDENTITY, SIGMOID, RELU, TANH = range(4)


def add_bias(y: Array, bias: Array, activation: int = IDENTITY) -> bool:
    """y <- f(y + bias), in place and in 1 launch; False if the kernel does not take these."""
    if not is_matrix(y) or not usable(bias) or bias.dtype != y.dtype:
        return False
    launch("add_bias", y, tiles(*y.shape), BLOCK, y, bias, *y.shape, activation)
    return True


def linear_forward(op: ops.Linear, x: Array, weight: Array, bias: Array | None = None) -> Any:
    """Y = X W^T, and b added in place."""
    if not _are_matrices(x, weight):
        return None
    y = product(x, weight.T)
    return y if bias is None or add_bias(y, bias) else y + bias


def linear_backward(
    op: ops.Linear, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """The products as in the rule, and db in two stages."""
    if grad.ndim == 2:
        grad = array_module(grad).ascontiguousarray(grad)
    if not is_matrix(grad):
        return None
    dx, dw = op.needs_input_grad[:2]
    products = product(grad, weight) if dx else None, product(grad.T, x) if dw else None
    return products if bias is None else (*products, column_sums(grad))


def matmul_forward(op: ops.MatMul, a: Array, b: Array) -> Any:
    """Of two matrices."""
    return product(a, b) if _are_matrices(a, b) else None


def matmul_backward(op: ops.MatMul, grad: Array, y: Array, a: Array, b: Array) -> Any:
    """As in the rule."""
    if not _are_matrices(grad, a, b):
        return None
    da, db = op.needs_input_grad
    return product(grad, b.T) if da else None, product(a.T, grad) if db else None


CODES = {ops.Sigmoid: SIGMOID, ops.ReLU: RELU, ops.Tanh: TANH}


def linear_activation_forward(
    op: ops.LinearActivation, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """f(X W^T + b): b and f in one pass over the product, in its place."""
    if bias is None or not _are_matrices(x, weight):
        return None
    y = product(x, weight.T)
    if add_bias(y, bias, CODES[type(op.activation)]):
        return y
    return op.activation.forward(y + bias)


def linear_activation_backward(
    op: ops.LinearActivation,
    grad: Array,
    y: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
) -> Any:
    """dA by the activation's kernel or rule, and Linear's with it."""
    if bias is None or not is_matrix(grad):
        return None
    activation = op.activation
    da = sigmoid_backward(activation, grad, y, y) if isinstance(activation, ops.Sigmoid) else None
    if da is None:
        da = activation.backward(grad, y, y)
    return linear_backward(op, da, y, x, weight, bias)


def sigmoid_forward(op: ops.Sigmoid, x: Array) -> Any:
    """In 1 launch."""
    if not usable(x):
        return None
    y = array_module(x).empty_like(x)
    launch("sigmoid_forward", x, lines(x.size), (256,), x, y, np.int64(x.size))
    return y


def sigmoid_backward(op: ops.Sigmoid, grad: Array, y: Array, x: Array) -> Any:
    """dy y (1 - y), in 1 launch."""
    if not usable(grad, y):
        return None
    dx = array_module(y).empty_like(y)
    launch("sigmoid_backward", y, lines(y.size), (256,), grad, y, dx, np.int64(y.size))
    return dx


# --------------------------------------------------------------------------------- cross-entropy


def cross_entropy_forward(op: ops.SoftmaxCrossEntropy, logits: Array, labels: Array) -> Any:
    """The losses of the rows, and their sum or mean; in 2 launches."""
    if not is_matrix(logits) or labels.dtype != np.int64 or not labels.flags.c_contiguous:
        return None
    xp, (n, c) = array_module(logits), logits.shape
    ignore = np.int64(op.ignore_index)
    loss, lse = sums((2, n), logits)
    scale = sums((1,), logits)
    total = xp.empty((), dtype=logits.dtype)
    rows = (ceil(n, HEIGHT),)
    launch("cross_entropy_rows", logits, rows, BLOCK, logits, labels, loss, lse, n, c, ignore)
    mean = int(op.reduction == "mean")
    launch("cross_entropy_total", logits, (1,), BLOCK, loss, labels, total, scale, n, ignore, mean)
    op.workspace = lse, scale
    return loss.astype(logits.dtype, copy=False) if op.reduction == "none" else total


def cross_entropy_backward(
    op: ops.SoftmaxCrossEntropy, grad: Array, y: Array, logits: Array, labels: Array
) -> Any:
    """dz = w (p - one_hot) dL, in 1 launch."""
    if op.workspace is None:
        return None
    lse, scale = op.workspace
    xp, (n, c) = array_module(logits), logits.shape
    dz = xp.empty_like(logits)
    launch(
        "cross_entropy_backward", logits, (ceil(n, HEIGHT),), BLOCK,
        xp.ascontiguousarray(grad), logits, labels, lse, scale, dz, n, c,
        np.int64(op.ignore_index), int(op.reduction == "none"),
    )  # fmt: skip
    return dz, None


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.MatMul: matmul_forward,
    ops.Linear: linear_forward,
    ops.LinearActivation: linear_activation_forward,
    ops.Sigmoid: sigmoid_forward,
    ops.BatchNorm: batch_norm_forward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_forward,
    ops.LinearBatchNormSigmoid: linear_batch_norm_sigmoid_forward,
    ops.SoftmaxCrossEntropy: cross_entropy_forward,
}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.MatMul: matmul_backward,
    ops.Linear: linear_backward,
    ops.LinearActivation: linear_activation_backward,
    ops.Sigmoid: sigmoid_backward,
    ops.BatchNorm: batch_norm_backward,
    ops.BatchNormSigmoid: batch_norm_sigmoid_backward,
    ops.LinearBatchNormSigmoid: linear_batch_norm_sigmoid_backward,
    ops.SoftmaxCrossEntropy: cross_entropy_backward,
}
