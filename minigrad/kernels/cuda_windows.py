"""Convolutions and pooling for CuPy: the windows of images in one launch each.

The rules go over the pixels of the window one by one, with a launch or more for each. Here a thread
has one number of the result, and looks up what it consists of (``cuda/windows.cu``); nothing is
added from two sides, so the sums come out the same every time. The products are cuBLAS's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, array_module
from ..ops.convolution import Window
from .launch import launch, lines, number, usable

Size = tuple[int, ...]


def _on_window(name: str, window: Window, size: Size, n: int, like: Array, *arrays: Any) -> None:
    """Launch a kernel for ``n`` numbers, with what it must know of windows on images of a size."""
    pairs = window.kernel, window.stride, window.padding, window.dilation, window.out(size)
    plain = [value for pair in pairs for value in pair]
    launch(name, like, lines(n), (256,), *arrays, np.int64(n), *size, *plain)


def unfold(window: Window, x: Array) -> Array:
    """(N, C, H, W)  ->  (N, C kh kw, places)"""
    n, c, *size = x.shape
    (kh, kw), (oh, ow) = window.kernel, window.out(tuple(size))
    u = array_module(x).empty((n, c * kh * kw, oh * ow), dtype=x.dtype)
    _on_window("unfold", window, tuple(size), u.size, x, x, u)
    return u


def fold(window: Window, size: Size, u: Array) -> Array:
    """(N, C kh kw, places)  ->  (N, C, H, W)"""
    c = u.shape[1] // (window.kernel[0] * window.kernel[1])
    x = array_module(u).empty((len(u), c, *size), dtype=u.dtype)
    _on_window("fold", window, size, x.size, u, u, x)
    return x


def unfold_forward(op: ops.Unfold, x: Array) -> Any:
    """In 1 launch."""
    return unfold(op.window, x) if usable(x) else None


def unfold_backward(op: ops.Unfold, grad: Array, y: Array, x: Array) -> Any:
    """Fold, in 1 launch."""
    grad = array_module(grad).ascontiguousarray(grad)
    return fold(op.window, tuple(x.shape[2:]), grad) if usable(grad) else None


def fold_forward(op: ops.Fold, x: Array) -> Any:
    """In 1 launch."""
    x = array_module(x).ascontiguousarray(x)
    return fold(op.window, op.size, x) if usable(x) else None


def fold_backward(op: ops.Fold, grad: Array, y: Array, x: Array) -> Any:
    """Unfold, in 1 launch."""
    grad = array_module(grad).ascontiguousarray(grad)
    return unfold(op.window, grad) if usable(grad) else None


def convolution_forward(
    op: ops.Convolution, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """As in the rule, with 1 launch for U; the bias is added in place."""
    if not usable(x) or not weight.size:
        return None
    n, g, o = len(x), op.groups, len(weight)
    u = unfold(op.window, x)
    y = weight.reshape((g, o // g, -1)) @ u.reshape((n, g, -1, u.shape[2]))
    y = y.reshape((n, o, *op.window.out(x.shape[2:])))
    if bias is not None:
        y += bias.reshape((o, 1, 1))
    return y


def convolution_backward(
    op: ops.Convolution, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """As in the rule, with 1 launch for U and 1 for fold."""
    if not usable(x) or not weight.size or grad.dtype != x.dtype:
        return None
    n, g, o = len(x), op.groups, len(weight)
    to_x, to_weight, *_ = op.needs_input_grad
    dy, rows = grad.reshape((n, g, o // g, -1)), weight.reshape((g, o // g, -1))
    dx = dw = None
    if to_x:
        du = (rows.swapaxes(-1, -2) @ dy).reshape((n, -1, dy.shape[3]))
        dx = fold(op.window, tuple(x.shape[2:]), array_module(du).ascontiguousarray(du))
    if to_weight:
        u = unfold(op.window, x)
        per_sample = dy @ u.reshape((n, g, -1, u.shape[2])).swapaxes(-1, -2)
        dw = per_sample.sum(axis=0).reshape(weight.shape)
    return (dx, dw) if bias is None else (dx, dw, grad.sum(axis=(0, 2, 3)))


def max_pool_forward(op: ops.MaxPool, x: Array) -> Any:
    """In 1 launch; which tap won is kept for backward."""
    if not usable(x):
        return None
    xp, size = array_module(x), tuple(x.shape[2:])
    y = xp.empty((*x.shape[:2], *op.window.out(size)), dtype=x.dtype)
    winner = xp.empty(y.shape, dtype=np.int32)
    _on_window("max_pool", op.window, size, y.size, x, x, y, winner, number(-np.inf, x))
    op.workspace = winner
    return y


def max_pool_backward(op: ops.MaxPool, grad: Array, y: Array, x: Array) -> Any:
    """In 1 launch."""
    grad = array_module(grad).ascontiguousarray(grad)
    if op.workspace is None or not usable(grad):
        return None
    dx = array_module(x).empty(x.shape, dtype=grad.dtype)
    size = tuple(x.shape[2:])
    _on_window("max_pool_backward", op.window, size, dx.size, grad, grad, op.workspace, dx)
    return dx


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Unfold: unfold_forward,
    ops.Fold: fold_forward,
    ops.Convolution: convolution_forward,
    ops.MaxPool: max_pool_forward,
}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Unfold: unfold_backward,
    ops.Fold: fold_backward,
    ops.Convolution: convolution_backward,
    ops.MaxPool: max_pool_backward,
}
