"""How a student's function is called in each kind of task. Runs in the student's process.

Each driver takes the function and the inputs, and returns what came out. Inputs are the process's
own copies, so a function that changes them is found out by what they are afterwards.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Driver = Callable[[Any, dict[str, Any]], Any]


class TooManyVisits(Exception):
    """A walk looked at the graph more often than a walk needs to."""


class Watched(dict[int, Any]):
    """The parents of each node, which count how often they are asked for."""

    left = 0

    def __getitem__(self, node: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise TooManyVisits("the walk asks for the parents of the same nodes again and again")
        return super().__getitem__(node)

    def get(self, node: int, default: Any = None) -> Any:
        """As for any dictionary, but counted."""
        if node not in self:
            return default
        return self[node]


def call(function: Any, inputs: dict[str, Any]) -> Any:
    """One call, by position."""
    return function(*inputs.values())


def steps(function: Any, inputs: dict[str, Any]) -> Any:
    """One call that returns a dictionary of intermediate results."""
    found = function(*inputs.values())
    return found if isinstance(found, dict) else {"returned": found}


def sgd(function: Any, inputs: dict[str, Any]) -> Any:
    """Several steps; the velocity that one returns goes into the next."""
    weight = inputs["weight"]
    velocity, path = np.zeros_like(weight), []
    for grad in inputs["grads"]:
        weight, velocity = function(weight, grad, velocity, inputs["lr"], inputs["momentum"])
        path.append(np.array(weight))
    return {"weight": np.stack(path)}


def watched(inputs: dict[str, Any]) -> Watched:
    """The graph as a student gets it: node -> tuple of parents."""
    graph = Watched((node, tuple(ps)) for node, ps in enumerate(inputs["parents"]))
    graph.left = 60 * len(graph)
    return graph


def order(function: Any, inputs: dict[str, Any]) -> Any:
    """The nodes in a topological order."""
    found = function(inputs["root"], watched(inputs))
    if not isinstance(found, list | tuple):
        raise TypeError(f"topological_order returned {type(found).__name__}, expected a list")
    return {"order": [int(n) if isinstance(n, int | np.integer) else n for n in found]}


def walk(function: Any, inputs: dict[str, Any]) -> Any:
    """The gradients of all nodes; the rules of the nodes multiply by a number."""
    slopes, left = inputs["slopes"], [60 * len(inputs["slopes"])]

    def pull_back(node: int, grad: Any) -> tuple[Any, ...]:
        left[0] -= 1
        if left[0] < 0:
            raise TooManyVisits("pull_back is called for the same nodes again and again")
        # A sum (slope 1) hands on the very array that it got, as the engine's rules do.
        return tuple([grad if slope == 1 else slope * grad for slope in slopes[node]])

    seed = np.array(inputs["seed"])
    grads = function(inputs["root"], seed, watched(inputs), pull_back)
    if not isinstance(grads, dict):
        kind = type(grads).__name__
        raise TypeError(f"backpropagate returned {kind}, expected a dict: node -> gradient")
    none = np.zeros_like(seed)
    rows = [grads.get(node) for node in range(len(slopes))]
    return {"grads": np.stack([none if g is None else np.asarray(g) for g in rows])}


def network(function: Any, inputs: dict[str, Any]) -> Any:
    """Loss and gradients of a whole network, as a flat dictionary."""
    loss, gradients = function(inputs["x"], inputs["labels"], inputs["layers"])
    if len(gradients) != len(inputs["layers"]):
        raise ValueError(
            f"{len(gradients)} gradients for {len(inputs['layers'])} layers; expected one "
            f"dictionary for each"
        )
    found = {"loss": loss}
    for k, layer in enumerate(gradients, 1):
        found |= {f"{name}{k}": value for name, value in layer.items()}
    return found


def train(functions: Any, inputs: dict[str, Any]) -> Any:
    """Gradient descent with the student's gradients and the student's step."""
    loss_and_gradients, sgd_step = functions
    layers = [dict(layer) for layer in inputs["layers"]]
    velocity = [{name: np.zeros_like(v) for name, v in layer.items()} for layer in layers]
    losses, first = [], None
    for rows, lr in zip(inputs["batches"], inputs["lrs"], strict=True):
        loss, gradients = loss_and_gradients(inputs["x"][rows], inputs["labels"][rows], layers)
        first = first or [np.array(g["weight"]) for g in gradients]
        losses.append(float(loss))
        for layer, grads, speeds in zip(layers, gradients, velocity, strict=True):
            for name in layer:
                layer[name], speeds[name] = sgd_step(
                    layer[name], np.asarray(grads[name]), speeds[name], float(lr), 0.0
                )
    return {"training": {"losses": np.array(losses), "first": first, "layers": layers}}


DRIVERS: dict[str, Driver] = {
    "call": call,
    "steps": steps,
    "sgd": sgd,
    "order": order,
    "walk": walk,
    "network": network,
    "train": train,
}
