"""Normalisation within each sample, whatever else is in the batch: LayerNorm, GroupNorm, RMSNorm.

The derivation is that of ``BatchNorm`` in ``normalization.py``, with other axes.
"""

import math
from typing import Any

from ..backend import Array
from ..core.op import Op
from .broadcasting import unbroadcast
from .normalization import affine, along_channels
from .standardize import divide_by_rms, standardize

__all__ = ["GroupNorm", "LayerNorm", "RMSNorm"]


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
