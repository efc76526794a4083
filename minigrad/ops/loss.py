"""Losses. Softmax and cross-entropy are one operation: together their derivative is p - one_hot,
and neither large logits nor small probabilities are ever rounded away in between."""

from operator import mul, truediv
from typing import Any

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from .activation import Sigmoid
from .broadcasting import unbroadcast
from .elementwise import Cast, Exp, Log
from .ieee import ieee
from .indexing import OneHot
from .near_zero import Log1p
from .selection import Clamp, masked
from .softmax import LogSoftmax

__all__ = [
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "Huber",
    "SoftmaxCrossEntropy",
    "SquaredError",
]


class SoftmaxCrossEntropy(Op):
    """L = -sum_n w_n log p_n[label_n],  p = softmax(logits) row by row.

    logits: (N, C), labels: (N,) integers  ->  L: () or, for reduction "none", (N,)

    w_n is 1/N for reduction "mean" and 1 for "sum" and "none"; a row whose label is
    ``ignore_index`` has w_n = 0, and N then counts the others. If none is left, the mean is NaN, as
    that of nothing is, and its gradient 0.

    For one row, with logits z, label t and l = -log p_t = -z_t + log sum_k e^(z_k):

    1. -z_t contributes -1 to dl/dz_t, and nothing to the others:  -one_hot(t)
    2. d/dz_j log sum_k e^(z_k) = e^(z_j) / sum_k e^(z_k) = p_j
    3. dl/dz = p - one_hot(t), and so  dz_n = w_n (p_n - one_hot(t_n)) dL

    Each row of dz sums to 0: what the right class gains the others lose.
    """

    saves = ("logits", "labels")

    def __init__(self, reduction: str, ignore_index: int) -> None:
        self.reduction, self.ignore_index = reduction, ignore_index

    def log_softmax(self, logits: Any) -> Any:
        """log p, (N, C)."""
        return call_op(LogSoftmax(1), logits)

    def weights(self, labels: Any, dtype: Any) -> Any:
        """w_n, (N,)."""
        counted = call_op(Cast(bool, dtype), labels != self.ignore_index)
        if self.reduction != "mean":
            return counted
        n = counted.sum()
        return counted / (n + (n == 0))

    def forward(self, logits: Array, labels: Array) -> Array:
        xp = array_module(logits)
        log_p = self.cached(self.log_softmax, logits)
        counted = labels != self.ignore_index
        picked = log_p[xp.arange(len(labels)), labels * counted]
        losses = -xp.where(counted, picked, 0)
        if self.reduction == "mean":
            return ieee().run(truediv, losses.sum(), counted.sum(dtype=losses.dtype))
        return losses.sum() if self.reduction == "sum" else losses

    def backward(self, grad: Array, y: Array, logits: Array, labels: Array) -> tuple[Array, None]:
        log_p = self.cached(self.log_softmax, logits)
        one_hot = call_op(OneHot(logits.shape[1], logits.dtype), labels)
        per_row = (grad * self.weights(labels, logits.dtype)).reshape((-1, 1))  # (N, 1)
        counted = (labels != self.ignore_index).reshape((-1, 1))
        return masked(counted, (call_op(Exp(), log_p) - one_hot) * per_row), None


class SquaredError(Op):
    """y = (a - b)^2, elementwise.    dy/da = 2 (a - b),  dy/db = -2 (a - b)"""

    saves = ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        difference = a - b
        return difference * difference

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        da = grad * (2 * (a - b))
        return da, -da


class Huber(Op):
    """y = d^2/2 where |d| <= delta, else delta (|d| - delta/2),  d = a - b, elementwise.

    dy/da = d where |d| <= delta, else delta sign(d): d limited to [-delta, delta];  dy/db = -dy/da.

    Huber (1964), "Robust Estimation of a Location Parameter".
    """

    saves = ("a", "b")

    def __init__(self, delta: float) -> None:
        self.delta = delta

    def forward(self, a: Array, b: Array) -> Array:
        xp = array_module(a)
        size = xp.abs(a - b)
        return xp.where(
            size <= self.delta, 0.5 * size * size, self.delta * (size - 0.5 * self.delta)
        )

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        da = grad * call_op(Clamp(-self.delta, self.delta), a - b)
        return da, -da


class BinaryCrossEntropy(Op):
    """y = -(t log p + (1 - t) log(1 - p)), elementwise, the logarithms at least -100.

    dy/dp = -t/p + (1 - t)/(1 - p) = (p - t) / (p (1 - p)), with a denominator of at least 1e-12.
    dy/dt = log(1 - p) - log p

    The two limits are PyTorch's; without them y and its slope are infinite at p = 0 and p = 1.
    """

    saves = ("p", "target")

    def logs(self, p: Array) -> tuple[Array, Array]:
        """log p and log(1 - p), at least -100."""
        return tuple(
            call_op(Clamp(-100.0, None), call_op(logarithm(), x))
            for logarithm, x in ((Log, p), (Log1p, -p))
        )

    def forward(self, p: Array, target: Array) -> Array:
        log_p, log_q = ieee().run(self.logs, p)
        return -(target * log_p + (1 - target) * log_q)

    def backward(self, grad: Array, y: Array, p: Array, target: Array) -> tuple[Array, Array]:
        log_p, log_q = self.logs(p)
        return grad * (p - target) / call_op(Clamp(1e-12, None), p * (1 - p)), grad * (
            log_q - log_p
        )


class BinaryCrossEntropyWithLogits(Op):
    """y = -(t log s + (1 - t) log(1 - s)),  s = sigmoid(x), elementwise.    x, t: the same shape

    1. log s = x - log(1 + e^x)  and  log(1 - s) = -log(1 + e^x), so  y = log(1 + e^x) - t x
    2. dy/dx = s - t  (the derivative of log(1 + e^x) is s),    dy/dt = -x

    Forward uses log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which cannot overflow. The difference
    max(x, 0) - t x would lose the digits of a small loss. With h = 1 for x > 0, else 0, it is
    x (h - t), which keeps them.
    """

    saves = ("x", "target")

    def forward(self, x: Array, target: Array) -> Array:
        xp = array_module(x)
        difference = ieee().run(mul, x, (x > 0) - target)
        return difference + xp.log1p(xp.exp(-xp.abs(x)))

    def backward(self, grad: Array, y: Array, x: Array, target: Array) -> tuple[Array, Array]:
        dx = grad * (call_op(Sigmoid(), x) - target)
        return unbroadcast(dx, x.shape), unbroadcast(-grad * x, target.shape)
