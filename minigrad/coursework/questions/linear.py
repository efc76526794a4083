"""Task 2: the affine map, its gradient in three parts."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Inputs, Question, Terms, table


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """y = x W^T + b.   x: (N, in), weight: (out, in), bias: (out,)  ->  y: (N, out)"""
    return x @ weight.T + bias


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """dx = dy W, dW = dy^T x, db = dy summed over the rows."""
    return dy @ weight, dy.T @ x, dy.sum(axis=0)


SIZES = [(6, 4, 3), (5, 3, 4), (4, 4, 4), (1, 3, 2), (9, 2, 5)]
"""(N, in, out). Square ones, in which a transpose goes unnoticed by its shape, and a batch of 1."""


def forward_probes(rng: np.random.Generator) -> list[Inputs]:
    """Random numbers; the biases are not zero."""
    return [
        {
            "x": rng.normal(0.5, 1.5, (n, i)),
            "weight": rng.normal(0.3, 1, (o, i)),
            "bias": rng.normal(1, 2, (o,)),
        }
        for n, i, o in SIZES
    ]


def backward_probes(rng: np.random.Generator) -> list[Inputs]:
    """Random numbers; neither x nor dy has mean zero."""
    return [
        {
            "dy": rng.normal(0.4, 1.3, (n, o)),
            "x": rng.normal(0.5, 1.5, (n, i)),
            "weight": rng.normal(0.3, 1, (o, i)),
        }
        for n, i, o in SIZES
    ]


def square(weight: Array) -> bool:
    """Whether there are as many inputs as outputs."""
    return weight.shape[0] == weight.shape[1]


FORWARD = table(
    "lin-1: y_no = sum_i x_ni W_oi + b_o",
    "y",
    (
        "L11",
        lambda x, weight, bias: x @ weight.T,
        "The bias is missing.",
    ),
    (
        "L12",
        lambda x, weight, bias: x @ weight + bias,
        "You multiply by the weight without transposing it. Its shape is (out, in), one row per "
        "output, as in PyTorch, so it must be transposed. If in and out differ, your product "
        "raises an error; if they are equal, it gives wrong numbers.",
    ),
    (
        "L14",
        lambda x, weight, bias: (x + bias) @ weight.T,
        "The bias is added before the product. It belongs to the outputs, after it.",
    ),
    (
        "L15",
        lambda x, weight, bias: x @ weight.T - bias,
        "The bias is subtracted.",
    ),
    (
        "L27",
        lambda x, weight, bias: x @ (weight if square(weight) else weight.T) + bias,
        "Where the weight is square, you do not transpose it. Both products are possible there, "
        "so the shapes cannot tell you which one is right. Its shape is (out, in), so forward "
        "multiplies by its transpose, for every shape.",
    ),
)

DX = table(
    "lin-2 to lin-4: which y's x_ni reaches, and with which weight",
    "dx",
    (
        "L2",
        lambda dy, x, weight: dy @ weight.T,
        "You transposed the weight once too often. Forward multiplies by its transpose, so "
        "backward multiplies by the weight itself. If in and out differ, your product raises an "
        "error.",
    ),
    (
        "L16",
        lambda dy, x, weight: dy @ weight / len(x),
        "There is a 1/N too many in dx. The rows do not share x: row n of dx comes from row n of "
        "dy alone. (A mean over the batch, if there is one, is in dy already.)",
    ),
    (
        "L17",
        lambda dy, x, weight: np.broadcast_to((dy @ weight).sum(axis=0), x.shape),
        "dx is summed over the batch: every row gets the gradient of all rows. Each sample has "
        "its own x, only weight and bias are shared.",
    ),
    (
        "L18",
        lambda dy, x, weight: (dy @ weight).sum(axis=0),
        "dx is summed over the batch. Each sample has its own x, so dx has one row for each; only "
        "weight and bias are shared.",
    ),
    (
        "L24",
        lambda dy, x, weight: (dy @ weight).T,
        "dx is transposed: it must have the shape of x, one row per sample.",
    ),
    (
        "L25",
        lambda dy, x, weight: dy,
        "dx is dy itself: the weight is missing. x_ni reaches every output o with the factor W_oi.",
    ),
    (
        "L26",
        lambda dy, x, weight: dy @ (weight.T if square(weight) else weight),
        "Where the weight is square, you multiply by its transpose. Both products are possible "
        "there, so the shapes cannot tell you which one is right. Backward multiplies by the "
        "weight itself, for every shape.",
    ),
)

DWEIGHT = table(
    "lin-5: W_oi reaches column o of y, in every row",
    "dweight",
    (
        "L1",
        lambda dy, x, weight: x.T @ dy,
        "dW is transposed: yours is (in, out), and the weight is (out, in). A gradient has the "
        "shape of what it is the gradient of.",
    ),
    (
        "L5",
        lambda dy, x, weight: dy.T @ x / len(x),
        "dW is divided by N. Every row used the weight, so their contributions add up; the mean "
        "over the batch belongs to the loss, and is in dy already.",
    ),
    (
        "L8",
        lambda dy, x, weight: dy.T @ (x @ weight.T),
        "You use the output y = x W^T where the input x belongs: what multiplies W_oi in forward "
        "is x_ni.",
    ),
    (
        "L10",
        lambda dy, x, weight: np.outer(dy.sum(axis=0), x.mean(axis=0)),
        "You multiply the sum of dy by the mean of x. The product must be taken row by row and "
        "then summed: the mean of a product is not the product of the means.",
    ),
    (
        "L19",
        lambda dy, x, weight: np.outer(dy[0], x[0]),
        "Only the first row of the batch contributes to dW. All rows used the same weight.",
    ),
    (
        "L20",
        lambda dy, x, weight: np.broadcast_to(x.sum(axis=0), weight.shape),
        "dW does not contain dy: this is the local slope alone. The chain rule multiplies by the "
        "gradient that arrives.",
    ),
)

DBIAS = table(
    "lin-6: b_o is added to every row",
    "dbias",
    (
        "L3",
        lambda dy, x, weight: dy,
        "db is not summed over the batch. The bias was broadcast to every row in forward, so "
        "backward adds up what its copies receive.",
    ),
    (
        "L4",
        lambda dy, x, weight: dy.mean(axis=0),
        "db is a mean over the batch, and it should be a sum: each row used the bias. The mean "
        "over the batch belongs to the loss, and is in dy already.",
    ),
    (
        "L6",
        lambda dy, x, weight: dy.sum(axis=1),
        "db is summed along the wrong axis: yours has one value per sample, the bias one per "
        "output.",
    ),
    (
        "L7",
        lambda dy, x, weight: dy.sum(axis=0, keepdims=True),
        "The numbers of db are right, but its shape is not: keepdims leaves an axis of length 1. "
        "After b = b - lr * db the bias would be a matrix.",
    ),
    (
        "L9",
        lambda dy, x, weight: dy.sum(),
        "db is one number, the sum over everything. Each output has a bias of its own.",
    ),
    (
        "L13",
        lambda dy, x, weight: dy.sum(axis=0) * len(x),
        "db is N times too large: a sum over the batch already counts every row.",
    ),
    (
        "L21",
        lambda dy, x, weight: np.ones(len(weight)) * len(x),
        "db does not contain dy: this is the local slope alone.",
    ),
    (
        "L22",
        lambda dy, x, weight: dy[0],
        "Only the first row contributes to db.",
    ),
)

ALL = table(
    "lin-4 to lin-6",
    "dx dweight dbias",
    (
        "L23",
        lambda dy, x, weight: (-(dy @ weight), -(dy.T @ x), -dy.sum(axis=0)),
        "All three gradients have the wrong sign. Backward only passes the gradient on; it is the "
        "optimiser that goes against it.",
    ),
)


def loss(dy: Array, x: Array, weight: Array) -> Any:
    """sum(dy y), up to the constant from the bias."""
    return np.sum(dy * (x @ weight.T))


def dx_parts(dy: Array, x: Array, weight: Array) -> dict[str, Array]:
    """The term of dx, and what stands in its place by mistake."""
    rows = dy @ weight
    return {
        "the right term": rows,
        "its batch mean": np.broadcast_to(rows.mean(axis=0), x.shape),
        "x": x,
    }


def dweight_parts(dy: Array, x: Array, weight: Array) -> dict[str, Array]:
    """The term of dweight, and what stands in its place by mistake."""
    return {
        "the right term": dy.T @ x,
        "the sum of dy times the mean of x": np.outer(dy.sum(axis=0), x.mean(axis=0)),
        "the weight": weight,
        "the sum of dy in every column": np.repeat(dy.sum(axis=0)[:, None], x.shape[1], axis=1),
        "the sum of x in every row": np.broadcast_to(x.sum(axis=0), weight.shape),
    }


def dbias_parts(dy: Array, x: Array, weight: Array) -> dict[str, Array]:
    """The term of dbias, and what stands in its place by mistake."""
    return {"the right term": dy.sum(axis=0), "1 in every place": np.ones(dy.shape[1])}


def batch(dy: Array, x: Array, weight: Array) -> dict[str, Any]:
    """What a factor may turn out to be."""
    return {"N": float(len(x)), "in": float(x.shape[1]), "out": float(dy.shape[1])}


QUESTIONS = (
    Question("linear", ("y",), linear, forward_probes, FORWARD),
    Question(
        "linear_backward",
        ("dx", "dweight", "dbias"),
        linear_backward,
        backward_probes,
        (*DX, *DWEIGHT, *DBIAS, *ALL),
        terms=(
            Terms("dx", 1, dx_parts, factors=batch),
            Terms("dweight", 1, dweight_parts, factors=batch),
            Terms("dbias", 1, dbias_parts, factors=batch),
        ),
        loss=loss,
        slopes={"dx": "x", "dweight": "weight"},
    ),
)
