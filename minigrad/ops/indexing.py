"""Reading elements out of a tensor, and its reverse: adding into the places they were read from."""

from typing import Any

from ..backend import Array, array_module, is_array
from ..core.autograd import call_op
from ..core.op import Op
from ..core.variable import array_of

__all__ = [
    "Embedding",
    "GetItem",
    "OneHot",
    "Scatter",
]


def is_advanced(index: tuple[Any, ...]) -> bool:
    """Whether ``index`` holds arrays, which may name the same element twice."""
    return any(is_array(part) for part in index)


class GetItem(Op):
    """y = x[index].    index: a tuple of integers, slices, None, Ellipsis and index arrays

    Every element of y is a copy of one of x, so dL/dx adds each dL/dy into the place it was
    copied from: ``Scatter``. An element that was read twice gets the sum.
    """

    def __init__(self, index: tuple[Any, ...]) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        return x[self.index]

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(Scatter(self.index, x.shape), grad)


class Scatter(Op):
    """y = zeros(shape), with x added into y[index]: the reverse of ``GetItem``, and the other way
    round, so dL/dx = (dL/dy)[index]."""

    def __init__(self, index: tuple[Any, ...], shape: tuple[int, ...]) -> None:
        self.index, self.shape = index, shape

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        y = xp.zeros_like(x, order="C", shape=self.shape)
        if is_advanced(self.index):
            xp.add.at(y, self.index, x)
        else:
            y[self.index] = x
        return y

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(GetItem(self.index), grad)


class Embedding(Op):
    """y = weight[index]: a row of the table for every entry of an integer array.

    index: (...), weight: (rows, D)  ->  y: (..., D)

    dL/dweight adds each dL/dy into the row it was read from. The row ``padding_idx`` gets none,
    so that it stays what it was.
    """

    saves = ("index",)

    def __init__(self, padding_idx: int | None) -> None:
        self.padding_idx = padding_idx

    def forward(self, index: Array, weight: Array) -> Array:
        return weight[index]

    def backward(self, grad: Array, y: Array, index: Array, weight: Array) -> tuple[None, Array]:
        if self.padding_idx is not None:
            grad = grad * (index != self.padding_idx).reshape((*index.shape, 1))
        return None, call_op(Scatter((array_of(index),), weight.shape), grad)


class OneHot(Op):
    """y[..., c] = 1 where c is the label, else 0.   labels: (...) integers -> y: (..., classes)"""

    def __init__(self, classes: int, dtype: Any) -> None:
        self.classes, self.dtype = classes, dtype

    def forward(self, labels: Array) -> Array:
        xp = array_module(labels)
        return (labels[..., None] == xp.arange(self.classes)).astype(self.dtype)

    def backward(self, grad: Array, y: Array, labels: Array) -> None:
        return None
