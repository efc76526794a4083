"""Variable: what a Tensor stands on. An array, its gradient, and the operation that made it.

This is the protocol inside the package. A Tensor adds methods for users, with checks; the engine
and the modules use the attributes below, without any.

    x.array                   the NumPy or CuPy array itself
    x.from_array(array)       a Tensor around an array, without a copy and without a history
    x.grad_fn                 the operation that made x, or None: then x is a leaf
    x.node                    its place in the graph: grad_fn, or x itself if it is a leaf
    x.hooks                   functions that want to see its gradient, or None
    x._requires_grad, x._grad what the properties of the same names check, without the checks
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..backend import Array, Device, device_of


class Variable:
    """An array that remembers where it came from."""

    __slots__ = ("__weakref__", "_grad", "_requires_grad", "array", "grad_fn", "hooks")

    # A leaf is a node of the graph: older than all others, and made from nothing.
    order: ClassVar[int] = 0
    parents: ClassVar[tuple[()]] = ()

    array: Array
    grad_fn: Any
    hooks: list[Callable[[Any], Any]] | None
    _grad: Any
    _requires_grad: bool

    @staticmethod
    def from_array(array: Array) -> Any:
        """A Tensor around an array, without a copy and without a history; see ``tensor.py``."""
        raise NotImplementedError("a Variable is made by its subclass Tensor")

    @property
    def node(self) -> Any:
        """Its place in the graph: the operation that made it, or itself if it is a leaf."""
        return self if self.grad_fn is None else self.grad_fn

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded operation."""
        return self.grad_fn is None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return int(self.array.ndim)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.array.dtype

    @property
    def device(self) -> Device:
        """Where the elements are: ``"cpu"`` or ``"cuda:<number>"``."""
        return device_of(self.array)


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is a Tensor: then arithmetic on it becomes part of a graph."""
    return isinstance(value, Variable)


def array_of(value: Any) -> Array:
    """The array itself, of a Tensor or an array: for labels and indices, which have no gradient."""
    return value.array if isinstance(value, Variable) else value
