"""Convolutions and pooling as modules; the derivation is in ``ops/convolution.py``."""

import math
from typing import Any, ClassVar

from .. import functional as F
from ..tensor import Tensor
from . import init
from .linear import checked_size, new_parameter
from .module import Module

Lengths = int | tuple[int, int]


class _Convolution(Module):
    """What the convolutions share; they differ in how many axes an image has."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels = checked_size(f"{name}: in_channels", in_channels)
        self.out_channels = checked_size(f"{name}: out_channels", out_channels)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups is {groups}, expected a divisor of {in_channels} and "
                f"{out_channels} channels"
            )
        one = isinstance(kernel_size, int)
        self.kernel_size = (kernel_size,) * self.axes if one else tuple(kernel_size)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(
                f"{name}: padding is {padding!r}, expected a number, 'same' or 'valid'"
            )
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = new_parameter(shape, device, dtype)
        self.register_parameter(
            "bias", new_parameter((out_channels,), device, dtype) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniform within 1 / sqrt(inputs of one output)."""
        bound = 1 / math.sqrt(max(math.prod(self.weight.shape[1:]), 1))
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding!r}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={self.bias is not None}"
        )


class Conv2d(_Convolution):
    """A kernel moved over images.   (N, in_channels, H, W)  ->  (N, out_channels, oh, ow)

    Args:
        in_channels, out_channels: of the images that come and go.
        kernel_size, stride, padding, dilation: one number, or one for height and one for width;
            ``padding`` also ``"same"`` or ``"valid"``.
        groups: how many groups of channels are convolved by themselves.
        bias: whether a number is added to each output channel.
        device, dtype: of the parameters; float32 by default.

    Raises:
        ValueError: ``groups`` divides the channels unevenly; or, when called, what ``F.conv2d``
            raises.
    """

    axes: ClassVar[int] = 2

    def forward(self, input: Tensor) -> Tensor:
        options = self.stride, self.padding, self.dilation, self.groups
        return F.conv2d(input, self.weight, self.bias, *options)


class Conv1d(_Convolution):
    """A kernel moved over series: (N, in_channels, L)  ->  (N, out_channels, l). Arguments and
    errors as of ``Conv2d``, with one number for each."""

    axes: ClassVar[int] = 1

    def forward(self, input: Tensor) -> Tensor:
        options = self.stride, self.padding, self.dilation, self.groups
        return F.conv1d(input, self.weight, self.bias, *options)


class MaxPool2d(Module):
    """The largest pixel under a kernel; see ``F.max_pool2d`` for arguments and errors."""

    def __init__(
        self,
        kernel_size: Lengths,
        stride: Lengths | None = None,
        padding: Lengths = 0,
        dilation: Lengths = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of the pixels under a kernel; see ``F.avg_pool2d`` for arguments and errors."""

    def __init__(
        self,
        kernel_size: Lengths,
        stride: Lengths | None = None,
        padding: Lengths = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            count_include_pad=self.count_include_pad,
            divisor_override=self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over so many parts of each axis; see ``F.adaptive_avg_pool2d``."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
