"""How the methods of a Tensor take their arguments: numbers, other Tensors, axes, indices."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..arrays import check_index
from ..backend import device_of, is_array, on_device_of, to_device
from ..core.autograd import apply
from ..core.op import Op
from ..core.variable import Variable

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


def operand(other: Any, name: str) -> Any:
    """The other operand: a Tensor, a Python number, or NotImplemented."""
    if isinstance(other, np.generic):  # before float: numpy.float64 is one, and would widen
        return other.item()
    if isinstance(other, (Variable, bool, int, float)):
        return other
    if is_array(other) or isinstance(other, (list, tuple)):
        raise TypeError(
            f"{name}: one operand is a Tensor and the other a {type(other).__name__}, "
            f"expected a Tensor or a number; wrap it: mg.tensor(...)"
        )
    return NotImplemented


def tensor_operand(other: Any, name: str) -> Any:
    """The other operand, which must be a Tensor."""
    if not isinstance(other, Variable):
        raise TypeError(f"{name}: the other operand is a {type(other).__name__}, expected a Tensor")
    return other


def promoted(x: Any, other: Variable) -> Any:
    """``x`` in the floating type of ``other`` if it is of an integer or boolean type."""
    mine, theirs = x.array.dtype, other.array.dtype
    return x.to(theirs) if mine.kind != "f" and theirs.kind == "f" else x


def floating(x: Any) -> Any:
    """``x``, or for integers and booleans their float32 values."""
    return x if x.array.dtype.kind == "f" else x.to(np.float32)


def counted(x: Any) -> Any:
    """``x``, or of booleans 0 and 1 in int64."""
    return x.to(np.int64) if x.array.dtype == np.bool_ else x


def widened(x: Any) -> Any:
    """``x``, or of half precision its float32 values: sums of float16 lose digits."""
    return x.to(np.float32) if x.array.dtype == np.float16 else floating(x)


def narrowed(result: Any, x: Variable) -> Any:
    """``result``, computed from ``widened(x)``, in half precision if that is what ``x`` is."""
    return result.half() if x.array.dtype == np.float16 else result


def unary(op: Op, x: Any) -> Any:
    """``op`` of one Tensor of floating type."""
    return apply(op, floating(x))


def plain_index(x: Variable, index: Any) -> tuple[Any, ...]:
    """``index`` as the array library takes it: a tuple, without Tensors and lists."""
    device = device_of(x.array)
    parts = index if isinstance(index, tuple) else (index,)

    def plain(part: Any) -> Any:
        if isinstance(part, Variable):
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
        given = (part.array if isinstance(part, Variable) else part for part in parts)
        check_index(  # CuPy would read another element in silence
            x.array.shape,
            tuple(g if is_array(g) else f for g, f in zip(given, found, strict=True)),
        )
    return found
