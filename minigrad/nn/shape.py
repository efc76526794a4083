"""Modules without parameters that pass on or rearrange what they get."""

import math
from collections.abc import Sequence
from typing import Any

from .. import functional as F
from ..ops.axes import normalize_dim
from ..tensor import Tensor
from .module import Module


class Identity(Module):
    """The input itself. Takes and ignores any arguments, to stand in for any other layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` made one: (N, H, W) -> (N, H * W) by default."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis ``dim`` split into axes of the lengths ``unflattened_size``, one of which may be -1:
    ``Unflatten(1, (1, 8, 8))`` makes images of rows, (N, 64) -> (N, 1, 8, 8).

    Raises:
        IndexError: when called, there is no axis ``dim``.
        ValueError: when called, the lengths do not make up that of the axis.
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        shape = input.shape
        dim = normalize_dim(self.dim, input.ndim, "Unflatten")
        sizes, length = self.unflattened_size, shape[dim]
        if -1 in sizes:
            i, rest = sizes.index(-1), -math.prod(sizes)
            sizes = (*sizes[:i], length // rest if rest > 0 else 0, *sizes[i + 1 :])
        if min(sizes, default=0) < 0 or math.prod(sizes) != length:
            raise ValueError(
                f"Unflatten: axis {dim} of the input, of shape {shape}, has {length} elements, "
                f"expected as many as {self.unflattened_size} has"
            )
        return input.reshape(*shape[:dim], *sizes, *shape[dim + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
