"""Changes in place: of parameters by an optimiser, of buffers by a module.

A change in place cannot be recorded, so it is refused where a gradient would have to flow through
it. Elsewhere it is noted (``core/versions.py``), and a backward pass that needs the old values says
so.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np

from ..arrays import as_array, check_index, refuse_what_wraps
from ..backend import Array, array_module, device_of, on_device_of
from ..core.gradmode import grad_mode
from ..core.variable import Variable
from ..core.versions import mark_written
from ..events import tell
from ..ops.ieee import ieee
from .arguments import of_tensor
from .arithmetic import NO_DIFFERENCE
from .indexing import index_parts, index_steps


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array, and of a number ()."""
    return tuple(getattr(value, "shape", ()))


def _check_writable(array: Array, name: str) -> None:
    """Raise a RuntimeError if a write would reach more elements than it names, or none."""
    lengths = zip(array.strides, array.shape, strict=True)
    repeated = array.size > 0 and any(step == 0 and n > 1 for step, n in lengths)
    if repeated or not getattr(array.flags, "writeable", True):
        what = "shows one element in several places" if repeated else "is read-only"
        raise RuntimeError(f"{name}: the tensor {what}; change a .clone() of it")


@of_tensor
class InPlace(Variable):
    """Methods that end in an underscore, the operators += -= *= /=, and assignment to parts."""

    __slots__ = ()

    def _write(self, name: str, change: Callable[[Array], None], *others: Any) -> Self:
        """Change the array, and note that its memory is no longer what earlier operations saw."""
        recorded = self._requires_grad or any(getattr(o, "requires_grad", False) for o in others)
        if recorded and grad_mode.get():
            raise RuntimeError(
                f"{name}: a change in place cannot be recorded for backward; make a new tensor "
                f"(y = y + 1), or, if no gradient shall flow through it, use no_grad()"
            )
        array, flags = self.array, self.array.flags
        if not flags.c_contiguous or not getattr(flags, "writeable", True):  # CuPy lacks the latter
            _check_writable(array, name)
        with on_device_of(array):
            change(array)
        mark_written(array)
        return self

    def _operand(self, other: Any, name: str, role: str = "other operand") -> Any:
        """The other operand of a change in place, as an array or number."""
        if isinstance(other, Variable):
            if device_of(other.array) != device_of(self.array):
                raise TypeError(
                    f"{name}: operands are on {device_of(self.array)} and "
                    f"{device_of(other.array)}, expected one device"
                )
            tell("read", other.array)
            return other.array
        if isinstance(other, (bool, int, float, np.generic)):
            return other
        raise TypeError(
            f"{name}: the {role} is a {type(other).__name__}, expected a Tensor or a number"
        )

    def _misfit(self, name: str, value: Any, role: str = "other operand") -> ValueError:
        return ValueError(
            f"{name}: the {role} has shape {shape_of(value)}, expected {tuple(self.array.shape)} "
            f"or one that broadcasts to it"
        )

    def _update(self, name: str, other: Any, ufunc: str) -> Self:
        value = self._operand(other, name)
        function = getattr(array_module(self.array), ufunc)
        divides = ufunc == "true_divide"
        if divides:  # by 0 too, as out of place
            function = partial(ieee().run, function)
        integers = (
            not divides
            and self.array.dtype.kind in "iu"
            and hasattr(value, "dtype")
            and value.dtype.kind in "iub"
        )

        def change(array: Array) -> None:
            try:  # integers of any size go into integers of any other, as in PyTorch
                function(array, value, out=array, casting="unsafe" if integers else "same_kind")
            except OverflowError:
                raise ValueError(f"{name}: {value} does not fit into {array.dtype}") from None
            except ValueError:
                raise self._misfit(name, value) from None
            except TypeError:
                kind = np.result_type(array.dtype, getattr(value, "dtype", value))
                if kind == array.dtype == np.bool_:
                    raise TypeError(NO_DIFFERENCE) from None
                result = "floating" if divides else kind
                raise TypeError(
                    f"{name}: a tensor of {array.dtype} cannot hold the result, which is {result}; "
                    f"make a new tensor (y = y * 0.5), or convert this one first (.float())"
                ) from None

        return self._write(name, change, other)

    def add_(self, other: Any, *, alpha: Any = 1) -> Self:
        """Add ``alpha * other`` in place."""
        return self._update("add_", other if alpha == 1 else other * alpha, "add")

    def sub_(self, other: Any, *, alpha: Any = 1) -> Self:
        """Subtract ``alpha * other`` in place."""
        return self._update("sub_", other if alpha == 1 else other * alpha, "subtract")

    def mul_(self, other: Any) -> Self:
        """Multiply by ``other`` in place."""
        return self._update("mul_", other, "multiply")

    def div_(self, other: Any) -> Self:
        """Divide by ``other`` in place."""
        return self._update("div_", other, "true_divide")

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_

    def copy_(self, source: Any) -> Self:
        """Overwrite with the elements of ``source``, broadcast to this shape."""
        mine = self.array
        plain = source.array if isinstance(source, Variable) else source
        array = as_array(plain, mine.dtype, device_of(mine))
        try:
            array = array_module(array).broadcast_to(array, mine.shape)
        except ValueError:
            raise ValueError(
                f"copy_: the source has shape {tuple(array.shape)}, expected "
                f"{tuple(mine.shape)} or one that broadcasts to it"
            ) from None
        return self._write("copy_", lambda mine: mine.__setitem__(Ellipsis, array), source)

    def fill_(self, value: Any) -> Self:
        """Set every element to ``value``: a number, or a Tensor without axes."""
        number = self._operand(value, "fill_", "value")
        if shape_of(number):
            raise ValueError(
                f"fill_: the value has shape {shape_of(number)}, expected a number or a Tensor "
                f"without axes; copy_ broadcasts"
            )
        if isinstance(number, (int, float)):
            refuse_what_wraps(np.asarray(number), self.array.dtype, "fill_")
        return self._write("fill_", lambda mine: mine.fill(number), value)

    def clamp_(self, min: Any = None, max: Any = None) -> Self:
        """Limit every element to [min, max]; see ``clamp``."""
        x: Any = self
        limited = x.detach().clamp(min, max)
        if limited.array.dtype != self.array.dtype or limited.array.shape != self.array.shape:
            raise TypeError(
                f"clamp_: a tensor of {self.array.dtype} and shape {tuple(self.array.shape)} "
                f"cannot hold the result, of {limited.array.dtype} and shape "
                f"{tuple(limited.array.shape)}"
            )
        return self._write("clamp_", lambda mine: mine.__setitem__(Ellipsis, limited.array))

    def zero_(self) -> Self:
        """Set every element to 0."""
        return self.fill_(0)

    def __setitem__(self, index: Any, value: Any) -> None:
        operand = self._operand(value, "setitem", "value")
        parts = index_parts(index)
        first, then = index_steps(self.array, parts)

        def change(mine: Array) -> None:
            try:
                part = mine[first] if first else mine  # a view
                part[then] = operand
            except IndexError:
                check_index(mine.shape, parts)  # which says more
                raise
            except ValueError:
                if not shape_of(operand):  # a number fits everywhere, but NaN into no integer
                    raise
                shape = np.broadcast_to(np.False_, mine.shape)[first or ...][then].shape
                raise ValueError(
                    f"setitem: the value has shape {shape_of(operand)}, expected {shape} or one "
                    f"that broadcasts to it"
                ) from None

        self._write("setitem", change, value)
