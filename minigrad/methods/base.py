"""What the methods of a Tensor share: what they may rely on, and how arguments are spelt."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import ops
from ..arrays import check_index
from ..backend import device_of, is_array, on_device_of, to_device

if TYPE_CHECKING:
    from ..tensor import Tensor

Dims: TypeAlias = int | tuple[int, ...] | list[int] | None
Scalar: TypeAlias = float | int | bool


def numpy_spelling(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``method`` be called with ``axis=`` and ``keepdims=`` for ``dim=`` and ``keepdim=``."""

    @functools.wraps(method)
    def spelled(*args: Any, **options: Any) -> Any:
        for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")):
            if theirs in options:
                if ours in options:
                    raise TypeError(f"{method.__name__}: got both {theirs}= and {ours}=")
                options[ours] = options.pop(theirs)
        return method(*args, **options)

    return spelled


def as_dims(dim: Dims) -> Any:
    """A list of axes as a tuple of axes."""
    return tuple(dim) if isinstance(dim, list) else dim


def as_shape(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """The shape in ``f(2, 3)`` and in ``f((2, 3))``."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        return tuple(shape[0])
    return shape


class Base:
    """What a family of methods may rely on; ``tensor.py`` provides it."""

    __slots__ = ()

    array: Any

    if TYPE_CHECKING:

        @staticmethod
        def apply_op(op: ops.Op, *inputs: Any) -> "Tensor":
            """Run an operation and record it: ``autograd.apply``."""
            ...

        @staticmethod
        def from_array(array: Any) -> "Tensor":
            """A Tensor around an array, with no history."""
            ...

        def to(self, *args: Any, **kwargs: Any) -> "Tensor":
            """On another device or in another type."""
            ...

    def _other(self, other: Any, name: str) -> Any:
        """The other operand: a Tensor, a Python number, or NotImplemented."""
        if isinstance(other, np.generic):  # before float: numpy.float64 is one, and would widen
            return other.item()
        if isinstance(other, (Base, bool, int, float)):
            return other
        if is_array(other) or isinstance(other, (list, tuple)):
            raise TypeError(
                f"{name}: one operand is a Tensor and the other a {type(other).__name__}, "
                f"expected a Tensor or a number; wrap it: mg.tensor(...)"
            )
        return NotImplemented

    def _tensor(self, other: Any, name: str) -> Any:
        """The other operand, which must be a Tensor."""
        if not isinstance(other, Base):
            raise TypeError(
                f"{name}: the other operand is a {type(other).__name__}, expected a Tensor"
            )
        return other

    def _index(self, index: Any) -> tuple[Any, ...]:
        """``index`` as the array library takes it: a tuple, without Tensors and lists."""
        device = device_of(self.array)
        parts = index if isinstance(index, tuple) else (index,)

        def plain(part: Any) -> Any:
            if isinstance(part, Base):
                part = part.array
            elif isinstance(part, list | tuple | range):
                part = np.asarray(part)
            if not is_array(part):
                return part
            if part.size == 0 and part.dtype.kind == "f":
                part = part.astype(np.int64)  # an empty list has no type of its own
            if part.dtype.kind not in "iub":
                raise TypeError(f"index: an array of {part.dtype}, expected integers or booleans")
            with on_device_of(part):
                part = part.copy()  # because backward reads it again
            return to_device(part, device)

        found = tuple(map(plain, parts))
        if device != "cpu" and any(map(is_array, found)):
            given = (part.array if isinstance(part, Base) else part for part in parts)
            check_index(  # CuPy would read another element in silence
                self.array.shape,
                tuple(g if is_array(g) else f for g, f in zip(given, found, strict=True)),
            )
        return found

    def _promoted(self, other: "Base") -> Any:
        """``self`` in the floating type of ``other`` if it is of an integer or boolean type."""
        mine, theirs = self.array.dtype, other.array.dtype
        return self.to(theirs) if mine.kind != "f" and theirs.kind == "f" else self

    def _wide(self) -> Any:
        """``self``, or of half precision its float32 values: sums of float16 lose digits."""
        return self.to(np.float32) if self.array.dtype == np.float16 else self._floating()

    def _narrowed(self, result: "Tensor") -> "Tensor":
        """``result``, computed from ``_wide``, in half precision if that is what ``self`` is."""
        return result.half() if self.array.dtype == np.float16 else result

    def _floating(self) -> Any:
        """``self``, or for integers and booleans their float32 values."""
        return self if self.array.dtype.kind == "f" else self.to(np.float32)

    def _unary(self, op: ops.Op) -> Any:
        return self.apply_op(op, self._floating())
