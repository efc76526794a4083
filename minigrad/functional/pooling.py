"""Pooling of images (N, C, H, W): the largest pixel, or the mean, under a kernel. A single image
without N is taken, too."""

import math
from typing import Any

import numpy as np

from .. import ops
from ..backend import array_module, on_device_of
from ..core.autograd import apply
from ..ops.convolution import Pair, Window
from ..tensor import Tensor
from .convolution import Lengths, both_axes, check_images, checked_window
from .layers import floating
from .padding import pad

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"]


def max_pool2d(
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None = None,
    padding: Lengths = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest pixel under the kernel, channel by channel; where several are, the first gets the
    gradient. ``stride`` is the kernel's size by default.   (N, C, H, W)  ->  (N, C, oh, ow)

    Args:
        ceil_mode: a last place for the kernel where it reaches over the end, if it begins inside.
        return_indices: also where each of them stands, in the flattened (H, W).

    Raises: as ``conv2d`` does, and ValueError if the padding is more than half of the kernel.
    """
    floating(input, "max_pool2d")
    if input.ndim == 3:
        one = max_pool2d(
            input[None], kernel_size, stride, padding, dilation, ceil_mode, return_indices
        )
        return tuple(part.squeeze(0) for part in one) if return_indices else one.squeeze(0)
    window, more = pooling_window(
        "max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode
    )
    if more == (0, 0) and not return_indices:
        return apply(ops.MaxPool(window), input)
    (ph, pw), (mh, mw) = window.padding, more
    wide = pad(input, (pw, pw + mw, ph, ph + mh), value=-math.inf)
    inside = Window(window.kernel, window.stride, (0, 0), window.dilation)
    y = apply(ops.MaxPool(inside), wide)
    return (y, places_of(wide, inside, window.padding, input.shape[3])) if return_indices else y


def places_of(wide: Tensor, window: Window, padding: Pair, width: int) -> Tensor:
    """Where the largest pixel under each place of the window stands in the image that was padded to
    ``wide``, whose rows were ``width`` long."""
    n, c, *size = wide.shape
    oh, ow = window.out(tuple(size))
    taps = window.kernel[0] * window.kernel[1]
    columns = apply(ops.Unfold(window), wide.detach()).reshape(n, c, taps, oh * ow)
    with on_device_of(wide.array):
        xp, tap = array_module(wide.array), columns.argmax(2).array
        place = xp.arange(oh * ow)
        (sh, sw), (dh, dw) = window.stride, window.dilation
        row = place // ow * sh - padding[0] + tap // window.kernel[1] * dh
        column = place % ow * sw - padding[1] + tap % window.kernel[1] * dw
        return Tensor.from_array((row * width + column).astype(np.int64).reshape(n, c, oh, ow))


def avg_pool2d(
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None = None,
    padding: Lengths = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of the pixels under the kernel, channel by channel. ``stride`` is the kernel's size
    by default.   (N, C, H, W)  ->  (N, C, oh, ow)

    Args:
        input, kernel_size, stride, padding, ceil_mode: as of ``max_pool2d``.
        count_include_pad: count the padding as pixels that are 0; else it is left out of the mean.
        divisor_override: divide the sum of the pixels by this number instead of by their number.

    Raises: as ``max_pool2d`` does, and ValueError if ``divisor_override`` is 0.
    """
    floating(input, "avg_pool2d")
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override is 0, expected another number")
    options = kernel_size, stride, padding
    if input.ndim == 3:
        rest = ceil_mode, count_include_pad, divisor_override
        return avg_pool2d(input[None], *options, *rest).squeeze(0)
    window, (mh, mw) = pooling_window("avg_pool2d", input, *options, 1, ceil_mode)
    n, c, *size = input.shape
    (ph, pw), taps = window.padding, window.kernel[0] * window.kernel[1]
    inside = Window(window.kernel, window.stride, (0, 0), (1, 1))
    wide = pad(input, (pw, pw + mw, ph, ph + mh))
    columns = apply(ops.Unfold(inside), wide)
    total = columns.reshape(n, c, taps, columns.shape[2]).sum(2)
    divisor: Any = divisor_override or taps
    if divisor_override is None and (mh or mw or not count_include_pad):
        with on_device_of(input.array):  # what counts: the image, and the padding or not
            ones = Tensor.from_array(array_module(input.array).ones((1, 1, *size), input.dtype))
        ones = pad(ones, (pw, pw, ph, ph), value=float(count_include_pad))
        divisor = apply(ops.Unfold(inside), pad(ones, (0, mw, 0, mh))).sum(1)
    return (total / divisor).reshape(n, c, *inside.out(wide.shape[2:]))


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


def pooling_window(
    name: str,
    input: Tensor,
    kernel_size: Lengths,
    stride: Lengths | None,
    padding: Lengths,
    dilation: Lengths,
    ceil_mode: bool,
) -> tuple[Window, Pair]:
    """The window, checked; and how many rows and columns it needs beyond the end in ceil_mode."""
    check_images(name, input)
    kernel, pads = both_axes(name, kernel_size), both_axes(name, padding)
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise ValueError(f"{name}: padding is {pads}, expected at most half of the kernel {kernel}")
    step: Any = stride
    step = kernel if step is None or step == () else step
    window = checked_window(name, input, kernel, step, pads, dilation)
    if not ceil_mode:
        return window, (0, 0)
    more = []
    for n, k, s, p, d in zip(
        input.shape[2:], kernel, window.stride, pads, window.dilation, strict=True
    ):
        covers = d * (k - 1) + 1
        last = -(-(n + 2 * p - covers) // s) * s  # where the last place begins, in the padded image
        last -= s if last >= n + p else 0  # it would begin behind the image
        more.append(max(last + covers - (n + 2 * p), 0))
    return window, (more[0], more[1])
