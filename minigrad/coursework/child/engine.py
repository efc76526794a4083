"""How a student's ``Op`` is called: through the engine, forward, backward and twice.

The only file here that imports minigrad, and so it is loaded for the tasks about the engine only.
"""

from typing import Any

import numpy as np

from minigrad.core.autograd import apply, grad
from minigrad.ops import Op
from minigrad.tensor import Tensor
from minigrad.testing import GradcheckError, gradcheck


class NotAnOperation(Exception):
    """What the student wrote is no ``Op``."""


def tensors(inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """x and gamma, which require gradients."""
    return Tensor(inputs["x"], requires_grad=True), Tensor(inputs["gamma"], requires_grad=True)


def made(operation: Any, inputs: dict[str, Any]) -> Op:
    """The student's operation with its option eps."""
    if not (isinstance(operation, type) and issubclass(operation, Op)):
        raise NotAnOperation("expected a class that inherits from minigrad's Op")
    return operation(inputs["eps"])  # type: ignore[call-arg]


def once(operation: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """y, dx and dgamma, and what gradcheck says."""
    x, gamma = tensors(inputs)
    y = apply(made(operation, inputs), x, gamma)
    dx, dgamma = (plain(g) for g in grad(y, (x, gamma), Tensor(inputs["dy"])))
    found = {"y": plain(y), "dx": dx, "dgamma": dgamma}
    try:
        gradcheck(lambda a, b: apply(made(operation, inputs), a, b), (x, gamma))
    except GradcheckError as error:
        found["note"] = str(error)
    return found


def twice(operation: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The gradients of <v, dx> + <w, dgamma>."""
    x, gamma = tensors(inputs)
    dy = Tensor(inputs["dy"], requires_grad=True)
    first = grad(apply(made(operation, inputs), x, gamma), (x, gamma), dy, create_graph=True)
    directions = (Tensor(inputs["v"]), Tensor(inputs["w"]))
    projected = Tensor(np.zeros(()))
    for share, direction in zip(first, directions, strict=True):
        projected = projected + (as_tensor(share) * direction).sum()
    found = (plain(g) for g in grad(projected, (x, gamma, dy), allow_unused=True))
    return dict(zip(("hx", "hgamma", "hdy"), found, strict=True))


def as_tensor(gradient: Tensor | None) -> Tensor:
    """0 for a gradient that the student's rule gave as None."""
    return Tensor(np.zeros(())) if gradient is None else gradient


def plain(tensor: Tensor | None) -> Any:
    """The array in a Tensor; None where a rule gave None."""
    return None if tensor is None else np.array(tensor.detach().numpy())


DRIVERS = {"operation": once, "operation_twice": twice}
