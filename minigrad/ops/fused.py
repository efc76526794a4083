"""Neighbours as one operation, where each reads what the one before has just written.

On a GPU a sigmoid is far less work than reading its input and writing its output, so it costs
next to nothing in the kernel that computes the input. On a CPU what counts are matrices that need
not be kept, and fewer nodes. The rule of the whole is one rule put into the other; the rules
themselves stay where they are.
"""

from typing import Any

from ..backend import Array
from .activation import ReLU, Sigmoid, Tanh
from .linear import Linear
from .normalization import BatchNorm

__all__ = [
    "BatchNormSigmoid",
    "LinearActivation",
    "LinearBatchNormSigmoid",
]


class BatchNormSigmoid(BatchNorm):
    """y = s(a),  a = gamma x_hat + beta: BatchNorm in training, and the sigmoid of it.

    x, a, y: (N, C, ...);  gamma, beta: (C,);  m = N * ... values in each channel.

    Backwards, first through the second:

    1. y = s(a)                      da = dy y (1 - y)            (the rule of ``Sigmoid``)

    and then through the first, by the rule of ``BatchNorm`` with da in the place of its dy:

    2. a = gamma x_hat + beta        dbeta  = sum(da)
    3.                               dgamma = sum(da x_hat)
    4.                               dx = gamma r (da - dbeta / m - x_hat dgamma / m)

    Neither rule reads a, so it need not be kept, nor written to memory at all: a kernel computes
    y from x, and da from dy and y, where it needs them.

    Kept for backward: y, x and gamma, and through ``cached`` x_hat and r.
    """

    saves = ("y", "x", "gamma")

    def forward(self, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
        return Sigmoid().forward(super().forward(x, gamma, beta))

    def backward(
        self,
        grad: Array,
        y: Array,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> tuple[Any, ...]:
        da = grad * (y * (1 - y))
        return super().backward(da, y, x, gamma, beta)


class LinearActivation(Linear):
    """Y = f(A),  A = X W^T + b, with f the sigmoid, tanh or ReLU: Linear and the activation of it.

    X: (..., in), W: (out, in), b: (out,)  ->  A, Y: (..., out)

    1. Y = f(A)                      dA = dY f'(A), by the rule of f, which reads Y and not A:
                                     y (1 - y), 1 - y^2, or 1 where y > 0
    2. A = X W^T + b                 dX = dA W,  dW = dA^T X,  db = dA summed over the rows

    A need not be kept: a kernel adds b and applies f in the place where the product was written.

    Kept for backward: Y, X and W.
    """

    saves = ("y", "x", "weight")

    def __init__(self, activation: Sigmoid | Tanh | ReLU) -> None:
        self.activation = activation

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        return self.activation.forward(super().forward(x, weight, bias))

    def backward(
        self, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
    ) -> tuple[Any, ...]:
        da = self.activation.backward(grad, y, y)  # the last one, A, is not read
        return super().backward(da, y, x, weight, bias)


class LinearBatchNormSigmoid(Linear):
    """y = s(a),  a = gamma z_hat + beta,  z = x W^T + b: a whole layer, in training.

    x: (N, in), W: (out, in), b, gamma, beta: (out,)  ->  z, a, y: (N, out)

    b moves all rows of z alike, hence their mean as much, and z - mu does not contain it. So b has
    no part in y, and is in the running mean only; z stands for x W^T below.

    Backwards, the last first:

    1. y = s(a),  a = gamma z_hat + beta   dbeta, dgamma and dz, by the rule of ``BatchNormSigmoid``
    2. z = x W^T                           dX = dz W,  dW = dz^T X    (the rule of ``Linear``)
    3. b                                   db = sum(dz) = 0

    3 by either way: y does not depend on b; and dz = gamma r (da - mean(da) - z_hat mean(da z_hat))
    sums to 0, because da - mean(da) does and z_hat does. (As three operations, rounding leaves
    some 1e-9 of it.)

    Kept for backward: y, x, W and gamma, and through ``cached`` z, z_hat and r.

    ``batch_mean`` and ``batch_var``: as of ``BatchNorm``, of x W^T + b.
    """

    saves = ("y", "x", "weight", "gamma")
    batch_mean: Array
    batch_var: Array

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def product(self, x: Any, weight: Any) -> tuple[Any, BatchNormSigmoid]:
        """z = x W^T, and the operation that goes on with it."""
        return x @ weight.T, BatchNormSigmoid(self.eps)

    def forward(  # type: ignore[override]  # Linear with more inputs
        self, x: Array, weight: Array, bias: Array, gamma: Array, beta: Array
    ) -> Array:
        z, norm = self.cached(self.product, x, weight)
        y = norm.forward(z, gamma, beta)
        self.batch_mean, self.batch_var = norm.batch_mean + bias, norm.batch_var
        return y

    def backward(  # type: ignore[override]
        self, grad: Array, y: Array, x: Array, weight: Array, bias: Array, gamma: Array, beta: Array
    ) -> tuple[Any, ...]:
        z, norm = self.cached(self.product, x, weight)
        dz, d_gamma, d_beta = norm.backward(grad, y, z, gamma, beta)
        return *super().backward(dz, z, x, weight), 0 * d_beta, d_gamma, d_beta
