"""Convolutions of images (N, C, H, W) and of series (N, C, L); a single one without N is taken,
too."""

from typing import Any, TypeAlias

from .. import ops
from ..core.autograd import apply
from ..ops.convolution import Pair, Window
from ..tensor import Tensor
from .layers import expect_tensors, floating

__all__ = ["conv1d", "conv2d", "fold", "unfold"]

Lengths: TypeAlias = int | tuple[int, int]


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = 1,
    padding: Lengths | str = 0,
    dilation: Lengths = 1,
    groups: int = 1,
) -> Tensor:
    """The kernel ``weight`` at every place of the images.

    input: (N, C, H, W) or (C, H, W), weight: (O, C / groups, kh, kw), bias: (O,)
    ->  (N, O, oh, ow), with
    oh = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1, and ow likewise.
    ``padding="valid"`` is 0; ``"same"`` is as much as leaves the size as it is, where the stride is
    1; of an odd number, the larger part comes after the image.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: shapes do not fit, the kernel is larger than the padded image, or a number is
            out of range.
    """
    floating(input, "conv2d")
    expect_tensors("conv2d", ("bias",), weight=weight, bias=bias)
    if input.ndim == 3:
        one = input.unsqueeze(0)
        return conv2d(one, weight, bias, stride, padding, dilation, groups).squeeze(0)
    check_images("conv2d", input)
    if weight.ndim != 4:
        raise ValueError(f"conv2d: weight has shape {weight.shape}, expected (O, C/groups, kh, kw)")
    kernel = (weight.shape[2], weight.shape[3])
    if isinstance(padding, str):
        padding, odd = _named_padding(padding, kernel, both_axes("conv2d", stride), dilation)
        y = conv2d(input, weight, bias, stride, padding, dilation, groups)
        return y[:, :, odd[0] :, odd[1] :]
    window = checked_window("conv2d", input, kernel, stride, padding, dilation)
    _check_channels("conv2d", input, weight, bias, groups)
    op = ops.Convolution(window, groups)
    return apply(op, input, weight) if bias is None else apply(op, input, weight, bias)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Tensor:
    """``conv2d`` of images of one row.   input: (N, C, L) or (C, L),
    weight: (O, C / groups, k), bias: (O,)  ->  (N, O, l)

    Raises: as ``conv2d`` does.
    """
    floating(input, "conv1d")
    expect_tensors("conv1d", ("bias",), weight=weight, bias=bias)
    if input.ndim == 2:
        one = input.unsqueeze(0)
        return conv1d(one, weight, bias, stride, padding, dilation, groups).squeeze(0)
    for what, tensor, form in (
        ("input", input, "(N, C, L)"),
        ("weight", weight, "(O, C/groups, k)"),
    ):
        if tensor.ndim != 3:
            raise ValueError(f"conv1d: {what} has shape {tensor.shape}, expected {form}")
    _check_channels("conv1d", input, weight, bias, groups)
    row, kernel = input.unsqueeze(2), weight.unsqueeze(2)
    step, apart = _along_one("stride", stride), _along_one("dilation", dilation)
    pads = padding if isinstance(padding, str) else (0, _along_one("padding", padding))
    y = conv2d(row, kernel, bias, (1, step), pads, (1, apart), groups)
    return y.squeeze(2)


def _along_one(what: str, value: int | tuple[int]) -> int:
    """A number, also where it stands alone in a tuple."""
    number = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    if not isinstance(number, int):
        raise ValueError(f"conv1d: {what} is {value!r}, expected a number")
    return number


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
    if input.ndim == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    check_images("unfold", input)
    window = checked_window(
        "unfold", input, both_axes("unfold", kernel_size), stride, padding, dilation
    )
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
    (h, w), kernel = both_axes("fold", output_size), both_axes("fold", kernel_size)
    window = Window(
        kernel, both_axes("fold", stride), both_axes("fold", padding), both_axes("fold", dilation)
    )
    oh, ow = window.out((h, w))
    covered = kernel[0] * kernel[1]
    if input.ndim != 3 or input.shape[1] % covered or input.shape[2] != oh * ow:
        raise ValueError(
            f"fold: input has shape {input.shape}, expected (N, C * {covered}, {oh * ow}) for a "
            f"kernel {kernel} on images of {(h, w)}"
        )
    return apply(ops.Fold(window, (h, w)), input)


def both_axes(name: str, value: Any) -> Pair:
    """One number for both axes, or one for each."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    pair = pair * 2 if len(pair) == 1 else pair
    if len(pair) != 2 or not all(isinstance(n, int) for n in pair):
        raise ValueError(f"{name}: got {value!r}, expected a number or two, for height and width")
    return pair


def _named_padding(name: str, kernel: Pair, stride: Pair, dilation: Lengths) -> tuple[Pair, Pair]:
    """The padding that ``name`` stands for, on both sides; and how many places at the beginning are
    too many along each axis, because less belongs there."""
    if name not in ("same", "valid"):
        raise ValueError(f"conv2d: padding is {name!r}, expected a number, 'same' or 'valid'")
    if name == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        raise ValueError(f"conv2d: padding='same' is for stride 1, but stride is {stride}")
    (kh, kw), (dh, dw) = kernel, both_axes("conv2d", dilation)
    rows, columns = dh * (kh - 1), dw * (kw - 1)  # of padding in all
    return (-(-rows // 2), -(-columns // 2)), (rows % 2, columns % 2)


def checked_window(
    name: str, input: Tensor, kernel: Pair, stride: Lengths, padding: Lengths, dilation: Lengths
) -> Window:
    window = Window(
        kernel, both_axes(name, stride), both_axes(name, padding), both_axes(name, dilation)
    )
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


def check_images(name: str, input: Tensor) -> None:
    if input.ndim != 4:
        raise ValueError(
            f"{name}: input has shape {input.shape}, expected (N, C, H, W) or (C, H, W)"
        )


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
