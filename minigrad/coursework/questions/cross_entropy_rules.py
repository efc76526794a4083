"""The softmax cross-entropy, stable for large logits; its probes; softmaxes that are not."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Inputs


def log_softmax(logits: Array) -> Array:
    """log p of each row. The largest logit of the row is subtracted first."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def one_hot(labels: Array, classes: int) -> Array:
    """1 at the label, else 0: (N, C)."""
    return np.eye(classes)[labels]


def softmax_cross_entropy(logits: Array, labels: Array) -> Any:
    """The mean over the batch of -log softmax(logits)[label].   logits: (N, C), labels: (N,)"""
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def softmax_cross_entropy_backward(dloss: float, logits: Array, labels: Array) -> Array:
    """dlogits = dloss (softmax(logits) - one_hot(labels)) / N."""
    return dloss * (np.exp(log_softmax(logits)) - one_hot(labels, logits.shape[1])) / len(labels)


def forward_probes(rng: np.random.Generator) -> list[Inputs]:
    """Ordinary logits, a square array, a batch of 1, two classes, logits near +-1000 within a row,
    and rows that lie 1000 apart."""
    probes = [
        {"logits": rng.normal(0, spread, (n, c)) + shift, "labels": rng.integers(0, c, n)}
        for n, c, spread, shift in [(6, 4, 2, 1), (3, 3, 1.5, 0), (1, 5, 1, -2), (5, 2, 2, 0.5)]
    ]
    large = rng.choice([-1000.0, -985.0, 990.0, 1000.0], (4, 5))
    large[0, :2] = -1000, 1000
    labels = rng.integers(0, 5, 4)
    labels[0] = 0  # a label whose probability is 0 in floating point, whatever the seed
    probes.append({"logits": large + rng.normal(0, 2, (4, 5)), "labels": labels})
    levels = np.array([[1000.0], [0.0], [-1000.0]])
    probes.append({"logits": rng.normal(0, 2, (3, 4)) + levels, "labels": rng.integers(0, 4, 3)})
    return probes


def backward_probes(rng: np.random.Generator) -> list[Inputs]:
    """As above, with a gradient that is not 1."""
    return [{"dloss": rng.uniform(1.5, 3), **inputs} for inputs in forward_probes(rng)]


def picked(log_p: Array, labels: Array) -> Array:
    """The labels' columns: (N,)."""
    return log_p[np.arange(len(labels)), labels]


def overflowing(logits: Array) -> Array:
    """Softmax as on paper: infinity over infinity for large logits."""
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def shifted_together(logits: Array) -> Array:
    """Softmax after the largest of all logits was subtracted: rows far below it give 0/0."""
    return overflowing(logits - logits.max())


def softmax(logits: Array, axis: int = 1) -> Array:
    """Softmax along an axis, without overflow."""
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def logistic(logits: Array) -> Array:
    """The sigmoid of each logit."""
    e = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, e) / (1 + e)


def hot(logits: Array, labels: Array) -> Array:
    """One-hot labels in the shape of the logits."""
    return one_hot(labels, logits.shape[1])
