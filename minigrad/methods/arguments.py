"""How the methods of a Tensor take their arguments: numbers, other Tensors, axes."""

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..backend import array_module, is_array, on_device_of
from ..core.autograd import apply
from ..core.gradmode import autocasting
from ..core.op import Op
from ..core.variable import Variable

Dims: TypeAlias = int | tuple[int, ...] | list[int] | None
Scalar: TypeAlias = float | int | bool
Family = TypeVar("Family", bound=type)


def of_tensor(family: Family) -> Family:
    """Let Python's errors about arguments speak of ``Tensor.sum()``, where it would name the class
    in which a method is written, of which no user has heard."""
    for name, member in vars(family).items():
        for function in (member, getattr(member, "__wrapped__", None)):
            if isinstance(function, FunctionType):
                function.__qualname__ = f"Tensor.{name}"
    return family


def numpy_spelling(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``method`` be called with ``axis=`` and ``keepdims=`` for ``dim=`` and ``keepdim=``.

    ``np.sum(t)`` calls ``t.sum`` with ``out=``. There is none, and the error says what to write.
    """

    @functools.wraps(method)
    def spelled(*args: Any, **options: Any) -> Any:
        for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")):
            if theirs in options:
                if ours in options:
                    raise TypeError(f"{method.__name__}: got both {theirs}= and {ours}=")
                options[ours] = options.pop(theirs)
        if "out" in options:
            name = method.__name__
            raise TypeError(
                f"{name}: got out=, as from np.{name}(t); for a Tensor write t.{name}() or "
                f"mg.{name}(t)"
            )
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
        number = other.item()
        if isinstance(number, (bool, int, float)):
            return number
        raise TypeError(
            f"{name}: one operand is a Tensor and the other a {type(other).__name__}, expected a "
            f"Tensor or a real number"
        )
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
    """``result``, computed from ``widened(x)``, in half precision if that is what ``x`` is.
    ``autocast`` keeps the result wide."""
    return result.half() if x.array.dtype == np.float16 and not autocasting.get() else result


def pair(x: Any, other: Any, name: str) -> tuple[Any, Any]:
    """``x`` and ``other`` as two Tensors whose types go together, or NotImplemented twice. A number
    takes the type of ``x``; where it does not fit into that, ``x`` takes a larger one."""
    other = operand(other, name)
    if other is NotImplemented:
        return other, other
    if isinstance(other, Variable):
        return promoted(x, other), promoted(other, x)
    if isinstance(other, float):
        x = floating(x)
    elif not isinstance(other, bool):
        x = counted(x)
    with on_device_of(x.array):
        return x, x.from_array(array_module(x.array).full((), other, x.array.dtype))


def apply_pair(op: Op, a: Any, b: Any, name: str) -> Any:
    """``op`` of two Tensors, with an error that names ``name`` where they do not broadcast."""
    try:
        return apply(op, a, b)
    except ValueError:
        check_broadcast(name, a.array.shape, b.array.shape)
        raise


def check_broadcast(name: str, *shapes: tuple[int, ...]) -> None:
    """Raise a ValueError that says why operands of these shapes do not go together, if so."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"{name}: shapes {' and '.join(str(tuple(s)) for s in shapes)} do not broadcast: "
            f"counted from the right, axes must be equal or one of them 1"
        ) from None


def unary(op: Op, x: Any) -> Any:
    """``op`` of one Tensor of floating type."""
    return apply(op, floating(x))
