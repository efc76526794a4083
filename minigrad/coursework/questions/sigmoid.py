"""Task 1: the sigmoid and its slope, also where the exponential overflows."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Identity, Inputs, Question, Terms, table


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + e^-x), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


def sigmoid_backward(dy: Array, y: Array, x: Array) -> Array:
    """dx = dy y (1 - y)."""
    return dy * y * (1 - y)


def forward_probes(rng: np.random.Generator) -> list[Inputs]:
    """Ordinary values; values in the saturated ends; values whose exponential overflows."""
    ends = np.array([-1000.0, -60.0, -7.5, 0.0, 6.5, 60.0, 1000.0])
    return [
        {"x": rng.normal(0, 2, (4, 3))},
        {"x": rng.uniform(5.5, 12, (5,)) * rng.choice([-1.0, 1.0], 5)},
        {"x": rng.permutation(ends)},
        {"x": rng.normal(0, 1, (2, 3, 2))},
    ]


def backward_probes(rng: np.random.Generator) -> list[Inputs]:
    """As above; dy is never 1, and not the same everywhere."""
    return [
        {"dy": rng.normal(0, 2, x.shape) + 0.5, "y": sigmoid(x), "x": x}
        for x in (inputs["x"] for inputs in forward_probes(rng))
    ]


def naive(x: Array) -> Array:
    """e^x / (1 + e^x): infinity over infinity for large x."""
    return np.exp(x) / (1 + np.exp(x))


FORWARD = table(
    "sigmoid, forward: which exponential cannot overflow",
    "y",
    (
        "S9",
        lambda x: sigmoid(np.clip(x, -5, 5)),
        "You clip x to [-5, 5]. For every x below -5 the output is then 0.0067, and for every x "
        "above 5 it is 0.9933. This hides the saturation. Do not clip; choose the form of the "
        "fraction by the sign of x.",
    ),
    (
        "S10",
        naive,
        "This is e^x / (1 + e^x): right on paper, but e^x overflows for x above 709 and "
        "infinity / infinity is NaN. For positive x divide both sides of the fraction by e^x.",
    ),
    (
        "S11",
        lambda x: sigmoid(-x),
        "The sign in the exponent is wrong: yours falls where the sigmoid rises.",
    ),
    (
        "S12",
        lambda x: np.tanh(x),
        "This is tanh: it runs from -1 to 1 and is 0 at 0. The sigmoid runs from 0 to 1 and is "
        "1/2 at 0. (tanh x = 2 sigmoid(2x) - 1.)",
    ),
    (
        "S13",
        lambda x: sigmoid(np.abs(x)),
        "You use |x| to keep the exponential small, which is the right idea, but for negative x "
        "the other form of the fraction is needed: your function is even.",
    ),
    (
        "S14",
        lambda x: sigmoid(x) * (1 - sigmoid(x)),
        "This is the slope of the sigmoid, not the sigmoid.",
    ),
)

BACKWARD = table(
    "sig-3 and sig-4: the slope written with y, and the chain rule",
    "dx",
    (
        "S1",
        lambda dy, y, x: dy * x * (1 - x),
        "You use x (1 - x): the input where the output belongs. The slope of the sigmoid is at "
        "most 1/4; yours grows without limit.",
    ),
    (
        "S2",
        lambda dy, y, x: dy * sigmoid(y) * (1 - sigmoid(y)),
        "You apply the sigmoid twice: y is its output already. Your slope lies between 0.19 and "
        "0.25 everywhere, so it never shows saturation.",
    ),
    (
        "S3",
        lambda dy, y, x: y * (1 - y),
        "This is the local slope alone. The chain rule multiplies it by dy, the gradient that "
        "arrives from above. (With dy = 1, as in many tests, both give the same numbers.)",
    ),
    (
        "S4",
        lambda dy, y, x: dy * (1 - y * y),
        "1 - y^2 is the slope of tanh. The sigmoid's is another function of y.",
    ),
    (
        "S5",
        lambda dy, y, x: dy * y,
        "The factor (1 - y) is missing. It makes the slope 0 for large x; your slope becomes 1 "
        "there.",
    ),
    (
        "S6",
        lambda dy, y, x: dy * (1 - y),
        "The factor y is missing. It makes the slope 0 for very negative x; your slope becomes 1 "
        "there.",
    ),
    (
        "S7",
        lambda dy, y, x: dy * y * (1 + y),
        "There is a plus where a minus belongs. At large x your slope is 2, but the curve is flat.",
    ),
    (
        "S8",
        lambda dy, y, x: -dy * y * (1 - y),
        "The sign is wrong. The sigmoid rises everywhere, so dx has the sign of dy. (The minus of "
        "the quotient rule and that of e^-x cancel.)",
    ),
    (
        "S15",
        lambda dy, y, x: dy * sigmoid(np.clip(x, -5, 5)) * (1 - sigmoid(np.clip(x, -5, 5))),
        "Your slope does not change for |x| > 5, because x is clipped. The right slope becomes "
        "smaller and smaller: at x = 10 it is 0.00005, and yours is 0.0066.",
    ),
    (
        "S16",
        lambda dy, y, x: dy * naive(x) * (1 - naive(x)),
        "The slope is right, but you compute the sigmoid anew as e^x / (1 + e^x), which is NaN for "
        "large x. y is an argument of your function: use it.",
    ),
    (
        "S17",
        lambda dy, y, x: dy * y * y * (1 - y),
        "There is a factor y too many. Only one of the two factors of the slope is y itself.",
    ),
    (
        "S18",
        lambda dy, y, x: dy * np.exp(-x) / (1 + np.exp(-x)) ** 2,
        "The quotient rule is right, but e^-x overflows for very negative x and gives NaN. "
        "Write the slope with y, which is an argument of your function.",
    ),
    (
        "S19",
        lambda dy, y, x: dy * y * (1 - x),
        "You use y (1 - x): x stands in the second factor, and the output y belongs there too. "
        "The slope is y (1 - y).",
    ),
    (
        "S20",
        lambda dy, y, x: dy * x * (1 - y),
        "You use x (1 - y): x stands in the first factor, and the output y belongs there too. "
        "The slope is y (1 - y).",
    ),
)


def parts(dy: Array, y: Array, x: Array) -> dict[str, Array]:
    """dx multiplied out, and the powers of y that it does not have."""
    return {"dy y": dy * y, "-dy y^2": -dy * y * y, "dy": dy}


def loss(dy: Array, y: Array, x: Array) -> Any:
    """sum(dy y)."""
    return np.sum(dy * sigmoid(x))


QUESTIONS = (
    Question("sigmoid", ("y",), sigmoid, forward_probes, FORWARD),
    Question(
        "sigmoid_backward",
        ("dx",),
        sigmoid_backward,
        backward_probes,
        BACKWARD,
        terms=(Terms("dx", 2, parts),),
        loss=loss,
        slopes={"dx": "x"},
        identities=(
            Identity(
                "dx",
                "|dx| is nowhere larger than |dy| / 4",
                lambda dx, dy, y, x: np.maximum(np.abs(dx) - np.abs(dy) / 4, 0),
            ),
            Identity(
                "dx",
                "dx has the sign of dy",
                lambda dx, dy, y, x: np.minimum(dx * np.sign(dy), 0),
            ),
        ),
    ),
)
