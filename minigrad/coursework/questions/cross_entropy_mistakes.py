"""Wrong rules of the softmax cross-entropy, forward and backward."""

import numpy as np

from ...backend import Array
from .base import Rule, table
from .cross_entropy_rules import (
    hot,
    log_softmax,
    logistic,
    one_hot,
    overflowing,
    picked,
    shifted_together,
    softmax,
)


def mean_log(probability: Rule) -> Rule:
    """-mean log of what ``probability`` gives for the label."""
    return lambda logits, labels: -picked(np.log(probability(logits)), labels).mean()


def columns_together(logits: Array) -> Array:
    """Each row's largest logit is subtracted, but the sums run over the batch (axis 0)."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=0)


def column_shifted(logits: Array) -> Array:
    """The softmax after each column's largest logit was subtracted."""
    return overflowing(logits - logits.max(axis=0))


def column_shifted_log(logits: Array) -> Array:
    """The logarithm of ``column_shifted``, simplified on paper, so that it does not overflow."""
    shifted = logits - logits.max(axis=0)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


SMALL = [*(10.0**-k for k in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)),
    1e-20, 1e-30, 1e-37, 1e-38, 1e-45, 1e-100, 1e-300,
    *(float(limit) for kind in ("f4", "f8") for limit in (np.finfo(kind).eps, np.finfo(kind).tiny)),
]  # fmt: skip
"""The small numbers that people write inside a logarithm."""

ON_PAPER = (
    "Take the logarithm of the softmax on paper instead: z_t - log sum e^z, with the largest logit "
    "of the row subtracted first."
)


def guarded(small: float) -> tuple[tuple[str, Rule, str], ...]:
    """log(p + small) and log(max(p, small)): they give the same numbers for most p."""
    text = (
        f"You add {small:.3g} inside the logarithm, or replace smaller probabilities by it. The "
        f"loss stays finite, but it is wrong: it cannot exceed {-np.log(small):.1f}. {ON_PAPER}"
    )
    return (
        ("C19", mean_log(lambda logits: softmax(logits) + small), text),
        ("C19", mean_log(lambda logits: np.maximum(softmax(logits), small)), text),
    )


OVER_THE_BATCH = (
    "The softmax runs over the batch instead of the classes: your columns add up to 1, and the "
    "rows should."
)
COLUMN_SHIFT = (
    "You subtract the largest logit of each column (axis 0). The softmax of a row stays the same "
    "only if one number is subtracted from the whole row: its largest logit, axis 1."
)
WHOLE_COLUMNS = (
    "[:, labels] takes whole columns: every sample gets the labels of all samples. Take one number "
    "from each row, with [np.arange(N), labels]."
)

FORWARD = table(
    "cross-entropy, forward: -log softmax at the label, averaged over the batch",
    "loss",
    (
        "C7",
        lambda logits, labels: -picked(log_softmax(softmax(logits)), labels).mean(),
        "The softmax is applied twice. The probabilities are squeezed together, and the loss "
        "cannot fall below log(1 + (C - 1)/e), 1.46 for ten classes, however good the network is.",
    ),
    (
        "C8",
        mean_log(logistic),
        "You use the sigmoid of each logit. Its values do not add up to 1 over the classes; the "
        "softmax compares the classes with each other.",
    ),
    (
        "C8",
        lambda logits, labels: np.logaddexp(0, -picked(logits, labels)).mean(),
        "You use the sigmoid of each logit. Its values do not add up to 1 over the classes; the "
        "softmax compares the classes with each other.",
    ),
    (
        "C9",
        lambda logits, labels: -picked(log_softmax(logits.T).T, labels).mean(),
        OVER_THE_BATCH,
    ),
    ("C9", mean_log(lambda logits: softmax(logits, axis=0)), OVER_THE_BATCH),
    ("C9", mean_log(lambda logits: overflowing(logits.T).T), OVER_THE_BATCH),
    ("C9", mean_log(columns_together), OVER_THE_BATCH),
    (
        "C9",
        lambda logits, labels: (
            np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(0))[labels]
            + logits.max(1)
            - picked(logits, labels)
        ).mean(),
        OVER_THE_BATCH,
    ),
    (
        "C13",
        lambda logits, labels: (
            np.logaddexp(0, -logits) * one_hot(labels, logits.shape[1])
            + np.logaddexp(0, logits) * (1 - one_hot(labels, logits.shape[1]))
        ).mean(),
        "This is the binary cross-entropy, each class judged by itself. The softmax makes the "
        "classes compete.",
    ),
    (
        "C14",
        lambda logits, labels: -picked(log_softmax(logits), labels).sum(),
        "The losses of the samples are added up; the task asks for their mean. Yours grows with "
        "the batch, and so would the steps of the optimiser.",
    ),
    (
        "C15",
        lambda logits, labels: -picked(log_softmax(logits), labels).mean() / np.log(2),
        "This is the logarithm to base 2 (yours is 1.44 times the right value). Use the "
        "natural logarithm: only its derivative is 1/p without a constant.",
    ),
    (
        "C16",
        lambda logits, labels: -picked(log_softmax(logits), labels).mean() / np.log(10),
        "This is the logarithm to base 10 (yours is 0.43 times the right value). Use the "
        "natural logarithm: only its derivative is 1/p without a constant.",
    ),
    (
        "C17",
        lambda logits, labels: -picked(log_softmax(logits), labels).sum() / logits.size,
        "You divide by N C, the number of logits. There are N losses, one per sample.",
    ),
    (
        "C18",
        mean_log(overflowing),
        "Right for small logits, but e^1000 overflows. Subtract each row's largest logit first: "
        "it cancels in the softmax, and nothing can overflow after it.",
    ),
    (
        "C30",
        mean_log(shifted_together),
        "You subtract the largest of all logits. A row that lies far below it underflows to 0/0: "
        "subtract each row's own largest.",
    ),
    (
        "C30",
        lambda logits, labels: (
            -picked(
                logits - logits.max() - np.log(np.exp(logits - logits.max()).sum(1, keepdims=True)),
                labels,
            ).mean()
        ),
        "You subtract the largest of all logits. A row that lies far below it underflows to 0/0: "
        "subtract each row's own largest.",
    ),
    *(row for small in SMALL for row in guarded(small)),
    (
        "C36",
        mean_log(softmax),
        "The softmax is right, but a probability such as e^-1000 becomes 0 in floating point, and "
        f"log 0 is minus infinity. {ON_PAPER}",
    ),
    ("C34", mean_log(column_shifted), COLUMN_SHIFT),
    (
        "C34",
        lambda logits, labels: -picked(column_shifted_log(logits), labels).mean(),
        COLUMN_SHIFT,
    ),
    (
        "C33",
        lambda logits, labels: -log_softmax(logits)[:, labels].mean(),
        WHOLE_COLUMNS,
    ),
    ("C33", lambda logits, labels: -np.log(softmax(logits))[:, labels].mean(), WHOLE_COLUMNS),
    (
        "C33",
        lambda logits, labels: -log_softmax(logits)[:, labels].sum() / len(labels),
        WHOLE_COLUMNS,
    ),
    (
        "C20",
        lambda logits, labels: picked(log_softmax(logits), labels).mean(),
        "The sign is missing: a logarithm of a probability is negative, and a loss is not.",
    ),
    (
        "C21",
        lambda logits, labels: -picked(logits, labels).mean(),
        "This is minus the label's logit: the logarithm of the sum over all classes is missing, "
        "so the loss could fall without limit.",
    ),
    (
        "C22",
        lambda logits, labels: -np.log(picked(softmax(logits), labels).mean()),
        "You average the probabilities and then take the logarithm. The mean over the batch comes "
        "last.",
    ),
    (
        "C23",
        lambda logits, labels: -picked(softmax(logits), labels).mean(),
        "The logarithm is missing.",
    ),
    (
        "C12a",
        lambda logits, labels: -picked(log_softmax(logits), labels - 1).mean(),
        "The labels are shifted by one: they count from 0, as Python's indices do.",
    ),
)


def backward(
    probability: Rule = softmax, target: float = 1.0, per: Rule | None = None, factor: float = 1.0
) -> Rule:
    """The right rule with one of its parts exchanged."""

    def rule(dloss: float, logits: Array, labels: Array) -> Array:
        p, t = probability(logits), target * one_hot(labels, logits.shape[1])
        return factor * dloss * (p - t) / (len(labels) if per is None else per(logits))

    return rule


def squared(dloss: float, logits: Array, labels: Array) -> Array:
    """The gradient of the mean squared error between softmax and one_hot."""
    p = softmax(logits)
    d = 2 * (p - one_hot(labels, logits.shape[1])) / len(labels)
    return dloss * p * (d - (d * p).sum(axis=1, keepdims=True))


def twice(dloss: float, logits: Array, labels: Array) -> Array:
    """The gradient of the loss with the softmax applied twice."""
    p = softmax(logits)
    d = (softmax(p) - one_hot(labels, logits.shape[1])) / len(labels)
    return dloss * p * (d - (d * p).sum(axis=1, keepdims=True))


BACKWARD = table(
    "ce-3 to ce-5",
    "dlogits",
    (
        "C1",
        backward(per=lambda logits: 1),
        "The 1/N is missing. The loss is a mean over the batch, so every sample's share of the "
        "gradient is divided by N; without it the step grows with the batch.",
    ),
    (
        "C2",
        backward(per=np.size),
        "You divide by N C. There are N losses in the mean, one per sample.",
    ),
    (
        "C3",
        backward(factor=-1),
        "The sign is wrong: a step of gradient descent would make the right class less likely.",
    ),
    (
        "C4",
        backward(target=0),
        "This is p alone: 1 is not subtracted at the label. Each row of yours adds up to 1/N "
        "instead of 0.",
    ),
    (
        "C5",
        lambda dloss, logits, labels: -dloss * hot(logits, labels) / softmax(logits) / len(labels),
        "This is the gradient with respect to the probabilities, -1/p at the label. The softmax "
        "still lies between them and the logits: its slope is missing.",
    ),
    (
        "C6",
        lambda dloss, logits, labels: (
            -dloss * hot(logits, labels) * (1 - softmax(logits)) / len(labels)
        ),
        "The label's column is right and the others are 0. A logit of another class changes the "
        "sum under the fraction, and so the probability of the label as well.",
    ),
    (
        "C7b",
        twice,
        "This is the gradient of a softmax applied twice.",
    ),
    (
        "C8b",
        backward(logistic),
        "You use the sigmoid of each logit where the softmax of the row belongs: your rows do not "
        "add up to 0.",
    ),
    ("C9b", backward(lambda logits: softmax(logits, axis=0)), OVER_THE_BATCH),
    ("C9b", backward(lambda logits: overflowing(logits.T).T), OVER_THE_BATCH),
    ("C9b", backward(columns_together), OVER_THE_BATCH),
    ("C35", backward(column_shifted), COLUMN_SHIFT),
    ("C35", backward(lambda logits: np.exp(column_shifted_log(logits))), COLUMN_SHIFT),
    (
        "C32",
        lambda dloss, logits, labels: (
            dloss * (softmax(logits) - hot(logits, labels).max(axis=0)) / len(labels)
        ),
        WHOLE_COLUMNS,
    ),
    (
        "C32",
        lambda dloss, logits, labels: (
            dloss * (softmax(logits) - hot(logits, labels).sum(axis=0)) / len(labels)
        ),
        WHOLE_COLUMNS,
    ),
    (
        "C10",
        backward(factor=2),
        "There is a factor of 2: that is the derivative of a square, and there is no square in "
        "cross-entropy.",
    ),
    (
        "C11",
        squared,
        "This is the gradient of the squared error between softmax and one_hot, not that of the "
        "cross-entropy. It vanishes where the network is confidently wrong.",
    ),
    (
        "C12b",
        lambda dloss, logits, labels: backward()(dloss, logits, labels - 1),
        "The labels are shifted by one: they count from 0, as Python's indices do.",
    ),
    (
        "C24",
        lambda dloss, logits, labels: backward()(1.0, logits, labels),
        "dloss is missing. The chain rule multiplies by the gradient that arrives, which is 1 "
        "only if the loss is the last thing computed.",
    ),
    (
        "C25",
        lambda dloss, logits, labels: -dloss * hot(logits, labels) / len(labels),
        "Only the label's logit gets a gradient. The other half of the loss, log sum e^z, depends "
        "on all of them.",
    ),
    (
        "C26",
        backward(overflowing),
        "Right for small logits, but e^1000 overflows: subtract each row's largest logit first.",
    ),
    (
        "C31",
        backward(shifted_together),
        "You subtract the largest of all logits. A row that lies far below it underflows to 0/0: "
        "subtract each row's own largest.",
    ),
    (
        "C31",
        backward(
            lambda logits: np.exp(
                logits - logits.max() - np.log(np.exp(logits - logits.max()).sum(1, keepdims=True))
            )
        ),
        "You subtract the largest of all logits. A row that lies far below it underflows to 0/0: "
        "subtract each row's own largest.",
    ),
    (
        "C27",
        lambda dloss, logits, labels: dloss * (logits - hot(logits, labels)) / len(labels),
        "The logits stand where the probabilities belong: p = softmax(logits).",
    ),
    (
        "C28",
        lambda dloss, logits, labels: (
            dloss
            * softmax(logits)
            * (1 - softmax(logits))
            * (softmax(logits) - hot(logits, labels))
            / len(labels)
        ),
        "There is a factor p (1 - p) too many, as for a sigmoid with squared error. In softmax "
        "with cross-entropy it cancels; that is why one uses them together.",
    ),
)
