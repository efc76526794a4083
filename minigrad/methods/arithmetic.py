"""Elementwise arithmetic, as methods and operators."""

from collections.abc import Callable
from typing import Any, Self, cast

import numpy as np

from .. import ops
from ..backend import CPU, device_of
from ..core.autograd import apply
from ..core.op import Op
from ..core.variable import Variable
from .arguments import (
    Scalar,
    apply_pair,
    check_broadcast,
    counted,
    floating,
    narrowed,
    of_tensor,
    operand,
    pair,
    promoted,
    unary,
    widened,
)

NO_DIFFERENCE = (
    "sub, neg: booleans are not numbers; use ~ (not) and ^ (either, not both), or convert them "
    "(.long())"
)
_NEGATIVE_POWER = "pow: an integer to a negative power is not an integer; use .float()"


@of_tensor
class Arithmetic(Variable):
    """+ - * / ** and their relatives, element by element."""

    __slots__ = ()

    def _binary(
        self, other: Any, on_tensor: Callable[[], Any], on_number: Callable[[Any], Any], name: str
    ) -> Any:
        """``self`` with a Tensor, or with a Python number, which keeps the type of ``self``."""
        a, b = self, other
        try:
            if not isinstance(other, Variable):
                number = operand(other, name)
                if number is NotImplemented:
                    return number
                x = floating(self) if isinstance(number, float) else self
                return apply(on_number(number), x)
            if a.array.dtype is not b.array.dtype:
                a, b = promoted(a, b), promoted(b, a)
            return apply(on_tensor(), a, b)
        except ValueError:
            check_broadcast(name, a.array.shape, getattr(b, "shape", ()))
            raise
        except TypeError as error:
            raise (TypeError(NO_DIFFERENCE) if "numpy boolean" in str(error) else error) from None

    def __add__(self, other: Any) -> Self:
        return self._binary(other, ops.Add, ops.AddScalar, "add")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        return self._binary(other, ops.Sub, lambda c: ops.AddScalar(-c), "sub")

    def __rsub__(self, other: Any) -> Self:
        if isinstance(other, Variable):  # self is of a subclass
            return cast(Any, Arithmetic).__sub__(other, self)
        return self._binary(other, ops.Sub, ops.ScalarSub, "sub")

    def __mul__(self, other: Any) -> Self:
        return self._binary(other, ops.Mul, ops.MulScalar, "mul")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Self:
        a = promoted(self, other) if isinstance(other, Variable) else self
        return floating(a)._binary(other, ops.Div, ops.DivScalar, "div")

    def __rtruediv__(self, other: Any) -> Self:
        if isinstance(other, Variable):
            return cast(Any, Arithmetic).__truediv__(other, self)
        return self.reciprocal() * other

    def __floordiv__(self, other: Any) -> Self:
        return self._divide(ops.FloorDivide(), pair(self, other, "floor_divide"), "floor_divide")

    def __rfloordiv__(self, other: Any) -> Self:
        b, a = pair(self, other, "floor_divide")
        return self._divide(ops.FloorDivide(), (a, b), "floor_divide")

    def __mod__(self, other: Any) -> Self:
        return self._divide(ops.Remainder(), pair(self, other, "remainder"), "remainder")

    def __rmod__(self, other: Any) -> Self:
        b, a = pair(self, other, "remainder")
        return self._divide(ops.Remainder(), (a, b), "remainder")

    def _divide(self, op: Op, operands: tuple[Any, Any], name: str) -> Any:
        a, b = operands
        if a is NotImplemented:
            return a
        if a.array.dtype == b.array.dtype == np.bool_:
            a, b = counted(a), counted(b)
        # Of a GPU this would have to be read back; there the result is the array library's.
        if b.array.dtype.kind != "f" and device_of(b.array) == CPU and not b.array.all():
            raise ZeroDivisionError(f"{name}: integers are divided by 0")
        return apply_pair(op, a, b, name)

    def __pow__(self, other: Any) -> Self:
        if isinstance(other, int) and other < 0 and self.array.dtype.kind in "iu":
            raise ValueError(_NEGATIVE_POWER)
        return self._power(other, ops.PowScalar)

    def __rpow__(self, other: Any) -> Self:
        if isinstance(other, Variable):
            return cast(Any, Arithmetic).__pow__(other, self)
        return self._power(other, ops.ScalarPow)

    def _power(self, other: Any, on_number: Callable[[Any], Op]) -> Any:
        try:
            return self._binary(other, ops.Pow, on_number, "pow")
        except ValueError as error:
            if "negative" in str(error):  # NumPy's, of Tensors
                raise ValueError(_NEGATIVE_POWER) from None
            raise

    def __neg__(self) -> Self:
        try:
            return apply(ops.Neg(), self)
        except TypeError as error:
            raise (TypeError(NO_DIFFERENCE) if "numpy boolean" in str(error) else error) from None

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

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Self:
        """self / other, elementwise; integers give floating results. Rounded down with
        ``rounding_mode="floor"``, towards 0 with "trunc"; the gradient is 0 then.

        Raises:
            ValueError: another ``rounding_mode``.
        """
        if rounding_mode is None:
            return self / other
        if rounding_mode not in ("floor", "trunc"):
            raise ValueError(
                f"div: rounding_mode is {rounding_mode!r}, expected None, 'floor' or 'trunc'"
            )
        if rounding_mode == "floor":
            return self.floor_divide(other)
        quotient: Any = self / other
        rounded = quotient._rounded("trunc")
        whole = self.array.dtype.kind != "f" and getattr(other, "dtype", np.dtype(int)).kind != "f"
        return rounded.long() if whole and not isinstance(other, float) else rounded

    def floor_divide(self, other: Any) -> Self:
        """The quotient rounded down, elementwise: ``self // other``. Its gradient is 0.

        Raises:
            ZeroDivisionError: an integer is divided by 0 (on a GPU it is not noticed).
        """
        return self // other

    def remainder(self, other: Any) -> Self:
        """self - other * (self // other), elementwise: ``self % other``, of the divisor's sign.

        Raises:
            ZeroDivisionError: an integer is divided by 0 (on a GPU it is not noticed).
        """
        return self % other

    def pow(self, exponent: Any) -> Self:
        """self ** exponent, elementwise; the exponent is a number or a Tensor.

        Raises:
            ValueError: an integer to a negative power, which is none.
        """
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

    def log2(self) -> Self:
        """Logarithm to the base 2, elementwise."""
        return unary(ops.Log2(), self)

    def erf(self) -> Self:
        """The error function, elementwise: 2/sqrt(pi) times the integral of e^(-t^2) from 0."""
        return narrowed(unary(ops.Erf(), widened(self)), self)

    def expm1(self) -> Self:
        """e ** self - 1, elementwise, with all digits near 0."""
        return unary(ops.Expm1(), self)

    def log1p(self) -> Self:
        """log(1 + self), elementwise, with all digits near 0."""
        return unary(ops.Log1p(), self)

    def sign(self) -> Self:
        """-1, 0 or 1, elementwise; its gradient is 0."""
        return apply(ops.Sign(), counted(self))

    def floor(self) -> Self:
        """The largest integer not above, elementwise; its gradient is 0."""
        return self._rounded("floor")

    def ceil(self) -> Self:
        """The smallest integer not below, elementwise; its gradient is 0."""
        return self._rounded("ceil")

    def round(self, *, decimals: int = 0) -> Self:
        """The nearest number with so many decimals, by default the nearest integer; the even one if
        two are as near. Its gradient is 0."""
        if not decimals:
            return self._rounded("rint")
        x: Any = floating(self)
        power = 10.0 ** abs(decimals)
        scaled = x * power if decimals > 0 else x / power
        rounded = scaled._rounded("rint")
        return rounded / power if decimals > 0 else rounded * power

    def _rounded(self, how: str) -> Any:
        return apply(ops.Round(how), self) if self.array.dtype.kind == "f" else self

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
