"""Does a graph do what the step does? Both run from the same start, and all they did is compared.

Twice in a row, so that what adds up from call to call shows; the second time with other inputs, so
that an input which the graph does not read shows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import CPU, Array, array_module, on_device_of, to_device
from ..nn import Module
from ..tensor import Tensor

WITHIN = {"float16": 3e-2, "float32": 1e-3, "float64": 1e-8}
"""How far the two may be apart, in parts of the largest element. The kernels are the same; cuBLAS
may split its sums in another way, and in TF32 that is all the digits there are."""

Outcome = dict[str, np.ndarray[Any, Any] | None]


def altered(x: Tensor) -> Tensor:
    """Other numbers that are as good: the elements from the last to the first, and smaller."""
    with on_device_of(x.array):
        turned = array_module(x.array).flip(x.array)
        return Tensor.from_array(turned * 0.75 if x.dtype.kind == "f" else turned.copy())


def is_symmetric(x: Tensor) -> bool:
    """Whether ``altered`` leaves it as it is. (A single integer it must.)"""
    same = np.array_equal(on_host(x.array), on_host(altered(x).array))
    return same and (x.numel() > 1 or x.dtype.kind == "f")


def outcome(run: Callable[..., Any], inputs: tuple[Tensor, ...], model: Module) -> Outcome:
    """All that ``run`` returns and does to ``model``, for ``inputs`` and then for others made of
    them; with the gradients it finds at 0."""
    found: Outcome = {}
    for p in model.parameters():
        p.grad = Tensor.from_array(array_module(p.array).zeros_like(p.array))
    for turn, given in (("first", inputs), ("second", tuple(map(altered, inputs)))):
        result = run(*given)
        for number, output in enumerate([result] if isinstance(result, Tensor) else result):
            found[f"output {number} of the {turn} run"] = on_host(output.array)
        for name, p in model.named_parameters():
            gradient = None if p.grad is None else on_host(p.grad.array)
            found[f"the gradient of {name} in the {turn} run"] = gradient
        for name, buffer in model.named_buffers():
            found[f"{name} after the {turn} run"] = on_host(buffer.array)
    return found


def difference(found: Outcome, expected: Outcome) -> str | None:
    """What is not as expected, if anything is. A gradient that is 0 but for rounding is measured
    by the others."""
    sizes = [largest(v) for name, v in expected.items() if name.startswith("the gradient")]
    noise = 1e-3 * max(sizes, default=0.0)
    for what, value in expected.items():
        replayed = found[what]
        if value is None and replayed is None:
            continue
        if value is None or replayed is None:
            return what
        floor = noise if what.startswith("the gradient") else 0.0
        within = WITHIN.get(str(value.dtype), 0.0) * max(largest(value), floor)
        if not np.allclose(replayed, value, rtol=0, atol=within, equal_nan=True):
            return what
    return None


def largest(value: np.ndarray[Any, Any] | None) -> float:
    """The largest element but for what is infinite or no number."""
    return 0.0 if value is None else float(np.abs(value[np.isfinite(value)]).max(initial=0))


def on_host(array: Array) -> np.ndarray[Any, Any]:
    """A copy of its own."""
    return np.array(to_device(array, CPU))
