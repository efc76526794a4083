"""Adam and AdamW: steps of about equal length for every weight, however large its gradients are."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..backend import Array, array_module
from ..tensor import Tensor
from .optimizer import Group, Optimizer


class Adam(Optimizer):
    """Adaptive moment estimation.

    With the gradient g, in step t = 1, 2, ...:

        g <- g + weight_decay w
        m <- beta1 m + (1 - beta1) g              m_hat = m / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) g^2            v_hat = v / (1 - beta2^t)
        w <- w - lr m_hat / (sqrt(v_hat) + eps)

    m and v are running averages that start at 0; dividing by 1 - beta^t, the sum of the weights
    they have given out so far, makes them averages from the first step on.

    Of float16 parameters m and v are float16 too, as in PyTorch. With beta2 = 0.999, v loses
    gradients below about 0.005, and steps become ten times too long: train in float32 then.

    Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", Algorithm 1.

    Args:
        params: Tensors, or dicts with "params" and options of their own.
        lr: the learning rate, roughly the length of a step in each weight.
        betas: how much of m and of v is kept in each step.
        eps: keeps the division defined where all gradients were 0.
        weight_decay: pulls weights towards 0, as a part of the gradient; see ``AdamW``.
        amsgrad: divide by the largest v_hat so far, so that steps never grow again. Reddi, Kale and
            Kumar (2018), "On the Convergence of Adam and Beyond", Algorithm 2.
        maximize: climb instead of descending.

    Raises:
        ValueError: an option is negative, or a beta is not below 1.
    """

    fixed: ClassVar[Mapping[str, Any]] = {"decoupled_weight_decay": False}
    required: ClassVar[tuple[str, ...]] = ("step", "exp_avg", "exp_avg_sq")
    together: ClassVar[str | None] = "Adam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        super().check(group)
        self.check_range(group, "eps")
        betas = tuple(group["betas"])
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"{self.name}: betas is {betas}, expected two numbers, at least 0 and below 1"
            )
        group["betas"] = tuple(float(beta) for beta in betas)

    def update(self, w: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        xp, (beta1, beta2) = array_module(w), group["betas"]
        if not state:
            state.update(step=0, exp_avg=xp.zeros_like(w), exp_avg_sq=xp.zeros_like(w))
        state["step"] += 1
        m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            if self.fixed["decoupled_weight_decay"]:
                w *= 1 - group["lr"] * group["weight_decay"]
            else:
                g = g + group["weight_decay"] * w
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        # The corrections are Python numbers, so applying them to lr and to the root costs nothing.
        step_size = group["lr"] / (1 - beta1**t)
        if group["amsgrad"]:
            largest = state.setdefault("max_exp_avg_sq", xp.zeros_like(w))
            xp.maximum(largest, v, out=largest)
            v = largest
        root = xp.sqrt(v) / (1 - beta2**t) ** 0.5 + group["eps"]
        w -= step_size * (m / root)


class AdamW(Adam):
    """Adam with weight decay beside the gradient instead of inside it.

    w <- (1 - lr weight_decay) w, and then Adam's step without weight decay. Inside the gradient
    the decay would be divided by sqrt(v_hat) like everything else, and so be weakest for the
    weights with the largest gradients.

    Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization", Algorithm 2. Arguments
    and errors as for ``Adam``.
    """

    fixed: ClassVar[Mapping[str, Any]] = {"decoupled_weight_decay": True}
    together: ClassVar[str | None] = "AdamW"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        options = {"amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, **options)
