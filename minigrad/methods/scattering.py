"""Elements read by, and added at, places that another tensor names.

Reading is ``GetItem`` and adding is ``Scatter``, each the gradient of the other.
"""

from typing import Any, Self

import numpy as np

from .. import ops
from ..arrays import check_range
from ..backend import array_module, device_of, on_device_of, to_device
from ..core.autograd import apply
from ..core.variable import Variable
from ..ops.axes import normalize_dim
from .arguments import of_tensor, tensor_operand


@of_tensor
class Scattering(Variable):
    """``index_select``, ``index_add``, ``scatter_add``, ``nonzero``."""

    __slots__ = ()

    def _rows(self, name: str, dim: int, index: Any) -> tuple[int, Any]:
        """The axis, and the index as an array of one axis whose numbers are in range."""
        picks = tensor_operand(index, name).array
        axis = normalize_dim(dim, self.array.ndim, name)
        if picks.dtype.kind != "i" or picks.ndim > 1:
            raise TypeError(
                f"{name}: the index is {picks.dtype} with {picks.ndim} axes, expected integers "
                f"with one axis"
            )
        check_range(picks, self.array.shape[axis] if self.array.ndim else 1, name, "an index")
        return axis, to_device(picks.reshape(-1), device_of(self.array))

    def index_select(self, dim: int, index: Any) -> Self:
        """The slices along ``dim`` that ``index`` names, in its order.

        index: integers with one axis, (k,).  (..., n, ...) -> (..., k, ...)

        Raises:
            TypeError: the index is no such Tensor.
            IndexError: an index is out of range.
        """
        axis, rows = self._rows("index_select", dim, index)
        if not self.array.ndim:
            x: Any = self
            return x.reshape(1).index_select(0, index).reshape(())
        return apply(ops.GetItem((slice(None),) * axis + (rows,)), self)

    def index_add(self, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Self:
        """Self, with ``alpha * source[i]`` added to the slice ``index[i]`` along ``dim``.

        index: integers (k,);  source: as self, with length k along ``dim``.

        Raises:
            TypeError: the index is no such Tensor.
            ValueError: the shape of the source.
            IndexError: an index is out of range.
        """
        axis, rows = self._rows("index_add", dim, index)
        shape = tuple(self.array.shape)
        source = tensor_operand(source, "index_add")
        expected = (*shape[:axis], rows.size, *shape[axis + 1 :])
        if tuple(source.shape) != expected:
            raise ValueError(
                f"index_add: the source has shape {tuple(source.shape)}, expected {expected}"
            )
        scaled = source if alpha == 1 else source * alpha
        x: Any = self
        return x + apply(ops.Scatter((slice(None),) * axis + (rows,), shape), scaled)

    def scatter_add(self, dim: int, index: Any, src: Any) -> Self:
        """Self, with each ``src[i][j]`` added at ``[index[i][j]][j]`` for dim = 0, at
        ``[i][index[i][j]]`` for dim = 1, and so on: the reverse of ``gather``.

        index: integers, with as many axes as self, and no longer than src along any of them, nor
        than self along the others than ``dim``.

        Raises:
            TypeError: the index is not made of integers.
            ValueError: the shapes do not fit.
            IndexError: an index is out of range.
        """
        x: Any = self
        picks, src = tensor_operand(index, "scatter_add").array, tensor_operand(src, "scatter_add")
        axis, shape = normalize_dim(dim, self.array.ndim, "scatter_add"), tuple(self.array.shape)
        if picks.dtype.kind != "i":
            raise TypeError(f"scatter_add: the index is {picks.dtype}, expected integers")
        limits = [
            min(m, n) if i != axis else m
            for i, (m, n) in enumerate(zip(src.shape, shape, strict=False))
        ]
        fits = len(src.shape) == len(shape) == picks.ndim
        if not fits or any(n > m for n, m in zip(picks.shape, limits, strict=True)):
            raise ValueError(
                f"scatter_add: the index has shape {tuple(picks.shape)} for a source of shape "
                f"{tuple(src.shape)} and a tensor of shape {shape}; expected as many axes, none "
                f"longer than the source's, and but for axis {axis} none longer than the tensor's"
            )
        check_range(picks, shape[axis] if shape else 1, "scatter_add", "an index")
        if not shape:
            return x + src
        with on_device_of(self.array):
            xp = array_module(self.array)
            places = [
                xp.arange(n).reshape([-1 if i == k else 1 for k in range(len(shape))])
                for i, n in enumerate(picks.shape)
            ]
            places[axis] = to_device(picks.copy(), device_of(self.array))
        part = src[tuple(slice(0, n) for n in picks.shape)]
        return x + apply(ops.Scatter(tuple(places), shape), part)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """The places of the elements that are not 0: (count, axes) in int64, or, ``as_tuple``, one
        Tensor of indices for each axis. A GPU is waited for."""
        x = self.array if self.array.ndim or not as_tuple else self.array.reshape(1)
        with on_device_of(self.array):
            xp = array_module(self.array)
            if not x.ndim:
                return self.from_array(xp.zeros((int(bool(x)), 0), dtype=np.int64))
            places = [self.from_array(place) for place in xp.nonzero(x)]
            if as_tuple:
                return tuple(places)
            return self.from_array(xp.stack([place.array for place in places], axis=1))
