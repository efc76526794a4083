"""Linear: the layer that mixes features, y = x W^T + b."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import functional as F
from ..creation import zeros
from ..functional.layers import check_linear
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter


class Linear(Module):
    """y = x weight^T + bias.          x: (..., in_features) -> y: (..., out_features)

    weight (out_features, in_features) and bias (out_features,) start uniform on
    [-1/sqrt(in_features), 1/sqrt(in_features)], as in PyTorch. The gradients are derived in
    ``ops/linear.py``.

    Raises:
        ValueError: a number of features is negative; or, when called, the input's last axis does
            not have ``in_features`` elements.
    """

    function: ClassVar[Callable[..., Tensor]] = staticmethod(F.linear)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = checked_size("Linear: in_features", in_features)
        self.out_features = checked_size("Linear: out_features", out_features)
        self.weight = new_parameter((out_features, in_features), device, dtype)
        self.register_parameter(
            "bias", new_parameter((out_features,), device, dtype) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        try:
            return self.function(input, self.weight, self.bias)
        except (TypeError, ValueError) as error:
            fault = error
        # The same check, in the name of the layer: the function is not what the user has called.
        check_linear("Linear", input, self.weight, self.bias)
        raise fault

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


def checked_size(what: str, size: int) -> int:
    """``size`` if it is a length an axis can have."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
        raise TypeError(f"{what} is {size!r}, expected an integer")
    if size < 0:
        raise ValueError(f"{what} is {size}, expected at least 0")
    return int(size)


def checked_number(what: str, number: float) -> float:
    """``number`` if it is a real one; NaN is for the caller to refuse, with its range."""
    if isinstance(number, bool) or not isinstance(number, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} is {number!r}, expected a number")
    return float(number)


def new_parameter(shape: tuple[int, ...], device: str | None, dtype: Any) -> Parameter:
    """A parameter of zeros, float32 by default."""
    return Parameter(zeros(shape, dtype=np.float32 if dtype is None else dtype, device=device))
