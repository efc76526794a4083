"""Do inputs, model, labels and loss fit each other? And do all parameters take part?"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...backend import array_module
from ...nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm
from ...tensor import Tensor
from .examine import Examination, measure
from .finding import Finding, listed
from .patient import Patient

LARGE, SMALL = 3.0, 0.05
"""The root mean square of the inputs, beyond which they count as not scaled; it is 1 where they
are standardised, and 0.4 for pixels from 0 to 1."""

UNEVEN = 100.0
"""The spread of a large feature (nine in ten are smaller) as a multiple of that of a small one (one
in ten is smaller), above which features have different scales."""

CERTAIN = 1e-3
"""Outputs that are not negative and add up to 1 within this are probabilities."""

LOUD = 3.0
"""A loss above this many times ln(classes) says that the model starts by being certain, and
wrong."""

HALVED = 0.5
"""It does not matter where the training steps bring it down by this share."""

CROSS_ENTROPY = {"SoftmaxCrossEntropy", "LogSoftmax"}


# ------------------------------------------------------------------------------------- inputs


def inputs(seen: Examination) -> Iterator[Finding]:
    """Are the inputs of the size that initial weights are made for?"""
    x = seen.patient.x
    if x.dtype.kind != "f" or x.ndim < 2 or _normalised(seen):
        return
    size = measure(x.array)
    numbers = {"rms": size.rms, "spread": size.spread}
    if size.finite and not SMALL <= size.rms <= LARGE:
        evidence = (
            f"the root mean square of the inputs is {size.rms:.3g} (scaled: {SMALL:g} to {LARGE:g}"
            f"; 1 if they are standardised); their mean is {float(x.array.mean()):.3g}, their "
            f"spread {size.spread:.3g}."
        )
        yield Finding("unscaled-inputs", ("input",), evidence, numbers)
        return
    xp = array_module(x.array)
    spreads = xp.asarray(x.array, np.float64).std(axis=0).reshape(-1)
    spreads = spreads[spreads > 0]
    if size.finite and len(spreads) >= 4:
        low, high = (float(v) for v in xp.percentile(spreads, xp.asarray([10, 90])))
        if high > UNEVEN * low:
            evidence = (
                f"a large feature has a spread of {high:.3g}, a small one of {low:.3g}: "
                f"{high / low:.0f} times (different scales: more than {UNEVEN:g} times)."
            )
            yield Finding("unscaled-inputs", ("input",), evidence, {**numbers, "ratio": high / low})


def _normalised(seen: Examination) -> bool:
    """Whether the model scales its inputs itself: one of its first two layers is a norm."""
    norms = BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm
    return any(isinstance(layer.module, norms) for layer in seen.layers[:2])


def scaled(x: Tensor) -> Tensor:
    """``x`` with mean 0 and spread 1, feature by feature; a constant feature becomes 0."""
    xp = array_module(x.array)
    wide = x.array.astype(np.float64)
    spread = wide.std(axis=0)
    centred = wide - wide.mean(axis=0)
    return Tensor.from_array((centred / xp.where(spread > 0, spread, 1)).astype(x.dtype))


# --------------------------------------------------------------------------- labels and outputs


def loss(seen: Examination) -> Iterator[Finding]:
    """Does the loss get what it expects?"""
    complaint = _mismatch(seen)
    if complaint:
        yield Finding("loss-mismatch", ("loss",), complaint)


def too_few_outputs(seen: Examination) -> Iterator[Finding]:
    """The loss has refused a label that has no output."""
    labels, outputs = seen.patient.labels, seen.outputs
    tensors = isinstance(labels, Tensor) and isinstance(outputs, Tensor) and outputs.ndim >= 2
    if tensors and seen.failed == "loss" and isinstance(seen.error, IndexError):
        evidence = (
            f"the model has {outputs.shape[1]} outputs, the labels go from "
            f"{int(labels.array.min())} to {int(labels.array.max())}."
        )
        yield Finding("loss-mismatch", ("loss",), evidence)


def _mismatch(seen: Examination) -> str | None:
    y = seen.outputs
    if not isinstance(y, Tensor) or y.ndim < 1 or not seen.losses:
        return None
    xp, array, kinds = array_module(y.array), y.array, set(seen.losses)
    if kinds & CROSS_ENTROPY and y.ndim >= 2:
        off = float(xp.abs(array.sum(axis=1, dtype=np.float64) - 1).max())
        if bool((array >= 0).all()) and off < CERTAIN and array.shape[1] > 1:
            return (
                f"the outputs are probabilities already (not negative, sums of 1 within {off:.0e})"
                f", and the loss takes the softmax of them once more."
            )
        if seen.last in ("Sigmoid", "ReLU"):
            return f"the outputs come from a {seen.last}, and cross-entropy expects logits."
    if "BinaryCrossEntropyWithLogits" in kinds and seen.last in ("Sigmoid", "ReLU", "Softmax"):
        return f"the outputs come from a {seen.last}, and the loss expects logits."
    if kinds & {"SquaredError", "Huber"}:
        return _out_of_reach(seen.last, seen.patient.labels)
    if seen.loss < -1e-6:
        return f"the loss is {seen.loss:.3g}; -log p is never negative: give it log-probabilities."
    return None


def _out_of_reach(last: str, targets: Any) -> str | None:
    """Targets that a bounded last activation cannot give."""
    low, high = {"Sigmoid": (0, 1), "Tanh": (-1, 1), "ReLU": (0, math.inf)}.get(
        last, (-math.inf, math.inf)
    )
    if not isinstance(targets, Tensor):
        return None
    least, most = float(targets.array.min()), float(targets.array.max())
    if least < low or most > high:
        return (
            f"the targets go from {least:.3g} to {most:.3g}, and a {last} at the end gives numbers "
            f"from {low:g} to {high:g}."
        )
    return None


def loud(seen: Examination) -> Iterator[Finding]:
    """A first loss far above that of guessing, where nothing else explains it."""
    y, fresh = seen.outputs, set(seen.losses) & CROSS_ENTROPY
    if not fresh or not isinstance(y, Tensor) or y.ndim < 2 or y.shape[1] < 2:
        return
    guessing = math.log(y.shape[1])
    labels = seen.patient.labels
    each = isinstance(labels, Tensor) and labels.ndim == y.ndim - 1
    if seen.loss > LOUD * guessing:
        hint = ""
        if each and abs(seen.loss / labels.numel() / guessing - 1) < 0.5:
            hint = " It is about that of guessing times the samples: is it summed, not averaged?"
        evidence = (
            f"the loss is {seen.loss:.3g}, guessing would have ln {y.shape[1]} = {guessing:.3g} "
            f"(loud: more than {LOUD:g} times).{hint}"
        )
        yield Finding("loss-mismatch", ("loss",), evidence, {"loss": seen.loss})


# --------------------------------------------------------------------------------- parameters


def parameters(seen: Examination, patient: Patient) -> Iterator[Finding]:
    """Which parameters are left out, and how."""
    left: dict[str, list[str]] = {}
    known: set[int] | None = None
    if patient.optimizer is not None:
        known = {id(p) for group in patient.optimizer.param_groups for p in group["params"]}
    originals = dict(patient.model.named_parameters())
    recorded = {layer.name for layer in seen.layers if layer.recorded}
    for row in seen.parameters:
        if not row.learns:
            reason = "frozen (requires_grad is False)"
        elif row.grad is None and not row.called and not _used(seen, row.name):
            reason = "never used: its layer is not called"
        elif row.grad is None and row.owner not in recorded:
            reason = "computed without a record (no_grad)"
        elif row.grad is None:
            reason = "cut off from the loss (detach, or not used by it)"
        elif known is not None and id(originals[row.name]) not in known:
            reason = "not given to the optimiser"
        else:
            continue
        left.setdefault(reason, []).append(row.name)
    if left:
        where = tuple(name for names in left.values() for name in names)
        told = "; ".join(f"{listed(tuple(names))}: {reason}" for reason, names in left.items())
        yield Finding("no-gradient", where, f"{told}.", {"parameters": len(where)})


def _used(seen: Examination, name: str) -> bool:
    """Whether an operation of the graph reads the parameter, whatever module called it."""
    parameter = dict(seen.patient.model.named_parameters())[name]
    return any(parent is parameter for node in seen.graph for parent in node.parents)
