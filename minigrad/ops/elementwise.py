"""Elementwise arithmetic. Two-input operations broadcast, so their rules end in ``unbroadcast``.

The derivatives are those of a first course in calculus; where a point has none (abs at 0) the rule
takes the value PyTorch takes, and says which.
"""

import math
from operator import mul, truediv
from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from .broadcasting import unbroadcast
from .ieee import ieee
from .selection import masked
from .steps import Sign

__all__ = [
    "Abs",
    "Add",
    "AddScalar",
    "Cast",
    "Clone",
    "Cos",
    "Div",
    "DivScalar",
    "Exp",
    "Log",
    "Log2",
    "Mul",
    "MulScalar",
    "Neg",
    "Pow",
    "PowScalar",
    "Reciprocal",
    "Rsqrt",
    "ScalarPow",
    "ScalarSub",
    "Sin",
    "Sqrt",
    "Square",
    "Sub",
]

# ------------------------------------------------------------------------------- two tensors


class Add(Op):
    """y = a + b.    dy/da = 1,  dy/db = 1"""

    def forward(self, a: Array, b: Array) -> Array:
        return a + b

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        return unbroadcast(grad, a.shape), unbroadcast(grad, b.shape)


class Sub(Op):
    """y = a - b.    dy/da = 1,  dy/db = -1"""

    def forward(self, a: Array, b: Array) -> Array:
        return a - b

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        return unbroadcast(grad, a.shape), unbroadcast(-grad, b.shape)


class Mul(Op):
    """y = a b.    dy/da = b,  dy/db = a"""

    saves = ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return a * b

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array | None, ...]:
        da, db = self.needs_input_grad
        return (
            unbroadcast(grad * b, a.shape) if da else None,
            unbroadcast(grad * a, b.shape) if db else None,
        )


class Div(Op):
    """y = a / b.    dy/da = 1/b,  dy/db = -a/b^2 = -y/b"""

    saves = ("y", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return ieee().run(truediv, a, b)

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        da = grad / b
        return unbroadcast(da, a.shape), unbroadcast(-da * y, b.shape)


class Pow(Op):
    """y = a^b.    dy/da = b a^(b-1),  dy/db = a^b log a

    For b = 0 the first is 0, whatever a is; at a = 0 and b >= 0 the second is its limit, 0.
    """

    saves = ("y", "a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return ieee().run(pow, a, b)

    def backward(
        self, grad: Array, y: Array, a: Array, b: Array
    ) -> tuple[Array | None, Array | None]:
        da = db = None
        if self.needs_input_grad[0]:
            # At a = b = 0, b a^(b-1) would be 0 * inf. Any other base gives the 0 that is meant.
            base = a + (b == 0) * (abs(a) < tiny(a.dtype))
            da = unbroadcast(grad * b * base ** (b - 1), a.shape)
        if self.needs_input_grad[1]:
            base = a + (a == 0) * (b >= 0)  # a^b log a would be 0 * inf; log 1 = 0 is its limit
            db = unbroadcast(grad * y * call_op(Log(), base), b.shape)
        return da, db


def tiny(dtype: Any) -> float:
    """The smallest number of the type that has all its digits: 1 divided by it is finite."""
    return float(np.finfo(dtype).tiny)


# --------------------------------------------------------------- a tensor and a Python number


class AddScalar(Op):
    """y = x + c.    dy/dx = 1"""

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x: Array) -> Array:
        return x + self.c

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad


class ScalarSub(Op):
    """y = c - x.    dy/dx = -1"""

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x: Array) -> Array:
        return self.c - x

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return -grad


class MulScalar(Op):
    """y = c x.    dy/dx = c"""

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x: Array) -> Array:
        return x * self.c

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * self.c


class DivScalar(Op):
    """y = x / c.    dy/dx = 1/c"""

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x: Array) -> Array:
        return ieee().run(truediv, x, self.c)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad / self.c


class PowScalar(Op):
    """y = x^c.    dy/dx = c x^(c-1),  and 0 for c = 0"""

    saves = ("x",)

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x: Array) -> Array:
        return ieee().run(pow, x, self.c)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        if self.c == 0:
            return grad * 0
        return grad * (self.c * x ** (self.c - 1))


class ScalarPow(Op):
    """y = c^x.    dy/dx = c^x log c

    For c = 0, y is 0 on the right, 1 at 0 and infinite on the left, and the derivative 0, 0 and
    -inf: the limits, as in PyTorch.
    """

    saves = ("y",)

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x: Array) -> Array:
        return ieee().run(pow, self.c, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        if self.c == 0:
            return masked(~(y <= 1), -grad * y)  # NaN stays NaN
        return grad * y * (math.log(self.c) if self.c > 0 else math.nan)


# ------------------------------------------------------------------------------- one tensor


class Neg(Op):
    """y = -x.    dy/dx = -1"""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return -grad


class Exp(Op):
    """y = e^x.    dy/dx = e^x = y"""

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).exp, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * y


class Log(Op):
    """y = log x, the natural logarithm.    dy/dx = 1/x"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).log, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad / x


class Log2(Op):
    """y = log2(x), exact at powers of two.    dy/dx = 1 / (x ln 2)"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return array_module(x).log2(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad / (x * math.log(2))


class Sqrt(Op):
    """y = x^(1/2).    dy/dx = 1/(2y)"""

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).sqrt, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad / (2 * y)


class Rsqrt(Op):
    """y = x^(-1/2).    dy/dx = -1/2 x^(-3/2) = -y^3/2"""

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        root = ieee().run(array_module(x).sqrt, x)
        return ieee().run(truediv, 1, root)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * (-0.5 * y**3)


class Reciprocal(Op):
    """y = 1/x.    dy/dx = -1/x^2 = -y^2"""

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        return ieee().run(truediv, 1, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return -grad * (y * y)


class Square(Op):
    """y = x^2.    dy/dx = 2x"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return ieee().run(mul, x, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * (2 * x)


class Abs(Op):
    """y = |x|.    dy/dx = sign(x), and 0 at 0"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return array_module(x).abs(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * call_op(Sign(), x)


class Sin(Op):
    """y = sin x.    dy/dx = cos x"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).sin, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * call_op(Cos(), x)


class Cos(Op):
    """y = cos x.    dy/dx = -sin x"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).cos, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return -grad * call_op(Sin(), x)


class Cast(Op):
    """y = x in another floating type. The gradient is cast back."""

    def __init__(self, source: object, target: object) -> None:
        self.source, self.target = source, target

    def forward(self, x: Array) -> Array:
        return ieee().run(x.astype, self.target)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(Cast(self.target, self.source), grad)


class Clone(Op):
    """y = a copy of x.    dy/dx = 1"""

    def forward(self, x: Array) -> Array:
        return x.copy()

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad
