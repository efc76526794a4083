"""The steps of optimisers for CuPy: all parameters of a group in one launch.

To launch a kernel takes the host longer than a GPU needs for a small parameter, and a model has
dozens of them. So the kernels in ``cuda/optim.cu`` are given a table of where the parameters and
their gradients lie. Nothing here waits for the GPU.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from ..backend import Array, array_module
from .launch import TYPES, launch, lines, number


def _all_parameters(
    weights: list[Array], gradients: list[Array], pointer_cache: dict[Any, Array]
) -> tuple[Array, int, int]:
    """The table that optim.cu describes, how many parameters it holds, and of how many numbers.

    In training the memory of one step is that of the next, so the table is on the GPU already, in
    ``pointer_cache``. If not, it goes there, and nobody waits.
    """
    pairs = [(w, g) for w, g in zip(weights, gradients, strict=True) if w.size]
    ends = list(accumulate(w.size for w, _ in pairs))
    numbers = (*(w.data.ptr for w, _ in pairs), *(g.data.ptr for _, g in pairs), *ends)
    if numbers not in pointer_cache:
        if len(pointer_cache) == 8:  # gradients that never lie where others have been
            pointer_cache.clear()
        pointer_cache[numbers] = array_module(weights[0]).asarray(np.array(numbers, np.int64))
    return pointer_cache[numbers], len(pairs), ends[-1]


def _takes(weights: list[Array], gradients: list[Array]) -> bool:
    """Whether there is something to update, without gaps and all of one known type."""
    kind = weights[0].dtype
    return (
        kind.char in TYPES
        and any(w.size for w in weights)
        and all(a.flags.c_contiguous and a.dtype == kind for a in (*weights, *gradients))
    )


def sgd_step(
    weights: list[Array],
    gradients: list[Array],
    state: dict[str, Any],
    group: dict[str, Any],
    pointer_cache: dict[Any, Array],
) -> bool:
    """``SGD.update`` of all parameters in 1 launch; False if the kernel does not take them."""
    if not _takes(weights, gradients):
        return False
    momentum, like = group["momentum"], weights[0]
    table, count, n = _all_parameters(weights, gradients, pointer_cache)
    v = state.get("momentum_buffer")
    first = v is None
    if momentum and first:
        v = state["momentum_buffer"] = array_module(like).empty(n, dtype=like.dtype)
    numbers = group["lr"], momentum, 1 - group["dampening"], group["weight_decay"]
    flags = int(group["nesterov"]), int(first), int(group["maximize"])
    launch(
        "sgd_step", like, lines(n), (256,), table, count, v if momentum else None,
        *(number(x, like) for x in numbers), *flags,
    )  # fmt: skip
    return True


def adam_step(
    weights: list[Array],
    gradients: list[Array],
    state: dict[str, Any],
    group: dict[str, Any],
    pointer_cache: dict[Any, Array],
    decoupled: bool = False,
) -> bool:
    """``Adam.update`` (``AdamW``'s if ``decoupled``) of all parameters in 1 launch, likewise."""
    if group.get("amsgrad") or not _takes(weights, gradients):
        return False
    like = weights[0]
    table, count, n = _all_parameters(weights, gradients, pointer_cache)
    if not state:
        zeros = array_module(like).zeros
        state.update(step=0, exp_avg=zeros(n, like.dtype), exp_avg_sq=zeros(n, like.dtype))
    state["step"] += 1
    (beta1, beta2), decay = group["betas"], group["weight_decay"]
    numbers = (
        group["lr"] / (1 - beta1 ** state["step"]),
        math.sqrt(1 - beta2 ** state["step"]),
        beta1, 1 - beta1, beta2, 1 - beta2, group["eps"],
        0.0 if decoupled else decay,
        group["lr"] * decay if decoupled else 0.0,
    )  # fmt: skip
    launch(
        "adam_step", like, lines(n), (256,), table, count, state["exp_avg"], state["exp_avg_sq"],
        *(number(x, like) for x in numbers), int(group["maximize"]),
    )  # fmt: skip
    return True


STEP: dict[str, Callable[..., bool]] = {
    "SGD": sgd_step,
    "Adam": adam_step,
    "AdamW": partial(adam_step, decoupled=True),
}
