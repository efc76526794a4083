"""The convolution for NumPy: what a kernel sees is copied in long rows, a few images at a time.

The rule copies, for each pixel of the kernel (a *tap*), one short row of the image after the other.
Here a channel of several images lies end to end in one row, a *strip*:

    pixel (h, w) of image m  ->  t = first + m size + h width + w

The zeros on the right of a row are those on the left of the next one, too, and the zeros below an
image those above the next. With stride 1 a tap (i, j) meets, for the place r width + q of an
image, the pixel that lies off = i dh width + j dw further: the same distance everywhere. So the
matrix U of ``ops.Unfold`` consists of the strip itself, moved by off for each tap: one long copy
per row. And fold adds up the rows of dU, moved back by off:

    dX_c t = sum_tap dU_(c tap) (t - off)

The places that would lie beyond the right border of an image are computed for nothing, and left
out at the end. In dY they are 0, which leaves the sums as they are (but 0 times an infinite weight
or pixel is NaN: then more of a gradient is NaN than by the rule). Only so many images are unfolded
at a time as fit into the cache. With few channels U has few rows and thousands of columns; products
of such matrices are faster in parts.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array

BLOCK = 1 << 19
"""Bytes of U that are made at a time, unless one image needs more."""

SMALL, LEAST = 500_000, 192
"""Multiplications in a small product, for which BLAS does not first copy its matrices (up to a
million, where it knows AVX-512); and how many columns it must contain to be worth a call."""


class Strips:
    """The strips of ``many`` images, and what lies where in them."""

    def __init__(self, op: ops.Convolution, x: Array, weight: Array, many: int) -> None:
        window, (_, self.c, self.h, self.w) = op.window, x.shape
        (self.ph, self.pw), (self.dh, self.dw) = window.padding, window.dilation
        self.o, _, self.kh, self.kw = weight.shape
        self.oh, self.ow = window.out((self.h, self.w))
        self.many, self.like, self.dtype, self.item = many, x, x.dtype, x.dtype.itemsize
        self.width = self.w + gap(self.pw, self.kw, self.dw)
        self.size = (self.h + gap(self.ph, self.kh, self.dh)) * self.width
        self.first = self.ph * self.width + self.pw  # where the pixels of the first image begin
        self.far = (self.kh - 1) * self.dh * self.width + (self.kw - 1) * self.dw  # the largest off
        self.places = self.reach(self.oh, self.ow)
        self.pixels = self.reach(self.h, self.w)

    def reach(self, h: int, w: int) -> int:
        """How long a strip is from the first to the last pixel of (h, w) in each image."""
        return (self.many - 1) * self.size + (h - 1) * self.width + w

    @cached_property
    def windows(self) -> tuple[Array, Array, Array, Array]:
        """The pixels (many, C, H, W) of a strip of zeros, to be filled in; that strip, moved for
        each tap: (C, kh, kw, places); its copy, to be filled in; and the same as a matrix, which is
        U and below it a row of ones."""
        length = self.reach(self.h + 2 * self.ph, self.w + 2 * self.pw)
        strip = np.zeros_like(self.like, order="C", shape=(self.c, length))
        shape = self.c, self.kh, self.kw, self.places
        taps = self.steps(strip, 0, shape, (length, self.dh * self.width, self.dw, 1))
        matrix = self.c * self.kh * self.kw + 1, self.places
        u = np.empty_like(self.like, order="C", shape=matrix)
        u[-1] = 1
        return self.view(strip, self.first, self.h, self.w), taps, u[:-1].reshape(shape), u

    @cached_property
    def gradients(self) -> tuple[Array, Array]:
        """A strip of zeros for dY, and its places (many, O, oh, ow), to be filled in.

        It ends in so many zeros that a row of dU, moved back, begins with those of the row before.
        """
        length = max(self.places + max(self.far - self.first, 0), self.first + self.pixels)
        strip = np.zeros_like(self.like, order="C", shape=(self.o, length))
        return strip, self.view(strip, 0, self.oh, self.ow)

    def view(self, strip: Array, start: int, h: int, w: int) -> Array:
        """(many, rows, h, w): pixels of the images in a strip, of which the first is at start."""
        steps = self.size, strip.shape[1], self.width, 1
        return self.steps(strip, start, (self.many, len(strip), h, w), steps)

    def steps(
        self, strip: Array, start: int, shape: tuple[int, ...], steps: tuple[int, ...]
    ) -> Array:
        """What is found in a strip from start on, by as many numbers further for each axis."""
        strides = tuple(step * self.item for step in steps)
        return type(strip)(shape, self.dtype, strip, start * self.item, strides)

    def unfold(self, x: Array) -> Array:
        """U and a row of ones, of as many images."""
        pixels, taps, columns, u = self.windows
        pixels[:] = x
        columns[:] = taps
        return u

    def fold(self, du: Array) -> Array:
        """dX (many, C, H, W) of dU (C kh kw, the length of dY's strip)."""
        length = du.shape[1]
        moved = (
            self.kh * self.kw * length,
            self.kw * length - self.dh * self.width,
            length - self.dw,
            1,
        )
        rows = self.steps(du, self.first, (self.c, self.kh, self.kw, self.pixels), moved)
        dx = np.empty_like(self.like, order="C", shape=(self.c, self.pixels))
        return self.view(rows.sum(axis=(1, 2), out=dx), 0, self.h, self.w)


def gap(padding: int, k: int, dilation: int) -> int:
    """How many zeros lie between two rows, or two images: one padding, if no place lies in it."""
    return padding if padding <= dilation * (k - 1) else 2 * padding


def blocks(op: ops.Convolution, x: Array, weight: Array) -> Iterator[tuple[slice, Strips]]:
    """Some images after the other, and their strips, which are used again for the next ones."""
    n, one = len(x), Strips(op, x, weight, 1)
    many = min(max(1, BLOCK // (weight[0].size * one.size * one.item)), n)
    strips = Strips(op, x, weight, many)
    for first in range(0, n, many):
        if first + many > n:
            strips = Strips(op, x, weight, n - first)
        yield slice(first, first + strips.many), strips


def at_once(n: int, each: int) -> int:
    """How many of n columns are multiplied at a time, if each costs so many multiplications."""
    columns = SMALL // each
    return -(-n // -(-n // columns)) if columns >= LEAST else n


def cut(matrix: Array, columns: int) -> Array:
    """The first columns of (rows, n), side by side: a view (n // columns, rows, columns)."""
    whole = matrix.shape[1] // columns * columns
    return matrix[:, :whole].reshape(len(matrix), -1, columns).swapaxes(0, 1)


def product(a: Array, b: Array) -> Array:
    """a b, some columns of b at a time."""
    n = b.shape[1]
    columns = at_once(n, a.size)
    out = np.empty_like(b, shape=(len(a), n))
    np.matmul(a, cut(b, columns), out=cut(out, columns))
    if rest := n % columns:
        np.matmul(a, b[:, -rest:], out=out[:, -rest:])
    return out


def inner(a: Array, b: Array) -> Array:
    """a b^T, the sum of what some columns of both give."""
    n = b.shape[1]
    columns = at_once(n, len(a) * len(b))
    total = np.matmul(cut(a, columns), cut(b, columns).swapaxes(1, 2)).sum(axis=0)
    if rest := n % columns:
        total += np.matmul(a[:, -rest:], b[:, -rest:].T)
    return total


def suits(op: ops.Convolution, *arrays: Array) -> bool:
    """Stride 1 and one group, and numbers of one type that BLAS knows."""
    kind = arrays[0].dtype
    return (
        op.window.stride == (1, 1)
        and op.groups == 1
        and kind.char in "fd"
        and all(a.dtype == kind and a.size for a in arrays)
    )


def forward(op: ops.Convolution, x: Array, weight: Array, bias: Array | None = None) -> Any:
    """Y = W U, for some images at a time; the bias is the weight of the row of ones."""
    if not suits(op, x, weight, *(() if bias is None else (bias,))):
        return None
    last = np.zeros_like(weight, shape=len(weight)) if bias is None else bias
    rows = np.concatenate([weight.reshape(len(weight), -1), last[:, None]], 1)
    shape = len(x), len(weight), *op.window.out(x.shape[2:])
    y = np.empty_like(x, order="C", shape=shape)
    for block, strips in blocks(op, x, weight):
        places = product(rows, strips.unfold(x[block]))
        y[block] = strips.view(places, 0, strips.oh, strips.ow)
    return y


def backward(
    op: ops.Convolution, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
) -> Any:
    """dX = fold(W^T dY) and dW^T = U dY^T, for some images at a time; the row of ones gives db."""
    if not suits(op, x, weight, grad):
        return None
    to_x, to_weight, *_ = op.parents
    turned = weight.reshape(len(weight), -1).T
    dx = None if to_x is None else np.empty_like(x, order="C")
    dw = np.zeros_like(weight, order="C", shape=(len(turned) + 1, len(weight)))
    for block, strips in blocks(op, x, weight):
        dy, places = strips.gradients
        places[:] = grad[block]
        if dx is not None:
            dx[block] = strips.fold(product(turned, dy))
        if to_weight is not None:
            dw += inner(strips.unfold(x[block]), dy[:, : strips.places])
    if to_weight is None:
        return (dx, None) if bias is None else (dx, None, grad.sum(axis=(0, 2, 3)))
    gradients = dx, dw[:-1].T.reshape(weight.shape)
    return gradients if bias is None else (*gradients, dw[-1])


FORWARD: dict[type[ops.Op], Callable[..., Any]] = {ops.Convolution: forward}
BACKWARD: dict[type[ops.Op], Callable[..., Any]] = {ops.Convolution: backward}
