"""A learning rate that is a Tensor of one element.

Whoever holds the Tensor can change it in place, and sees what a schedule makes of it. Rules and
kernels know nothing of that: they are given the number that it holds at the step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor


def options_now(group: dict[str, Any]) -> dict[str, Any]:
    """The options of ``group``, with a Tensor ``lr`` as a number. One on a GPU is waited for.

    Raises:
        ValueError: the Tensor has not one element, is not floating, or wants a gradient, which no
            step computes.
    """
    lr = group["lr"]
    if not isinstance(lr, Tensor):
        return group
    if lr.array.size != 1 or lr.dtype.kind != "f" or lr.requires_grad:
        raise ValueError(
            f"lr is a Tensor of {lr.dtype} with shape {lr.shape} and requires_grad="
            f"{lr.requires_grad}, expected a floating one with one element and without gradient"
        )
    return {**group, "lr": lr.item()}


def set_rates(groups: Sequence[dict[str, Any]], rates: Sequence[float]) -> None:
    """Give each group its rate; one that is a Tensor is filled, as others may hold it.

    Raises:
        ValueError: groups that share a Tensor are to get different rates. Nothing has changed then.
    """
    shared: dict[int, float] = {}
    for i, (group, rate) in enumerate(zip(groups, rates, strict=True)):
        if isinstance(group["lr"], Tensor) and shared.setdefault(id(group["lr"]), rate) != rate:
            raise ValueError(
                f"the lr of group {i} is a Tensor that an earlier group has, too, and the schedule "
                f"gives them different rates; give each group a Tensor of its own"
            )
    for group, rate in zip(groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def own_rate(value: Any) -> Any:
    """A saved rate; a Tensor, also of PyTorch's, as a new one that nobody else holds."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    return Tensor.from_array(np.asarray(value).copy()) if hasattr(value, "detach") else value
