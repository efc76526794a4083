"""Elements by size: ``sort``, ``argsort``, ``topk``.

The order is found without a gradient. The values are read from their places by it, so the gradient
of each goes back to its place.
"""

from typing import Any, NamedTuple, Self

from ..backend import array_module, on_device_of
from ..core.variable import Variable
from ..ops.axes import normalize_dim
from .arguments import of_tensor


class Ordered(NamedTuple):
    """What ``sort`` and ``topk`` return: ``values[i]`` stood at ``indices[i]`` along the axis."""

    values: Any
    indices: Any


@of_tensor
class Ordering(Variable):
    """The elements of an axis by size."""

    __slots__ = ()

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Self:
        """The places of the elements along ``dim``, the smallest first, or the largest if
        ``descending`` (int64). NaN counts as the largest.

        Equal elements stay in their order, whatever ``stable`` says; a GPU promises that too.
        """
        axis = normalize_dim(dim, self.array.ndim, "argsort")
        with on_device_of(self.array):
            x, xp = self.array, array_module(self.array)
            if not x.ndim:
                return self.from_array(xp.zeros((), dtype="int64"))
            if not descending:
                return self.from_array(xp.argsort(x, axis=axis, kind="stable"))
            # Backwards twice: of equal elements the first must come first here, too.
            order = xp.flip(xp.argsort(xp.flip(x, axis), axis=axis, kind="stable"), axis)
            return self.from_array(x.shape[axis] - 1 - order)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
        """A named tuple of the ``values`` along ``dim`` by size, and their ``indices``; see
        ``argsort``."""
        indices: Any = self.argsort(dim, descending, stable)
        x: Any = self
        return Ordered(x.gather(dim, indices), indices)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        """A named tuple of the ``k`` largest ``values`` along ``dim``, or smallest, and their
        ``indices``; they are sorted, whatever ``sorted`` says.

        Raises:
            ValueError: there are not so many.
        """
        axis = normalize_dim(dim, self.array.ndim, "topk")
        length = self.array.shape[axis] if self.array.ndim else 1
        if not 0 <= k <= length:
            raise ValueError(f"topk: k is {k}, expected 0 to {length}, the length of axis {dim}")
        order: Any = self.argsort(dim, descending=largest)
        indices = order[(slice(None),) * axis + (slice(0, k),)] if self.array.ndim else order
        x: Any = self
        return Ordered(x.gather(dim, indices), indices)
