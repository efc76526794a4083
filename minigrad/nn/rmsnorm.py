"""RMSNorm: each sample divided by the root of the mean of its squares."""

import math
from collections.abc import Sequence
from typing import Any

from .. import functional as F
from ..tensor import Tensor
from . import init
from .linear import checked_number, checked_size, new_parameter
from .module import Module


class RMSNorm(Module):
    """y = weight x / sqrt(mean(x^2) + eps), the mean over the last axes.

    x, y: (..., *normalized_shape);  weight: normalized_shape. Zhang and Sennrich (2019), "Root Mean
    Square Layer Normalization", section 4; the gradient is derived in ``ops/samplewise.py``.

    Args:
        normalized_shape: the lengths of the last axes, or of the last one.
        eps: keeps the root away from 0; None is the distance from 1 to the next number of the type.
        elementwise_affine: whether there is a ``weight``.
        device: where it is made.
        dtype: its type, float32 by default.

    Raises:
        TypeError: a length or ``eps`` is no number; or, when called, the input is not floating.
        ValueError: they are out of range; or, when called, the input's last axes are not
            ``normalized_shape``.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        lengths = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
        self.normalized_shape = tuple(
            checked_size("RMSNorm: normalized_shape", length) for length in lengths
        )
        self.eps = None if eps is None else checked_number("RMSNorm: eps", eps)
        if self.eps is not None and not 0 < self.eps < math.inf:
            raise ValueError(f"RMSNorm: eps is {eps}, expected a number above 0, or None")
        self.elementwise_affine = elementwise_affine
        wanted = elementwise_affine
        vector = new_parameter(self.normalized_shape, device, dtype) if wanted else None
        self.register_parameter("weight", vector)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start: weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
