"""How a student's ``Op`` is called: through the engine, forward, backward and twice.

The only file here that imports minigrad, and so it is loaded for the tasks about the engine only.
"""

from typing import Any

import numpy as np

from minigrad.autograd import grad
from minigrad.ops.base import Op
from minigrad.tensor import Tensor, apply
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
    dx, dgamma = grad(y, (x, gamma), Tensor(inputs["dy"]))
    found = {"y": y.detach().numpy(), "dx": dx.numpy(), "dgamma": dgamma.numpy()}
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
    projected = (first[0] * Tensor(inputs["v"])).sum() + (first[1] * Tensor(inputs["w"])).sum()
    found = grad(projected, (x, gamma, dy))
    return dict(zip(("hx", "hgamma", "hdy"), (np.array(g.numpy()) for g in found), strict=True))


DRIVERS = {"operation": once, "operation_twice": twice}
