"""Convolutions and pooling of images (N, C, H, W) and of series (N, C, L)."""

from typing import Any, TypeAlias

from .. import ops
from ..core.autograd import apply
from ..ops.convolution import Pair, Window
from ..tensor import Tensor
from .layers import expect_tensors, floating

__all__ = ["avg_pool2d", "conv1d", "conv2d", "fold", "max_pool2d", "unfold"]

Lengths: TypeAlias = int | tuple[int, int]


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = 1,
    padding: Lengths = 0,
    dilation: Lengths = 1,
    groups: int = 1,
) -> Tensor:
    """The kernel ``weight`` at every place of the images.

    input: (N, C, H, W), weight: (O, C / groups, kh, kw), bias: (O,)  ->  (N, O, oh, ow), with
    oh = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1, and ow likewise.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: shapes do not fit, the kernel is larger than the padded image, or a number is
            out of range.
    """
    floating(input, "conv2d")
    expect_tensors("conv2d", ("bias",), weight=weight, bias=bias)
    _check_images("conv2d", input)
    if weight.ndim != 4:
        raise ValueError(f"conv2d: weight has shape {weight.shape}, expected (O, C/groups, kh, kw)")
    kernel = (weight.shape[2], weight.shape[3])
    window = _window("conv2d", input, kernel, stride, padding, dilation)
    _check_channels("conv2d", input, weight, bias, groups)
    op = ops.Convolution(window, groups)
    return apply(op, input, weight) if bias is None else apply(op, input, weight, bias)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """``conv2d`` of images of one row.   input: (N, C, L), weight: (O, C / groups, k), bias: (O,)
    ->  (N, O, l)

    Raises: as ``conv2d`` does.
    """
    floating(input, "conv1d")
    expect_tensors("conv1d", ("bias",), weight=weight, bias=bias)
    for what, tensor, form in (
        ("input", input, "(N, C, L)"),
        ("weight", weight, "(O, C/groups, k)"),
    ):
        if tensor.ndim != 3:
            raise ValueError(f"conv1d: {what} has shape {tensor.shape}, expected {form}")
    _check_channels("conv1d", input, weight, bias, groups)
    row, kernel = input.unsqueeze(2), weight.unsqueeze(2)
    y = conv2d(row, kernel, bias, (1, stride), (0, padding), (1, dilation), groups)
    return y.squeeze(2)


def unfold(
    input: Tensor,
    kernel_size: Lengths,
    dilation: Lengths = 1,
    padding: Lengths = 0,
    stride: Lengths = 1,
) -> Tensor:
    """What a kernel sees at each place, in columns.   (N, C, H, W)  ->  (N, C kh kw, places)

    Raises: as ``conv2d`` does.
    """
    floating(input, "unfold")
    _check_images("unfold", input)
    window = _window("unfold", input, _pair("unfold", kernel_size), stride, padding, dilation)
    return apply(ops.Unfold(window), input)


def fold(
    input: Tensor,
    output_size: Lengths,
    kernel_size: Lengths,
    dilation: Lengths = 1,
    padding: Lengths = 0,
    stride: Lengths = 1,
) -> Tensor:
    """The sum at each pixel of what all places say of it: the transpose of ``unfold``.
    (N, C kh kw, places)  ->  (N, C, H, W)

    Raises:
        TypeError: the input is no Tensor, or not floating.
        ValueError: the input does not have the columns of such a kernel on such an image.
    """
    floating(input, "fold")
    (h, w), kernel = _pair("fold", output_size), _pair("fold", kernel_size)
    window = Window(kernel, _pair("fold", stride), _pair("fold", padding), _pair("fold", dilation))
    oh, ow = window.out((h, w))
    covered = kernel[0] * kernel[1]
    if input.ndim != 3 or input.shape[1] % covered or input.shape[2] != oh * ow:
        raise ValueError(
            f"fold: input has shape {input.shape}, expected (N, C * {covered}, {oh * ow}) for a "
            f"kernel {kernel} on images of {(h, w)}"
        )
    return apply(ops.Fold(window, (h, w)), input)


def max_pool2d(
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None = None,
    padding: Lengths = 0,
    dilation: Lengths = 1,
) -> Tensor:
    """The largest pixel under the kernel, channel by channel; where several are, the first gets the
    gradient. ``stride`` is the kernel's size by default.   (N, C, H, W)  ->  (N, C, oh, ow)

    Raises: as ``conv2d`` does, and ValueError if the padding is more than half of the kernel.
    """
    window = _pooling("max_pool2d", input, kernel_size, stride, padding, dilation)
    return apply(ops.MaxPool(window), input)


def avg_pool2d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0
) -> Tensor:
    """The mean of the pixels under the kernel, channel by channel; the padding counts as zeros.
    ``stride`` is the kernel's size by default.   (N, C, H, W)  ->  (N, C, oh, ow)

    Raises: as ``max_pool2d`` does.
    """
    window = _pooling("avg_pool2d", input, kernel_size, stride, padding, 1)
    n, c, *size = input.shape
    columns = apply(ops.Unfold(window), input).reshape(
        n, c, window.kernel[0] * window.kernel[1], -1
    )
    return columns.mean(2).reshape(n, c, *window.out(tuple(size)))


def _pooling(
    name: str,
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None,
    padding: Lengths,
    dilation: Lengths,
) -> Window:
    floating(input, name)
    _check_images(name, input)
    kernel, pads = _pair(name, kernel_size), _pair(name, padding)
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise ValueError(f"{name}: padding is {pads}, expected at most half of the kernel {kernel}")
    return _window(name, input, kernel, kernel if stride is None else stride, pads, dilation)


def _pair(name: str, value: Any) -> Pair:
    """One number for both axes, or one for each."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(n, int) for n in pair):
        raise ValueError(f"{name}: got {value!r}, expected a number or two, for height and width")
    return pair


def _window(
    name: str, input: Tensor, kernel: Pair, stride: Lengths, padding: Lengths, dilation: Lengths
) -> Window:
    window = Window(kernel, _pair(name, stride), _pair(name, padding), _pair(name, dilation))
    for what, pair, least in (
        ("kernel size", kernel, 1),
        ("stride", window.stride, 1),
        ("dilation", window.dilation, 1),
        ("padding", window.padding, 0),
    ):
        if min(pair) < least:
            raise ValueError(f"{name}: {what} is {pair}, expected at least {least}")
    if min(window.out(input.shape[2:])) < 1:
        raise ValueError(
            f"{name}: a kernel of {kernel} with dilation {window.dilation} does not fit into "
            f"images of {input.shape[2:]} with padding {window.padding}"
        )
    return window


def _check_images(name: str, input: Tensor) -> None:
    if input.ndim != 4:
        raise ValueError(f"{name}: input has shape {input.shape}, expected (N, C, H, W)")


def _check_channels(
    name: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    channels, out = input.shape[1], weight.shape[0]
    if not isinstance(groups, int) or groups < 1 or channels % groups or out % groups:
        raise ValueError(
            f"{name}: groups is {groups!r}, expected a divisor of the {channels} channels of the "
            f"input and of the {out} of the output"
        )
    if weight.shape[1] != channels // groups:
        raise ValueError(
            f"{name}: input has {channels} channels in {groups} groups, but weight is "
            f"{weight.shape}: expected {channels // groups} in its axis 1"
        )
    if bias is not None and bias.shape != (out,):
        raise ValueError(f"{name}: bias has shape {bias.shape}, expected {(out,)}")
