"""Task 11: the student's parts in a network of 20 sigmoid layers, without BatchNorm and with it.

A network is a list of layers, each a dictionary of its parameters: ``weight``, ``bias`` and, where
the layer is normalised, ``gamma`` and ``beta``. All layers but the last end in a sigmoid.

Nothing that the student's process says about its training is believed: it returns weights, and
what they are worth is found out here.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ...backend import Array
from ...data import load_digits
from .base import Inputs, Mistake, Question, Rule, table
from .batchnorm_backward import batch_norm_backward
from .batchnorm_rules import batch_norm_eval, batch_norm_train, statistics
from .cross_entropy_rules import softmax_cross_entropy, softmax_cross_entropy_backward
from .linear import linear, linear_backward
from .sigmoid import sigmoid, sigmoid_backward

Layers = list[dict[str, Array]]

EPS = 1e-5
DEPTH, WIDTH, BATCH = 20, 32, 64
STEPS, PLAIN_STEPS = 240, 60
LEARNING_RATE = 0.2


def loss_and_gradients(
    x: Array,
    labels: Array,
    layers: Layers,
    slope: Rule = sigmoid_backward,
    norm: Rule = batch_norm_backward,
    first: str = "norm",
) -> tuple[Any, Layers]:
    """The loss of the network, and its gradients in the form of ``layers``.

    ``slope``, ``norm`` and ``first`` exchange a part for a wrong one: ``first`` says whether a
    layer normalises before its sigmoid ("norm") or after it ("sigmoid").
    """
    h, steps = x, []
    for layer in layers:
        z = linear(h, layer["weight"], layer["bias"])
        steps.append([("linear", h, layer)])
        order = [] if layer is layers[-1] else ["sigmoid"]
        if "gamma" in layer:
            order = ["norm", *order] if first == "norm" else [*order, "norm"]
        for kind in order:
            steps[-1].append((kind, z, layer))
            if kind == "norm":
                _, c, _, r = statistics(z, EPS)
                z = layer["gamma"] * c * r + layer["beta"]
            else:
                z = sigmoid(z)
        h = z
    d = softmax_cross_entropy_backward(1.0, h, labels)
    gradients: Layers = []
    for parts in reversed(steps):
        found: dict[str, Array] = {}
        for kind, z, layer in reversed(parts):
            if kind == "sigmoid":
                d = slope(d, sigmoid(z), z)
            elif kind == "norm":
                d, found["gamma"], found["beta"] = norm(d, z, layer["gamma"], EPS)
            else:
                d, found["weight"], found["bias"] = linear_backward(d, z, layer["weight"])
        gradients.insert(0, found)
    return softmax_cross_entropy(h, labels), gradients


def flat(normalised: bool, depth: int) -> tuple[str, ...]:
    """The names of loss and gradients as ``child/drivers.py`` numbers them."""
    names = ["loss"]
    for k in range(1, depth + 1):
        names += [f"weight{k}", f"bias{k}"]
        if normalised and k < depth:
            names += [f"gamma{k}", f"beta{k}"]
    return tuple(names)


def ordered(normalised: bool, depth: int, **change: Any) -> Callable[..., tuple[Any, ...]]:
    """Loss and gradients in the order of ``flat``."""

    def rule(x: Array, labels: Array, layers: Layers) -> tuple[Any, ...]:
        loss, gradients = loss_and_gradients(x, labels, layers, **change)
        found = {"loss": loss}
        for k, layer in enumerate(gradients, 1):
            found |= {f"{name}{k}": value for name, value in layer.items()}
        return tuple(found[name] for name in flat(normalised, depth))

    return rule


def network(rng: np.random.Generator, widths: list[int], normalised: bool) -> Layers:
    """Random parameters, away from 0 and 1."""
    layers: Layers = []
    for k, (i, o) in enumerate(pairwise(widths)):
        layer = {"weight": rng.normal(0, 1.5, (o, i)) / np.sqrt(i), "bias": rng.normal(0, 1, o)}
        if normalised and k < len(widths) - 2:
            layer |= {"gamma": rng.uniform(1.3, 2.5, o), "beta": rng.normal(0, 0.7, o)}
        layers.append(layer)
    return layers


def small(normalised: bool) -> Callable[[np.random.Generator], list[Inputs]]:
    """Networks of three layers."""

    def probes(rng: np.random.Generator) -> list[Inputs]:
        return [
            {
                "x": rng.normal(0.5, 1.5, (n, widths[0])),
                "labels": rng.integers(0, widths[-1], n),
                "layers": network(rng, widths, normalised),
            }
            for n, widths in [(6, [3, 5, 4, 3]), (5, [4, 4, 4, 4])]
        ]

    return probes


def constant_statistics(dy: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, ...]:
    """BatchNorm's backward pass as if mu and var were constants."""
    _, c, _, r = statistics(x, eps)
    return dy * gamma * r, (dy * c * r).sum(0), dy.sum(0)


def mistakes(normalised: bool) -> tuple[Mistake, ...]:
    """What goes wrong when right parts are put together."""
    rows: list[tuple[str, Rule, str]] = [
        (
            "N1",
            ordered(normalised, 3, slope=lambda dy, y, x: dy),
            "The gradient passes the sigmoids unchanged: sigmoid_backward is not called.",
        ),
        (
            "N2",
            ordered(normalised, 3, slope=lambda dy, y, x: sigmoid_backward(dy, sigmoid(y), y)),
            "sigmoid_backward gets the sigmoid's output where its input belongs, so the sigmoid "
            "is applied twice.",
        ),
    ]
    if normalised:
        rows += [
            (
                "N3",
                ordered(True, 3, norm=constant_statistics),
                "In the network you use the backward pass of eval mode: in training, mu and var "
                "depend on the batch.",
            ),
        ]
    names = [name for name in flat(normalised, 3) if not name.endswith("3") and name != "loss"]
    keep = [flat(normalised, 3).index(name) for name in names]

    def only(rule: Rule) -> Rule:
        return lambda **inputs: tuple(rule(**inputs)[k] for k in keep)

    see = "the order of the parts, and the same order backwards"
    # BatchNorm's own gamma and beta of the layer below the head do not pass through N3.
    found: list[Mistake] = []
    for key, rule, text in rows:
        if key == "N3":
            untouched = {"gamma2", "beta2"}
            some = [n for n in names if n not in untouched]
            places = [flat(True, 3).index(n) for n in some]
            found += table(see, " ".join(some), (key, pick(rule, places), text))
        else:
            found += table(see, " ".join(names), (key, only(rule), text))
    if normalised:
        everything = " ".join(flat(True, 3))
        swapped = ordered(True, 3, first="sigmoid")
        text = (
            "BatchNorm comes after the sigmoid. The order is Linear, BatchNorm, Sigmoid: BatchNorm "
            "keeps the input of the sigmoid where the slope of the sigmoid is not near 0."
        )
        found += table(see, everything, ("N4", swapped, text))
    return tuple(found)


def pick(rule: Rule, places: list[int]) -> Rule:
    """Some of the results of ``rule``."""
    return lambda **inputs: tuple(rule(**inputs)[k] for k in places)


# -------------------------------------------------------------------------------- twenty layers


@cache
def digits() -> tuple[Array, Array, Array, Array]:
    """1437 digits to learn from and 360 to test with: x (N, 64), labels (N,), twice."""
    x, labels = load_digits(flatten=True)
    order = np.random.default_rng(2).permutation(len(x))
    x, labels = x[order].astype(np.float64), labels[order]
    return x[:1437], labels[:1437], x[1437:], labels[1437:]


def deep(rng: np.random.Generator, normalised: bool) -> Layers:
    """Twenty layers and a head, with Xavier's weights and zero biases."""
    widths = [64, *[WIDTH] * DEPTH, 10]
    layers: Layers = []
    for k, (i, o) in enumerate(pairwise(widths)):
        bound = np.sqrt(6 / (i + o))
        layer = {"weight": rng.uniform(-bound, bound, (o, i)), "bias": np.zeros(o)}
        if normalised and k < DEPTH:
            layer |= {"gamma": np.ones(o), "beta": np.zeros(o)}
        layers.append(layer)
    return layers


def training(normalised: bool, count: int) -> Callable[[np.random.Generator], list[Inputs]]:
    """One run: weights to start from, the batches, and a learning rate that falls to 0."""

    def probes(rng: np.random.Generator) -> list[Inputs]:
        x, labels, _, _ = digits()
        phase = np.arange(count) / count
        return [
            {
                "x": x,
                "labels": labels,
                "layers": deep(rng, normalised),
                "batches": rng.integers(0, len(x), (count, BATCH)),
                "lrs": LEARNING_RATE * (1 + np.cos(np.pi * phase)) / 2,
            }
        ]

    return probes


def first_gradients(inputs: Inputs) -> list[Array]:
    """dW of every layer for the first batch, by the right rules."""
    rows = inputs["batches"][0]
    _, found = loss_and_gradients(inputs["x"][rows], inputs["labels"][rows], inputs["layers"])
    return [layer["weight"] for layer in found]


def accuracy(layers: Layers) -> float:
    """The share of the test digits that the network reads rightly.

    The statistics of BatchNorm are taken over all training digits, layer by layer.
    """
    h, _, test, labels = digits()
    for layer in layers:
        h = linear(h, layer["weight"], layer["bias"])
        test = linear(test, layer["weight"], layer["bias"])
        if "gamma" in layer:
            zero = np.zeros_like(layer["gamma"])
            gamma, beta = layer["gamma"], layer["beta"]
            h_next, mean, var = batch_norm_train(h, gamma, beta, zero, zero, 1.0, EPS)
            h, test = h_next, batch_norm_eval(test, gamma, beta, mean, var, EPS)
        if layer is not layers[-1]:
            h, test = sigmoid(h), sigmoid(test)
    return float((test.argmax(axis=1) == labels).mean())


def measured(inputs: Inputs, value: Any) -> dict[str, Any] | str:
    """What the weights that came back are worth; or what is wrong with their form."""
    with np.errstate(all="ignore"):  # they may be anything
        return measure(inputs, value)


def measure(inputs: Inputs, value: Any) -> dict[str, Any] | str:
    """The numbers by which a training run is judged and shown."""
    try:
        layers = [
            {name: np.asarray(layer[name], dtype=np.float64) for name in start}
            for layer, start in zip(value["layers"], inputs["layers"], strict=True)
        ]
        first = [np.asarray(g, dtype=np.float64) for g in value["first"]]
        losses = np.asarray(value["losses"], dtype=np.float64)
    except (AttributeError, LookupError, TypeError, ValueError):
        return "the training did not return weights in the same form as at the start"
    for layer, start in zip(layers, inputs["layers"], strict=True):
        for name, array in start.items():
            if layer[name].shape != array.shape:
                return (
                    f"after training, a {name} has shape {layer[name].shape}, before {array.shape}"
                )
            if not np.isfinite(layer[name]).all():
                return f"training ends in NaN or infinity (in a {name})"
    moved = [
        float(np.linalg.norm(end["weight"] - start["weight"]) / np.linalg.norm(start["weight"]))
        for end, start in zip(layers, inputs["layers"], strict=True)
    ]
    right = first_gradients(inputs)
    return {
        "gradients": [float(np.linalg.norm(g)) for g in first],
        "right": len(first) == len(right)
        and all(
            g.shape == r.shape and np.abs(g - r).max() <= 1e-4 * np.abs(r).max()
            for g, r in zip(first, right, strict=True)
        ),
        "moved": moved,
        "losses": losses,
        "accuracy": accuracy(layers),
    }


def judge_training(normalised: bool) -> Callable[[Inputs, Any], tuple[str, str] | None]:
    """It must vanish without BatchNorm, and train with it."""

    def judge(inputs: Inputs, value: Any) -> tuple[str, str] | None:
        found = measured(inputs, value)
        if isinstance(found, str):
            return "N10", found
        if not found["right"]:
            return "N11", (
                "the gradients of the first step are not those of the network: compare each of "
                "your parts on its own (tasks 1 to 6), then how they are put together"
            )
        gradients, moved = found["gradients"], found["moved"]
        if not normalised:
            if gradients[0] > 1e-6 * gradients[DEPTH - 1] or moved[0] > 1e-6:
                return "N12", (
                    f"without BatchNorm the gradient of layer 1 should be almost 0, but its "
                    f"weights changed by {moved[0]:.2g} of their size. Do you normalise a layer "
                    f"that has no gamma?"
                )
            return None
        if min(moved[:DEPTH]) < 1e-6:
            return (
                "N13",
                "with BatchNorm every layer should learn; in yours some weights do not change",
            )
        if found["accuracy"] < 0.8:
            return "N14", (
                f"the gradients are right, but after {len(inputs['lrs'])} steps the network reads "
                f"{found['accuracy']:.0%} of the test digits, expected at least 80%. Does sgd_step "
                f"pass task 8?"
            )
        return None

    return judge


QUESTIONS = (
    Question(
        "network_plain",
        flat(False, 3),
        ordered(False, 3),
        small(False),
        mistakes(False),
        target="loss_and_gradients",
        driver="network",
        one_scale=True,
    ),
    Question(
        "network_normalised",
        flat(True, 3),
        ordered(True, 3),
        small(True),
        mistakes(True),
        target="loss_and_gradients",
        driver="network",
        one_scale=True,
    ),
    Question(
        "training_plain",
        ("training",),
        lambda **inputs: np.zeros(1),
        training(False, PLAIN_STEPS),
        target="loss_and_gradients sgd.py:sgd_step",
        driver="train",
        judge=judge_training(False),
        seconds=60.0,
    ),
    Question(
        "training_normalised",
        ("training",),
        lambda **inputs: np.zeros(1),
        training(True, STEPS),
        target="loss_and_gradients sgd.py:sgd_step",
        driver="train",
        judge=judge_training(True),
        seconds=120.0,
    ),
)
