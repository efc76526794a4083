"""Reductions: many numbers to one, along some axes. Their rules broadcast the gradient back.

``dims`` is a tuple of axes counted from the front; ``keepdim`` leaves them in place with length 1.
"""

import math
from typing import Any, ClassVar

import numpy as np

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from .axes import keep_dims
from .broadcasting import add_up, broadcast_to, wide
from .elementwise import Cast, Exp
from .ieee import ieee
from .indexing import GetItem
from .selection import Where, masked
from .shape import Cat

__all__ = [
    "Amax",
    "Amin",
    "CumProd",
    "CumSum",
    "LogSumExp",
    "Mean",
    "Prod",
    "Std",
    "Sum",
    "Var",
]


class Reduction(Op):
    """What reductions share: the axes, and how to bring the gradient back to the input's shape."""

    def __init__(self, dims: tuple[int, ...], keepdim: bool = False) -> None:
        self.dims, self.keepdim = dims, keepdim

    def kept_shape(self, x: Array) -> tuple[int, ...]:
        """The output's shape if every reduced axis stayed, with length 1."""
        return keep_dims(x.shape, self.dims)

    def count(self, x: Array) -> int:
        """How many numbers become one."""
        n = 1
        for axis in self.dims:
            n *= x.shape[axis] if x.ndim else 1
        return n

    def axes(self, x: Array) -> tuple[int, ...]:
        """``dims`` for the array library: a 0-d array has no axis 0."""
        return self.dims if x.ndim else ()


SUMMED_IN = {"e": np.float32, "f": None, "d": None}
"""The type in which to add up float16, float32 and float64 (None: as it is); others in int64."""


class Sum(Op):
    """y = sum of x over dims, or over all axes if dims is None.

    dy/dx_i = 1: broadcasting in reverse.
    """

    def __init__(self, dims: tuple[int, ...] | None, keepdim: bool = False) -> None:
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Array) -> Array:
        axes = self.dims if x.ndim else None  # a 0-d array has no axis 0
        kind = x.dtype.char
        y = x.sum(axis=axes, keepdims=self.keepdim, dtype=SUMMED_IN.get(kind, np.int64))
        return y.astype(x.dtype) if kind == "e" else y

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        if self.dims is not None:
            grad = grad.reshape(keep_dims(x.shape, self.dims))
        return broadcast_to(grad, x.shape)


class Mean(Reduction):
    """y = (1/n) sum of x over dims.    dy/dx_i = 1/n"""

    def forward(self, x: Array) -> Array:
        n = self.count(x)
        total = x.sum(axis=self.axes(x), keepdims=self.keepdim, dtype=wide(x.dtype))
        mean = total / n if n else total * math.nan
        return mean.astype(x.dtype, copy=False)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return broadcast_to(
            (grad * (1 / max(self.count(x), 1))).reshape(self.kept_shape(x)), x.shape
        )


class Var(Reduction):
    """y = 1/(n-c) sum_i (x_i - mean)^2.    c: the correction, 1 for the unbiased variance

    dy/dx_i = 2 (x_i - mean) / (n - c). The derivative through the mean vanishes, because it is
    multiplied by sum_i (x_i - mean) = 0.
    """

    saves: ClassVar[tuple[str, ...]] = ("x",)

    def __init__(self, dims: tuple[int, ...], keepdim: bool, correction: float) -> None:
        super().__init__(dims, keepdim)
        self.correction = correction

    def weight(self, x: Array) -> float:
        """1/(n - c), and NaN where the variance of so few numbers is not defined."""
        freedom = self.count(x) - self.correction
        return 1 / freedom if freedom > 0 else math.nan

    def centre(self, x: Array) -> Array:
        """x - mean."""
        return x - x.sum(axis=self.axes(x), keepdims=True) / max(self.count(x), 1)

    def forward(self, x: Array) -> Array:
        centred = self.centre(x)
        squares = (centred * centred).sum(axis=self.axes(x), keepdims=self.keepdim)
        return squares * self.weight(x)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return (grad * (2 * self.weight(x))).reshape(self.kept_shape(x)) * self.centre(x)


class Std(Var):
    """y = sqrt(variance).    dy/dx_i = (x_i - mean) / ((n - c) y), and 0 where y = 0"""

    saves = ("y", "x")

    def forward(self, x: Array) -> Array:
        return array_module(x).sqrt(super().forward(x))

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        # Where y = 0, x - mean is 0 as well. The second derivative is 0 there, as in PyTorch.
        scale = masked(y != 0, grad * self.weight(x) / (y + (y == 0)))
        return scale.reshape(self.kept_shape(x)) * self.centre(x)


class Extremum(Reduction):
    """y = the largest or smallest of x. Where several are, they share the gradient equally; where
    y is NaN, each gets NaN."""

    saves = ("y", "x")

    def refuse_nothing(self, x: Array) -> None:
        """No numbers have no largest one."""
        if self.count(x) == 0:
            raise ValueError(
                f"{self.name.lower()}: the tensor of shape {tuple(x.shape)} has no elements along "
                f"{self.dims}, expected at least one"
            )

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        kept = self.kept_shape(x)
        y = y.reshape(kept)
        attained = (x == y) | (y != y)
        ties = add_up(call_op(Cast(bool, grad.dtype), attained), self.axes(x), keepdims=True)
        share = call_op(Where(), y == y, grad.reshape(kept) / ties, y)
        return masked(attained, share)


class Amax(Extremum):
    """y = max of x over dims. Where several attain it, they share the gradient equally."""

    def forward(self, x: Array) -> Array:
        self.refuse_nothing(x)
        return x.max(axis=self.axes(x), keepdims=self.keepdim)


class Amin(Extremum):
    """y = min of x over dims. Where several attain it, they share the gradient equally."""

    def forward(self, x: Array) -> Array:
        self.refuse_nothing(x)
        return x.min(axis=self.axes(x), keepdims=self.keepdim)


class LogSumExp(Reduction):
    """y = log sum_i e^(x_i) = m + log sum_i e^(x_i - m), with m = max x so that nothing overflows.

    dy/dx_i = e^(x_i) / sum_j e^(x_j) = e^(x_i - y): the softmax.
    """

    saves = ("y", "x")

    def forward(self, x: Array) -> Array:
        xp, axes = array_module(x), self.axes(x)
        if x.size == 0:  # the logarithm of an empty sum
            y = xp.full(self.kept_shape(x), -xp.inf, dtype=x.dtype)
            return y if self.keepdim else xp.squeeze(y, axis=axes)
        largest = x.max(axis=axes, keepdims=True)
        largest = xp.where(xp.isfinite(largest), largest, 0)  # inf - inf would be NaN
        total = ieee().run(xp.exp, x - largest).sum(axis=axes, keepdims=True)
        y = ieee().run(xp.log, total) + largest  # of -inf alone, log 0 = -inf
        return y if self.keepdim else xp.squeeze(y, axis=axes)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        kept = self.kept_shape(x)
        return grad.reshape(kept) * call_op(Exp(), x - y.reshape(kept))


class CumSum(Op):
    """y_i = x_1 + ... + x_i along one axis.

    x_j is part of every y_i with i >= j, so dL/dx_j is the sum of dL/dy_i from j to the end:
    the cumulative sum taken backwards. It is added up in float64, as each y_i carries the rounding
    of all before it.
    """

    def __init__(self, dim: int, reverse: bool = False) -> None:
        self.dim, self.reverse = dim, reverse

    def forward(self, x: Array) -> Array:
        if x.ndim == 0:
            return x.copy()
        xp = array_module(x)
        wide, dtype = (np.float64, x.dtype) if x.dtype.kind == "f" else (np.int64, np.int64)
        y = xp.flip(x, self.dim) if self.reverse else x
        y = xp.cumsum(y, axis=self.dim, dtype=wide).astype(dtype, copy=False)
        return xp.flip(y, self.dim) if self.reverse else y

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(CumSum(self.dim, not self.reverse), grad)


class Prod(Op):
    """y = x_1 x_2 ... x_n along one axis.

    dy/dx_i is the product of the others. y / x_i would be that, were no x_i 0. The product of those
    before i and of those after i is, always: two running products.
    """

    saves = ("x",)

    def __init__(self, dim: int, keepdim: bool = False) -> None:
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x: Array) -> Array:
        kind = x.dtype.char
        dtype = SUMMED_IN.get(kind, np.int64)
        y = x.prod(axis=self.dim, keepdims=self.keepdim, dtype=dtype)
        return y.astype(x.dtype) if kind == "e" else y

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        kept = keep_dims(x.shape, (self.dim,))
        before, after = product_before(x, self.dim), product_before(x, self.dim, reverse=True)
        return grad.reshape(kept) * before * after


def product_before(x: Any, dim: int, reverse: bool = False) -> Any:
    """P_i = x_1 ... x_{i-1}, or x_{i+1} ... x_n if ``reverse``; the empty product is 1."""
    front = (slice(None),) * dim
    n = x.shape[dim]
    one = call_op(GetItem((*front, slice(0, 1))), x) * 0 + 1
    rest = slice(1, None) if reverse else slice(0, n - 1)
    running = call_op(CumProd(dim, reverse), call_op(GetItem((*front, rest)), x))
    return call_op(Cat(dim), *((running, one) if reverse else (one, running)))


class CumProd(Op):
    """y_i = x_1 ... x_i along one axis; with ``reverse``, y_i = x_i ... x_n.

    x_j is a factor of every y_i with i >= j. Take P_j = x_1 ... x_{j-1} out of dL/dx_j:

        dL/dx_j = P_j S_j,    S_j = dy_j + x_{j+1} dy_{j+1} + x_{j+1} x_{j+2} dy_{j+2} + ...

    and S_j = dy_j + x_{j+1} S_{j+1}, from the end to the start. Nothing is divided by an x, so a
    zero is as good as any other number.
    """

    saves = ("x",)

    def __init__(self, dim: int, reverse: bool = False) -> None:
        self.dim, self.reverse = dim, reverse

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        wide, dtype = (np.float64, x.dtype) if x.dtype.kind == "f" else (np.int64, np.int64)
        y = xp.flip(x, self.dim) if self.reverse else x
        y = xp.cumprod(y, axis=self.dim, dtype=wide).astype(dtype, copy=False)
        return xp.flip(y, self.dim) if self.reverse else y

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        n, front = x.shape[self.dim], (slice(None),) * self.dim
        if n == 0:
            return grad
        order = range(n) if self.reverse else range(n)[::-1]  # from the end to the start
        parts: list[Any] = [None] * n
        tail: Any = 0  # x_{j+1} S_{j+1}
        for i in order:
            here = (*front, slice(i, i + 1))
            parts[i] = call_op(GetItem(here), grad) + tail
            tail = call_op(GetItem(here), x) * parts[i]
        return product_before(x, self.dim, self.reverse) * call_op(Cat(self.dim), *parts)
