"""e^x - 1 and log(1 + x), which lose all digits near 0 if the 1 is there in between."""

from ..backend import Array, array_module
from ..core.op import Op
from .ieee import ieee

__all__ = ["Expm1", "Log1p"]


class Expm1(Op):
    """y = e^x - 1.    dy/dx = e^x = y + 1"""

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).expm1, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * (y + 1)


class Log1p(Op):
    """y = log(1 + x).    dy/dx = 1/(1 + x)"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return ieee().run(array_module(x).log1p, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad / (x + 1)
