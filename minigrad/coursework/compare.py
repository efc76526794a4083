"""When two results are the same: to rounding, with what rounding does to this rule at these inputs.

A student may compute in float32, in another order, or with another formula that is equal on paper.
So the tolerance is that of float32, and it is measured, not guessed: the rule is evaluated again at
inputs that differ by one rounding of float32, and what this changes may differ in a result too.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array
from .questions.base import Inputs, Results

ROUNDING = 2.0**-24  # half a unit in the last place of float32
RELATIVE = 2e-5
AMPLIFIED = 16.0  # by how much the roundings inside a rule may exceed those of its inputs
REPEATS = 3


def noise(rule: Callable[..., Results], inputs: Inputs) -> dict[str, float]:
    """How far each result moves when every input moves by one rounding of float32."""
    rng = np.random.default_rng(5)
    found: dict[str, float] = {}
    exact = rule(**inputs)
    for _ in range(REPEATS):
        moved = rule(**{name: shaken(value, rng) for name, value in inputs.items()})
        for name, value in exact.items():
            if value is None or value.dtype.kind != "f":
                continue
            step = np.abs(moved[name] - value)
            step = step[np.isfinite(step)]
            found[name] = max(found.get(name, 0.0), float(step.max(initial=0.0)))
    return found


def shaken(value: Any, rng: np.random.Generator) -> Any:
    """A number or an array of them, each changed by up to one rounding."""
    if isinstance(value, float):
        return value * (1 + ROUNDING * rng.uniform(-1, 1))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value * (1 + ROUNDING * rng.uniform(-1, 1, value.shape))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [{name: shaken(part, rng) for name, part in item.items()} for item in value]
    return value


def misfit(got: Array, want: Array, noise: float = 0.0) -> float:
    """How far ``got`` is from ``want``, in units of the tolerance: the same if at most 1.

    Infinite if the shapes differ, or one has a NaN or an infinity where the other has not.
    """
    if got.shape != want.shape:
        return math.inf
    if not got.size:
        return 0.0
    odd = ~np.isfinite(want)
    if odd.any() or not np.isfinite(got).all():
        if not np.array_equal(got[odd], want[odd], equal_nan=True):
            return math.inf
        got, want = got[~odd], want[~odd]
        if not np.isfinite(got).all():
            return math.inf
        if not got.size:
            return 0.0
    tolerance = RELATIVE * float(np.abs(want).max()) + AMPLIFIED * noise + 1e-30
    return float(np.abs(got - want).max()) / tolerance


def worst_index(got: Array, want: Array) -> tuple[int, ...]:
    """Where two arrays of one shape differ most."""
    apart = np.abs(got - want)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    return tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
