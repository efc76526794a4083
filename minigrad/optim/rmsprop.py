"""RMSprop: the gradient, divided by its recent size in each weight."""

from collections.abc import Iterable
from typing import Any, ClassVar

from ..backend import Array, array_module
from ..tensor import Tensor
from .optimizer import Group, Optimizer


class RMSprop(Optimizer):
    """Root mean square propagation.

    With the gradient g, in this order:

        g <- g + weight_decay w
        s <- alpha s + (1 - alpha) g^2              (s = 0 before the first step)
        d = sqrt(s) + eps
        w <- w - lr g / d

    With momentum, the last line is b <- momentum b + g / d and w <- w - lr b. If ``centered``, the
    mean a <- alpha a + (1 - alpha) g is taken off: d = sqrt(s - a^2) + eps, so that s - a^2 is the
    variance of the recent gradients.

    Tieleman and Hinton (2012), "Neural Networks for Machine Learning", lecture 6e; centered: Graves
    (2013), "Generating Sequences With Recurrent Neural Networks", section 4.2, eq. 38 to 41, with
    eps outside the root as in PyTorch.

    Args:
        params: Tensors, or dicts with "params" and options of their own.
        lr: the learning rate.
        alpha: how much of s and of a is kept in each step.
        eps: keeps the division defined where all gradients were 0.
        weight_decay: pulls weights towards 0.
        momentum: the share of the last step's b that is kept.
        centered: divide by the standard deviation instead of the root mean square.
        maximize: climb instead of descending.

    Raises:
        ValueError: an option is negative, or ``alpha`` is above 1.
    """

    required: ClassVar[tuple[str, ...]] = ("step", "square_avg")
    together: ClassVar[str | None] = "RMSprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        super().check(group)
        for name in ("alpha", "eps", "momentum"):
            self.check_range(group, name)
        if group["alpha"] > 1:
            raise ValueError(f"RMSprop: alpha is {group['alpha']}, expected at most 1")

    def update(self, w: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        xp, alpha = array_module(w), group["alpha"]
        if not state:
            state.update(step=0, square_avg=xp.zeros_like(w))
        state["step"] += 1
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        s = state["square_avg"]
        s *= alpha
        s += (1 - alpha) * (g * g)
        if group["centered"]:
            if "grad_avg" not in state:
                state["grad_avg"] = xp.zeros_like(w)
            a = state["grad_avg"]
            a *= alpha
            a += (1 - alpha) * g
            # Rounding can leave a variance of 0 below 0, which has no root.
            s = xp.maximum(s - a * a, 0)
        g = g / (xp.sqrt(s) + group["eps"])
        if group["momentum"]:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = xp.zeros_like(w)
            b = state["momentum_buffer"]
            b *= group["momentum"]
            b += g
            g = b
        w -= group["lr"] * g
