"""Parameter: a Tensor that a module learns, and that its optimiser therefore finds."""

from collections.abc import Iterable
from typing import Any

from ..core.gradmode import no_grad
from ..tensor import Tensor


class Parameter(Tensor):
    """A Tensor that becomes part of ``module.parameters()`` when assigned to a module.

    Args:
        data: numbers, an array or a Tensor; it is copied.
        requires_grad: False for one that is stored but not learnt.

    Raises:
        TypeError: a gradient is required of integers.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def clear_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Forget the gradients of ``parameters``, or make those that exist zero."""
    for parameter in parameters:
        if set_to_none:
            parameter.grad = None
        elif parameter.grad is not None:
            with no_grad():
                parameter.grad = parameter.grad.detach().zero_()
