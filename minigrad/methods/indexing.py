"""Parts of a tensor: ``t[index]``, ``for row in t``, ``gather``, ``split``, ``chunk``."""

import math
import operator
from collections.abc import Iterator
from typing import Any, Self, TypeAlias

import numpy as np

from .. import ops
from ..arrays import check_index, check_range
from ..backend import CPU, device_of, host_copy, is_array, on_device_of, to_device
from ..core.autograd import apply
from ..core.variable import Variable
from ..events import tell
from ..ops.axes import normalize_dim
from .arguments import of_tensor, tensor_operand

Parts: TypeAlias = tuple[Any, ...]

_VIEWING = {int, slice, type(None), type(Ellipsis)}  # what the array library makes views for


def index_parts(index: Any) -> Parts:
    """``index`` as a tuple of integers, booleans, slices, ``None``, ``...`` and arrays with axes.

    Raises:
        IndexError: a part is of another kind.
        TypeError: an array of something else than integers or booleans.
    """
    parts = index if isinstance(index, tuple) else (index,)
    return parts if _VIEWING.issuperset(map(type, parts)) else tuple(map(_part, parts))


def index_steps(array: Any, parts: Parts) -> tuple[Parts, Parts]:
    """``parts`` as PyTorch takes them, in two steps for the array library: ``array[first][then]``,
    or either of them alone where the other is ``()``.

    Integers, slices, ``...`` and ``None`` make a view, the first step. Arrays make a copy, the
    second. An integer beside arrays has to go first: NumPy takes it for an array with one element,
    and so as a reason to move the arrays' axes to the front. (``zeros(2, 3, 4)[0, :, [0, 1]]`` has
    the shape (2, 3) in NumPy, and (3, 2) in PyTorch.)

    Raises:
        IndexError: there is no such element, on a GPU. (On the CPU, NumPy will say so.)
    """
    if _VIEWING.issuperset(map(type, parts)):  # of an element too, as there is an ...
        return (parts if any(part is Ellipsis for part in parts) else (*parts, Ellipsis)), ()
    device = device_of(array)
    if device != CPU and any(map(is_array, parts)):
        check_index(array.shape, parts)  # CuPy would read another element in silence

    def own(part: Any) -> Any:
        with on_device_of(part):  # a copy, because backward reads it again
            return to_device(part.copy(), device)

    if not any(isinstance(part, int) for part in parts):  # booleans count among them
        return (), tuple([own(part) if is_array(part) else part for part in parts])
    first: list[Any] = []
    then: list[Any] = []
    for part in parts:
        if type(part) is bool:  # a new axis, of length 1 or 0
            first.append(None)
            then.append(own(np.zeros(int(part), np.int64)))
        elif type(part) is int:
            first.append(part)
        elif is_array(part):
            first += [slice(None)] * (part.ndim if part.dtype == bool else 1)
            then.append(own(part))
        else:
            first.append(part)
            then.append(Ellipsis if part is Ellipsis else slice(None))
    return tuple(first), tuple(then)


def _part(part: Any) -> Any:
    """One part of an index as int, bool, slice, None, Ellipsis, or an array with axes."""
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, Variable):
        part = part.array
    elif isinstance(part, list | tuple | range | np.generic):
        try:
            part = np.asarray(part)
        except ValueError:
            raise IndexError("index: a list holds lists of unequal lengths") from None
    if not is_array(part):
        try:
            return part if type(part) is bool else operator.index(part)
        except TypeError:
            raise IndexError(
                f"index: got {part!r}, expected integers, slices, ..., None, or lists, arrays and "
                f"Tensors of integers or booleans"
            ) from None
    if part.size == 0 and part.dtype.kind == "f":
        part = part.astype(np.int64)  # an empty list has no type of its own
    if part.dtype.kind not in "iub":
        raise TypeError(f"index: an array of {part.dtype}, expected integers or booleans")
    if part.ndim:
        return part
    tell(
        "leaves_the_step",
        "reads a number to index with",
        "index with a tensor of one axis, index.reshape(1)",
    )
    return to_device(host_copy(part), CPU).item()


@of_tensor
class Indexing(Variable):
    """Reading some of the elements. Writing them is in ``inplace.py``."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Self:
        parts = index_parts(index)
        first, then = index_steps(self.array, parts)
        part: Any = self
        try:
            if first:
                part = apply(ops.GetItem(first), part)
            return apply(ops.GetItem(then), part) if then else part
        except IndexError:
            check_index(self.array.shape, parts)  # which says more
            raise

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return int(self.array.shape[0])

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def gather(self, dim: int, index: Variable) -> Self:
        """y[i][j] = self[index[i][j]][j] for dim = 0, self[i][index[i][j]] for dim = 1, and so on.

        index: integers, with as many axes as self, and no longer than self along the others.

        Raises:
            ValueError: the shapes do not fit.
            IndexError: an index is out of range.
        """
        x, picks = self.array, tensor_operand(index, "gather").array
        axis = normalize_dim(dim, x.ndim, "gather")
        if picks.dtype.kind not in "iu":
            raise TypeError(f"gather: the index is {picks.dtype}, expected integers")
        if picks.ndim != x.ndim or any(
            n > m for i, (n, m) in enumerate(zip(picks.shape, x.shape, strict=True)) if i != axis
        ):
            raise ValueError(
                f"gather: the index has shape {tuple(picks.shape)}, expected {x.ndim} axes, none "
                f"but {axis} longer than those of {tuple(x.shape)}"
            )
        check_range(picks, x.shape[axis] if x.ndim else 1, "gather", "an index")
        if not x.ndim:
            return self[None][self.from_array(picks.reshape(1))][0]
        places = [
            self.from_array(
                to_device(
                    np.arange(n).reshape([-1 if i == k else 1 for k in range(x.ndim)]), device_of(x)
                )
            )
            for i, n in enumerate(picks.shape)
        ]
        places[axis] = index
        return self[tuple(places)]

    def _refuse_0d(self, name: str) -> None:
        if not self.array.ndim:
            raise ValueError(f"{name}: the tensor has no axes, expected at least one")

    def split(self, split_size: int | list[int], dim: int = 0) -> tuple[Self, ...]:
        """Pieces along ``dim``: of ``split_size`` each (the last may be smaller), or of the given
        lengths."""
        self._refuse_0d("split")
        axis = normalize_dim(dim, self.array.ndim, "split")
        length = self.array.shape[axis]
        if isinstance(split_size, int):
            if split_size <= 0:
                raise ValueError(f"split: split_size is {split_size}, expected at least 1")
            full, rest = divmod(length, split_size)
            sizes = [split_size] * full + ([rest] if rest or not full else [])
        else:
            sizes = list(split_size)
            if sum(sizes) != length or min(sizes, default=0) < 0:
                raise ValueError(f"split: lengths {sizes} do not add up to {length}")
        pieces, start = [], 0
        for size in sizes:
            pieces.append(self[(slice(None),) * axis + (slice(start, start + size),)])
            start += size
        return tuple(pieces)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Self, ...]:
        """At most ``chunks`` pieces of equal length along ``dim`` (the last may be smaller)."""
        if chunks <= 0:
            raise ValueError(f"chunk: chunks is {chunks}, expected at least 1")
        self._refuse_0d("chunk")
        length = self.array.shape[normalize_dim(dim, self.array.ndim, "chunk")]
        if length == 0:
            return self.split([0] * chunks, dim)
        return self.split(math.ceil(length / chunks), dim)
