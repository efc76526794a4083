"""GroupNorm: each sample brought to mean 0 and variance 1, over groups of its channels."""

import math
from typing import Any

from .. import functional as F
from ..tensor import Tensor
from . import init
from .linear import checked_number, checked_size, new_parameter
from .module import Module


class GroupNorm(Module):
    """y = weight (x - mean) / sqrt(var + eps) + bias, mean and var over a group of channels.

    x, y: (N, C, ...);  weight, bias: (C,). The C channels form ``num_groups`` groups of neighbours.
    No sample knows of another, so small batches do no harm, and training and evaluation are the
    same. Wu and He (2018), "Group Normalization"; the gradient is derived in
    ``ops/samplewise.py``.

    Args:
        num_groups: how many groups; it divides ``num_channels``.
        num_channels: C.
        eps: keeps the root away from 0.
        affine: whether there is a ``weight`` and, with it, a ``bias``.
        device: where parameters are made.
        dtype: their type, float32 by default.
        bias: whether there is a ``bias`` beside the ``weight``.

    Raises:
        TypeError: a number is none; or, when called, the input is not floating.
        ValueError: they are out of range; or, when called, the input does not have C channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = checked_size("GroupNorm: num_groups", num_groups)
        self.num_channels = checked_size("GroupNorm: num_channels", num_channels)
        if not self.num_groups or self.num_channels % self.num_groups:
            raise ValueError(
                f"GroupNorm: num_groups is {num_groups}, expected a divisor of the {num_channels} "
                f"channels"
            )
        self.eps = checked_number("GroupNorm: eps", eps)
        if not 0 < self.eps < math.inf:
            raise ValueError(f"GroupNorm: eps is {eps}, expected a number above 0")
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            vector = new_parameter((self.num_channels,), device, dtype) if wanted else None
            self.register_parameter(name, vector)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start: weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if isinstance(input, Tensor) and input.shape[1:2] != (self.num_channels,):
            raise ValueError(
                f"GroupNorm: input has shape {input.shape}, expected (N, {self.num_channels}, ...)"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
