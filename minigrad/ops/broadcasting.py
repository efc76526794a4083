"""Broadcasting, which repeats an array to fit another, and its reverse, which sums gradients."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..core.autograd import apply
from ..core.op import Op
from ..core.variable import Variable

__all__ = [
    "BroadcastTo",
    "unbroadcast",
]


class BroadcastTo(Op):
    """y is x repeated along axes of length 1 and along new leading axes.   x: (...) -> y: shape

    Every copy of an element contributes, hence dL/dx sums dL/dy over the copies: ``unbroadcast``.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return array_module(x).broadcast_to(x, self.shape)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return unbroadcast(grad, x.shape)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` repeated up to ``shape``: the opposite of ``unbroadcast``."""
    if x.shape == shape:
        return x
    return (
        apply(BroadcastTo(shape), x)
        if isinstance(x, Variable)
        else array_module(x).broadcast_to(x, shape)
    )


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``grad`` down to ``shape``: broadcasting in reverse.

    Where an input was repeated to fit, each copy receives a gradient, and the input's gradient is
    their sum: over the axes that were put in front, and over those stretched from length 1.
    """
    if grad.shape == shape:
        return grad
    in_front = grad.ndim - len(shape)
    stretched = tuple(
        in_front + axis
        for axis, length in enumerate(shape)
        if length == 1 and grad.shape[in_front + axis] != 1
    )
    return add_up(grad, (*range(in_front), *stretched)).reshape(shape)


def add_up(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The sum over ``axes``; of float16, whose sums stop growing at 2048, taken in float32."""
    if isinstance(x, Variable) or x.dtype != np.float16:
        return x.sum(axis=axes, keepdims=keepdims)
    return x.sum(axis=axes, keepdims=keepdims, dtype=wide(x.dtype)).astype(x.dtype)


def wide(dtype: np.dtype[Any]) -> Any:
    """The type to add up in: float32 for float16, whose sums lose digits and overflow at 65504."""
    return np.float32 if dtype == np.float16 else dtype
