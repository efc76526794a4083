"""Convolutions: the same small linear map at every place of an image.

All that is not a matrix product here is ``Unfold``, which writes down what the map sees at each
place, and ``Fold``, which adds up what comes back. Each is the other's backward pass.
"""

from collections.abc import Iterator
from typing import Any

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from ..core.variable import array_of
from .selection import masked
from .standardize import constant

__all__ = ["Convolution", "Fold", "MaxPool", "Unfold", "Window"]

Pair = tuple[int, int]


class Window:
    """The places that a kernel of a size is put on: (height, width) pairs.

    Along an axis of length n, the kernel covers d (k - 1) + 1 pixels, with k its length and d the
    dilation. It moves by the stride s over n + 2 p pixels, with p of padding at both ends, so

        out = floor((n + 2 p - d (k - 1) - 1) / s) + 1

    Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning", relationship
    15, lists the cases.
    """

    def __init__(self, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation

    def out(self, size: tuple[int, ...]) -> Pair:
        """How many places there are along each of the two axes of an image of this size."""
        height, width = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return height, width

    def taps(self, size: tuple[int, ...]) -> Iterator[tuple[int, int, slice, slice]]:
        """For each pixel (i, j) of the kernel, the rows and columns of the padded image that it
        meets, one for each place."""
        oh, ow = self.out(size)
        (sh, sw), (dh, dw) = self.stride, self.dilation
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows = slice(i * dh, i * dh + sh * (oh - 1) + 1, sh)
                columns = slice(j * dw, j * dw + sw * (ow - 1) + 1, sw)
                yield i, j, rows, columns


class Unfold(Op):
    """For each place, the pixels that the kernel covers, in a column: im2col.

    x: (N, C, H, W)  ->  y: (N, C kh kw, L), L = oh ow places.   A pixel is copied once for each
    place that sees it, hence dL/dx adds up what the places send back: ``Fold``.
    """

    def __init__(self, window: Window) -> None:
        self.window = window

    def forward(self, x: Array) -> Array:
        n, c, *size = x.shape
        (kh, kw), (ph, pw), xp = self.window.kernel, self.window.padding, array_module(x)
        padded = xp.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))) if ph or pw else x
        oh, ow = self.window.out(tuple(size))
        y = xp.empty_like(x, order="C", shape=(n, c, kh, kw, oh, ow))
        for i, j, rows, columns in self.window.taps(tuple(size)):
            y[:, :, i, j] = padded[:, :, rows, columns]
        return y.reshape((n, c * kh * kw, oh * ow))

    def backward(self, grad: Array, y: Array, x: Array) -> Any:
        return call_op(Fold(self.window, tuple(x.shape[2:])), grad)


class Fold(Op):
    """The sum, at each pixel, over all places that saw it: col2im, the transpose of ``Unfold``.

    x: (N, C kh kw, L)  ->  y: (N, C, H, W).   dL/dx: each place receives the gradient of the pixels
    that it added to, which is ``Unfold``.
    """

    def __init__(self, window: Window, size: tuple[int, ...]) -> None:
        self.window, self.size = window, size

    def forward(self, x: Array) -> Array:
        (kh, kw), (ph, pw) = self.window.kernel, self.window.padding
        (h, w), (oh, ow) = self.size, self.window.out(self.size)
        n, c = x.shape[0], x.shape[1] // (kh * kw)
        places = x.reshape((n, c, kh, kw, oh, ow))
        shape = n, c, h + 2 * ph, w + 2 * pw
        y = array_module(x).zeros_like(x, order="C", shape=shape)
        for i, j, rows, columns in self.window.taps(self.size):
            y[:, :, rows, columns] += places[:, :, i, j]
        return y[:, :, ph : ph + h, pw : pw + w]

    def backward(self, grad: Array, y: Array, x: Array) -> Any:
        return call_op(Unfold(self.window), grad)


class Convolution(Op):
    """Y = W * X + b: each output channel is one small image W_o, moved over X.

    X: (N, C, H, W), W: (O, C/G, kh, kw), b: (O,)  ->  Y: (N, O, oh, ow); G groups of channels, of
    which each is convolved by itself.

    1. unfold:  U = (C kh kw, L) of each sample, a column for each of the L places
    2. product: Y_ol = sum_k W_ok U_kl + b_o, with W as (O, C kh kw): for each group by itself
    3. U_kl reaches the loss through column l of Y:
       dU_kl = sum_o W_ok dY_ol          =>  dU = W^T dY
    4. a pixel of X was copied to several columns:   dX = fold(dU)
    5. W_ok is used at every place of every sample:
       dW_ok = sum_n sum_l dY_ol U_kl    =>  dW = dY U^T, summed over the samples
    6. b_o is added at every place:      db_o = sum_n sum_l dY_ol

    (In mathematics this is a cross-correlation: the kernel is not turned round.) LeCun et al.
    (1989), "Backpropagation Applied to Handwritten Zip Code Recognition", section 3.

    ``docs/derivations/convolution.md`` goes more slowly, and shows other ways to look at it.

    Kept for backward: X and W. U, which is kh kw times as large as X, is made anew.
    """

    saves = ("x", "weight")

    def __init__(self, window: Window, groups: int) -> None:
        self.window, self.groups = window, groups

    def columns(self, x: Any) -> Any:
        """U by groups: (N, G, C/G kh kw, L)."""
        u = call_op(Unfold(self.window), x)
        return u.reshape((u.shape[0], self.groups, u.shape[1] // self.groups, u.shape[2]))

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        n, o, g = x.shape[0], weight.shape[0], self.groups
        oh, ow = self.window.out(tuple(x.shape[2:]))
        y = weight.reshape((g, o // g, -1)) @ self.columns(x)  # (N, G, O/G, L)
        y = y.reshape((n, o, oh, ow))
        return y if bias is None else y + bias.reshape((o, 1, 1))

    def backward(
        self, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
    ) -> tuple[Any, ...]:
        n, o, g = x.shape[0], weight.shape[0], self.groups
        places = y.shape[2] * y.shape[3]
        dy = grad.reshape((n, g, o // g, places))
        dx = dw = None
        if self.needs_input_grad[0]:
            du = weight.reshape((g, o // g, -1)).swapaxes(-1, -2) @ dy
            du = du.reshape((n, du.shape[1] * du.shape[2], places))
            dx = call_op(Fold(self.window, tuple(x.shape[2:])), du)
        if self.needs_input_grad[1]:
            per_sample = dy @ self.columns(x).swapaxes(-1, -2)  # (N, G, O/G, C/G kh kw)
            dw = per_sample.sum(axis=0).reshape(weight.shape)
        return (dx, dw) if bias is None else (dx, dw, grad.sum(axis=(0, 2, 3)))


class MaxPool(Op):
    """y = the largest pixel under the window, channel by channel.   (N, C, H, W) -> (N, C, oh, ow)

    1. Only the largest pixel reaches y, with the factor 1: in the window's column of ``Unfold``,
       du_k = dy for the tap k that won, 0 for the others.
    2. A pixel may win at several places:   dx = fold(du)

    The padding is minus infinity, so that it never wins against a pixel. Where several pixels are
    largest the first wins, as in PyTorch; after a ReLU this is frequent. A NaN wins over numbers.

    Kept for backward: x; and which tap won, which has no gradient.
    """

    saves = ("x",)

    def __init__(self, window: Window) -> None:
        self.window = window

    def largest(self, x: Array) -> tuple[Array, Array]:
        """At each place the largest pixel, and the number of the tap that meets it."""
        xp, (ph, pw) = array_module(x), self.window.padding
        edges = ((0, 0), (0, 0), (ph, ph), (pw, pw))
        padded = xp.pad(x, edges, constant_values=-xp.inf) if ph or pw else x
        shape = (*x.shape[:2], *self.window.out(x.shape[2:]))
        y, winner = xp.full(shape, -xp.inf, x.dtype), xp.zeros(shape, "int32")
        for tap, (_, _, rows, columns) in enumerate(self.window.taps(x.shape[2:])):
            pixel = padded[:, :, rows, columns]
            wins = (pixel > y) | (pixel != pixel)
            y, winner = xp.where(wins, pixel, y), xp.where(wins, tap, winner)
        return y, winner

    def forward(self, x: Array) -> Array:
        return self.cached(self.largest, x)[0]

    def backward(self, grad: Array, y: Array, x: Array) -> Any:
        _, winner = self.cached(self.largest, array_of(x))
        (n, c, oh, ow), (kh, kw) = grad.shape, self.window.kernel
        taps = array_module(winner).arange(kh * kw).reshape((kh * kw, 1, 1))
        wins = constant(winner[:, :, None] == taps, grad)  # (N, C, taps, oh, ow)
        du = masked(wins, grad.reshape((n, c, 1, oh, ow)))
        du = du.reshape((n, c * kh * kw, oh * ow))
        return call_op(Fold(self.window, tuple(x.shape[2:])), du)
