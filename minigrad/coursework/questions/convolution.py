"""Task 12: the convolution of images, and its three gradients."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Inputs, Question, Terms
from .convolution_mistakes import BACKWARD, FORWARD
from .convolution_rules import conv2d, conv2d_backward, input_gradient, weight_gradient

SHAPES = [
    # (N, C, H, W), (O, kh, kw), stride, padding
    ((2, 3, 5, 4), (4, 3, 2), 1, 0),
    ((3, 2, 4, 4), (2, 3, 3), 1, 1),
    ((2, 3, 6, 5), (2, 3, 2), 2, 1),
    ((2, 1, 4, 4), (3, 2, 2), 2, 0),
    ((1, 2, 6, 5), (2, 1, 2), 2, 0),
    ((2, 2, 4, 5), (2, 3, 3), 1, 2),
]
"""Square kernels with as many outputs as inputs, whose axes can be mistaken for each other; windows
that overlap, that do not, and that leave pixels out; a batch of 1."""


def forward_probes(rng: np.random.Generator) -> list[Inputs]:
    """Random numbers; the biases are not zero."""
    return [
        {
            "x": rng.normal(0.5, 1.5, shape),
            "weight": rng.normal(0.3, 1, (o, shape[1], kh, kw)),
            "bias": rng.normal(1, 2, (o,)),
            "stride": stride,
            "padding": padding,
        }
        for shape, (o, kh, kw), stride, padding in SHAPES
    ]


def backward_probes(rng: np.random.Generator) -> list[Inputs]:
    """Random numbers; neither x nor dy has mean zero."""
    found = []
    for inputs in forward_probes(rng):
        y = conv2d(**inputs)
        del inputs["bias"]
        found.append({"dy": rng.normal(0.4, 1.3, y.shape), **inputs})
    return found


def loss(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Any:
    """sum(dy y), up to the constant from the bias."""
    return np.sum(dy * conv2d(x, weight, np.zeros(len(weight)), stride, padding))


def y_parts(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> dict[str, Array]:
    """The two terms of y, and the first with the kernel turned round."""
    nothing = np.zeros_like(bias)
    products = conv2d(x, weight, nothing, stride, padding)
    return {
        "the products": products,
        "the bias": np.zeros_like(products) + bias[:, None, None],
        "the products with the kernel turned round": conv2d(
            x, weight[:, :, ::-1, ::-1], nothing, stride, padding
        ),
    }


def dx_parts(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> dict[str, Array]:
    """The term of dx, and what stands in its place by mistake."""
    return {
        "the right term": input_gradient(dy, x, weight, stride, padding),
        "the one of the kernel turned round": input_gradient(
            dy, x, weight[:, :, ::-1, ::-1], stride, padding
        ),
        "x": x,
    }


def dweight_parts(
    dy: Array, x: Array, weight: Array, stride: int, padding: int
) -> dict[str, Array]:
    """The term of dweight, and what stands in its place by mistake."""
    right = weight_gradient(dy, x, weight, stride, padding)
    return {
        "the right term": right,
        "the same turned round": right[:, :, ::-1, ::-1],
        "the weight": weight,
    }


def dbias_parts(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> dict[str, Array]:
    """The term of dbias, and what stands in its place by mistake."""
    return {"the right term": dy.sum(axis=(0, 2, 3)), "1 in every place": np.ones(len(weight))}


def sizes(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> dict[str, Any]:
    """What a factor may turn out to be."""
    places, taps = dy.shape[2] * dy.shape[3], weight.shape[2] * weight.shape[3]
    return {
        "N": float(len(x)),
        "the number of places": float(places),
        "N times the number of places": float(len(x) * places),
        "kh kw": float(taps),
        "C": float(x.shape[1]),
        "O": float(len(weight)),
    }


QUESTIONS = (
    Question("conv2d", ("y",), conv2d, forward_probes, FORWARD, terms=(Terms("y", 2, y_parts),)),
    Question(
        "conv2d_backward",
        ("dx", "dweight", "dbias"),
        conv2d_backward,
        backward_probes,
        BACKWARD,
        terms=(
            Terms("dx", 1, dx_parts, factors=sizes),
            Terms("dweight", 1, dweight_parts, factors=sizes),
            Terms("dbias", 1, dbias_parts, factors=sizes),
        ),
        loss=loss,
        slopes={"dx": "x", "dweight": "weight"},
    ),
)
