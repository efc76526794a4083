"""LayerNorm: each sample brought to mean 0 and variance 1 over its own features."""

import math
from collections.abc import Sequence
from typing import Any

from .. import functional as F
from ..tensor import Tensor
from . import init
from .linear import checked_number, checked_size, new_parameter
from .module import Module


class LayerNorm(Module):
    """y = weight (x - mean) / sqrt(var + eps) + bias, mean and var over the last axes.

    x, y: (..., *normalized_shape);  weight, bias: normalized_shape. No sample knows of another, so
    training and evaluation are the same. Ba, Kiros and Hinton (2016), "Layer Normalization",
    section 3; the gradient is derived in ``ops/samplewise.py``.

    Args:
        normalized_shape: the lengths of the last axes, or of the last one.
        eps: keeps the root away from 0.
        elementwise_affine: whether there is a ``weight``.
        bias: whether there is a ``bias`` beside it.
        device: where parameters are made.
        dtype: their type, float32 by default.

    Raises:
        TypeError: a length or ``eps`` is no number; or, when called, the input is not floating.
        ValueError: they are out of range; or, when called, the input's last axes are not
            ``normalized_shape``.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        lengths = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
        self.normalized_shape = tuple(
            checked_size("LayerNorm: normalized_shape", length) for length in lengths
        )
        self.eps = checked_number("LayerNorm: eps", eps)
        if not 0 < self.eps < math.inf:
            raise ValueError(f"LayerNorm: eps is {eps}, expected a number above 0")
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            vector = new_parameter(self.normalized_shape, device, dtype) if wanted else None
            self.register_parameter(name, vector)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start: weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )
