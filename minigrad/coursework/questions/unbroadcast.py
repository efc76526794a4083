"""Task 3: broadcasting in reverse."""

import numpy as np

from ...backend import Array
from .base import Inputs, Question, table

Shape = tuple[int, ...]

SHAPES: list[tuple[Shape, Shape]] = [
    ((4, 3), (3,)),
    ((4, 3), (1, 3)),
    ((4, 3), (4, 1)),
    ((4, 3), ()),
    ((4, 3), (4, 3)),
    ((3, 3), (3,)),
    ((3, 3), (3, 1)),
    ((3, 3), (1, 3)),
    ((2, 4, 3), (2, 1, 3)),
    ((2, 4, 3), (3,)),
    ((2, 4, 3), (4, 1)),
    ((2, 4, 3), (1, 1, 1)),
    ((2, 1, 3), (1, 3)),
]
"""(of grad, of the input). In square ones a sum along the wrong axis has the right shape."""


def unbroadcast(grad: Array, shape: Shape) -> Array:
    """``grad`` summed over the axes that broadcasting repeated."""
    shape = tuple(shape)
    in_front = grad.ndim - len(shape)
    stretched = (in_front + i for i, n in enumerate(shape) if n == 1)
    return grad.sum(axis=(*range(in_front), *stretched)).reshape(shape)


def probes(rng: np.random.Generator) -> list[Inputs]:
    """One gradient for each pair of shapes."""
    return [{"grad": rng.normal(0.6, 1.4, a), "shape": b} for a, b in SHAPES]


def reduced(grad: Array, shape: Shape, reduce: str) -> Array:
    """The right axes, but another reduction than the sum."""
    in_front = grad.ndim - len(shape)
    axes = (*range(in_front), *(in_front + i for i, n in enumerate(shape) if n == 1))
    if reduce == "first":
        index = tuple(0 if axis in axes else slice(None) for axis in range(grad.ndim))
        return np.asarray(grad[index]).reshape(shape)
    return np.asarray(getattr(grad, reduce)(axis=axes)).reshape(shape)


def wrong_axis(grad: Array, shape: Shape) -> Array:
    """Sums the last axes away where broadcasting put axes in front."""
    in_front = grad.ndim - len(shape)
    grad = grad.sum(axis=tuple(range(grad.ndim - in_front, grad.ndim)))
    return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def front_only(grad: Array, shape: Shape) -> Array:
    """Forgets the axes that were stretched from length 1."""
    return grad.sum(axis=tuple(range(grad.ndim - len(shape))))


def without_keepdims(grad: Array, shape: Shape) -> Array:
    """Sums the right axes, and loses those of length 1."""
    in_front = grad.ndim - len(shape)
    axes = (*range(in_front), *(in_front + i for i, n in enumerate(shape) if n == 1))
    return grad.sum(axis=axes)


def first_stretched_only(grad: Array, shape: Shape) -> Array:
    """Sums only the first of the axes that were stretched."""
    grad = front_only(grad, shape)
    ones = [i for i, n in enumerate(shape) if n == 1][:1]
    return grad.sum(axis=tuple(ones), keepdims=True)


def axis_zero(grad: Array, shape: Shape) -> Array:
    """Sums axis 0, whatever was stretched."""
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    if grad.ndim and 1 in shape and grad.shape != tuple(shape):
        grad = grad.sum(axis=0, keepdims=True)
    return grad


MISTAKES = table(
    "broadcasting: every copy of an element contributes",
    "dx",
    (
        "U1",
        lambda grad, shape: grad,
        "You return the gradient unchanged. Broadcasting repeated the input, and every copy "
        "receives a gradient. The gradient of the input is their sum, in the input's shape.",
    ),
    (
        "U2",
        wrong_axis,
        "You sum over the last axes. Broadcasting puts new axes in front, so sum over the first "
        "axes. (In a square array the shape is right in both cases.)",
    ),
    (
        "U3",
        lambda grad, shape: reduced(grad, shape, "mean"),
        "You take the mean over the copies. What the copies receive adds up: the input influences "
        "the loss through each of them.",
    ),
    (
        "U4",
        without_keepdims,
        "The sums are right, but the axes of length 1 are lost: for an input of shape (1, 3) the "
        "gradient has to be (1, 3) again.",
    ),
    (
        "U5",
        axis_zero,
        "You always sum along axis 0. An input of shape (4, 1) was repeated along axis 1, so that "
        "is the axis to sum; compare the two shapes axis by axis.",
    ),
    (
        "U6",
        front_only,
        "The axes put in front are summed, but not those stretched from length 1: an input of "
        "shape (4, 1) was repeated as well.",
    ),
    (
        "U7",
        lambda grad, shape: reduced(grad, shape, "first"),
        "You take the first of the copies instead of their sum.",
    ),
    (
        "U8",
        first_stretched_only,
        "Only the first axis of length 1 is summed. There can be several, and one of them may "
        "stand in the middle.",
    ),
    (
        "U9",
        lambda grad, shape: reduced(grad, shape, "max"),
        "You take the largest of the copies' gradients instead of their sum.",
    ),
    (
        "U10",
        lambda grad, shape: np.full(shape, grad.sum()),
        "Every element gets the sum over everything. Sum over the copies of that element only.",
    ),
    (
        "U11",
        lambda grad, shape: np.resize(grad, shape),
        "You cut the gradient to the shape instead of summing: the gradients of the other copies "
        "are lost.",
    ),
)

QUESTIONS = (Question("unbroadcast", ("dx",), unbroadcast, probes, MISTAKES),)
