"""The mistakes of task 12: what people write for a convolution and for its gradients."""

import numpy as np

from ...backend import Array
from .base import table
from .convolution_rules import (
    collected,
    conv2d,
    conv2d_backward,
    cut,
    enlarged,
    input_gradient,
    seen,
    weight_gradient,
)


def turned(weight: Array) -> Array:
    """Rows and columns in the opposite order."""
    return weight[:, :, ::-1, ::-1]


def square(weight: Array) -> bool:
    """Whether the kernel has as many rows as columns."""
    return weight.shape[2] == weight.shape[3]


def on_its_side(weight: Array) -> Array:
    """Rows and columns exchanged, where the shape does not show it."""
    return weight.swapaxes(2, 3) if square(weight) else weight


def channels_exchanged(weight: Array) -> Array:
    """Inputs for outputs, where the shape does not show it."""
    return weight.swapaxes(0, 1) if weight.shape[0] == weight.shape[1] else weight


FORWARD = table(
    "conv-3: the sum at each place",
    "y",
    (
        "K1",
        lambda x, weight, bias, stride, padding: conv2d(x, weight, 0 * bias, stride, padding),
        "The bias is missing.",
    ),
    (
        "K2",
        lambda x, weight, bias, stride, padding: conv2d(x, turned(weight), bias, stride, padding),
        "You turn the kernel round. A convolution in mathematics does so; the layer of that name, "
        "here as in PyTorch, does not: tap (i, j) meets the pixel i further down and j further "
        "right.",
    ),
    (
        "K3",
        lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, stride, 0),
        "The padding is missing: put that many zeros on each side of the image first. (conv-1)",
    ),
    (
        "K4",
        lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, 1, padding),
        "The stride is missing: place r begins at row r times the stride. (conv-1)",
    ),
    (
        "K5",
        lambda x, weight, bias, stride, padding: conv2d(
            x, on_its_side(weight), bias, stride, padding
        ),
        "Rows and columns of the kernel are exchanged. The shape shows it only for a kernel that "
        "is not square.",
    ),
    (
        "K6",
        lambda x, weight, bias, stride, padding: conv2d(
            x, weight / weight[0].size, bias, stride, padding
        ),
        "You take the mean over taps and channels. A convolution is a sum.",
    ),
    (
        "K7",
        lambda x, weight, bias, stride, padding: conv2d(
            x[:, :1], weight[:, :1], bias, stride, padding
        ),
        "Only the first channel of the image is used. Each kernel is as deep as the image, and the "
        "sum runs over all channels.",
    ),
    (
        "K8",
        lambda x, weight, bias, stride, padding: conv2d(
            x, weight, bias * weight[0].size, stride, padding
        ),
        "The bias is added once for each product. It is added once for each output.",
    ),
    (
        "K9",
        lambda x, weight, bias, stride, padding: conv2d(
            x, channels_exchanged(weight), bias, stride, padding
        ),
        "The two channel axes of the weight are exchanged. Its shape is (O, C, kh, kw), outputs "
        "first, as in PyTorch; if O = C, the shape cannot tell you.",
    ),
)


def overwritten(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """= where += belongs: the tap that comes last has its way."""
    total = np.zeros_like(enlarged(x, padding))
    for i, j, rows, columns in seen(dy, weight, stride):
        total[:, :, rows, columns] = np.einsum("nohw,oc->nchw", dy, weight[:, :, i, j])
    return cut(total, x, padding, padding)


def last_place(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """= where += belongs, place by place: the place that comes last has its way."""
    total, (kh, kw) = np.zeros_like(enlarged(x, padding)), weight.shape[2:]
    for r in range(dy.shape[2]):
        for q in range(dy.shape[3]):
            share = np.einsum("no,ocij->ncij", dy[:, :, r, q], weight)
            total[:, :, r * stride : r * stride + kh, q * stride : q * stride + kw] = share
    return cut(total, x, padding, padding)


DX = table(
    "conv-6 and conv-10: a pixel collects from all places that see it",
    "dx",
    (
        "K10",
        overwritten,
        "A pixel under several taps gets the gradient of the last tap alone. The windows overlap: "
        "add (+=) what each tap brings, do not overwrite (=).",
    ),
    (
        "K11",
        last_place,
        "A pixel in several windows gets the gradient of the last window alone. The windows "
        "overlap: add (+=) what each place brings, do not overwrite (=).",
    ),
    (
        "K12",
        lambda dy, x, weight, stride, padding: input_gradient(
            dy, x, turned(weight), stride, padding
        ),
        "The kernel is turned round once too often. It is turned if dx is written as a convolution "
        "of dy (conv-14); if each place sends its gradient to the pixels under it, tap (i, j) goes "
        "to the pixel (i, j) of the window, as in forward.",
    ),
    (
        "K13",
        collected,
        "The padding is still there: dx has the size of the padded image. Cut off what the zeros "
        "around the image collected.",
    ),
    (
        "K14",
        lambda dy, x, weight, stride, padding: cut(
            collected(dy, x, weight, stride, padding), x, 0, 0
        ),
        "The padding is cut off at the wrong side: the whole of dx is shifted. The image begins at "
        "row p and column p of the padded one.",
    ),
    (
        "K15",
        lambda dy, x, weight, stride, padding: input_gradient(
            dy, x, channels_exchanged(weight), stride, padding
        ),
        "The two channel axes of the weight are exchanged. The pixel of channel c reaches output o "
        "with W_oc; so the sum runs over the first axis of the weight. If O = C, the shape cannot "
        "tell you.",
    ),
    (
        "K16",
        lambda dy, x, weight, stride, padding: input_gradient(dy, x, weight, 1, padding),
        "The stride is missing in dx: place r stands at row r times the stride. (conv-1)",
    ),
    (
        "K17",
        lambda dy, x, weight, stride, padding: input_gradient(
            dy, x, on_its_side(weight), stride, padding
        ),
        "Rows and columns of the kernel are exchanged in dx. The shape shows it only for a kernel "
        "that is not square.",
    ),
    (
        "K18",
        lambda dy, x, weight, stride, padding: (
            input_gradient(dy, x, weight, stride, padding) / len(x)
        ),
        "There is a 1/N too many in dx. The images do not share x; and the mean over the batch, if "
        "there is one, is in dy already.",
    ),
    (
        "K19",
        lambda dy, x, weight, stride, padding: input_gradient(
            np.broadcast_to(dy.sum(axis=0), dy.shape), x, weight, stride, padding
        ),
        "dx is summed over the batch: every image gets the gradient of all of them. Only weight "
        "and bias are shared.",
    ),
    (
        "K20",
        lambda dy, x, weight, stride, padding: (
            input_gradient(dy, x, weight, stride, padding)
            / np.maximum(input_gradient(*ones(dy, x, weight), stride, padding), 1)
        ),
        "dx is divided by the number of windows that see the pixel. It is a sum over them: the "
        "more outputs a pixel reaches, the more it counts.",
    ),
)


def ones(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """As many windows see a pixel as its gradient says for one output channel of ones."""
    return np.ones_like(dy[:, :1]), x, np.ones_like(weight[:1])


def last(dy: Array) -> Array:
    """1 at the last place, 0 at the others."""
    mask = np.zeros(dy.shape[2:])
    mask[-1, -1] = 1
    return mask


DWEIGHT = table(
    "conv-4 and conv-11: W_ocij is used at every place of every image",
    "dweight",
    (
        "K21",
        lambda dy, x, weight, stride, padding: (
            weight_gradient(dy, x, weight, stride, padding) / len(x)
        ),
        "dweight is divided by N. All images used the same kernel, so their contributions add up; "
        "the mean over the batch belongs to the loss, and is in dy already.",
    ),
    (
        "K22",
        lambda dy, x, weight, stride, padding: (
            weight_gradient(dy, x, weight, stride, padding) / dy[0, 0].size
        ),
        "dweight is a mean over the places, and it should be a sum: the kernel was used at each.",
    ),
    (
        "K23",
        lambda dy, x, weight, stride, padding: turned(
            weight_gradient(dy, x, weight, stride, padding)
        ),
        "dweight is turned round: the gradient of tap (i, j) stands where that of the opposite tap "
        "belongs.",
    ),
    (
        "K24",
        lambda dy, x, weight, stride, padding: weight_gradient(
            dy[:1], x[:1], weight, stride, padding
        ),
        "Only the first image of the batch contributes to dweight. All used the same kernel.",
    ),
    (
        "K25",
        lambda dy, x, weight, stride, padding: weight_gradient(dy, x, weight, 1, padding),
        "The stride is missing in dweight: place r stands at row r times the stride, and that is "
        "where the pixel is that W met. (conv-1)",
    ),
    (
        "K26",
        lambda dy, x, weight, stride, padding: weight_gradient(
            dy, x, weight, stride, padding
        ).swapaxes(0, 1),
        "The channel axes of dweight are exchanged: yours is (C, O, kh, kw). A gradient has the "
        "shape of what it is the gradient of.",
    ),
    (
        "K27",
        lambda dy, x, weight, stride, padding: on_its_side(
            weight_gradient(dy, x, weight, stride, padding)
        ),
        "Rows and columns of the kernel are exchanged in dweight. The shape shows it only for a "
        "kernel that is not square.",
    ),
    (
        "K28",
        lambda dy, x, weight, stride, padding: weight_gradient(
            np.ones_like(dy), x, weight, stride, padding
        ),
        "dweight does not contain dy: this is the local slope alone. The chain rule multiplies by "
        "the gradient that arrives.",
    ),
    (
        "K29",
        lambda dy, x, weight, stride, padding: weight_gradient(
            dy * last(dy), x, weight, stride, padding
        ),
        "Only the last place contributes to dweight: what the places bring is overwritten (=), "
        "and not added (+=).",
    ),
)

DBIAS = table(
    "conv-5: b_o is added at every place of every image",
    "dbias",
    (
        "K30",
        lambda dy, x, weight, stride, padding: dy.sum(axis=0),
        "dbias is summed over the images only. The bias was added at every place, too, and has "
        "shape (O,).",
    ),
    (
        "K31",
        lambda dy, x, weight, stride, padding: dy.mean(axis=(0, 2, 3)),
        "dbias is a mean over images and places, and it should be a sum: each of them used the "
        "bias.",
    ),
    (
        "K32",
        lambda dy, x, weight, stride, padding: dy.sum(axis=(0, 2, 3)) / len(dy),
        "dbias is divided by N. The mean over the batch belongs to the loss, and is in dy already.",
    ),
    (
        "K33",
        lambda dy, x, weight, stride, padding: dy.sum(axis=(0, 2, 3), keepdims=True),
        "The numbers of dbias are right, but its shape is not: keepdims leaves axes of length 1.",
    ),
    (
        "K34",
        lambda dy, x, weight, stride, padding: dy.sum(axis=(2, 3)),
        "dbias is summed over the places only: yours has one row per image. All images used the "
        "same bias.",
    ),
    (
        "K35",
        lambda dy, x, weight, stride, padding: dy.sum(),
        "dbias is one number, the sum over everything. Each output channel has a bias of its own.",
    ),
    (
        "K36",
        lambda dy, x, weight, stride, padding: np.ones(len(weight)) * dy[:, 0].size,
        "dbias does not contain dy: this is the local slope alone.",
    ),
)

ALL = table(
    "conv-12",
    "dx dweight dbias",
    (
        "K37",
        lambda dy, x, weight, stride, padding: tuple(
            -gradient for gradient in conv2d_backward(dy, x, weight, stride, padding)
        ),
        "All three gradients have the wrong sign. Backward only passes the gradient on; it is the "
        "optimiser that goes against it.",
    ),
)

BACKWARD = (*DX, *DWEIGHT, *DBIAS, *ALL)
