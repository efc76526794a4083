"""Task 4: softmax and cross-entropy as one operation, stable for large logits."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Identity, Question, Terms
from .cross_entropy_mistakes import BACKWARD, FORWARD
from .cross_entropy_rules import (
    backward_probes,
    forward_probes,
    hot,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)


def parts(dloss: float, logits: Array, labels: Array) -> dict[str, Array]:
    """The two terms of dlogits, and others that wrong sums contain."""
    p, ones = softmax(logits), np.ones_like(logits)
    scale = dloss / len(labels)
    return {
        "the softmax": p * scale,
        "the label's share": -hot(logits, labels) * scale,
        "the same in every place": ones * scale,
        "the softmax at the label only": p * hot(logits, labels) * scale,
        "the square of the softmax": p * p * scale,
    }


def loss(dloss: float, logits: Array, labels: Array) -> Any:
    """The loss times the gradient that arrives."""
    return dloss * softmax_cross_entropy(logits, labels)


QUESTIONS = (
    Question("softmax_cross_entropy", ("loss",), softmax_cross_entropy, forward_probes, FORWARD),
    Question(
        "softmax_cross_entropy_backward",
        ("dlogits",),
        softmax_cross_entropy_backward,
        backward_probes,
        BACKWARD,
        terms=(
            Terms(
                "dlogits",
                2,
                parts,
                factors=lambda dloss, logits, labels: {
                    "N": float(len(labels)),
                    "C": float(logits.shape[1]),
                    "dloss": dloss,
                },
            ),
        ),
        identities=(
            Identity(
                "dlogits",
                "each row of dlogits sums to 0",
                lambda d, dloss, logits, labels: d.sum(axis=1),
            ),
        ),
        loss=loss,
        slopes={"dlogits": "logits"},
    ),
)
