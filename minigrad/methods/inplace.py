"""Changes in place: of parameters by an optimiser, of buffers by a module.

A change in place cannot be recorded, so it is refused where a gradient would have to flow through
it. Elsewhere it is noted (``core/versions.py``), and a backward pass that needs the old values says
so.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from ..arrays import as_array
from ..backend import Array, array_module, device_of, on_device_of
from ..core.gradmode import mode
from ..core.variable import Variable
from ..core.versions import mark_written
from ..events import tell
from .arguments import plain_index


class InPlace(Variable):
    """Methods that end in an underscore, the operators += -= *= /=, and assignment to parts."""

    __slots__ = ()

    def _write(self, name: str, change: Callable[[Array], None], *others: Any) -> Self:
        """Change the array, and note that its memory is no longer what earlier operations saw."""
        recorded = self._requires_grad or any(getattr(o, "requires_grad", False) for o in others)
        if recorded and mode.enabled:
            raise RuntimeError(
                f"{name}: a change in place cannot be recorded for backward; make a new tensor "
                f"(y = y + 1), or, if no gradient shall flow through it, use no_grad()"
            )
        with on_device_of(self.array):
            change(self.array)
        mark_written(self.array)
        return self

    def _operand(self, other: Any, name: str) -> Any:
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
            f"{name}: the other operand is a {type(other).__name__}, expected a Tensor or a number"
        )

    def _update(self, name: str, other: Any, ufunc: str) -> Self:
        value = self._operand(other, name)
        function = getattr(array_module(self.array), ufunc)

        def change(array: Array) -> None:
            function(array, value, out=array, casting="same_kind")

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
        """Set every element to ``value``."""
        return self._write("fill_", lambda mine: mine.fill(value))

    def zero_(self) -> Self:
        """Set every element to 0."""
        return self.fill_(0)

    def __setitem__(self, index: Any, value: Any) -> None:
        operand = self._operand(value, "setitem")
        where = plain_index(self, index)
        self._write("setitem", lambda mine: mine.__setitem__(where, operand), value)
