"""Elementwise arithmetic and comparisons, as methods and operators."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import ops
from ..backend import array_module, device_of, on_device_of
from ..core.autograd import apply
from ..core.variable import Variable
from .arguments import Scalar, counted, floating, operand, promoted, tensor_operand, unary


class Arithmetic(Variable):
    """+ - * / ** and their relatives, element by element."""

    __slots__ = ()

    def _binary(
        self, other: Any, on_tensor: Callable[[], Any], on_number: Callable[[Any], Any], name: str
    ) -> Any:
        """``self`` with a Tensor, or with a Python number, which keeps the type of ``self``."""
        if not isinstance(other, Variable):
            number = operand(other, name)
            if number is NotImplemented:
                return number
            x = floating(self) if isinstance(number, float) else self
            return apply(on_number(number), x)
        a, b = self, other
        if a.array.dtype is not b.array.dtype:
            a, b = promoted(a, b), promoted(b, a)
        try:
            return apply(on_tensor(), a, b)
        except ValueError as error:
            shapes = tuple(a.array.shape), tuple(b.array.shape)
            try:
                np.broadcast_shapes(*shapes)
            except ValueError:
                raise ValueError(
                    f"{name}: shapes {shapes[0]} and {shapes[1]} do not broadcast: counted from "
                    f"the right, axes must be equal or one of them 1"
                ) from error
            raise

    def __add__(self, other: Any) -> Self:
        return self._binary(other, ops.Add, ops.AddScalar, "add")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        return self._binary(other, ops.Sub, lambda c: ops.AddScalar(-c), "sub")

    def __rsub__(self, other: Any) -> Self:
        return self._binary(other, ops.Sub, ops.ScalarSub, "sub")

    def __mul__(self, other: Any) -> Self:
        return self._binary(other, ops.Mul, ops.MulScalar, "mul")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Self:
        a = promoted(self, other) if isinstance(other, Variable) else self
        return floating(a)._binary(other, ops.Div, ops.DivScalar, "div")

    def __rtruediv__(self, other: Any) -> Self:
        return self.reciprocal() * other

    def __pow__(self, other: Any) -> Self:
        return self._binary(other, ops.Pow, ops.PowScalar, "pow")

    def __rpow__(self, other: Any) -> Self:
        return self._binary(other, ops.Pow, ops.ScalarPow, "pow")

    def __neg__(self) -> Self:
        return apply(ops.Neg(), self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return apply(ops.Abs(), self)

    def add(self, other: Any, *, alpha: Scalar = 1) -> Self:
        """self + alpha * other."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: Scalar = 1) -> Self:
        """self - alpha * other."""
        return self - (other if alpha == 1 else other * alpha)

    def mul(self, other: Any) -> Self:
        """self * other, elementwise."""
        return self * other

    def div(self, other: Any) -> Self:
        """self / other, elementwise; integers give floating results."""
        return self / other

    def pow(self, exponent: Any) -> Self:
        """self ** exponent, elementwise; the exponent is a number or a Tensor."""
        return self**exponent

    def neg(self) -> Self:
        """-self."""
        return -self

    def abs(self) -> Self:
        """|self|, elementwise."""
        return self.__abs__()

    def square(self) -> Self:
        """self * self, elementwise."""
        return apply(ops.Square(), counted(self))

    def sqrt(self) -> Self:
        """Square root, elementwise; NaN for negative numbers."""
        return unary(ops.Sqrt(), self)

    def rsqrt(self) -> Self:
        """1 / sqrt(self), elementwise."""
        return unary(ops.Rsqrt(), self)

    def reciprocal(self) -> Self:
        """1 / self, elementwise."""
        return unary(ops.Reciprocal(), self)

    def exp(self) -> Self:
        """e ** self, elementwise."""
        return unary(ops.Exp(), self)

    def log(self) -> Self:
        """Natural logarithm, elementwise."""
        return unary(ops.Log(), self)

    def sin(self) -> Self:
        """Sine, elementwise, of radians."""
        return unary(ops.Sin(), self)

    def cos(self) -> Self:
        """Cosine, elementwise, of radians."""
        return unary(ops.Cos(), self)

    def tanh(self) -> Self:
        """Hyperbolic tangent, elementwise."""
        return unary(ops.Tanh(), self)

    def sigmoid(self) -> Self:
        """1 / (1 + e ** -self), elementwise."""
        return apply(ops.Sigmoid(), floating(self))

    def relu(self) -> Self:
        """max(self, 0), elementwise."""
        return apply(ops.ReLU(), self)

    def clamp(self, min: Scalar | None = None, max: Scalar | None = None) -> Self:
        """Limited to [min, max], elementwise; either bound may be left out.

        Raises:
            TypeError: a bound is not a number (for Tensors there are ``maximum`` and ``minimum``).
            ValueError: both bounds are missing.
        """
        if min is None and max is None:
            raise ValueError("clamp: got neither min nor max, expected at least one")
        low, high = (b.item() if isinstance(b, np.generic) else b for b in (min, max))
        for bound in (low, high):
            if not isinstance(bound, (int, float, type(None))):
                raise TypeError(
                    f"clamp: a bound is a {type(bound).__name__}, expected a number; "
                    f"for Tensors use maximum and minimum"
                )
        x = floating(self) if isinstance(low, float) or isinstance(high, float) else self
        return apply(ops.Clamp(low, high), x)

    def maximum(self, other: Variable) -> Self:
        """The larger of two Tensors, elementwise."""
        return self._binary(tensor_operand(other, "maximum"), ops.Maximum, ops.AddScalar, "maximum")

    def minimum(self, other: Variable) -> Self:
        """The smaller of two Tensors, elementwise."""
        return self._binary(tensor_operand(other, "minimum"), ops.Minimum, ops.AddScalar, "minimum")

    def where(self, condition: Variable, other: Any) -> Self:
        """self where ``condition`` (a boolean Tensor) holds, else ``other``."""
        if not isinstance(condition, Variable) or condition.array.dtype != bool:
            kind = getattr(condition, "dtype", type(condition).__name__)
            raise TypeError(f"where: the condition is {kind}, expected a boolean Tensor")
        if not isinstance(other, Variable):
            number = operand(other, "where")
            if not isinstance(number, (bool, int, float)):
                raise TypeError(
                    f"where: other is a {type(other).__name__}, expected a Tensor or a number"
                )
            xp, x = array_module(self.array), self
            if isinstance(number, float):
                x = floating(self)
            elif not isinstance(number, bool):
                x = counted(self)
            with on_device_of(x.array):
                filled = self.from_array(xp.asarray(number, dtype=x.array.dtype))
            return apply(ops.Where(), condition, x, filled)
        return apply(ops.Where(), condition, promoted(self, other), promoted(other, self))

    # --------------------------------------------------------------------- comparisons

    def _compare(self, other: Any, function: Callable[[Any, Any], Any], name: str) -> Any:
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
        with on_device_of(self.array):
            return self.from_array(function(self.array, other))

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

    def __invert__(self) -> Self:
        with on_device_of(self.array):
            return self.from_array(~self.array)

    __hash__ = object.__hash__  # by identity: __eq__ compares elements
