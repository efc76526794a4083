"""Comparisons, masks, and the choice between numbers: ``a < b``, ``mask & other``, ``where``."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import ops
from ..backend import device_of, on_device_of
from ..core.autograd import apply
from ..core.variable import Variable
from .arguments import (
    apply_pair,
    check_broadcast,
    floating,
    of_tensor,
    operand,
    pair,
    promoted,
)


@of_tensor
class Comparisons(Variable):
    """What compares elements, and what chooses among them."""

    __slots__ = ()

    def clamp(self, min: Any = None, max: Any = None) -> Self:
        """Limited to [min, max], elementwise; either bound may be left out. Bounds are numbers, or
        both are Tensors that broadcast, which get the gradient where they stand in for self. Where
        min is above max, the result is max.

        Raises:
            TypeError: a bound is neither a number nor a Tensor, or there is one of each.
            ValueError: both bounds are missing, or shapes do not broadcast.
        """
        if min is None and max is None:
            raise ValueError("clamp: got neither min nor max, expected at least one")
        bounds = [b for b in (min, max) if b is not None]
        if all(isinstance(b, Variable) for b in bounds):
            x: Any = self
            for bound, beyond in ((min, "lt"), (max, "gt")):
                if bound is not None:
                    check_broadcast("clamp", x.array.shape, bound.array.shape)
                    a, b = promoted(x, bound), promoted(bound, x)
                    x = b.where((a < b if beyond == "lt" else a > b) | (b != b), a)
            return x
        low, high = (b.item() if isinstance(b, np.generic) else b for b in (min, max))
        for bound in (low, high):
            if not isinstance(bound, (int, float, type(None))):
                raise TypeError(
                    f"clamp: a bound is a {type(bound).__name__}, expected two numbers or two "
                    f"Tensors"
                )
        x = floating(self) if isinstance(low, float) or isinstance(high, float) else self
        return apply(ops.Clamp(low, high), x)

    def maximum(self, other: Any) -> Self:
        """The larger of each pair of elements; ``other`` is a Tensor or a number."""
        return self._chosen(ops.Maximum(), other, "maximum")

    def minimum(self, other: Any) -> Self:
        """The smaller of each pair of elements; ``other`` is a Tensor or a number."""
        return self._chosen(ops.Minimum(), other, "minimum")

    def _chosen(self, op: ops.Op, other: Any, name: str) -> Any:
        a, b = pair(self, other, name)
        if a is NotImplemented:
            raise _no_operand(name, other)
        return apply_pair(op, a, b, name)

    def masked_fill(self, mask: Variable, value: Any) -> Self:
        """``value``, a number, where ``mask`` (a boolean Tensor) holds, else self.

        Raises:
            TypeError: the mask holds no booleans, or the value is no number.
        """
        if not isinstance(mask, Variable) or mask.array.dtype != bool:
            kind = getattr(mask, "dtype", type(mask).__name__)
            raise TypeError(f"masked_fill: the mask is {kind}, expected a boolean Tensor")
        inverse: Any = ~mask  # type: ignore[operator]
        chosen: Self = self.where(inverse, value)
        return chosen

    def where(self, condition: Variable, other: Any) -> Self:
        """self where ``condition`` (a boolean Tensor) holds, else ``other``."""
        if not isinstance(condition, Variable) or condition.array.dtype != bool:
            kind = getattr(condition, "dtype", type(condition).__name__)
            raise TypeError(f"where: the condition is {kind}, expected a boolean Tensor")
        a, b = pair(self, other, "where")
        if a is NotImplemented:
            raise _no_operand("where", other)
        try:
            return apply(ops.Where(), condition, a, b)
        except ValueError:
            check_broadcast("where", condition.array.shape, a.array.shape, b.array.shape)
            raise

    # --------------------------------------------------------------------- without gradients

    def _compare(self, other: Any, function: Callable[[Any, Any], Any], name: str) -> Any:
        """``function`` of the elements, which are numbers or booleans without a gradient."""
        other = operand(other, name)
        if other is NotImplemented:
            return other
        if isinstance(other, Variable):
            if device_of(self.array) != device_of(other.array):
                raise TypeError(
                    f"{name}: one operand is on {device_of(self.array)}, the other on "
                    f"{device_of(other.array)}; move one with .to(...)"
                )
            other = other.array
        try:
            with on_device_of(self.array):
                return self.from_array(function(self.array, other))
        except ValueError:
            check_broadcast(name, self.array.shape, getattr(other, "shape", ()))
            raise

    def __lt__(self, other: Any) -> Self:
        return self._compare(other, lambda a, b: a < b, "<")

    def __le__(self, other: Any) -> Self:
        return self._compare(other, lambda a, b: a <= b, "<=")

    def __gt__(self, other: Any) -> Self:
        return self._compare(other, lambda a, b: a > b, ">")

    def __ge__(self, other: Any) -> Self:
        return self._compare(other, lambda a, b: a >= b, ">=")

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._compare(other, lambda a, b: a == b, "==")

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return self._compare(other, lambda a, b: a != b, "!=")

    __hash__ = object.__hash__  # by identity: __eq__ compares elements

    def _mask(self, other: Any, function: Callable[[Any, Any], Any], name: str) -> Any:
        """``function`` of each pair of bits, or of booleans."""
        for x in (self, other):
            kind = x.array.dtype if isinstance(x, Variable) else np.asarray(x).dtype
            if kind.kind == "f":
                raise TypeError(
                    f"{name}: an operand is {kind}, expected booleans or integers; compare first, "
                    f"as in (x > 0) {name} (y > 0)"
                )
        return self._compare(other, function, name)

    def __and__(self, other: Any) -> Self:
        return self._mask(other, lambda a, b: a & b, "&")

    def __or__(self, other: Any) -> Self:
        return self._mask(other, lambda a, b: a | b, "|")

    def __xor__(self, other: Any) -> Self:
        return self._mask(other, lambda a, b: a ^ b, "^")

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Self:
        if self.array.dtype.kind == "f":
            raise TypeError(f"~: the tensor is {self.array.dtype}, expected booleans or integers")
        with on_device_of(self.array):
            return self.from_array(~self.array)


def _no_operand(name: str, other: Any) -> TypeError:
    return TypeError(
        f"{name}: the other operand is a {type(other).__name__}, expected a Tensor or a number"
    )
