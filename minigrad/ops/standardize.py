"""Mean 0 and variance 1, with the digits that a careless sum would lose, and the running averages
of what was taken away."""

import operator
from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..core.variable import Variable, array_of
from .ieee import ieee

__all__ = [
    "count_one",
    "update_running",
]


def standardize(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any, Any]:
    """x_hat = (x - mu) / sqrt(var + eps), with 1/sqrt(var + eps), mu and var (biased), over axes.

    A mean that is large beside the spread loses digits (in float32, data of mean 10^4 and standard
    deviation 1 keep three decimals). So the first value along ``axes`` is taken away before: it is
    as large, and the difference is exact where that matters. It is a constant to the gradient,
    because x_hat does not depend on what is added to all of x. The variance is taken of the centred
    values: E[x^2] - E[x]^2 cancels in the same situation, and can be negative.

    Where the squares leave the range of numbers (in float32 from 1e19 on), x is scaled down by a
    power of two, which is exact, and eps with it: x_hat is the same.
    """
    along = {axis % x.ndim for axis in axes}
    first = constant(array_of(x)[tuple(slice(1 if i in along else None) for i in range(x.ndim))], x)
    quietly = operator.call if isinstance(x, Variable) else ieee().run
    scale = scale_on_gpu(x, axes)
    if scale is None:
        result = quietly(standardize_shifted, x, first, axes, eps)
        scale = scale_against_overflow(x, result[3])
        if scale is None:
            return result
    s = constant(scale, x)
    x_hat, inv_std, mean, var = quietly(standardize_shifted, x * s, first * s, axes, s * s * eps)
    return x_hat, inv_std * s, mean / s, quietly(operator.truediv, var, s * s)


def standardize_shifted(
    x: Any, first: Any, axes: tuple[int, ...], eps: Any
) -> tuple[Any, Any, Any, Any]:
    """``standardize``, without a thought about the range of numbers."""
    shifted = x - first
    mean = shifted.mean(axis=axes, keepdims=True)
    centred = shifted - mean
    var = (centred * centred).mean(axis=axes, keepdims=True)
    inv_std = (var + eps) ** -0.5
    return centred * inv_std, inv_std, mean + first, var


def divide_by_rms(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """x_hat = x / sqrt(mean(x^2) + eps), and 1/sqrt(mean(x^2) + eps), the mean over ``axes``.

    Where the squares leave the range of numbers, as in ``standardize``.
    """

    def divided(x: Any, eps: Any) -> tuple[Any, Any, Any]:
        square = (x * x).mean(axis=axes, keepdims=True)
        inv_rms = (square + eps) ** -0.5
        return x * inv_rms, inv_rms, square

    quietly = operator.call if isinstance(x, Variable) else ieee().run
    scale = scale_on_gpu(x, axes)
    if scale is None:
        x_hat, inv_rms, square = quietly(divided, x, eps)
        scale = scale_against_overflow(x, square)
        if scale is None:
            return x_hat, inv_rms
    s = constant(scale, x)
    x_hat, inv_rms, _ = quietly(divided, x * s, s * s * eps)
    return x_hat, inv_rms * s


def constant(array: Array, like: Any) -> Any:
    """An array as it is, or as a constant Tensor where ``like`` is a Tensor."""
    return like.from_array(array) if isinstance(like, Variable) else array


def scale_against_overflow(x: Any, var: Any) -> Array | None:
    """For each variance that is not finite although x is, a power of two that mends it, and 1 for
    the others; None if there is nothing to mend."""
    x, var = array_of(x), array_of(var)
    if not var.size or var.max() < np.inf or not np.isfinite(x).all():
        return None
    return np.where(np.isfinite(var), 1, power_of_two_down(x)).astype(x.dtype)


def scale_on_gpu(x: Any, axes: tuple[int, ...]) -> Array | None:
    """The same before anything is computed, from the largest |x|; None on the CPU. A GPU would have
    to be waited for to learn whether there is something to mend: there every x is scaled, nearly
    always by 1."""
    x = array_of(x)
    if isinstance(x, np.ndarray) or not x.size:
        return None
    xp, large = array_module(x), float(np.finfo(x.dtype).max) ** 0.4
    largest = xp.maximum(x.max(axis=axes, keepdims=True), -x.min(axis=axes, keepdims=True))
    return xp.where((largest > large) & (largest < np.inf), power_of_two_down(x), 1).astype(x.dtype)


def power_of_two_down(x: Array) -> float:
    """What brings the largest number of x's type to where its square is one, too."""
    return 0.5 ** (np.finfo(x.dtype).maxexp // 2 + 2)


def update_running(mean: Array, var: Array, op: Any, momentum: float, m: int) -> None:
    """running = (1 - momentum) running + momentum batch, in place, with the statistics that the
    forward pass of ``op`` has left.    mean, var: (C,)

    They were taken over ``m`` values each, and of the variance the unbiased one counts, which is
    divided by m - 1 instead of m. A channel whose statistics are infinite or NaN is left as it is:
    one bad batch would stay in the running average for ever.
    """
    xp = array_module(mean)
    finite = xp.isfinite(op.batch_mean) & xp.isfinite(op.batch_var)
    moved = mean * (1 - momentum) + op.batch_mean * momentum
    mean[...] = xp.where(finite, moved, mean)
    moved = var * (1 - momentum) + op.batch_var * (momentum * (m / (m - 1)))
    var[...] = xp.where(finite, moved, var)


def count_one(count: Array) -> None:
    """count += 1, of a single number, in place: one more batch."""
    count += 1
