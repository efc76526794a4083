"""Task 8: gradient descent with momentum, judged by where several steps lead.

One step does not tell a rule with momentum from one without; so the child makes several steps, and
feeds back the velocity that the student returned. The velocity itself is not judged. It may contain
the learning rate (v <- m v + lr grad, w <- w - v): while the rate is constant, the weights are the
same. The task says so.
"""

from collections.abc import Callable

import numpy as np

from ...backend import Array
from .base import Inputs, Question, Rule, table

Step = Callable[[Array, Array, Array, float, float, int], tuple[Array, Array]]


def steps(step: Step) -> Rule:
    """The weights after each step, from weight, grads (one per step), lr and momentum."""

    def rule(weight: Array, grads: Array, lr: float, momentum: float) -> Array:
        velocity, path = np.zeros_like(weight), []
        for k, grad in enumerate(grads):
            weight, velocity = step(weight, grad, velocity, lr, momentum, k)
            path.append(weight)
        return np.stack(path)

    return rule


def descend(w: Array, g: Array, v: Array, lr: float, m: float, k: int) -> tuple[Array, Array]:
    """v <- m v + g,  w <- w - lr v."""
    v = m * v + g
    return w - lr * v, v


def probes(rng: np.random.Generator) -> list[Inputs]:
    """Steps with gradients that do not repeat, with momentum and without."""
    return [
        {
            "weight": rng.normal(1, 2, shape),
            "grads": rng.normal(0.5, 1, (count, *shape)),
            "lr": rng.uniform(0.05, 0.3),
            "momentum": momentum,
        }
        for shape, count, momentum in [((3, 2), 4, 0.9), ((4,), 5, 0.7), ((2, 2), 3, 0.0)]
    ]


def nesterov(w: Array, g: Array, v: Array, lr: float, m: float, k: int) -> tuple[Array, Array]:
    """Nesterov's momentum, as in PyTorch."""
    v = m * v + g
    return w - lr * (g + m * v), v


def late(w: Array, g: Array, v: Array, lr: float, m: float, k: int) -> tuple[Array, Array]:
    """The old velocity moves the weight; the new one comes a step later."""
    return w - lr * v, m * v + g


MISTAKES = table(
    "SGD with momentum: v <- momentum v + grad, then w <- w - lr v",
    "weight",
    (
        "D01",
        steps(lambda w, g, v, lr, m, k: (w + lr * (m * v + g), m * v + g)),
        "You go up the gradient. The gradient points to where the loss grows.",
    ),
    (
        "D02",
        steps(lambda w, g, v, lr, m, k: (w - (m * v + g), m * v + g)),
        "The learning rate is missing.",
    ),
    (
        "D03",
        steps(lambda w, g, v, lr, m, k: (w, m * v + g)),
        "The weight comes back unchanged: you computed a new one and returned the old.",
    ),
    (
        "D04",
        steps(lambda w, g, v, lr, m, k: (w - lr * g, g)),
        "The momentum is missing. The first step is right, because the velocity starts at 0; only "
        "the later ones show it.",
    ),
    (
        "D05",
        steps(
            lambda w, g, v, lr, m, k: (
                w - lr * (m * v + (1 - m) * g),
                m * v + (1 - m) * g,
            )
        ),
        "This velocity is an average, m v + (1 - m) g, as in Adam. Momentum in SGD adds the whole "
        "gradient: m v + g; yours makes steps smaller by the factor 1 - m.",
    ),
    (
        "D06",
        steps(lambda w, g, v, lr, m, k: (w - lr * (v + m * g), v + m * g)),
        "The momentum multiplies the gradient; it must multiply the old velocity.",
    ),
    (
        "D07",
        steps(nesterov),
        "This is Nesterov's variant, which looks one step ahead. The task is plain momentum: "
        "w <- w - lr v.",
    ),
    (
        "D08",
        steps(late),
        "You use the velocity before you update it: the first step changes nothing, and every "
        "gradient is used one step late.",
    ),
    (
        "D09",
        steps(lambda w, g, v, lr, m, k: (w - lr * (m * v + lr * g), m * v + lr * g)),
        "The learning rate is in the step twice.",
    ),
    (
        "D10",
        steps(lambda w, g, v, lr, m, k: (w - lr * (v + g), v + g)),
        "The old velocity is not multiplied by the momentum, so all gradients add up. (The same "
        "happens if gradients are not set to zero between steps.)",
    ),
    (
        "D11",
        steps(lambda w, g, v, lr, m, k: (w - lr * (m * v + g), v)),
        "The new velocity is used but not returned: the next step starts from the old one again.",
    ),
    (
        "D12",
        steps(lambda w, g, v, lr, m, k: (w - lr * (m * v - g), m * v - g)),
        "The gradient enters the velocity with a minus, and the step has one as well: the two "
        "cancel, and you go up.",
    ),
    (
        "D13",
        steps(lambda w, g, v, lr, m, k: (w - lr * (m * v + g), w - lr * (m * v + g))),
        "You return the weight where the velocity belongs.",
    ),
    (
        "D14",
        steps(lambda w, g, v, lr, m, k: (m * v + g, w - lr * (m * v + g))),
        "Weight and velocity are returned in the wrong order.",
    ),
    (
        "D15",
        steps(lambda w, g, v, lr, m, k: (m * w - lr * g, m * v + g)),
        "The momentum multiplies the weight. It belongs to the velocity.",
    ),
)

QUESTIONS = (
    Question(
        "sgd_step",
        ("weight",),
        steps(descend),
        probes,
        MISTAKES,
        driver="sgd",
        may_change=frozenset({"weight", "grads"}),
    ),
)
