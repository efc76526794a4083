"""Operations that choose between numbers. The gradient goes to the one that was chosen.

Where there is no telling (max at a tie, clamp at its bounds) the rule does what PyTorch does, and
says what.
"""

from typing import Any

from ..backend import Array, array_module
from ..core.autograd import call_op
from ..core.op import Op
from .broadcasting import unbroadcast

__all__ = [
    "Clamp",
    "Masked",
    "Maximum",
    "Minimum",
    "Where",
]


class Maximum(Op):
    """y = max(a, b). The larger input gets the gradient; at a tie each gets half of it."""

    saves = ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return array_module(a).maximum(a, b)

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        tie, half = a == b, grad * 0.5
        return (
            unbroadcast(call_op(Where(), tie, half, masked(~(a < b), grad)), a.shape),
            unbroadcast(call_op(Where(), tie, half, masked(~(a > b), grad)), b.shape),
        )


class Minimum(Op):
    """y = min(a, b). The smaller input gets the gradient; at a tie each gets half of it."""

    saves = ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return array_module(a).minimum(a, b)

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        tie, half = a == b, grad * 0.5
        return (
            unbroadcast(call_op(Where(), tie, half, masked(~(a > b), grad)), a.shape),
            unbroadcast(call_op(Where(), tie, half, masked(~(a < b), grad)), b.shape),
        )


class Where(Op):
    """y = a where the condition holds, else b. Each gets the gradient where it was chosen."""

    saves = ("condition",)

    def forward(self, condition: Array, a: Array, b: Array) -> Array:
        return array_module(condition).where(condition, a, b)

    def backward(
        self, grad: Array, y: Array, condition: Array, a: Array, b: Array
    ) -> tuple[None, Array, Array]:
        return (
            None,
            unbroadcast(masked(condition, grad), a.shape),
            unbroadcast(masked(~condition, grad), b.shape),
        )


class Masked(Op):
    """y = x where the condition holds, else 0, and so for the gradient. Unlike a product with 0
    and 1 it leaves no NaN where x is infinite."""

    saves = ("condition",)

    def forward(self, condition: Array, x: Array) -> Array:
        return array_module(condition).where(condition, x, 0)

    def backward(self, grad: Array, y: Array, condition: Array, x: Array) -> tuple[None, Array]:
        return None, unbroadcast(masked(condition, grad), x.shape)


def masked(condition: Any, x: Any) -> Any:
    """``x`` where ``condition`` holds, else 0."""
    return call_op(Masked(), condition, x)


class Clamp(Op):
    """y = x limited to [low, high].    dy/dx = 1 for low <= x <= high, else 0"""

    saves = ("x",)

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def forward(self, x: Array) -> Array:
        # min after max, so that high wins where low > high, as in PyTorch.
        xp = array_module(x)
        y = x if self.low is None else xp.maximum(x, self.low)
        return y if self.high is None else xp.minimum(y, self.high)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        if self.low is not None:
            grad = masked(x >= self.low, grad)
        if self.high is not None:
            grad = masked(x <= self.high, grad)
        return grad
