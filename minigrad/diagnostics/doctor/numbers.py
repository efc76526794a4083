"""Are the numbers numbers? NaN, infinity, and what float16 cannot hold."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...backend import Array, array_module
from ...nn import Module
from ...tensor import Tensor
from ..stats import norm
from .examine import Examination
from .finding import Finding, listed

NORMAL = 2.0**-14
"""The smallest number that float16 holds with all its digits, 6.1e-5; the smallest is 6e-8."""

LOST = 0.2
"""Underflow: elements of a gradient are smaller than that (root mean square), and in float16 the
gradient is this share of its length away from that in float32."""


def find(seen: Examination) -> Iterator[Finding]:
    """Where the first number is that is not finite."""
    place = _place(seen)
    if place is not None:
        where, evidence = place
        yield Finding("non-finite", (where,), evidence)


def _place(seen: Examination) -> tuple[str, str] | None:
    """The first place in the order of computing: data, parameters, layers, loss, gradients."""
    for name, value in (("input", seen.patient.x), ("labels", seen.patient.labels)):
        lost = _lost(value)
        if lost:
            return name, f"{lost} of the values are NaN or infinite before anything is computed."
    for row in seen.parameters:
        if not row.finite:
            return row.name, "the parameter itself holds NaN or infinity."
    for layer in seen.layers:
        spoilt = layer.output is not None and not layer.output.finite
        if spoilt and (layer.input is None or layer.input.finite):
            name = _operation(seen, layer.opened, layer.closed)
            return layer.name, f"{layer} makes it of finite inputs{name}."
    outputs = seen.outputs
    if _lost(outputs):
        return "", f"it arises between the layers{_operation(seen, 0, outputs.node.order + 1)}."
    if seen.graph and not np.isfinite(seen.loss):
        begin = outputs.node.order if isinstance(outputs, Tensor) else 0
        return "loss", f"the outputs are finite and the loss is not{_operation(seen, begin)}."
    spoilt_rows = [row for row in seen.parameters if not row.grad_finite]
    return _begin_of_backward(seen, spoilt_rows[-1].name) if spoilt_rows else None


def _lost(value: Any) -> int:
    if not isinstance(value, Tensor) or value.dtype.kind != "f":
        return 0
    return int(value.numel() - array_module(value.array).isfinite(value.array).sum())


def _operation(seen: Examination, begin: int, end: int = 2**62) -> str:
    """The first operation between two times whose result, as it was saved, is not finite."""
    results: dict[Any, Any] = {}
    for node in seen.graph:
        for origin, value in zip((node, *node.parents), node.saved, strict=True):
            if origin is not None and hasattr(value, "dtype"):
                results[origin] = value
    for node in seen.graph:
        if begin < node.order < end and node in results and _lost(Tensor.from_array(results[node])):
            return f", in the operation {node.name}"
    return ""


def _begin_of_backward(seen: Examination, parameter: str) -> tuple[str, str]:
    """The layer and the operation in whose backward pass it begins: of the gradients that are not
    finite, the one that the walk met first was sent by an operation whose own is."""
    spoilt = max(seen.spoilt, key=lambda node: node.order)
    senders = [node for node in seen.graph if spoilt in node.parents]
    if not senders:
        return parameter, "all values are finite, and the gradient of this parameter is not."
    sender = senders[0]
    inside = [row.name for row in seen.layers if row.opened < sender.order < row.closed]
    evidence = (
        f"all values are finite, and the backward pass of {sender.name} gives a gradient that is "
        f"not."
    )
    return inside[-1] if inside else "", evidence


def underflow(half: Examination, single: Examination) -> Iterator[Finding]:
    """Which gradients are lost in float16 and not in float32."""
    lost: dict[str, float] = {}
    pairs = zip(_gradients(half).items(), _gradients(single).values(), strict=True)
    for (name, rough), exact in pairs:
        size = norm(exact)
        if 0 < size < NORMAL * math.sqrt(exact.size) and np.isfinite(size):
            lost[name] = norm(rough.astype(np.float64) - exact) / size
    lost = {name: share for name, share in lost.items() if share > LOST}
    if lost:
        most, where = max(lost.values()), tuple(lost)
        evidence = (
            f"the gradient of {listed(where)} in float16 is up to {most:.0%} away from that in "
            f"float32 (lost: more than {LOST:.0%}); its elements are below {NORMAL:.0e}, where the "
            f"digits of float16 run out."
        )
        yield Finding("underflow", where, evidence, {"lost": most})


def _gradients(seen: Examination) -> dict[str, Array]:
    named = seen.patient.model.named_parameters()
    return {name: p._grad.array for name, p in named if p._grad is not None}


def is_half(model: Module) -> bool:
    """Whether it computes in float16."""
    return any(p.dtype == np.float16 for p in model.parameters())
