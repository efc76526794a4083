"""Elementwise arithmetic and comparisons, as methods and operators."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..backend import array_module, device_of, on_device_of
from .base import Base, Scalar

if TYPE_CHECKING:
    from ..tensor import Tensor


class Arithmetic(Base):
    """+ - * / ** and their relatives, element by element."""

    __slots__ = ()

    def _binary(
        self, other: Any, on_tensor: Callable[[], Any], on_number: Callable[[Any], Any], name: str
    ) -> Any:
        """``self`` with a Tensor, or with a Python number, which keeps the type of ``self``."""
        if not isinstance(other, Base):
            number = self._other(other, name)
            if number is NotImplemented:
                return number
            x = self._floating() if isinstance(number, float) else self
            return self.apply_op(on_number(number), x)
        a, b = self, other
        if a.array.dtype is not b.array.dtype:
            a, b = a._promoted(b), b._promoted(a)
        try:
            return self.apply_op(on_tensor(), a, b)
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

    def __add__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Add, ops.AddScalar, "add")

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Sub, lambda c: ops.AddScalar(-c), "sub")

    def __rsub__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Sub, ops.ScalarSub, "sub")

    def __mul__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Mul, ops.MulScalar, "mul")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Tensor":
        a = self._promoted(other) if isinstance(other, Base) else self
        return a._floating()._binary(other, ops.Div, ops.DivScalar, "div")

    def __rtruediv__(self, other: Any) -> "Tensor":
        return self.reciprocal() * other

    def __pow__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Pow, ops.PowScalar, "pow")

    def __rpow__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Pow, ops.ScalarPow, "pow")

    def __neg__(self) -> "Tensor":
        return self.apply_op(ops.Neg(), self)

    def __pos__(self) -> "Tensor":
        return self  # type: ignore[return-value]

    def __abs__(self) -> "Tensor":
        return self.apply_op(ops.Abs(), self)

    def add(self, other: Any, *, alpha: Scalar = 1) -> "Tensor":
        """self + alpha * other."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: Scalar = 1) -> "Tensor":
        """self - alpha * other."""
        return self - (other if alpha == 1 else other * alpha)

    def mul(self, other: Any) -> "Tensor":
        """self * other, elementwise."""
        return self * other

    def div(self, other: Any) -> "Tensor":
        """self / other, elementwise; integers give floating results."""
        return self / other

    def pow(self, exponent: Any) -> "Tensor":
        """self ** exponent, elementwise; the exponent is a number or a Tensor."""
        return self**exponent

    def neg(self) -> "Tensor":
        """-self."""
        return -self

    def abs(self) -> "Tensor":
        """|self|, elementwise."""
        return abs(self)

    def square(self) -> "Tensor":
        """self * self, elementwise."""
        x = self.to(np.int64) if self.array.dtype == np.bool_ else self
        return self.apply_op(ops.Square(), x)

    def sqrt(self) -> "Tensor":
        """Square root, elementwise; NaN for negative numbers."""
        return self._unary(ops.Sqrt())

    def rsqrt(self) -> "Tensor":
        """1 / sqrt(self), elementwise."""
        return self._unary(ops.Rsqrt())

    def reciprocal(self) -> "Tensor":
        """1 / self, elementwise."""
        return self._unary(ops.Reciprocal())

    def exp(self) -> "Tensor":
        """e ** self, elementwise."""
        return self._unary(ops.Exp())

    def log(self) -> "Tensor":
        """Natural logarithm, elementwise."""
        return self._unary(ops.Log())

    def sin(self) -> "Tensor":
        """Sine, elementwise, of radians."""
        return self._unary(ops.Sin())

    def cos(self) -> "Tensor":
        """Cosine, elementwise, of radians."""
        return self._unary(ops.Cos())

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent, elementwise."""
        return self._unary(ops.Tanh())

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e ** -self), elementwise."""
        return self._unary(ops.Sigmoid())

    def relu(self) -> "Tensor":
        """max(self, 0), elementwise."""
        return self.apply_op(ops.ReLU(), self)

    def clamp(self, min: Scalar | None = None, max: Scalar | None = None) -> "Tensor":
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
        x = self._floating() if isinstance(low, float) or isinstance(high, float) else self
        return self.apply_op(ops.Clamp(low, high), x)

    def maximum(self, other: "Tensor") -> "Tensor":
        """The larger of two Tensors, elementwise."""
        return self._binary(self._tensor(other, "maximum"), ops.Maximum, ops.AddScalar, "maximum")

    def minimum(self, other: "Tensor") -> "Tensor":
        """The smaller of two Tensors, elementwise."""
        return self._binary(self._tensor(other, "minimum"), ops.Minimum, ops.AddScalar, "minimum")

    def where(self, condition: "Tensor", other: Any) -> "Tensor":
        """self where ``condition`` (a boolean Tensor) holds, else ``other``."""
        if not isinstance(condition, Base) or condition.array.dtype != bool:
            kind = getattr(condition, "dtype", type(condition).__name__)
            raise TypeError(f"where: the condition is {kind}, expected a boolean Tensor")
        if not isinstance(other, Base):
            number = self._other(other, "where")
            if not isinstance(number, (bool, int, float)):
                raise TypeError(
                    f"where: other is a {type(other).__name__}, expected a Tensor or a number"
                )
            xp, x = array_module(self.array), self
            if isinstance(number, float):
                x = self._floating()
            elif self.array.dtype == np.bool_ and not isinstance(number, bool):
                x = self.to(np.int64)
            with on_device_of(x.array):
                filled = self.from_array(xp.asarray(number, dtype=x.array.dtype))
            return self.apply_op(ops.Where(), condition, x, filled)
        return self.apply_op(ops.Where(), condition, self._promoted(other), other._promoted(self))

    # --------------------------------------------------------------------- comparisons

    def _compare(self, other: Any, function: Callable[[Any, Any], Any], name: str) -> Any:
        other = self._other(other, name)
        if other is NotImplemented:
            return other
        if isinstance(other, Base):
            if device_of(self.array) != device_of(other.array):
                raise TypeError(
                    f"{name}: one operand is on {device_of(self.array)}, the other on "
                    f"{device_of(other.array)}; move one with .to(...)"
                )
            other = other.array
        with on_device_of(self.array):
            return self.from_array(function(self.array, other))

    def __lt__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a < b, "<")

    def __le__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a <= b, "<=")

    def __gt__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a > b, ">")

    def __ge__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a >= b, ">=")

    def __eq__(self, other: Any) -> "Tensor":  # type: ignore[override]
        return self._compare(other, lambda a, b: a == b, "==")

    def __ne__(self, other: Any) -> "Tensor":  # type: ignore[override]
        return self._compare(other, lambda a, b: a != b, "!=")

    def __invert__(self) -> "Tensor":
        with on_device_of(self.array):
            return self.from_array(~self.array)

    __hash__ = object.__hash__  # by identity: __eq__ compares elements
