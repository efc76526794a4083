"""Two operations as one, where the second reads what the first has just written.

On a GPU a sigmoid is far less work than reading its input and writing its output, so it costs
next to nothing in the kernel that computes the input. The rule of the pair is one rule put into the
other; the rules themselves stay where they are.
"""

from typing import Any

from ..backend import Array
from .activation import Sigmoid
from .normalization import BatchNorm


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

    Kept for backward: y, x and gamma, and through ``memo`` x_hat and r.
    """

    keeps = ("y", "x", "gamma")

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
