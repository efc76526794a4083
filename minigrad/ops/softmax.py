"""The softmaxes: each number of an axis against the others."""

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from .elementwise import Exp

__all__ = ["LogSoftmax", "Softmax"]


class Softmax(Op):
    """y_i = e^(x_i) / sum_k e^(x_k) along one axis.

    1. dy_i/dx_j = y_i (1 if i = j else 0) - y_i y_j          (quotient rule)
    2. dx_j = sum_i dy_i dy_i/dx_j = y_j dy_j - y_j sum_i dy_i y_i
    3. dx = y (dy - sum(dy y))

    Taking the largest x from all of them changes nothing (it cancels) and prevents overflow.
    """

    saves = ("y",)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Array) -> Array:
        if x.ndim == 0:
            return x * 0 + 1
        if x.size == 0:
            return x.copy()
        e = array_module(x).exp(x - x.max(axis=self.dim, keepdims=True))
        return e / e.sum(axis=self.dim, keepdims=True)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        if x.ndim == 0:
            return grad * 0
        return y * (grad - (grad * y).sum(axis=self.dim, keepdims=True))


class LogSoftmax(Op):
    """y_i = x_i - log sum_k e^(x_k) along one axis: the logarithm of the softmax, without
    rounding small probabilities to 0 on the way.

    dy_i/dx_j = (1 if i = j else 0) - softmax_j, so   dx = dy - softmax(x) sum(dy),
    where softmax(x) = e^y.
    """

    saves = ("y",)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Array) -> Array:
        if x.ndim == 0:
            return x * 0
        if x.size == 0:
            return x.copy()
        xp = array_module(x)
        shifted = x - x.max(axis=self.dim, keepdims=True)
        return shifted - xp.log(xp.exp(shifted).sum(axis=self.dim, keepdims=True))

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        if x.ndim == 0:
            return grad * 0
        return grad - call_op(Exp(), y) * grad.sum(axis=self.dim, keepdims=True)
