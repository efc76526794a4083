"""The elements in another order, repeated, or on a diagonal.

Each is made of parts, joined or chosen; the gradient of a part goes back to where it was.
"""

from typing import Any, Self

import numpy as np

from .. import ops
from ..backend import array_module, on_device_of
from ..core.autograd import apply
from ..core.variable import Variable
from ..ops.axes import normalize_dim, normalize_dims
from .arguments import as_shape, of_tensor


@of_tensor
class Rearranging(Variable):
    """``flip``, ``roll``, ``repeat``, ``tril``, ``diagonal`` and their relatives."""

    __slots__ = ()

    def flip(self, *axes: Any, dims: Any = ()) -> Self:
        """The elements in reverse order along the axes ``dims``, or ``axes``."""
        wanted = as_shape((dims,) if isinstance(dims, int) else tuple(dims) or axes)
        turned = normalize_dims(wanted, self.array.ndim, "flip") if wanted else ()
        backwards = slice(None, None, -1)
        index = [backwards if i in turned else slice(None) for i in range(self.array.ndim)]
        return apply(ops.GetItem((*index, Ellipsis)), self)

    def roll(self, shifts: Any, dims: Any = None) -> Self:
        """The elements moved on by ``shifts`` places along ``dims``; those that leave at the end
        come in at the start. Without ``dims``, the flattened tensor is rolled.

        Raises:
            ValueError: not as many shifts as axes.
        """
        x: Any = self
        if dims is None:
            return x.flatten().roll(shifts, 0).reshape(self.array.shape) if self.array.ndim else x
        shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
        axes = (dims,) if isinstance(dims, int) else tuple(dims)
        if len(shifts) != len(axes):
            raise ValueError(f"roll: {len(shifts)} shifts for {len(axes)} axes, expected as many")
        for shift, axis in zip(shifts, axes, strict=True):
            axis = normalize_dim(axis, self.array.ndim, "roll")
            length = self.array.shape[axis]
            if length and shift % length:
                before = (slice(None),) * axis
                cut = length - shift % length
                parts = x[(*before, slice(cut, None))], x[(*before, slice(0, cut))]
                x = apply(ops.Cat(axis), *parts)
        return x

    def repeat(self, *sizes: Any) -> Self:
        """The tensor side by side with itself, so many times along each axis; sizes in front of its
        axes make new ones.

        Raises:
            ValueError: fewer sizes than axes, or a negative one.
        """
        times, shape = as_shape(sizes), tuple(self.array.shape)
        if len(times) < len(shape) or any(n < 0 for n in times):
            raise ValueError(
                f"repeat: got {times} for shape {shape}, expected a number from 0 on for each axis"
            )
        shape = (1,) * (len(times) - len(shape)) + shape
        x: Any = self
        apart = [n for pair in zip([1] * len(times), shape, strict=True) for n in pair]
        wide = [n for pair in zip(times, shape, strict=True) for n in pair]
        lengths = [n * m for n, m in zip(times, shape, strict=True)]
        return x.reshape(apart).expand(wide).reshape(lengths)

    def tile(self, *dims: Any) -> Self:
        """As ``repeat``, where fewer numbers than axes stand for the last axes."""
        times = as_shape(dims)
        return self.repeat((1,) * (self.array.ndim - len(times)) + times)

    def unbind(self, dim: int = 0) -> tuple[Self, ...]:
        """The slices along ``dim``, without that axis."""
        axis = normalize_dim(dim, self.array.ndim, "unbind")
        if not self.array.ndim:
            raise ValueError("unbind: the tensor has no axes, expected at least one")
        x: Any = self
        return tuple(x[(slice(None),) * axis + (i,)] for i in range(self.array.shape[axis]))

    def _triangle(self, name: str, diagonal: int) -> Any:
        if self.array.ndim < 2:
            raise ValueError(
                f"{name}: the tensor has shape {tuple(self.array.shape)}, expected a matrix, or a "
                f"stack of them"
            )
        with on_device_of(self.array):
            xp = array_module(self.array)
            rows, columns = self.array.shape[-2:]
            kept = xp.tri(rows, columns, diagonal if name == "tril" else diagonal - 1, dtype=bool)
            mask = self.from_array(kept if name == "tril" else ~kept)
        x: Any = self
        return x.where(mask, 0)

    def tril(self, diagonal: int = 0) -> Self:
        """The lower triangle: 0 above the ``diagonal``-th diagonal (0: the main one, 1: above)."""
        return self._triangle("tril", diagonal)

    def triu(self, diagonal: int = 0) -> Self:
        """The upper triangle: 0 below the ``diagonal``-th diagonal."""
        return self._triangle("triu", diagonal)

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Self:
        """The elements where the index along ``dim2`` is that along ``dim1`` plus ``offset``, along
        a last axis.

        Raises:
            ValueError: the two axes are one.
        """
        ndim = self.array.ndim
        first, second = (normalize_dim(d, ndim, "diagonal") for d in (dim1, dim2))
        if first == second:
            raise ValueError(f"diagonal: dim1 and dim2 are both {first}, expected two axes")
        x: Any = self
        others = [i for i in range(ndim) if i not in (first, second)]
        x = x.permute(first, second, *others)
        length = min(
            self.array.shape[first] + min(offset, 0), self.array.shape[second] - max(offset, 0)
        )
        steps = np.arange(max(length, 0))
        picked = x[steps - min(offset, 0), steps + max(offset, 0)]
        return picked.permute(*range(1, ndim - 1), 0)

    def diag(self, diagonal: int = 0) -> Self:
        """Of a matrix its ``diagonal``-th diagonal; of a vector the matrix that has it there.

        Raises:
            ValueError: another number of axes.
        """
        x: Any = self
        if self.array.ndim == 2:
            return x.diagonal(diagonal)
        if self.array.ndim != 1:
            raise ValueError(
                f"diag: the tensor has shape {tuple(self.array.shape)}, expected a vector or a "
                f"matrix"
            )
        n = len(self.array) + abs(diagonal)
        with on_device_of(self.array):
            steps = array_module(self.array).arange(len(self.array))
        index = (steps - min(diagonal, 0), steps + max(diagonal, 0))
        return apply(ops.Scatter(index, (n, n)), self)
