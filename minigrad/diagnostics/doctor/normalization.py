"""BatchNorm and the two modes: what training remembers, and what evaluation makes of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...backend import array_module
from ...core.gradmode import no_grad
from ...nn import Dropout, Module
from ...tensor import Tensor
from .examine import Examination, Layer, measure
from .finding import Finding, listed
from .patient import Patient

FEW = 8
"""Fewer values per channel are too small a batch. The gradient through a linear layer and BatchNorm
over n values is multiplied by (n - 2) / (n - 3) on the average (its square): infinite for 3, and
1.2 for 8."""

FAR, WIDE = 1.0, 4.0
"""Running statistics are stale where the means are this many standard deviations away from those
of the batch, or the variances differ by this factor (for half of the channels)."""

SETTLED = 0.05
"""They have arrived where this share of a standard deviation is left. And they are young, and not
stale, while they still hold more than this share of where they started."""

PATIENCE = 1000
"""A momentum that needs more steps than this, from a fresh start, is too small."""

DROWNED = 20.0
"""Dropout drowns the signal where its noise is this many times what tells the samples apart. At the
start, one layer with p = 0.5 has 1.6 times, five have 5 times; three with 0.95 have 70 times."""

GAP = 1.0
"""Without noise, the outputs of both modes are far apart where they differ by more than their own
spread."""

PASSES = 8
"""The noise is taken from so many passes."""


def norms(model: Module) -> dict[str, Module]:
    """The layers with running statistics, by their names."""
    named = model.named_modules()
    return {n: m for n, m in named if vars(m).get("running_mean") is not None}


def find(seen: Examination, patient: Patient) -> Iterator[Finding]:
    """The findings of this file that one pass shows."""
    layers = norms(patient.model)
    poisoned = tuple(
        name
        for name, m in layers.items()
        if not (_finite(m.running_mean) and _finite(m.running_var))
    )
    if poisoned:
        evidence = f"the running mean or variance of {listed(poisoned)} is NaN or infinite."
        yield Finding("poisoned-statistics", poisoned, evidence)
    yield from _modes(seen, patient)
    rows = [row for row in seen.layers if row.batch and row.training]
    small = tuple(row.name for row in rows if row.batch["count"] < FEW)
    if small:
        count = min(row.batch["count"] for row in rows)
        evidence = f"{listed(small)} normalise over {count} values (too few: less than {FEW})."
        yield Finding("batch-too-small", small, evidence, {"values": count})
    yield from _stale(seen, patient)


def refused(seen: Examination) -> Iterator[Finding]:
    """A BatchNorm has refused a batch with one value per channel."""
    if not isinstance(seen.error, ValueError) or not seen.at_fault:
        return
    module, row = seen.module(seen.at_fault), seen.layers[-1]
    if vars(module).get("running_mean") is not None and row.batch.get("count") == 1:
        evidence = f"{row} has one value per channel, and one value has no variance."
        yield Finding("batch-too-small", (row.name,), evidence, {"values": 1})


def _modes(seen: Examination, patient: Patient) -> Iterator[Finding]:
    named = dict(patient.model.named_modules())
    learning = patient.model.training
    asleep = tuple(n for n in norms(patient.model) if learning and not named[n].training)
    if asleep:
        evidence = f"the model is in training mode, {listed(asleep)} in evaluation mode."
        yield Finding("batchnorm-in-eval", asleep, evidence, {"layers": len(asleep)})
    awake = tuple(
        n for n, m in named.items() if isinstance(m, Dropout) and m.training and not learning
    )
    if awake:
        evidence = f"the model is in evaluation mode, {listed(awake)} in training mode."
        yield Finding("train-eval-gap", awake, evidence, {"layers": len(awake)})


@dataclass(frozen=True)
class Lag:
    """How far the running statistics of a layer are from those of the batch."""

    away: float
    ratio: float
    steps: float
    """How many more it takes."""
    young: bool
    """They have seen too few batches, and the momentum is large enough: it is a matter of steps."""


def lags(seen: Examination, patient: Patient) -> dict[str, Lag]:
    """The layers whose statistics are far from those of the batch after some training, or will be,
    as their momentum is too small."""
    layers, found = norms(patient.model), {}
    for row in [row for row in seen.layers if row.batch and row.training]:
        module = layers.get(row.name)
        if module is None or row.name in found or not _finite(module.running_mean):
            continue
        tracked = int(module.num_batches_tracked)
        share = 1 / (tracked + 1) if module.momentum is None else module.momentum
        away, ratio = _distance(module, row)
        slow = module.momentum is not None and _steps(1.0, share) > PATIENCE
        if slow or (tracked and (away > FAR or ratio > WIDE)):
            young = not slow and (1 - share) ** tracked > SETTLED
            found[row.name] = Lag(away, ratio, _steps(max(away, math.log(ratio)), share), young)
    return found


def _stale(seen: Examination, patient: Patient) -> Iterator[Finding]:
    behind = {name: lag for name, lag in lags(seen, patient).items() if not lag.young}
    if behind:
        where, most = tuple(behind), max(behind.values(), key=lambda lag: lag.steps)
        need = f"{most.steps:.0f} more steps" if math.isfinite(most.steps) else "for ever"
        evidence = (
            f"{listed(where)}: means up to {most.away:.2g} standard deviations away from those of "
            f"this batch, variances by a factor of {most.ratio:.2g} (stale: {FAR:g} and {WIDE:g}); "
            f"at this momentum they need {need}."
        )
        numbers = {"mean": most.away, "variance": most.ratio, "steps": most.steps}
        yield Finding("stale-statistics", where, evidence, numbers)


def young(seen: Examination, patient: Patient) -> str | None:
    """A remark on running statistics that have only begun to follow the batches."""
    early = {name: lag for name, lag in lags(seen, patient).items() if lag.young}
    if not early:
        return None
    steps = max(lag.steps for lag in early.values())
    return (
        f"the running statistics of {listed(tuple(early))} are young: after {steps:.0f} more steps "
        f"they are those of the batches. Until then evaluation mode gives other outputs."
    )


def _distance(module: Module, row: Layer) -> tuple[float, float]:
    """How far the running statistics are from those of the batch: the means in standard deviations
    (root mean square over the channels), the variances as a factor (median)."""
    xp = array_module(module.running_mean.array)
    mean, var, count = row.batch["mean"], row.batch["var"], row.batch["count"]
    var = var * count / max(count - 1, 1) + module.eps
    running = module.running_var.array.astype(np.float64) + module.eps
    away = (module.running_mean.array.astype(np.float64) - mean) / xp.sqrt(var)
    ratio = xp.exp(xp.median(xp.abs(xp.log(running / var))))
    return float(xp.sqrt((away * away).mean())), float(ratio)


def _steps(distance: float, momentum: float) -> float:
    """After how many steps ``SETTLED`` of a standard deviation is left of ``distance``."""
    if distance <= SETTLED:
        return 0.0
    if momentum >= 1:
        return 1.0
    return math.inf if momentum == 0 else math.log(SETTLED / distance) / math.log(1 - momentum)


def gap(seen: Examination, patient: Patient) -> Iterator[Finding]:
    """Are the outputs in evaluation repeatable, and are they those of training?"""
    trial = patient.copy()
    x, model = trial.x, trial.model.eval()
    with no_grad():
        once, again = model(x), model(x)
        if not isinstance(once, Tensor) or once.dtype.kind != "f" or not _finite(once):
            return
        size = measure(once.array)
        noise = measure(once.array - again.array).rms
        if noise > 1e-6 * size.rms:
            evidence = (
                f"two passes in evaluation mode differ by {noise:.2g} (root mean square; the "
                f"outputs are {size.rms:.2g}): something random is active in evaluation."
            )
            yield Finding("train-eval-gap", ("",), evidence, {"noise": noise})
            return
        if norms(model):  # what a BatchNorm makes of it is judged by its statistics
            return
        model.train()
        passes = [model(x).array.astype(np.float64) for _ in range(PASSES)]
    middle = sum(passes) / PASSES
    noise = math.sqrt(sum(float(((p - middle) ** 2).mean()) for p in passes) / (PASSES - 1))
    apart = math.sqrt(float(((middle - once.array) ** 2).mean()))
    spread = float(once.array.std())
    numbers = {"noise": noise, "apart": apart, "spread": spread}
    if noise > DROWNED * spread:
        evidence = (
            f"in training mode the outputs of the same sample spread by {noise:.2g} from pass to "
            f"pass, all outputs in evaluation mode by {spread:.2g} (drowned: more than "
            f"{DROWNED:g} times)."
        )
        yield Finding("train-eval-gap", drops(model), evidence, numbers)
    elif noise < 1e-6 * spread < GAP * spread < apart:
        evidence = (
            f"the outputs in training are {apart:.2g} away from those in evaluation, whose spread "
            f"is {spread:.2g} (far: more than {GAP:g} times)."
        )
        yield Finding("train-eval-gap", ("",), evidence, numbers)


def drops(model: Module) -> tuple[str, ...]:
    """The Dropouts of a model; the model itself if there are none."""
    named = model.named_modules()
    return tuple(n for n, m in named if isinstance(m, Dropout) and m.p > 0) or ("",)


def _finite(tensor: Tensor) -> bool:
    return bool(array_module(tensor.array).isfinite(tensor.array).all())
