"""The right rules of task 12, in pieces from which the wrong ones are made, too."""

from collections.abc import Iterator

import numpy as np

from ...backend import Array


def enlarged(x: Array, padding: int) -> Array:
    """x with zeros around each image."""
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def cut(x: Array, like: Array, top: int, left: int) -> Array:
    """The part of the images of x that begins at (top, left) and is as large as those of like."""
    return x[:, :, top : top + like.shape[2], left : left + like.shape[3]]


def seen(dy: Array, weight: Array, stride: int) -> Iterator[tuple[int, int, slice, slice]]:
    """For each tap (i, j), the rows and columns that it meets, one for each place of dy."""
    oh, ow = dy.shape[2:]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            yield i, j, slice(i, i + stride * oh, stride), slice(j, j + stride * ow, stride)


def conv2d(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """y_norq = b_o + sum_cij x_{n c (r s + i - p) (q s + j - p)} W_ocij

    x: (N, C, H, W), weight: (O, C, kh, kw), bias: (O,)  ->  y: (N, O, oh, ow)
    """
    windows = np.lib.stride_tricks.sliding_window_view(
        enlarged(x, padding), weight.shape[2:], axis=(2, 3)
    )
    return (
        np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], weight)
        + bias[:, None, None]
    )


def collected(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """What the pixels of the padded images collect."""
    total = np.zeros_like(enlarged(x, padding))
    for i, j, rows, columns in seen(dy, weight, stride):
        total[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, weight[:, :, i, j])
    return total


def input_gradient(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """dx: what the pixels collect, without those of the padding."""
    return cut(collected(dy, x, weight, stride, padding), x, padding, padding)


def weight_gradient(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """dW_ocij = sum_nrq dy_norq x_{n c (r s + i - p) (q s + j - p)}"""
    images, dweight = enlarged(x, padding), np.empty_like(weight)
    for i, j, rows, columns in seen(dy, weight, stride):
        dweight[:, :, i, j] = np.einsum("nohw,nchw->oc", dy, images[:, :, rows, columns])
    return dweight


def conv2d_backward(
    dy: Array, x: Array, weight: Array, stride: int, padding: int
) -> tuple[Array, Array, Array]:
    """dx, dweight, and dbias: dy summed over images and places."""
    given = dy, x, weight, stride, padding
    return input_gradient(*given), weight_gradient(*given), dy.sum(axis=(0, 2, 3))
