"""pad: more elements at the ends of some axes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import array_module, device_of, on_device_of, to_device
from ..core.autograd import apply
from ..tensor import Tensor
from .layers import expect_tensors

__all__ = ["pad"]

MODES: dict[str, Callable[[Any, int], Any]] = {
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
    "replicate": lambda i, n: np.clip(i, 0, n - 1),
    "circular": lambda i, n: i % n,
}
"""The element that stands at place i, from below 0 to beyond n - 1."""


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """The input with ``pad[0]`` elements before and ``pad[1]`` after along the last axis, then
    ``pad[2]`` and ``pad[3]`` along the last but one, and so on. Negative numbers take away.

    Args:
        pad: an even number of them.
        mode: "constant" pads with ``value`` (default 0); "reflect" mirrors without repeating the
            edge, "replicate" repeats the edge, "circular" goes on at the other end.

    Each element that was copied gets the gradients of all its copies.

    Raises:
        TypeError: the input is no Tensor.
        ValueError: an odd number, more pairs than axes, another mode, a ``value`` for it, or more
            elements than the axis can give.
    """
    expect_tensors("pad", input=input)
    widths = [int(n) for n in pad]
    if len(widths) % 2 or len(widths) > 2 * input.ndim:
        raise ValueError(
            f"pad: got {len(widths)} numbers for {input.ndim} axes, expected a pair for each of "
            f"the last axes"
        )
    if mode != "constant" and mode not in MODES:
        raise ValueError(
            f"pad: mode is {mode!r}, expected 'constant', 'reflect', 'replicate' or 'circular'"
        )
    pairs = list(zip(widths[::2], widths[1::2], strict=True))
    if mode != "constant":
        if value is not None:
            raise ValueError(f"pad: mode {mode!r} takes no value")
        for i, pair in enumerate(pairs):
            input = _copied(input, input.ndim - 1 - i, pair, mode)
        return input
    before = [0] * input.ndim
    shape, inner, places = list(input.shape), [slice(None)] * input.ndim, []
    for i, (low, high) in enumerate(pairs):
        axis = input.ndim - 1 - i
        length = input.shape[axis]
        if length + low + high < 0:
            raise ValueError(
                f"pad: {(low, high)} takes more than the {length} elements of axis {axis}"
            )
        before[axis], shape[axis] = low, length + low + high
        inner[axis] = slice(max(-low, 0), length - max(-high, 0))
    inside: Any = input[tuple(inner)] if input.ndim else input
    for axis, n in enumerate(inside.shape):
        start = max(before[axis], 0)
        places.append(slice(start, start + n))
    y = apply(ops.Scatter((*places, Ellipsis), tuple(shape)), inside)
    if not value:
        return y
    with on_device_of(input.array):
        rest = array_module(input.array).full(shape, value, dtype=input.dtype)
        rest[tuple(places)] = 0
    return y + Tensor.from_array(rest)


def _copied(x: Tensor, axis: int, pair: tuple[int, int], mode: str) -> Tensor:
    """``x`` with copies of its elements at the ends of ``axis``: at place i that of ``MODES``."""
    n, (low, high) = x.shape[axis], pair
    most = {"reflect": n - 1, "circular": n, "replicate": max(pair) if n else 0}[mode]
    if max(pair) > most or n + low + high < 0:
        raise ValueError(
            f"pad: got {pair} for an axis of length {n}, expected at most {most} in mode {mode!r}, "
            f"and not fewer than 0 elements in the end"
        )
    if mode == "circular" and min(pair) < 0:  # what is taken away does not come back
        start, n = max(-low, 0), n + min(low, 0) + min(high, 0)
        places = start + np.arange(-max(low, 0), n + max(high, 0)) % max(n, 1)
    else:
        places = MODES[mode](np.arange(-low, n + high), n)
    index = to_device(places, device_of(x.array))
    return apply(ops.GetItem((slice(None),) * axis + (index,)), x)
