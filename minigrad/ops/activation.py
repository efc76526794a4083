"""Activation functions, element by element. (The softmaxes are in ``softmax.py``.)

Each is written so that no input overflows, however large.
"""

import math
from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from .elementwise import Exp
from .selection import Clamp, Where, masked
from .steps import in_steps_of

__all__ = [
    "ELU",
    "Erf",
    "GELU",
    "GELUTanh",
    "LeakyReLU",
    "NormalCDF",
    "ReLU",
    "Sigmoid",
    "SiLU",
    "Softplus",
    "Tanh",
]

SIGMOID_CAP = {"e": 11.0, "f": 40.0, "d": 40.0}
"""For each type an x from which on the sigmoid is 1 to the last digit, while e^x is finite."""


class Sigmoid(Op):
    """y = s(x) = 1 / (1 + e^-x).

    1. quotient rule:  dy/dx = e^-x / (1 + e^-x)^2
    2. split it:             = 1 / (1 + e^-x) * e^-x / (1 + e^-x) = y (1 - y)

    The derivative is at most 1/4 (at x = 0), below 0.0067 for |x| > 5, and exactly 0 in float32
    from x = 18 on: the sigmoid saturates. Only y is kept for backward.

    Forward uses y = e^x / (1 + e^x), in which nothing overflows on the left, and caps x where y has
    reached 1, as e^x would overflow on the right. (The kernel for NumPy uses the definition.)
    """

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        e = xp.exp(xp.minimum(x, SIGMOID_CAP[x.dtype.char]))
        return e / (1 + e)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * (y * (1 - y))


class Tanh(Op):
    """y = tanh x = (e^x - e^-x) / (e^x + e^-x) = 2 s(2x) - 1.

    dy/dx = 1 - y^2, by the quotient rule. At most 1 (at x = 0): four times the sigmoid's.
    """

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        return array_module(x).tanh(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * (1 - y * y)


class ReLU(Op):
    """y = max(x, 0).    dy/dx = 1 for x > 0, else 0 (at 0 too, where y > 0 does not hold)"""

    saves = ("y",)

    def forward(self, x: Array) -> Array:
        return array_module(x).maximum(x, 0)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return in_steps_of(y, masked(~(y <= 0), grad))  # also where y is NaN


class LeakyReLU(Op):
    """y = x for x > 0, else a x.    dy/dx = 1 for x > 0, else a      a: negative_slope"""

    saves = ("x",)

    def __init__(self, negative_slope: float) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        return array_module(x).where(x > 0, x, x * self.negative_slope)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        dx = call_op(Where(), x > 0, grad, grad * self.negative_slope)
        return in_steps_of(x, dx)


class ELU(Op):
    """y = x for x > 0, else a (e^x - 1).    dy/dx = 1 for x > 0, else a e^x

    Clevert, Unterthiner, Hochreiter (2016), "Fast and Accurate Deep Network Learning by
    Exponential Linear Units (ELUs)", eq. 15.
    """

    saves = ("x",)

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        return xp.where(x > 0, x, self.alpha * xp.expm1(xp.minimum(x, 0)))

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        slope = self.alpha * call_op(Exp(), call_op(Clamp(None, 0), x))
        return call_op(Where(), ~(x <= 0), grad, grad * slope)  # 1 at NaN, as in PyTorch


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """The error function 2/sqrt(pi) * integral of e^(-t^2) from 0 to x.

    NumPy has none. The C library's, taken one number at a time, is exact and slow.
    """
    if array_module(x) is np:
        y = np.empty_like(x, object)  # what a function of Python makes
        return _erf(x.astype(np.float64), y).astype(x.dtype)
    from cupyx.scipy import special

    return special.erf(x)


def capped(x: Any) -> Any:
    """``x`` limited to [-40, 40], where the normal density and 1 - tanh^2 have long been 0 to the
    last digit, and where the square and cube of a float16 do not overflow yet."""
    return call_op(Clamp(-40.0, 40.0), x)


def normal_density(x: Any) -> Any:
    """e^(-x^2/2) / sqrt(2 pi)."""
    x = capped(x)
    return call_op(Exp(), -0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


class Erf(Op):
    """y = erf(x) = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x.    dy/dx = 2/sqrt(pi) e^(-x^2)"""

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return erf(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        near = capped(x)
        return grad * (call_op(Exp(), -(near * near)) * (2 / math.sqrt(math.pi)))


class NormalCDF(Op):
    """y = P(x) = (1 + erf(x / sqrt 2)) / 2, the normal distribution function.

    dy/dx = e^(-x^2/2) / sqrt(2 pi): the normal density.
    """

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return 0.5 * (1 + erf(x * math.sqrt(0.5)))

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * normal_density(x)


class GELU(Op):
    """y = x P(x), with P the normal distribution function and p its density.

    dy/dx = P(x) + x p(x), by the product rule.

    Hendrycks and Gimpel (2016), "Gaussian Error Linear Units (GELUs)", section 2.
    """

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return x * call_op(NormalCDF(), x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad * (call_op(NormalCDF(), x) + x * normal_density(x))


class GELUTanh(Op):
    """y = x (1 + tanh u) / 2,  u = sqrt(2/pi) (x + 0.044715 x^3): GELU without erf.

    dy/dx = (1 + t)/2 + x (1 - t^2)/2 du/dx,   t = tanh u,   du/dx = sqrt(2/pi)(1 + 0.134145 x^2)

    Hendrycks and Gimpel (2016), section 2.
    """

    saves = ("x",)

    def inner(self, x: Array) -> Array:
        """tanh u."""
        x = capped(x)
        return call_op(Tanh(), math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))

    def forward(self, x: Array) -> Array:
        return 0.5 * x * (1 + self.inner(x))

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        t = self.inner(x)
        near = capped(x)
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (near * near))
        return grad * (0.5 * (1 + t) + 0.5 * near * (1 - t * t) * du)


class SiLU(Op):
    """y = x s(x), with s the sigmoid.    dy/dx = s + x s (1 - s) = s (1 + x (1 - s))

    Elfwing, Uchibe, Doya (2018), "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", eq. 3 and 5.
    """

    saves = ("x",)

    def forward(self, x: Array) -> Array:
        return x * call_op(Sigmoid(), x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        s = call_op(Sigmoid(), x)
        return grad * (s * (1 + x * (1 - s)))


class Softplus(Op):
    """y = log(1 + e^(b x)) / b, a smooth ReLU; y = x itself where b x > threshold.

    dy/dx = e^(bx) / (1 + e^(bx)) = s(b x), and 1 above the threshold.
    Forward uses log(1 + e^u) = max(u, 0) + log(1 + e^-|u|), which cannot overflow.
    """

    saves = ("x",)

    def __init__(self, beta: float, threshold: float) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        u = x * self.beta
        y = (xp.maximum(u, 0) + xp.log1p(xp.exp(-xp.abs(u)))) / self.beta
        return xp.where(u > self.threshold, x, y)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        u = x * self.beta
        return call_op(Where(), u > self.threshold, grad, grad * call_op(Sigmoid(), u))


# ------------------------------------------------------------------------------------ softmax
