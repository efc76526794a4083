"""Convolutions and pooling of images (N, C, H, W) and of series (N, C, L); a single one without N
is taken, too."""

from typing import Any, TypeAlias

from .. import ops
from ..backend import array_module, on_device_of
from ..core.autograd import apply
from ..ops.convolution import Pair, Window
from ..tensor import Tensor
from .layers import expect_tensors, floating

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "conv1d", "conv2d", "fold", "max_pool2d", "unfold"]

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
    _check_images("conv2d", input)
    if weight.ndim != 4:
        raise ValueError(f"conv2d: weight has shape {weight.shape}, expected (O, C/groups, kh, kw)")
    kernel = (weight.shape[2], weight.shape[3])
    if isinstance(padding, str):
        padding, odd = _named_padding(padding, kernel, _pair("conv2d", stride), dilation)
        y = conv2d(input, weight, bias, stride, padding, dilation, groups)
        return y[:, :, odd[0] :, odd[1] :]
    window = _window("conv2d", input, kernel, stride, padding, dilation)
    _check_channels("conv2d", input, weight, bias, groups)
    op = ops.Convolution(window, groups)
    return apply(op, input, weight) if bias is None else apply(op, input, weight, bias)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
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
    pads = padding if isinstance(padding, str) else (0, padding)
    y = conv2d(row, kernel, bias, (1, stride), pads, (1, dilation), groups)
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
    if input.ndim == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
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
    floating(input, "max_pool2d")
    if input.ndim == 3:
        return max_pool2d(input.unsqueeze(0), kernel_size, stride, padding, dilation).squeeze(0)
    window = _pooling("max_pool2d", input, kernel_size, stride, padding, dilation)
    return apply(ops.MaxPool(window), input)


def avg_pool2d(
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None = None,
    padding: Lengths = 0,
    *,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of the pixels under the kernel, channel by channel. ``stride`` is the kernel's size
    by default.   (N, C, H, W)  ->  (N, C, oh, ow)

    Args:
        input, kernel_size, stride, padding: as of ``max_pool2d``.
        count_include_pad: count the padding as pixels that are 0; else it is left out of the mean.
        divisor_override: divide the sum of the pixels by this number instead of by their number.

    Raises: as ``max_pool2d`` does, and ValueError if ``divisor_override`` is 0.
    """
    floating(input, "avg_pool2d")
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override is 0, expected another number")
    if input.ndim == 3:
        options: dict[str, Any] = {
            "count_include_pad": count_include_pad,
            "divisor_override": divisor_override,
        }
        one = input.unsqueeze(0)
        return avg_pool2d(one, kernel_size, stride, padding, **options).squeeze(0)
    window = _pooling("avg_pool2d", input, kernel_size, stride, padding, 1)
    n, c, *size = input.shape
    columns = apply(ops.Unfold(window), input)
    taps = window.kernel[0] * window.kernel[1]
    columns = columns.reshape(n, c, taps, columns.shape[2])
    divisor: Any = divisor_override or columns.shape[2]
    if divisor_override is None and not count_include_pad:
        with on_device_of(input.array):
            image = array_module(input.array).ones((1, 1, *size), input.dtype)
        divisor = apply(ops.Unfold(window), Tensor.from_array(image)).sum(1)
    return (columns.sum(2) / divisor).reshape(n, c, *window.out(tuple(size)))


def adaptive_avg_pool2d(input: Tensor, output_size: Lengths | tuple[Any, Any]) -> Tensor:
    """Means over so many parts of each axis: (..., H, W) -> (..., oh, ow).

    Part i of o covers the pixels from floor(i H / o) to ceil((i + 1) H / o): where o does not
    divide H, parts overlap. With A the matrix of the weights 1/n of a part's n pixels, for rows and
    for columns, Y = A_h X A_w^T, and so dX = A_h^T dY A_w.

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: (oh, ow), or one number for both; None keeps an axis.

    Raises:
        TypeError: the input is no Tensor, or not floating.
        ValueError: another number of axes, or a size that is not positive.
    """
    floating(input, "adaptive_avg_pool2d")
    if input.ndim not in (3, 4):
        raise ValueError(
            f"adaptive_avg_pool2d: the input has shape {input.shape}, expected (N, C, H, W) or "
            f"(C, H, W)"
        )
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(sizes) != 2 or not all(n is None or (isinstance(n, int) and n > 0) for n in sizes):
        raise ValueError(
            f"adaptive_avg_pool2d: output_size is {output_size!r}, expected one or two positive "
            f"numbers; None keeps an axis"
        )
    for axis, out in ((-2, sizes[0]), (-1, sizes[1])):
        if out is not None:
            parts = _parts(input, input.shape[axis], out)
            input = parts @ input if axis == -2 else input @ parts.T
    return input


def _parts(like: Tensor, length: int, out: int) -> Tensor:
    """The weights (out, length): 1/n at the n places of each part, 0 elsewhere."""
    with on_device_of(like.array):
        xp = array_module(like.array)
        i, place = xp.arange(out)[:, None], xp.arange(length)
        inside = (place >= i * length // out) & (place < -(-(i + 1) * length // out))
        count = inside.sum(axis=1, keepdims=True)
        return Tensor.from_array((inside / count).astype(like.dtype))


def _pooling(
    name: str,
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None,
    padding: Lengths,
    dilation: Lengths,
) -> Window:
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


def _named_padding(name: str, kernel: Pair, stride: Pair, dilation: Lengths) -> tuple[Pair, Pair]:
    """The padding that ``name`` stands for, on both sides; and how many places at the beginning are
    too many along each axis, because less belongs there."""
    if name not in ("same", "valid"):
        raise ValueError(f"conv2d: padding is {name!r}, expected a number, 'same' or 'valid'")
    if name == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        raise ValueError(f"conv2d: padding='same' is for stride 1, but stride is {stride}")
    (kh, kw), (dh, dw) = kernel, _pair("conv2d", dilation)
    rows, columns = dh * (kh - 1), dw * (kw - 1)  # of padding in all
    return (-(-rows // 2), -(-columns // 2)), (rows % 2, columns % 2)


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
