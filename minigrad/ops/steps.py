"""Operations that are constant between steps: their derivative is 0 wherever there is one.

``None`` in the place of these zeros would cut the graph: the second derivative of |x| would then be
an error, "no output depends on input 0", where PyTorch has zeros. ``Zero`` keeps the connection, to
any order.
"""

from operator import floordiv, mod
from typing import Any

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from ..core.variable import is_tensor
from .broadcasting import unbroadcast
from .ieee import ieee

__all__ = [
    "FloorDivide",
    "Remainder",
    "Round",
    "Sign",
    "Zero",
]


class Zero(Op):
    """y = 0 for every element of x.    dy/dx = 0"""

    def forward(self, x: Array) -> Array:
        return array_module(x).zeros_like(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(Zero(), grad)


def in_steps_of(x: Any, value: Any) -> Any:
    """``value``, which depends on x through a mask alone. If the pass is recorded, so is that its
    derivative with respect to x is 0."""
    return value + call_op(Zero(), x) if is_tensor(value) else value


class Sign(Op):
    """y = -1, 0 or 1, and 0 of NaN, as in PyTorch.    dy/dx = 0"""

    def forward(self, x: Array) -> Array:
        return (x > 0).astype(x.dtype) - (x < 0)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(Zero(), grad)


class Round(Op):
    """y = x rounded down ("floor"), up ("ceil") or to the nearest ("rint").    dy/dx = 0"""

    def __init__(self, how: str) -> None:
        self.how = how

    def forward(self, x: Array) -> Array:
        return getattr(array_module(x), self.how)(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(Zero(), grad)


class FloorDivide(Op):
    """y = floor(a / b).    dy/da = dy/db = 0"""

    def forward(self, a: Array, b: Array) -> Array:
        return ieee().run(floordiv, a, b)

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        zero = call_op(Zero(), grad)
        return unbroadcast(zero, a.shape), unbroadcast(zero, b.shape)


class Remainder(Op):
    """y = a - b floor(a / b): in [0, b) for b > 0, in (b, 0] for b < 0.

    floor(a / b) is constant between its steps, so    dy/da = 1,  dy/db = -floor(a / b)
    """

    saves = ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return ieee().run(mod, a, b)

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        quotient = call_op(FloorDivide(), a, b)
        return unbroadcast(grad, a.shape), unbroadcast(-grad * quotient, b.shape)
