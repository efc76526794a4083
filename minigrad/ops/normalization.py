"""Normalisation: take away the mean, divide by the standard deviation, scale and shift.

``BatchNorm`` does so per channel over the batch, ``LayerNorm`` per sample over its features,
``GroupNorm`` per sample over some of its channels, and ``BatchNormEval`` uses statistics that were
collected before. The first three share one derivation, which stands in ``BatchNorm``; the fourth is
an affine map and has another gradient. ``RMSNorm`` takes no mean away.
"""

import math
from typing import Any, ClassVar

from ..backend import Array
from ..core.op import Op
from .broadcasting import unbroadcast
from .standardize import divide_by_rms, standardize

__all__ = [
    "BatchNorm",
    "BatchNormEval",
    "GroupNorm",
    "LayerNorm",
    "RMSNorm",
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


def back_to_x(dx_hat: Any, x_hat: Any, r: Any, axes: tuple[int, ...]) -> Any:
    """dx = r (dx_hat - mean(dx_hat) - x_hat mean(dx_hat x_hat)), the means over ``axes``: the
    collapsed formula of ``BatchNorm``, before gamma is taken out of the means."""
    mean = dx_hat.mean(axis=axes, keepdims=True)
    mean_along = (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    return r * (dx_hat - mean - x_hat * mean_along)


class LayerNorm(Op):
    """y = gamma x_hat + beta, each sample standardised over its own last axes.

    x, y: (..., *shape);  gamma, beta: shape;  mu and var of each sample over the m numbers in
    ``shape``. Ba, Kiros, Hinton (2016), "Layer Normalization", eq. 4.

    The derivation is BatchNorm's with rows for columns, but gamma now varies inside the means:

        dx = r (dx_hat - mean(dx_hat) - x_hat mean(dx_hat x_hat)),    dx_hat = gamma dy,

    while dgamma = sum(dy x_hat) and dbeta = sum(dy) still run over the samples.
    """

    saves = ("x", "gamma")

    def __init__(self, axes: int, eps: float) -> None:
        self.axes, self.eps = axes, eps  # axes: how many of the last ones

    def standardize(self, x: Any) -> tuple[Any, Any, Any, Any]:
        """x_hat, and r, mu, var with length 1 along the last axes."""
        return standardize(x, tuple(range(-self.axes, 0)), self.eps)

    def forward(self, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
        x_hat, _, _, _ = self.cached(self.standardize, x)
        y = x_hat.copy() if gamma is None else x_hat * gamma
        return y if beta is None else y + beta

    def backward(
        self,
        grad: Array,
        y: Array,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> tuple[Any, ...]:
        x_hat, r, _, _ = self.cached(self.standardize, x)
        inner = tuple(range(-self.axes, 0))
        dx_hat = grad if gamma is None else grad * gamma
        gradients: tuple[Any, ...] = (back_to_x(dx_hat, x_hat, r, inner),)
        if gamma is not None:
            gradients += (unbroadcast(grad * x_hat, gamma.shape),)
        if beta is not None:
            gradients += (unbroadcast(grad, beta.shape),)
        return gradients


class GroupNorm(Op):
    """y = gamma x_hat + beta, each sample standardised over each of its G groups of channels.

    x, y: (N, C, ...);  gamma, beta: (C,);  mu and var over the m numbers of a group, which has C/G
    channels that stand side by side. Wu and He (2018), "Group Normalization", section 3.

    Written as (N, G, m), this is LayerNorm's derivation without its gamma. Here gamma belongs to a
    channel, so dx_hat = gamma dy is formed before the grouping:

        dx = r (dx_hat - mean(dx_hat) - x_hat mean(dx_hat x_hat)),    means over a group,

    while dgamma = sum(dy x_hat) and dbeta = sum(dy) run over the samples and the axes after C.
    """

    saves = ("x", "gamma")

    def __init__(self, groups: int, eps: float) -> None:
        self.groups, self.eps = groups, eps

    def grouped(self, x: Any) -> Any:
        """(N, C, ...) as (N, G, m)."""
        m = math.prod(x.shape[1:]) // self.groups
        return x.reshape((x.shape[0], self.groups, m))

    def standardize(self, x: Any) -> tuple[Any, Any]:
        """x_hat as (N, G, m), and r as (N, G, 1)."""
        return standardize(self.grouped(x), (2,), self.eps)[:2]

    def forward(self, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
        x_hat, _ = self.cached(self.standardize, x)
        return affine(x_hat.reshape(x.shape), gamma, beta)

    def backward(
        self,
        grad: Array,
        y: Array,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> tuple[Any, ...]:
        x_hat, r = self.cached(self.standardize, x)
        dx_hat = grad if gamma is None else grad * along_channels(gamma, len(x.shape))
        dx = back_to_x(self.grouped(dx_hat), x_hat, r, (2,)).reshape(x.shape)
        axes = (0, *range(2, len(x.shape)))
        gradients: tuple[Any, ...] = (dx,)
        if gamma is not None:
            gradients += ((grad * x_hat.reshape(x.shape)).sum(axis=axes),)
        if beta is not None:
            gradients += (grad.sum(axis=axes),)
        return gradients


class RMSNorm(Op):
    """y = gamma x_hat,  x_hat = x r,  r = 1/sqrt(q + eps),  q = mean(x^2): no mean is taken away.

    x, y: (..., *shape);  gamma: shape;  q of each sample over the m numbers in ``shape``. Zhang and
    Sennrich (2019), "Root Mean Square Layer Normalization", section 4.

    In one sample, with sums and means over its m numbers:

    1. y = gamma x_hat               dgamma = dy x_hat        (summed over the samples)
    2.                               dx_hat = gamma dy
    3. x_hat = x r                   dr     = sum(dx_hat x)
    4.                               dx     = dx_hat r        (directly)
    5. r = (q + eps)^(-1/2)          dq     = -1/2 r^3 dr
    6. q = mean(x^2)                 dx    += dq 2 x / m      (through q)

    Put 3 and 5 into 6, with x r = x_hat:  dq 2 x / m = -r x_hat mean(dx_hat x_hat), and

        dx = r (dx_hat - x_hat mean(dx_hat x_hat)).

    It is LayerNorm's formula without the part along the vector of ones.
    """

    saves = ("x", "gamma")

    def __init__(self, axes: int, eps: float) -> None:
        self.axes, self.eps = axes, eps  # axes: how many of the last ones

    def divide(self, x: Any) -> tuple[Any, Any]:
        """x_hat, and r with length 1 along the last axes."""
        return divide_by_rms(x, tuple(range(-self.axes, 0)), self.eps)

    def forward(self, x: Array, gamma: Array | None = None) -> Array:
        x_hat, _ = self.cached(self.divide, x)
        return x_hat.copy() if gamma is None else x_hat * gamma

    def backward(
        self, grad: Array, y: Array, x: Array, gamma: Array | None = None
    ) -> tuple[Any, ...]:
        x_hat, r = self.cached(self.divide, x)
        dx_hat = grad if gamma is None else grad * gamma
        inner = tuple(range(-self.axes, 0))
        dx = r * (dx_hat - x_hat * (dx_hat * x_hat).mean(axis=inner, keepdims=True))
        return (dx,) if gamma is None else (dx, unbroadcast(grad * x_hat, gamma.shape))
