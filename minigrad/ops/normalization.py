"""Normalisation: take away the mean, divide by the standard deviation, scale and shift.

``BatchNorm`` does so per channel over the batch, and ``BatchNormEval`` uses statistics that were
collected before: it is an affine map, and has another gradient. What normalises each sample by
itself is in ``samplewise.py``.
"""

import math
from typing import Any, ClassVar

from ..backend import Array
from ..core.op import Op
from .standardize import standardize

__all__ = [
    "BatchNorm",
    "BatchNormEval",
]


def along_channels(vector: Any, ndim: int) -> Any:
    """(C,) as (1, C, 1, ...), to be multiplied with (N, C, ...)."""
    return vector.reshape((1, -1, *(1,) * (ndim - 2)))


def affine(x_hat: Array, gamma: Array | None, beta: Array | None) -> Array:
    """gamma x_hat + beta, channel by channel; without gamma, or beta, without that part. A copy in
    any case: x_hat is remembered for backward, and y may be written to."""
    y = x_hat.copy() if gamma is None else x_hat * along_channels(gamma, x_hat.ndim)
    return y if beta is None else y + along_channels(beta, x_hat.ndim)


class BatchNorm(Op):
    """y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps): BatchNorm in training.

    x, y: (N, C, ...);  gamma, beta: (C,);  mu and var of each channel over the batch and whatever
    axes come after the channels, m = N * ... values in all. Ioffe and Szegedy (2015), "Batch
    Normalization", Algorithm 1; the gradient is in its section 3.

    In one channel, with r = 1/sqrt(var + eps), sums and means over its m values, and dz for dL/dz:

     1. y = gamma x_hat + beta        dbeta  = sum(dy)
     2.                               dgamma = sum(dy x_hat)
     3.                               dx_hat = gamma dy
     4. x_hat = c r,  c = x - mu      dr     = sum(dx_hat c)
     5.                               dc     = dx_hat r                       (directly)
     6. r = (var + eps)^(-1/2)        dvar   = -1/2 r^3 dr
     7. var = mean(c^2)               dc    += dvar 2 c / m                   (through var)
     8. c = x - mu                    dmu    = -sum(dc)
     9.                               dx     = dc                             (directly)
    10. mu = mean(x)                  dx    += dmu / m                        (through mu)

    Collapsed. Put 4 and 6 into 7, with c r = x_hat:  2 c dvar / m = -r x_hat mean(dx_hat x_hat).
    This part of dc sums to 0, because x_hat does, so 8 and 10 take away the mean of 5 only:

        dx = r (dx_hat - mean(dx_hat) - x_hat mean(dx_hat x_hat))
           = gamma r (dy - mean(dy) - x_hat mean(dy x_hat))
           = gamma r (dy - dbeta / m - x_hat dgamma / m)

    The geometry: dx is what is left of dy after its part along the vector of ones and its part
    along x_hat are taken away, because moving x along these two (a shift, a stretch) does not
    change x_hat. (The second exactly so for eps = 0, where mean(x_hat^2) = 1.) What remains is
    multiplied by gamma / sigma: where pre-activations have lost their spread, gradients are
    enlarged by just as much.

    Kept for backward: x and gamma, and through ``cached`` x_hat and r.

    ``batch_mean`` and ``batch_var`` (biased), (C,), are left for the running statistics; backward
    does not read them.
    """

    saves: ClassVar[tuple[str, ...]] = ("x", "gamma")
    batch_mean: Array
    batch_var: Array

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def standardize(self, x: Any) -> tuple[Any, Any, Any, Any]:
        """x_hat, r, mu and var; all but x_hat are (1, C, 1, ...)."""
        return standardize(x, (0, *range(2, x.ndim)), self.eps)

    def forward(self, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
        x_hat, _, mean, var = self.cached(self.standardize, x)
        self.batch_mean, self.batch_var = mean.reshape(-1), var.reshape(-1)
        return affine(x_hat, gamma, beta)

    def backward(
        self,
        grad: Array,
        y: Array,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> tuple[Any, ...]:
        x_hat, r, _, _ = self.cached(self.standardize, x)
        axes = (0, *range(2, x.ndim))
        d_beta = grad.sum(axis=axes, keepdims=True)  # (1, C, 1, ...)
        d_gamma = (grad * x_hat).sum(axis=axes, keepdims=True)
        scale = r if gamma is None else r * along_channels(gamma, x.ndim)
        m = math.prod(x.shape) // x.shape[1]
        dx = scale * (grad - d_beta / m - x_hat * (d_gamma / m))
        if gamma is None:
            return (dx,)
        if beta is None:
            return dx, d_gamma.reshape((-1,))
        return dx, d_gamma.reshape((-1,)), d_beta.reshape((-1,))


class BatchNormEval(Op):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with given statistics: BatchNorm in eval mode.

    x, y: (N, C, ...);  mean, var, gamma, beta: (C,).

    The statistics are constants here: no x has a part in them, so none of the paths of the
    training rule through mu and var exists, and the map is affine in x:

        dx = dy gamma / sqrt(var + eps),    dgamma = sum(dy x_hat),    dbeta = sum(dy).
    """

    saves = ("x", "mean", "var", "gamma")

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def standardize(self, x: Any, mean: Any, var: Any) -> tuple[Any, Any]:
        """x_hat, and 1/sqrt(var + eps) as (1, C, 1, ...)."""
        inv_std = along_channels((var + self.eps) ** -0.5, x.ndim)
        return (x - along_channels(mean, x.ndim)) * inv_std, inv_std

    def forward(
        self,
        x: Array,
        mean: Array,
        var: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> Array:
        x_hat, _ = self.cached(self.standardize, x, mean, var)
        return affine(x_hat, gamma, beta)

    def backward(
        self,
        grad: Array,
        y: Array,
        x: Array,
        mean: Array,
        var: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> tuple[Any, ...]:
        x_hat, inv_std = self.cached(self.standardize, x, mean, var)
        axes = (0, *range(2, x.ndim))
        scale = inv_std if gamma is None else inv_std * along_channels(gamma, x.ndim)
        gradients: tuple[Any, ...] = (grad * scale, None, None)
        if gamma is not None:
            gradients += ((grad * x_hat).sum(axis=axes),)
        if beta is not None:
            gradients += (grad.sum(axis=axes),)
        return gradients
