"""SGD: a step against the gradient, with or without momentum."""

from collections.abc import Iterable
from typing import Any, ClassVar

from ..backend import Array, array_module
from ..tensor import Tensor
from .optimizer import Group, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent.

    With the gradient g, in this order:

        g <- g + weight_decay w
        v <- momentum v + (1 - dampening) g        (v = g in the first step)
        w <- w - lr v                              (Nesterov: w - lr (g + momentum v))

    Momentum: Polyak (1964), "Some methods of speeding up the convergence of iteration methods".
    Nesterov's in this form: Sutskever et al. (2013), "On the importance of initialization and
    momentum in deep learning", section 2, rewritten for the look-ahead point as in PyTorch, whose
    v contains no lr: changing lr takes effect at once.

    Args:
        params: Tensors, or dicts with "params" and options of their own.
        lr: the learning rate.
        momentum: the share of the last step's v that is kept.
        dampening: makes v grow more slowly.
        weight_decay: pulls weights towards 0.
        nesterov: look ahead; needs momentum and no dampening.
        maximize: climb instead of descending.

    Raises:
        ValueError: an option is negative, or ``nesterov`` lacks what it needs.
    """

    together: ClassVar[str | None] = "SGD"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        super().check(group)
        self.check_range(group, "momentum")
        self.check_range(group, "dampening")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum > 0 and dampening = 0, got momentum "
                f"{group['momentum']} and dampening {group['dampening']}"
            )

    def update(self, w: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        momentum = group["momentum"]
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        if momentum:
            v = state.get("momentum_buffer")
            if v is None:
                v = state["momentum_buffer"] = array_module(w).array(g)
            else:
                v *= momentum
                v += (1 - group["dampening"]) * g
            g = g + momentum * v if group["nesterov"] else v
        w -= group["lr"] * g
