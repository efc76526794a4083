"""Adagrad: steps that become shorter in each weight, the more gradient it has had."""

from collections.abc import Iterable
from typing import Any, ClassVar

from ..backend import Array, array_module
from ..tensor import Tensor
from .optimizer import Group, Optimizer


class Adagrad(Optimizer):
    """Adaptive gradient descent.

    With the gradient g, in step t = 1, 2, ...:

        g <- g + weight_decay w
        s <- s + g^2                                (s = initial_accumulator_value at first)
        w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    Weights that seldom have a gradient, such as the rows of an embedding, keep long steps.

    Duchi, Hazan and Singer (2011), "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", with diagonal matrices. ``lr_decay`` and the place of eps are PyTorch's.

    Args:
        params: Tensors, or dicts with "params" and options of their own.
        lr: the learning rate.
        lr_decay: how fast the learning rate itself falls.
        weight_decay: pulls weights towards 0.
        initial_accumulator_value: where s starts.
        eps: keeps the division defined where all gradients were 0.
        maximize: climb instead of descending.

    Raises:
        ValueError: an option is negative.
    """

    required: ClassVar[tuple[str, ...]] = ("step", "sum")
    together: ClassVar[str | None] = "Adagrad"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        super().check(group)
        for name in ("lr_decay", "initial_accumulator_value", "eps"):
            self.check_range(group, name)

    def update(self, w: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        xp = array_module(w)
        if not state:
            start = xp.full_like(w, group["initial_accumulator_value"])
            state.update(step=0, sum=start)
        state["step"] += 1
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        s = state["sum"]
        s += g * g
        lr = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        w -= lr * (g / (xp.sqrt(s) + group["eps"]))
